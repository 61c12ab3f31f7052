"""What a person does to the boxes in their layer, taken over into the session."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from napari.layers.base import ActionType
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_attmil.cells import MIN_SIDE_PX
from napari_attmil.cells.annotations import rebased_rows, rows_within
from napari_attmil.session import Session
from napari_attmil.widgets.parts import Listening
from napari_attmil.widgets.viewer.boxes_mirror import BoxesMirror
from napari_attmil.widgets.viewer.image_layers import sizes_of_layer

OUTSIDE = "A box was drawn outside the image, so it was left out; draw it over the image."
TURNED = (
    "No box can be drawn here: the viewer shows other axes than rows and columns of the image; "
    "turn it back to draw."
)
_DONE = (ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED)


class LayerEdits(Listening):
    """Follows what is drawn, moved, pasted, deleted and selected in a mirror's layer.

    Parameters
    ----------
    viewer
        The napari viewer.
    session
        Its session.
    mirror
        What shows the session's boxes.

    Signals
    -------
    refused(text)
        A box was drawn where none can be.
    """

    refused = Signal(str)

    def __init__(self, viewer: Any, session: Session, mirror: BoxesMirror) -> None:
        self._session, self._mirror = session, mirror
        self._to_layer = Listening()
        self.at_end(self._to_layer.stop_listening)
        self.listen(mirror.layer_changed, self._on_layer)
        viewer.mouse_drag_callbacks.append(self._on_press)
        self.at_end(viewer.mouse_drag_callbacks.remove, self._on_press)

    def _on_layer(self, layer: Any) -> None:
        self._to_layer.stop_listening()
        if layer is not None:
            self._to_layer.listen(layer.events.data, self._on_data)
            self._to_layer.listen(layer.events.features, self._on_features)
            self._to_layer.listen(layer.selected_data.events.items_changed, self._on_selection)

    def _on_data(self, event: Any) -> None:
        if event.action in _DONE and not self._mirror.is_synchronising:
            self._follow()

    def _on_features(self) -> None:
        # A paste tells of features only; other edits have been followed by now.
        mirror = self._mirror
        if not mirror.is_synchronising and mirror.layer.nshapes != len(mirror.held()):
            self._follow()

    def _follow(self) -> None:
        """Take what the layer shows over into the session."""
        mirror = self._mirror
        if not mirror.rows.are_flat():
            # Not within napari's own event, which still has to finish its drawing.
            QTimer.singleShot(0, mirror.refill)
            self.refused.emit(TURNED)
            return
        rows = mirror.rows.ids(), *mirror.rows.corners()
        count = len(rows[0])
        # The session may have gone on while a box was in the person's hand.
        ids, images, corners = rebased_rows(mirror.shown, mirror.held(), *rows)
        within, is_cut = corners, np.zeros(len(ids), dtype=bool)
        if mirror.camera.image is not None:
            sizes = sizes_of_layer(mirror.camera.image, mirror.camera.axes)
            within, is_cut = rows_within(mirror.held(), ids, images, corners, sizes)
        shown = None if mirror.portion.images is None else mirror.held().cell_id
        with mirror.synchronising():
            ids = self._session.editor.follow(ids, images, within, shown)[:count]
        mirror.take_over(ids)
        if is_cut.any():
            # Not within napari's own event, which still has to finish its drawing.
            QTimer.singleShot(0, mirror.refill)
        if np.any(np.ptp(within[is_cut].reshape(-1, 2, 2), axis=1) < MIN_SIDE_PX):
            self.refused.emit(OUTSIDE)

    def _on_selection(self) -> None:
        mirror = self._mirror
        if mirror.is_synchronising:
            return
        ids = mirror.rows.ids()
        rows = [row for row in mirror.layer.selected_data if row < len(ids)]
        with mirror.synchronising():
            self._session.select(ids[rows])

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Leave the shapes alone as long as one of them is drawn or dragged."""
        # The viewer tells of the release also where another layer has become active meanwhile.
        mirror = self._mirror
        mirror.is_in_hand = mirror.layer is not None and (
            viewer.layers.selection.active == mirror.layer
        )
        yield
        while event.type == "mouse_move":
            yield
        mirror.is_in_hand = False
        # Not within napari's own event, which still has to finish its drawing.
        QTimer.singleShot(0, mirror.catch_up)
