"""Lets layers of a viewer be removed without a crash of the graphics driver.

napari deletes what a removed layer has drawn with at once, in whichever OpenGL context is current
(napari 0.9.2, `_clean_and_update_scenegraph`). Between two drawings that is Qt's, not the canvas's:
with Mesa the process then ends at the next drawing, and Windows drivers raise access violations
(napari's issues 6472 and 8471). So the canvas's is made current before a layer goes.
"""

from __future__ import annotations

from typing import Any

from vispy.gloo import get_current_canvas


def make_canvas_current(_event: Any = None) -> None:
    """Make the canvas's OpenGL context the current one; called before a layer is removed."""
    canvas = get_current_canvas()  # the one drawn last; None where nothing has been drawn
    if canvas is not None:
        canvas.set_current()
