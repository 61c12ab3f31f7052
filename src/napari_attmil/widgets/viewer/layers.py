"""The layer of boxes, as panels use it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.cells import Boxes
from napari_attmil.session import Exploration, Session
from napari_attmil.widgets.parts import Listening
from napari_attmil.widgets.viewer.box_shapes import pixel_at, to_vertices
from napari_attmil.widgets.viewer.boxes_mirror import BoxesMirror
from napari_attmil.widgets.viewer.camera import Camera
from napari_attmil.widgets.viewer.cell_clicks import CellClicks
from napari_attmil.widgets.viewer.layer_edits import TURNED, LayerEdits
from napari_attmil.widgets.viewer.painted_boxes import PaintedBoxes


class CellsLayer(Listening):
    """Keeps one Shapes layer and the session's boxes the same.

    What a person draws, moves, pastes or deletes goes into the session (see `LayerEdits`); what
    the session says comes back into the layer (see `BoxesMirror`). The layer may be removed at
    any time: its boxes stay in the session, and it is made again when it is needed.

    Parameters
    ----------
    viewer
        The napari viewer.
    session
        Its session.
    exploration
        What decides the colours; one of its own by default.

    Attributes
    ----------
    clicks
        Tells which cell is clicked.
    """

    def __init__(
        self, viewer: Any, session: Session, exploration: Exploration | None = None
    ) -> None:
        self._viewer, self._session = viewer, session
        self.camera = Camera(viewer)
        self.mirror = BoxesMirror(viewer, session, exploration or Exploration(session), self.camera)
        self.at_end(self.mirror.stop_listening)
        self.painted = PaintedBoxes(viewer, session, self.mirror.exploration, self.mirror)
        self.at_end(self.painted.stop_listening)
        self.edits = LayerEdits(viewer, session, self.mirror)
        self.at_end(self.edits.stop_listening)
        self.clicks = CellClicks(viewer, session, self.mirror, self.cell_at)
        self.at_end(self.clicks.stop_listening)

    @property
    def layer(self) -> Any:
        """The Shapes layer, or None."""
        return self.mirror.layer

    def attach(self, image_layer: Any) -> None:
        """Show the boxes over another image layer, with its scale and position."""
        self.mirror.attach(image_layer)

    def start_drawing(self) -> None:
        """Give the person the tool that draws boxes, where any can be drawn."""
        if self.camera.shows_images:
            self._take_up("add_rectangle")
        else:
            self.edits.refused.emit(TURNED)

    def start_selecting(self) -> None:
        """Give the person the tool that selects, moves and resizes boxes."""
        self._take_up("select")

    def delete_selected(self) -> None:
        """Delete the selected boxes."""
        if self.layer is not None:
            self.layer.remove_selected()

    def cell_at(self, world: npt.ArrayLike) -> int | None:
        """Return the cell of the smallest box of the shown image at a place of the viewer."""
        if self.camera.image is None or not self.camera.shows_images:
            return None
        place = pixel_at(self.camera.image, world)
        boxes = self._session.boxes.of_image(self.camera.image_index())
        lies_in = (boxes.xyxy[:, :2] <= place) & (place <= boxes.xyxy[:, 2:])
        over = boxes[lies_in.all(axis=1)]
        return int(over.cell_id[np.argmin(over.diameter_px)]) if len(over) else None

    def offsets_of(self, cell_id: int) -> npt.NDArray[np.float64] | None:
        """Return where a cell of the shown image lies, see `Camera.offsets`; None if elsewhere."""
        boxes, image = self._session.boxes, self.camera.image
        if image is None or cell_id not in boxes.cell_id:
            return None
        cell = boxes[boxes.index_of([cell_id])]
        if cell.image_index[0] != self.camera.image_index():
            return None
        return self.camera.offsets(self._corners(cell))

    def show_cell(self, cell_id: int) -> None:
        """Turn to a cell's image, centre on it, and select it."""
        boxes, image = self._session.boxes, self.camera.image
        if cell_id not in boxes.cell_id or image is None:
            return
        cell = boxes[boxes.index_of([cell_id])]
        self.camera.turn_to(int(cell.image_index[0]))
        self.camera.look_at(self._corners(cell))
        self.start_selecting()
        self._session.select([cell_id])

    def _corners(self, cell: Boxes) -> npt.NDArray[np.float64]:
        """Return (4, ndim) corners of a cell in pixels of the image, where the viewer stands."""
        axes = self.camera.axes
        corners = to_vertices(cell, axes.ndim, axes.images)[0]
        corners[:, :-2] = axes.at(int(cell.image_index[0]), self.camera.place())
        return corners

    def _take_up(self, mode: str) -> None:
        layer = self.mirror.ensure()
        if layer is not None:
            self._viewer.layers.selection.active = layer
            layer.mode = mode
