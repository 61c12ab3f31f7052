"""A circle over the image, of the size of a cell, that a person drags until it fits one."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import numpy as np
from napari.layers.base import ActionType
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_attmil.widgets.parts import Listening
from napari_attmil.widgets.viewer.image_choice import ImageChoice

NAME: Final = "Cell size"
COLOUR: Final = "#CC79A7"
"""Of the Okabe-Ito palette; no colour that boxes themselves have."""
EDGE_SHARE: Final = 0.06
"""Width of the line as a share of the diameter."""
SMALLEST_PX: Final = 6.0
SAME_PX: Final = 0.05
"""A circle that is moved or turned changes by less, as its corners are rounded."""


class SizeCircle(Listening):
    """A layer of one circle, which can be moved and resized.

    It lies over all images of a stack, in pixels of its image layer.

    Parameters
    ----------
    viewer
        The napari viewer.
    image_choice
        Says which image layer it lies on.

    Signals
    -------
    resized(diameter_px)
        A person has dragged it to another size.
    closed()
        Its layer has gone.
    """

    resized = Signal(float)
    closed = Signal()

    def __init__(self, viewer: Any, image_choice: ImageChoice) -> None:
        self._viewer, self._image_choice = viewer, image_choice
        self._layer: Any = None
        self._diameter_px = 0.0
        self.listen(viewer.layers.events.removed, self._on_removed)
        self.at_end(self.hide)

    @property
    def is_shown(self) -> bool:
        """Whether its layer is in the viewer."""
        return self._layer is not None

    def show(self, diameter_px: float, centre: tuple[float, float]) -> None:
        """Show it around x, y in pixels of the image; it can be dragged at once."""
        self.hide()
        image = self._image_choice.chosen
        if image is None:
            return
        self._diameter_px = diameter_px
        self._layer = self._viewer.add_shapes(
            [_corners(diameter_px, centre)],
            shape_type="ellipse",
            name=NAME,
            edge_color=COLOUR,
            edge_width=EDGE_SHARE * diameter_px,
            face_color="transparent",
            # Of two axes only, so that it lies over every image of a stack.
            units=image.units[-2:],
            scale=image.scale[-2:],
            affine=_affine(image),
        )
        self._layer.mode = "select"
        self._layer.selected_data = {0}
        self._layer.events.data.connect(self._on_data)

    def set_diameter(self, diameter_px: float) -> None:
        """Show another diameter around the same place."""
        if self._layer is None or round(diameter_px, 1) == round(self._diameter_px, 1):
            return
        self._diameter_px = diameter_px
        self._draw()

    def hide(self) -> None:
        """Take it away."""
        layer, self._layer = self._layer, None
        if layer is not None:
            with contextlib.suppress(ValueError):
                self._viewer.layers.remove(layer)

    def _on_data(self, event: Any) -> None:
        if self._layer is None or event.action is not ActionType.CHANGED:
            return
        if not self._layer.nshapes:
            return
        corners = np.asarray(self._layer.data[0])
        # Not from top to bottom and from left to right: the square may have been turned.
        sides = np.linalg.norm(corners[1:3] - corners[:2], axis=1)
        # Of a circle that was pulled to an ellipse, the side that was dragged tells the size.
        dragged = float(sides[np.argmax(np.abs(sides - self._diameter_px))])
        # Not within napari's own event, which still has to finish its drawing.
        QTimer.singleShot(0, self._draw)
        if abs(dragged - self._diameter_px) > SAME_PX:
            self._diameter_px = max(dragged, SMALLEST_PX)
            self.resized.emit(self._diameter_px)

    def _draw(self) -> None:
        """Make it a circle of the diameter, where it lies."""
        if self._layer is None or not self._layer.nshapes:
            return
        y, x = np.asarray(self._layer.data[0]).mean(axis=0)
        with self._layer.events.data.blocker(self._on_data):
            self._layer.data = [_corners(self._diameter_px, (x, y))]
        self._layer.edge_width = EDGE_SHARE * self._diameter_px
        self._layer.selected_data = {0}

    def _on_removed(self, event: Any) -> None:
        # Not "is": napari hands plugins a proxy of the layer.
        if self._layer is not None and event.value == self._layer:
            self._layer = None
            self.closed.emit()


def _affine(image: Any) -> Any:
    """Return (3, 3): from rows and columns of an image, scaled, to where they lie in the world."""
    steps = np.zeros((3, image.ndim))
    steps[1, -2], steps[2, -1] = 1 / image.scale[-2:]
    origin, down, right = (np.asarray(image.data_to_world(step))[-2:] for step in steps)
    affine = np.eye(3)
    affine[:2] = np.column_stack([down - origin, right - origin, origin])
    return affine


def _corners(diameter_px: float, centre: tuple[float, float]) -> Any:
    """Return (4, 2) row, column of the corners of a circle's square, in napari's pixels."""
    x, y = centre
    half = diameter_px / 2
    return np.array(
        [[y - half, x - half], [y - half, x + half], [y + half, x + half], [y + half, x - half]]
    )
