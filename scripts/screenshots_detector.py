"""Make the picture of the panel "Train detector" in docs/images, from simulated data.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/screenshots_detector.py

The images of a few samples are marked as reviewed, with the boxes that the shipped detector finds;
the detector is fitted to them, and what changed is shown on a held-out one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from screenshots import LOOKS, OUT, settle, wait

SAMPLES = ("healthy-01-1", "sickle-01-1", "xerocytosis-01-1")
STEPS = 40


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        # The pictures must neither show nor change this person's own settings and data.
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = scratch
        take_pictures(OUT)


def take_pictures(folder: Path) -> None:
    """Review images, fit the detector, and take a picture of what changed."""
    import napari

    viewer = napari.Viewer()
    _, main_panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Attention MIL")
    main_panel.images_step.open_simulated_cohort()
    wait(lambda: not main_panel.context.runner.busy)
    for sample in SAMPLES:
        main_panel.context.image_choice.show_sample(sample)
        main_panel.cells_step.detect()
        wait(lambda: not main_panel.context.runner.busy)
        for index in range(len(main_panel.context.images)):
            main_panel.context.session.set_reviewed(index)
    dock, panel = viewer.window.add_plugin_dock_widget(
        "napari-attmil", "Train detector", tabify=True
    )
    dock.raise_()
    panel._form.field("steps").setValue(STEPS)
    panel.train()
    wait(lambda: not panel.context.runner.busy)
    panel.compare()
    wait(lambda: not panel._comparer.busy)
    for theme, width, height in LOOKS:
        viewer.theme = theme
        viewer.window.resize(width, height)
        settle(0.6)
        viewer.reset_view()
        settle(1)
        path = folder / f"8-train-detector-{theme}-{width}x{height}.png"
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)
    panel.close_panel()
    main_panel.close_panel()
    viewer.close()


if __name__ == "__main__":
    main()
