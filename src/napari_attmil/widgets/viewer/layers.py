"""The layer of boxes, and what a person does to them there."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import rebased_rows
from napari_attmil.core import Int64Array
from napari_attmil.explore import PERSON_COLOUR
from napari_attmil.session import Exploration, Session
from napari_attmil.widgets.parts import Listening, pause_timer
from napari_attmil.widgets.viewer.box_shapes import (
    BOXES_OF_LAYER,
    SAMPLE_OF_LAYER,
    Portion,
    edge_widths,
    features_of,
    to_vertices,
)
from napari_attmil.widgets.viewer.layer_placement import PLACEMENT, lay_over
from napari_attmil.widgets.viewer.layer_rows import LayerRows
from napari_attmil.widgets.viewer.layer_states import Flag

LAYER_NAME = "Cells"
IS_CELLS = "napari-attmil cells"
"""Key of the metadata that marks the layer."""
SMALLEST_ON_SCREEN_PX = 90
"""A cell that is jumped to is shown at least this large."""
THUMBNAIL_AFTER_MS = 300
"""The layer's little picture waits for a pause: an edit is drawn sooner without it."""
AHEAD_AFTER_MS = 250
"""So do the boxes of the images before and after the one shown."""

_DONE = (ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED)


class CellsLayer(Listening):
    """Keeps one Shapes layer and the session's boxes the same.

    What a person draws, moves, pastes or deletes goes into the session; what the session says
    comes back into the layer. Of a sample with very many boxes the layer holds those of the shown
    image only (see `Portion`), and in a pause takes in those of the images before and after it,
    which are then shown at once when the viewer turns to them. The layer may be removed at any
    time: its boxes stay in the session, and it is made again when it is needed.

    What can be under way, and what it means:

    - `_writing`: the session's boxes go into the layer, whose echo is not followed. Within a call.
    - `_following`: the layer's go into the session, whose echo is not written back. Within a call,
      which may write colours meanwhile; the other way round the two never hold together.
    - `_is_pressed`: the mouse is down in the layer, where it may draw or drag a box; what would
      change the shapes waits, but for another sample. Keys may delete or paste, so be followed.
    - `_is_behind`: the session's boxes have changed while `_is_pressed`; the layer is filled anew
      once the release has been followed, and what is followed before catches up with them.
    - thumbnail and ahead timer: the layer was filled, or the viewer turned. Whatever else holds;
      the latter does nothing if `_is_pressed` when it ends: the release starts it again.

    Parameters
    ----------
    viewer
        The napari viewer.
    session
        Its session.
    exploration
        What decides the colours; one of its own by default.
    """

    def __init__(
        self, viewer: Any, session: Session, exploration: Exploration | None = None
    ) -> None:
        self._viewer, self._session = viewer, session
        self._exploration = exploration or Exploration(session)
        self._image: Any = None
        self._layer: Any = None
        self._rows: LayerRows
        """Of the layer, if there is one."""
        self._portion = Portion()
        self._shown = Boxes.empty()
        """What the layer was last filled with, or followed to."""
        self._is_pressed = False
        self._is_behind = False
        self._writing = False
        self._following = False
        self._thumbnail_timer = pause_timer(self._draw_thumbnail, THUMBNAIL_AFTER_MS)
        self._ahead_timer = pause_timer(self._look_ahead, AHEAD_AFTER_MS)
        self._to_image, self._to_layer = Listening(), Listening()
        self.at_end(self._forget_layer)
        self.at_end(self._to_image.stop_listening)
        self.listen(viewer.layers.events.removed, self._on_layer_removed)
        self.listen(viewer.dims.events.current_step, self._on_turned)
        viewer.mouse_drag_callbacks.append(self._on_press)
        self.at_end(viewer.mouse_drag_callbacks.remove, self._on_press)
        self.listen(session.boxes_changed, self._on_boxes_changed)
        self.listen(session.prediction_changed, self.recolour)
        self.listen(self._exploration.colouring_changed, self.recolour)
        self.listen(session.selection_changed, self._show_selection)

    @property
    def layer(self) -> Any:
        """The Shapes layer, or None."""
        return self._layer

    def attach(self, image_layer: Any) -> None:
        """Show the boxes over another image layer, with its scale and position."""
        self._watch_image(image_layer)
        if self._layer is not None and image_layer is not None:
            if self._layer.ndim != image_layer.ndim:
                self._viewer.layers.remove(self._layer)
            else:
                self._place()
        self._on_boxes_changed()

    # --- what the panel asks for ------------------------------------------------------------

    def start_drawing(self) -> None:
        """Give the person the tool that draws boxes."""
        self._take_up("add_rectangle")

    def start_selecting(self) -> None:
        """Give the person the tool that selects, moves and resizes boxes."""
        self._take_up("select")

    def delete_selected(self) -> None:
        """Delete the selected boxes."""
        if self._layer is not None:
            self._layer.remove_selected()

    def show_cell(self, cell_id: int) -> None:
        """Turn to a cell's image, centre on it, and select it."""
        boxes = self._session.boxes
        if cell_id not in boxes.cell_id or self._image is None:
            return
        row = int(boxes.index_of(cell_id)[0])
        if self._image.ndim == 3:
            self._viewer.dims.set_point(0, self._world_frame(int(boxes.image_index[row])))
        corners = np.asarray(to_vertices(boxes[[row]], self._image.ndim)[0])
        world = np.array([self._image.data_to_world(corner) for corner in corners])[:, -2:]
        # napari 0.9 moved the camera into the viewer's scene.
        camera = getattr(self._viewer, "scene", self._viewer).camera
        camera.center = tuple(world.mean(axis=0))
        side = float(np.ptp(world, axis=0).max())
        camera.zoom = max(camera.zoom, SMALLEST_ON_SCREEN_PX / max(side, 1e-9))
        if self._ensure() is not None:
            self._take_up("select")
        self._session.select([cell_id])

    def current_image_index(self) -> int:
        """Return which image of the stack the viewer shows."""
        if self._image is None or self._image.ndim == 2:
            return 0
        place = self._image.world_to_data(self._viewer.dims.point[-self._image.ndim :])[0]
        return int(np.clip(round(float(place)), 0, self._image.data.shape[0] - 1))

    # --- session -> layer -------------------------------------------------------------------

    def _on_boxes_changed(self) -> None:
        if self._following or self._image is None:
            return
        if self._layer is not None:
            self._refill()
        elif len(self._session.boxes):
            self._ensure()

    def recolour(self) -> None:
        """Colour the boxes as the person explores them."""
        if self._layer is not None and self._is_held(self._rows.ids()):
            rows = self._session.boxes.index_of(self._rows.ids())
            with Flag(self, "_writing"):
                self._rows.colour(self._exploration.colours(rows))

    def _ensure(self) -> Any:
        """Return the layer, made now if it is missing."""
        if self._layer is None and self._image is not None:
            self._layer = self._former_layer() or self._new_layer()
            self._rows = LayerRows(self._layer)
            self._place()
            selected = self._layer.selected_data.events.items_changed
            self._to_layer.listen(self._layer.events.data, self._on_layer_data)
            self._to_layer.listen(self._layer.events.features, self._on_layer_features)
            self._to_layer.listen(selected, self._on_layer_selection)
            self._refill()
        return self._layer

    def _new_layer(self) -> Any:
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_shapes(
            ndim=self._image.ndim,
            name=LAYER_NAME,
            features=features_of(Boxes.empty()),
            edge_color=np.array(PERSON_COLOUR),
            face_color="transparent",
            opacity=0.9,
            metadata={IS_CELLS: True},
            # Set later, other units than the image's would make napari warn of a mixture.
            **{name: getattr(self._image, name) for name in (*PLACEMENT, "units")},
        )
        self._viewer.layers.selection.active = active
        return layer

    def _former_layer(self) -> Any:
        """Return the layer that a panel made which was closed since, or None."""
        for layer in self._viewer.layers:
            if layer.metadata.get(IS_CELLS) and layer.ndim == self._image.ndim:
                return layer
        return None

    def _refill(self) -> None:
        """Let the layer show what it is to hold of the session's boxes, but not out of a hand."""
        if self._layer is None:
            return
        if self._is_pressed and self._is_of_sample():
            self._is_behind = True
        else:
            self._hold(self._portion_at_once())

    def _hold(self, portion: Portion) -> None:
        self._portion, sample = portion, self._session.boxes
        self._shown = boxes = self._held().sorted_by_image()
        self._is_behind = False
        colours = self._exploration.colours(sample.index_of(boxes.cell_id))
        with Flag(self, "_writing"):
            widths = edge_widths(boxes, sample)
            self._rows.show(boxes, widths, colours, self._selection())
        self._thumbnail_timer.start()
        self._note_sample()
        self._show_selection()

    def _draw_thumbnail(self) -> None:
        self._layer.refresh(data_displayed=False, highlight=False, extent=False)

    def _note_sample(self) -> None:
        """Tell who saves the layer of the boxes that it does not hold."""
        self._layer.metadata[BOXES_OF_LAYER] = (self._session.boxes, self._portion)
        self._layer.metadata[SAMPLE_OF_LAYER] = self._session.sample

    def _is_of_sample(self) -> bool:
        return self._layer.metadata.get(SAMPLE_OF_LAYER) is self._session.sample

    def _portion_at_once(self) -> Portion:
        """Return what the layer holds until a pause: what it does now, if that is enough."""
        # Only once the image is drawn does the pause begin.
        QTimer.singleShot(0, self._ahead_timer.start)
        index = self.current_image_index()
        least = Portion.of_sample(self._session.boxes, index)
        is_enough = self._is_of_sample() and self._portion.is_part_with(index)
        return self._portion if least.is_part_with(index) and is_enough else least

    def _look_ahead(self) -> None:
        """Take in the boxes of the neighbouring images, but not out of a person's hand."""
        if self._layer is None or self._is_pressed:
            return
        wide = Portion.of_sample(self._session.boxes, self.current_image_index(), reach=1)
        if wide != self._portion:
            self._hold(wide)

    def _held(self) -> Boxes:
        """Return the session's boxes that the layer is to hold."""
        return self._portion.held(self._session.boxes)

    def _on_turned(self) -> None:
        """Follow the viewer to another image, but not out of a person's hand."""
        if self._layer is None or self._is_pressed:
            return
        portion = self._portion_at_once()
        if portion != self._portion:
            self._hold(portion)
        else:
            self._show_selection()

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Leave the shapes alone as long as one of them is drawn or dragged."""
        # The viewer tells of the release also where another layer has become active meanwhile.
        self._is_pressed = self._layer is not None and viewer.layers.selection.active == self._layer
        yield
        while event.type == "mouse_move":
            yield
        self._is_pressed = False
        # Not within napari's own event, which still has to finish its drawing.
        QTimer.singleShot(0, self._on_release)

    def _on_release(self) -> None:
        """Do what had to wait while a box was in the hand."""
        if self._is_behind:
            self._refill()
        else:
            self._on_turned()

    def _is_held(self, ids: Int64Array) -> bool:
        """Return whether ids are just those of the boxes that the layer is to hold."""
        return np.array_equal(np.sort(ids), np.sort(self._held().cell_id))

    def _show_selection(self) -> None:
        if self._layer is None or self._following or self._is_pressed:
            return
        with Flag(self, "_writing"):
            if self._rows.select(self._selection()):
                self._layer.refresh(thumbnail=False, data_displayed=False, extent=False)

    def _selection(self) -> Sequence[int]:
        """Return the ids of the boxes to be marked: none unseen that would be deleted with them."""
        selected, boxes = self._session.selection, self._session.boxes
        if self._portion.images is None:
            return selected
        here = boxes.cell_id[boxes.image_index == self.current_image_index()]
        return np.intersect1d(selected, here).tolist()

    # --- layer -> session -------------------------------------------------------------------

    def _on_layer_data(self, event: Any) -> None:
        if event.action in _DONE and not self._writing:
            self._follow()

    def _on_layer_features(self) -> None:
        # A paste tells of features only; other edits have been followed by now.
        if not self._writing and self._layer.nshapes != len(self._held()):
            self._follow()

    def _follow(self) -> None:
        """Take what the layer shows over into the session."""
        rows = self._rows.ids(), *self._rows.corners()
        count = len(rows[0])
        if self._is_behind:
            rows = rebased_rows(self._shown, self._held(), *rows)
        with Flag(self, "_following"):
            ids = self._session.editor.follow(*rows, self._portion.images)[:count]
        with Flag(self, "_writing"):
            if self._is_held(ids) and self._rows.are_rectangles():
                self._rows.describe(self._session.boxes[self._session.boxes.index_of(ids)])
            else:
                self._layer.features = self._layer.features.assign(cell_id=ids)
                # Not within napari's own event, which still has to finish its drawing.
                QTimer.singleShot(0, self._refill)
        held = self._held()
        self._shown = held[np.isin(held.cell_id, ids)]
        self._note_sample()
        self.recolour()

    def _on_layer_selection(self) -> None:
        if self._writing or self._following:
            return
        ids = self._rows.ids()
        rows = [row for row in self._layer.selected_data if row < len(ids)]
        with Flag(self, "_following"):
            self._session.select(ids[rows])

    # --- layers come and go -----------------------------------------------------------------

    def _take_up(self, mode: str) -> None:
        layer = self._ensure()
        if layer is not None:
            self._viewer.layers.selection.active = layer
            layer.mode = mode

    def _watch_image(self, image_layer: Any) -> None:
        self._to_image.stop_listening()
        self._image = image_layer
        if image_layer is not None:
            for name in PLACEMENT:
                self._to_image.listen(getattr(image_layer.events, name), self._place)

    def _place(self) -> None:
        """Lay the boxes where the image lies."""
        if self._layer is not None and self._image is not None:
            lay_over(self._layer, self._image)

    def _world_frame(self, image_index: int) -> float:
        return float(self._image.data_to_world((image_index, 0, 0))[0])

    def _on_layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value == self._layer:
            self._forget_layer()

    def _forget_layer(self) -> None:
        if self._layer is None:
            return
        self._layer = None
        self._thumbnail_timer.stop()
        self._ahead_timer.stop()
        self._to_layer.stop_listening()
        self._is_pressed = self._is_behind = False
