"""The session's boxes, shown in a Shapes layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_attmil.cells import Boxes, Source
from napari_attmil.core import Float64Array, Int64Array
from napari_attmil.explore import is_bright, source_colours
from napari_attmil.session import Exploration, Session
from napari_attmil.widgets.parts import Listening, pause_timer
from napari_attmil.widgets.viewer.box_shapes import (
    BOXES_OF_LAYER,
    IMAGE_AXIS_OF_LAYER,
    MOST_OF_IMAGE,
    NOTES_OF_LAYER,
    SAMPLE_OF_LAYER,
    Portion,
    edge_widths,
    features_of,
)
from napari_attmil.widgets.viewer.camera import Camera
from napari_attmil.widgets.viewer.image_layers import PLACEMENT, lay_over, placement_over
from napari_attmil.widgets.viewer.layer_rows import LayerRows

LAYER_NAME = "Cells"
IS_CELLS = "napari-attmil cells"
"""Key of the metadata that marks the layer."""
THUMBNAIL_AFTER_MS = 300
"""The layer's little picture waits for a pause: an edit is drawn sooner without it."""
AHEAD_AFTER_MS = 250
"""So do the boxes of the images before and after the one shown."""
VIEW_AFTER_MS = 120
"""And those of another part of an image with very many."""


class BoxesMirror(Listening):
    """Shows the session's boxes in a layer that it makes, and makes again, when it is needed.

    Of a sample with very many boxes the layer holds those of the shown image only (see
    `Portion`), and in a pause takes in those of the images before and after it, which are then
    shown at once when the viewer turns to them.

    Parameters
    ----------
    viewer
        The napari viewer.
    session
        Its session.
    exploration
        Says when boxes, their colours or the selection are others.
    camera
        Knows the image that the boxes lie over.

    Attributes
    ----------
    rows
        The layer's, if there is one.
    exploration, camera
        As given.
    portion, shown
        What the layer holds of the sample's boxes, and those it was last filled with.
    is_in_hand
        Whether the mouse draws or drags a box of the layer. Until it is let go, the shapes are
        changed only for another sample; see `catch_up`.

    Signals
    -------
    layer_changed(layer)
        There is a layer, about to be filled; or, if it is None, none any more.
    filled()
        The layer holds other boxes, or the same boxes otherwise.
    """

    layer_changed = Signal(object)
    filled = Signal()

    def __init__(
        self, viewer: Any, session: Session, exploration: Exploration, camera: Camera
    ) -> None:
        self._viewer, self._session = viewer, session
        self.exploration, self.camera = exploration, camera
        self._layer: Any = None
        self.rows: LayerRows
        self.portion = Portion()
        self._held: tuple[Portion, Boxes, Boxes] | None = None
        self.shown = Boxes.empty()
        self.is_in_hand = False
        self.is_synchronising = False
        self._thumbnail_timer = pause_timer(self._draw_thumbnail, THUMBNAIL_AFTER_MS)
        self._ahead_timer = pause_timer(self.look_ahead, AHEAD_AFTER_MS)
        self._to_image = Listening()
        self.at_end(self._forget_layer)
        self.at_end(self._to_image.stop_listening)
        self.listen(viewer.layers.events.removed, self._on_layer_removed)
        self._view_timer = pause_timer(self.catch_up, VIEW_AFTER_MS)
        self.at_end(self._view_timer.stop)
        self.listen(viewer.dims.events.current_step, self.catch_up)
        for event in self.camera.moved:
            self.listen(event, self._on_view)
        self.listen(viewer.layers.selection.events.active, self._keep_marks)
        self.listen(exploration.boxes_changed, self._on_boxes)
        self.listen(exploration.colouring_changed, self.recolour)
        self.listen(exploration.selection_changed, self.show_selection)

    @property
    def layer(self) -> Any:
        """The Shapes layer, or None."""
        return self._layer

    @contextmanager
    def synchronising(self) -> Iterator[None]:
        """Write the layer from the session or the other way; neither echo is followed meanwhile."""
        before, self.is_synchronising = self.is_synchronising, True
        try:
            yield
        finally:
            self.is_synchronising = before

    # --- the layer comes and goes -----------------------------------------------------------

    def attach(self, image_layer: Any) -> None:
        """Show the boxes over another image layer, with its scale and position."""
        self._to_image.stop_listening()
        self.camera.image = image_layer
        if image_layer is not None:
            for name in PLACEMENT:
                self._to_image.listen(getattr(image_layer.events, name), self._place)
            self._to_image.listen(image_layer.events.thumbnail, self._look_at_image)
            self._look_at_image()
            if self._layer is not None and not self._fits(self._layer):
                self._viewer.layers.remove(self._layer)
            self._place()
        self._on_boxes()

    def ensure(self) -> Any:
        """Return the layer, made now if it is missing; None without an image."""
        if self._layer is None and self.camera.image is not None:
            layer = self._former_layer() or self._new_layer()
            self._layer, self.rows = layer, LayerRows(layer, self.camera.axes.images)
            self._place()
            self.rows.draw_in(self._drawn_colour())
            self.layer_changed.emit(layer)
            self.refill()
        return self._layer

    def _new_layer(self) -> Any:
        image, active = self.camera.image, self._viewer.layers.selection.active
        layer = self._viewer.add_shapes(
            ndim=image.ndim,
            name=LAYER_NAME,
            features=features_of(Boxes.empty()),
            edge_color=self._drawn_colour(),
            face_color="transparent",
            opacity=0.9,
            metadata={IS_CELLS: True, IMAGE_AXIS_OF_LAYER: self.camera.axes.images},
            # Set later, other units than the image's would make napari warn of a mixture.
            units=image.units,
            **placement_over(image, self.camera.axes, self._viewer.dims.point),
        )
        self._viewer.layers.selection.active = active
        return layer

    def _former_layer(self) -> Any:
        """Return the layer that a panel made which was closed since, or None."""
        for layer in self._viewer.layers:
            if layer.metadata.get(IS_CELLS) and self._fits(layer):
                return layer
        return None

    def _fits(self, layer: Any) -> bool:
        """Return whether a layer has the axes of the image."""
        axes, axis = self.camera.axes, layer.metadata.get(IMAGE_AXIS_OF_LAYER)
        return bool(self.camera.image and layer.ndim == axes.ndim and axis == axes.images)

    def _place(self) -> None:
        """Lay the boxes where the image lies."""
        if self._layer is not None and self._fits(self._layer):
            lay_over(self._layer, self.camera.image, self.camera.axes, self._viewer.dims.point)

    def _on_layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value == self._layer:
            self._forget_layer()

    def _forget_layer(self) -> None:
        self._layer, self.is_in_hand = None, False
        self._thumbnail_timer.stop()
        self._ahead_timer.stop()
        self.layer_changed.emit(None)

    # --- boxes ------------------------------------------------------------------------------

    def _on_boxes(self) -> None:
        if self._layer is not None and not self.is_synchronising:
            self.refill()
        elif len(self._session.boxes) and not self.is_synchronising:
            self.ensure()

    def refill(self) -> None:
        """Show the boxes as they are now, unless one is in a person's hand."""
        if self._layer is not None and not (self.is_in_hand and self._is_of_sample()):
            self._hold(self._portion_at_once())

    def catch_up(self) -> None:
        """Show the boxes of the image that is shown now, and what waited for a person's hand."""
        # New boxes may change the viewer's range, which it says as if it had turned.
        if self._layer is None or self.is_in_hand or self.is_synchronising:
            return
        if self.camera.axes.planes or self.camera.axes.courses:
            self._place()
        portion = self._portion_at_once()
        if portion != self.portion or not self._is_up_to_date():
            self._hold(portion)
        else:
            self.show_selection()

    def look_ahead(self) -> None:
        """Take in the boxes of the neighbouring images, but not out of a person's hand."""
        if self._layer is None or self.is_in_hand:
            return
        wide = self._portion(reach=1)
        if wide != self.portion:
            self._hold(wide)

    def held(self) -> Boxes:
        """Return the session's boxes that the layer is to hold."""
        portion, boxes = self.portion, self._session.boxes
        if self._held is None or self._held[0] is not portion or self._held[1] is not boxes:
            self._held = portion, boxes, portion.held(boxes)
        return self._held[2]

    def take_over(self, ids: Int64Array) -> None:
        """Let the layer's rows, which a person has edited, show the cells of these (n,) ids."""
        boxes = self._session.boxes
        with self.synchronising():
            if self._is_held(ids) and self.rows.are_rectangles():
                self.rows.describe(boxes[boxes.index_of(ids)])
            else:
                self._layer.features = self._layer.features.assign(cell_id=ids)
                # Not within napari's own event, which still has to finish its drawing.
                QTimer.singleShot(0, self.refill)
        held = self.held()
        self.shown = held[np.isin(held.cell_id, ids)]
        self._note_sample()
        self.recolour()
        self.filled.emit()

    def _hold(self, portion: Portion) -> None:
        self.portion, sample = portion, self._session.boxes
        self.shown = boxes = self.held().sorted_by_image()
        colours = self.exploration.colours(sample.index_of(boxes.cell_id))
        with self.synchronising():
            self.rows.show(boxes, edge_widths(boxes, sample), colours, self._selection())
        self._thumbnail_timer.start()
        self._note_sample()
        self.show_selection()
        self.filled.emit()

    def _on_view(self) -> None:
        """Show the boxes of what is seen now, where that are not all of the image."""
        if len(self._session.boxes) > MOST_OF_IMAGE:
            self._view_timer.start()

    def _portion_at_once(self) -> Portion:
        """Return what the layer holds until a pause: what it does now, if that is enough."""
        # Only once the image is drawn does the pause begin.
        QTimer.singleShot(0, self._ahead_timer.start)
        least = self._portion()
        is_enough = self._is_of_sample() and self.portion.is_enough_for(least)
        if is_enough and self.portion.view is not None:
            is_enough = len(self.held()) <= MOST_OF_IMAGE
        return self.portion if is_enough else least

    def _portion(self, reach: int = 0) -> Portion:
        """Return what the layer holds of the sample, see `Portion.of_sample`."""
        view = self.camera.view_xyxy()
        return Portion.of_sample(self._session.boxes, self.camera.image_index(), reach, view)

    def _note_sample(self) -> None:
        """Tell who saves the layer of the boxes that it does not hold, and of notes."""
        self._layer.metadata[BOXES_OF_LAYER] = (self._session.boxes, self.portion)
        self._layer.metadata[SAMPLE_OF_LAYER] = self._session.sample
        self._layer.metadata[NOTES_OF_LAYER] = self._session.state.notes

    def _is_of_sample(self) -> bool:
        return self._layer.metadata.get(SAMPLE_OF_LAYER) is self._session.sample

    def _is_up_to_date(self) -> bool:
        noted, _ = self._layer.metadata[BOXES_OF_LAYER]
        return noted is self._session.boxes and self._is_held(self.rows.ids())

    def _is_held(self, ids: Int64Array) -> bool:
        """Return whether ids are just those of the boxes that the layer is to hold."""
        return np.array_equal(np.sort(ids), np.sort(self.held().cell_id))

    # --- how they look ----------------------------------------------------------------------

    def recolour(self) -> None:
        """Colour the boxes as the person explores them."""
        if self._layer is None or self.is_synchronising or not self._is_held(self.rows.ids()):
            return
        rows = self._session.boxes.index_of(self.rows.ids())
        with self.synchronising():
            self.rows.colour(self.exploration.colours(rows))

    def _look_at_image(self) -> None:
        """Have colours that stand out from the image: its little picture shows it as displayed."""
        exploration, picture = self.exploration, self.camera.image.thumbnail
        was_bright = exploration.is_on_bright
        exploration.lay_on(is_bright(picture, was_bright))
        if self._layer is not None and exploration.is_on_bright != was_bright:
            self.rows.draw_in(self._drawn_colour())

    def _drawn_colour(self) -> Float64Array:
        """Return the RGBA of a box that a person draws."""
        person = np.array([Source.PERSON], np.uint8)
        return source_colours(person, self.exploration.is_on_bright)[0]

    def show_selection(self) -> None:
        """Mark the boxes of the selected cells."""
        if self._layer is None or self.is_synchronising or self.is_in_hand:
            return
        with self.synchronising():
            if self.rows.select(self._selection()):
                self._layer.refresh(thumbnail=False, data_displayed=False, extent=False)

    def _keep_marks(self) -> None:
        """Keep selected boxes marked while another layer is active: napari would hide that."""
        # After napari's own answer to this event.
        QTimer.singleShot(0, self._show_marks)

    def _show_marks(self) -> None:
        if self._layer is not None:
            self._layer.update_highlight_visibility(True)

    def _selection(self) -> Sequence[int]:
        """Return the ids of the boxes to be marked: none unseen that would be deleted with them."""
        selected = self._session.selection
        if self.portion.images is None:
            return selected
        here = self.held()
        here = here.cell_id[here.image_index == self.camera.image_index()]
        return np.intersect1d(selected, here).tolist()

    def _draw_thumbnail(self) -> None:
        self._layer.refresh(data_displayed=False, highlight=False, extent=False)
