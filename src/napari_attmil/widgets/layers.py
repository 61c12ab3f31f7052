"""The layer of boxes, and what a person does to them there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer

from napari_attmil.cells.boxes import Boxes, IntArray
from napari_attmil.exploration import Exploration
from napari_attmil.explore.colours import PERSON_COLOUR
from napari_attmil.session import Session
from napari_attmil.widgets.box_shapes import (
    BOXES_OF_LAYER,
    SAMPLE_OF_LAYER,
    Portion,
    edge_widths,
    features_of,
    to_vertices,
)
from napari_attmil.widgets.layer_rows import LayerRows

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
_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine")


class CellsLayer:
    """Keeps one Shapes layer and the session's boxes the same.

    What a person draws, moves, pastes or deletes goes into the session; what the session says
    comes back into the layer. Of a sample with very many boxes the layer holds those of the shown
    image only (see `Portion`), and in a pause takes in those of the images before and after it,
    which are then shown at once when the viewer turns to them. The layer may be removed at any
    time: its boxes stay in the session, and it is made again when it is needed.

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
        self._is_pressed = False
        self._writing = False
        self._following = False
        self._closed = False
        self._thumbnail_timer = _pause_timer(self._draw_thumbnail, THUMBNAIL_AFTER_MS)
        self._ahead_timer = _pause_timer(self._look_ahead, AHEAD_AFTER_MS)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        viewer.dims.events.current_step.connect(self._on_turned)
        session.boxes_changed.connect(self._on_boxes_changed)
        session.prediction_changed.connect(self.recolour)
        self._exploration.colouring_changed.connect(self.recolour)
        session.selection_changed.connect(self._show_selection)

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

    def close(self) -> None:
        """Stop listening; the layer stays in the viewer."""
        if self._closed:
            return
        self._closed = True
        self._watch_image(None)
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._viewer.dims.events.current_step.disconnect(self._on_turned)
        self._session.boxes_changed.disconnect(self._on_boxes_changed)
        self._session.prediction_changed.disconnect(self.recolour)
        self._exploration.colouring_changed.disconnect(self.recolour)
        self._session.selection_changed.disconnect(self._show_selection)
        self._forget_layer()

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
            with _Flag(self, "_writing"):
                self._rows.colour(self._exploration.colours(rows))

    def _ensure(self) -> Any:
        """Return the layer, made now if it is missing."""
        if self._layer is None and self._image is not None:
            self._layer = self._former_layer() or self._new_layer()
            self._rows = LayerRows(self._layer)
            self._place()
            self._layer.events.data.connect(self._on_layer_data)
            self._layer.events.features.connect(self._on_layer_features)
            self._layer.selected_data.events.items_changed.connect(self._on_layer_selection)
            self._layer.mouse_drag_callbacks.append(self._on_press)
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
            **{name: getattr(self._image, name) for name in (*_PLACEMENT, "units")},
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
        """Let the layer show what it is to hold of the session's boxes."""
        if self._layer is not None:
            self._hold(self._portion_at_once())

    def _hold(self, portion: Portion) -> None:
        self._portion, sample = portion, self._session.boxes
        boxes = self._held().sorted_by_image()
        colours = self._exploration.colours(sample.index_of(boxes.cell_id))
        with _Flag(self, "_writing"):
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

    def _portion_at_once(self) -> Portion:
        """Return what the layer holds until a pause: what it does now, if that is enough."""
        # Only once the image is drawn does the pause begin.
        QTimer.singleShot(0, self._ahead_timer.start)
        index = self.current_image_index()
        least = Portion.of_sample(self._session.boxes, index)
        is_same_sample = self._layer.metadata.get(SAMPLE_OF_LAYER) is self._session.sample
        is_enough = is_same_sample and self._portion.is_part_with(index)
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

    def _on_press(self, layer: Any, event: Any) -> Generator[None, None, None]:
        """Leave the shapes alone as long as one of them is drawn or dragged."""
        self._is_pressed = True
        yield
        while event.type == "mouse_move":
            yield
        self._is_pressed = False
        # Not within napari's own event, which still has to finish its drawing.
        QTimer.singleShot(0, self._on_turned)

    def _is_held(self, ids: IntArray) -> bool:
        """Return whether ids are just those of the boxes that the layer is to hold."""
        return np.array_equal(np.sort(ids), np.sort(self._held().cell_id))

    def _show_selection(self) -> None:
        if self._layer is None or self._following:
            return
        with _Flag(self, "_writing"):
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
        with _Flag(self, "_following"):
            ids = self._session.follow(
                self._rows.ids(), *self._rows.corners(), self._portion.images
            )
        with _Flag(self, "_writing"):
            if self._is_held(ids) and self._rows.are_rectangles():
                self._rows.describe(self._session.boxes[self._session.boxes.index_of(ids)])
            else:
                self._layer.features = self._layer.features.assign(cell_id=ids)
                # Not within napari's own event, which still has to finish its drawing.
                QTimer.singleShot(0, self._refill)
        self._note_sample()
        self.recolour()

    def _on_layer_selection(self) -> None:
        if self._writing or self._following:
            return
        ids = self._rows.ids()
        rows = [row for row in self._layer.selected_data if row < len(ids)]
        with _Flag(self, "_following"):
            self._session.select(ids[rows])

    # --- layers come and go -----------------------------------------------------------------

    def _take_up(self, mode: str) -> None:
        layer = self._ensure()
        if layer is not None:
            self._viewer.layers.selection.active = layer
            layer.mode = mode

    def _watch_image(self, image_layer: Any) -> None:
        for name in _PLACEMENT:
            if self._image is not None:
                getattr(self._image.events, name).disconnect(self._place)
            if image_layer is not None:
                getattr(image_layer.events, name).connect(self._place)
        self._image = image_layer

    def _place(self) -> None:
        """Lay the boxes where the image lies."""
        if self._layer is None or self._image is None:
            return
        for name in (*_PLACEMENT, "units", "axis_labels"):
            wanted = getattr(self._image, name)
            # napari draws the layer anew for each of them, changed or not.
            if not _same_place(getattr(self._layer, name), wanted):
                setattr(self._layer, name, wanted)

    def _world_frame(self, image_index: int) -> float:
        return float(self._image.data_to_world((image_index, 0, 0))[0])

    def _on_layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value == self._layer:
            self._forget_layer()

    def _forget_layer(self) -> None:
        if self._layer is None:
            return
        layer, self._layer = self._layer, None
        self._thumbnail_timer.stop()
        self._ahead_timer.stop()
        layer.events.data.disconnect(self._on_layer_data)
        layer.events.features.disconnect(self._on_layer_features)
        layer.selected_data.events.items_changed.disconnect(self._on_layer_selection)
        layer.mouse_drag_callbacks.remove(self._on_press)
        self._is_pressed = False


def _same_place(now: Any, wanted: Any) -> bool:
    """Return whether two scales, shifts, rotations, affine maps or lists of names are the same."""
    now, wanted = (getattr(value, "affine_matrix", value) for value in (now, wanted))
    return bool(np.array_equal(np.asarray(now), np.asarray(wanted)))


def _pause_timer(slot: Callable[[], None], after_ms: int) -> QTimer:
    """Return a timer that calls once, so long after it was last started."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(after_ms)
    timer.timeout.connect(slot)
    return timer


class _Flag:
    """Sets an attribute to True for a while, so that the layer's own echo is not followed."""

    def __init__(self, owner: CellsLayer, name: str) -> None:
        self._owner, self._name = owner, name

    def __enter__(self) -> None:
        self._before = getattr(self._owner, self._name)
        setattr(self._owner, self._name, True)

    def __exit__(self, *error: object) -> None:
        setattr(self._owner, self._name, self._before)
