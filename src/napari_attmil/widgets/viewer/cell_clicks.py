"""Clicks on the cells of the image, with whatever tool moves the view."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_attmil.session import Session
from napari_attmil.widgets.parts import Listening
from napari_attmil.widgets.viewer.boxes_mirror import BoxesMirror

STILL_PX = 3
"""A press that moves farther is a drag."""
LEFT, RIGHT = 1, 2


class CellClicks(Listening):
    """Selects a cell when its box is clicked, also where the tool that selects boxes is not in use.

    Parameters
    ----------
    viewer
        The napari viewer.
    session
        Its session.
    mirror
        What shows the boxes.
    cell_at
        Gives the cell at a place of the viewer, or None.

    Signals
    -------
    clicked(int)
        The cell that was clicked with the left button, and now is the only one selected.
    menu_wanted(int)
        The cell that was clicked with the right button.
    """

    clicked = Signal(int)
    menu_wanted = Signal(int)

    def __init__(
        self,
        viewer: Any,
        session: Session,
        mirror: BoxesMirror,
        cell_at: Callable[[npt.ArrayLike], int | None],
    ) -> None:
        self._session, self._mirror, self._cell_at = session, mirror, cell_at
        viewer.mouse_drag_callbacks.append(self._on_press)
        self.at_end(viewer.mouse_drag_callbacks.remove, self._on_press)

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        active = viewer.layers.selection.active
        if event.button not in (LEFT, RIGHT) or not self._is_ours(active):
            return
        start, world, button = np.array(event.pos), tuple(event.position), event.button
        adds = "Shift" in event.modifiers
        yield
        moved_px = [np.abs(np.array(event.pos) - start).max()]
        while event.type == "mouse_move":
            yield
            moved_px.append(np.abs(np.array(event.pos) - start).max())
        cell = self._cell_at(world)
        if cell is None or max(moved_px) >= STILL_PX:
            return
        if button == RIGHT:
            self.menu_wanted.emit(cell)
        elif active is None or active.mode == "pan_zoom":
            self._select(cell, adds)

    def _is_ours(self, active: Any) -> bool:
        """Return whether a layer shows the image or its cells, or none is active."""
        layer = self._mirror.layer
        is_shown = layer is not None and layer.visible
        return is_shown and active in (None, layer, self._mirror.camera.image)

    def _select(self, cell: int, adds: bool) -> None:
        if adds:
            selected = set(self._session.selection) ^ {cell}
            self._session.select(sorted(selected))
            return
        self._session.select([cell])
        self.clicked.emit(cell)
