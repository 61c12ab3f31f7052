"""A removed layer does not take the program with it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import napari, numpy as np
from qtpy.QtWidgets import QApplication

def draw():
    for _ in range(20):
        viewer.camera.zoom *= 1.02
        QApplication.processEvents()

viewer = napari.Viewer()
viewer.add_image(np.zeros((64, 64)))
dock, panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")
layer = viewer.add_shapes([[[10, 10], [10, 30], [30, 30], [30, 10]]])
draw()
viewer.layers.remove(layer)
draw()
print("drawn")
viewer.close()
"""


def test_a_viewer_draws_on_after_a_layer_of_boxes_is_removed() -> None:
    # In a process of its own: without the cure, Mesa ends it with a segmentation fault.
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120
    )

    assert "drawn" in ran.stdout, ran.stderr[-2000:]
