"""Boxes as a Shapes layer, and what a person does to them there.

The only place that swaps (x, y) and (y, x). Everything is in pixels of the image's data; scale
and translation belong to the layers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer

from napari_attmil.cells.boxes import SOURCE_NAMES, Boxes, FloatArray, IntArray
from napari_attmil.exploration import Exploration
from napari_attmil.explore.colours import PERSON_COLOUR
from napari_attmil.session import Session

LAYER_NAME = "Cells"
IS_CELLS = "napari-attmil cells"
"""Key of the metadata that marks the layer."""
EDGE_SHARE = 0.045
"""Width of a box's edge as a share of the median cell diameter."""
WIDTH_OF_SOURCE = np.array([0.8, 1.8, 1.3])
"""Of boxes of the detector, of a person, and accepted: times the usual width."""
SMALLEST_ON_SCREEN_PX = 90
"""A cell that is jumped to is shown at least this large."""

_DONE = (ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED)
_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine")


def to_vertices(boxes: Boxes, ndim: int) -> npt.NDArray[np.float64]:
    """Return (n, 4, ndim) corners as Shapes stores them: (frame,) row, column."""
    x_min, y_min, x_max, y_max = boxes.xyxy.astype(np.float64).T
    rows = np.stack([y_min, y_min, y_max, y_max], axis=1)
    columns = np.stack([x_min, x_max, x_max, x_min], axis=1)
    corners = [rows, columns]
    if ndim == 3:
        frames = np.repeat(boxes.image_index.astype(np.float64)[:, np.newaxis], 4, axis=1)
        corners.insert(0, frames)
    return np.stack(corners, axis=-1)


def from_vertices(shapes: Sequence[npt.NDArray[Any]]) -> tuple[IntArray, FloatArray]:
    """Return (n,) image indices and (n, 4) xyxy around shapes of any kind.

    Each shape has (m, 2) or (m, 3) vertices; a rotated rectangle or a polygon becomes the
    upright box around it.
    """
    images = np.zeros(len(shapes), dtype=np.int64)
    xyxy = np.zeros((len(shapes), 4), dtype=np.float32)
    for row, vertices in enumerate(shapes):
        if vertices.shape[1] == 3:
            images[row] = round(float(vertices[0, 0]))
        low, high = vertices[:, -2:].min(axis=0), vertices[:, -2:].max(axis=0)
        xyxy[row] = low[1], low[0], high[1], high[0]
    return images, xyxy


class CellsLayer:
    """Keeps one Shapes layer and the session's boxes the same.

    What a person draws, moves, pastes or deletes goes into the session; what the session says
    comes back into the layer. The layer may be removed at any time: its boxes stay in the
    session, and it is made again when it is needed.

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
        self._writing = False
        self._following = False
        self._closed = False
        viewer.layers.events.removed.connect(self._on_layer_removed)
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
        if self._layer is None and not len(self._session.boxes):
            return
        self._ensure()
        if self._agrees():
            self._write_features()
            self.recolour()
        else:
            self._rewrite()

    def recolour(self) -> None:
        """Colour the boxes as the person explores them."""
        if self._layer is None or self._layer.nshapes != len(self._row_ids()):
            return
        if self._layer.nshapes:
            with _Flag(self, "_writing"):
                colours = self._exploration.colours()
                self._layer.edge_color = colours[self._rows_in_session()]

    def _ensure(self) -> Any:
        """Return the layer, made now if it is missing."""
        if self._layer is None and self._image is not None:
            self._layer = self._former_layer() or self._new_layer()
            self._place()
            self._layer.events.data.connect(self._on_layer_data)
            self._layer.events.features.connect(self._on_layer_features)
            self._layer.selected_data.events.items_changed.connect(self._on_layer_selection)
            self._rewrite()
        return self._layer

    def _new_layer(self) -> Any:
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_shapes(
            ndim=self._image.ndim,
            name=LAYER_NAME,
            features=_features(Boxes.empty()),
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

    def _rewrite(self) -> None:
        """Replace all shapes, ordered by image, and their features together."""
        if self._layer is None:
            return
        boxes = self._session.boxes.sorted_by_image()
        order = self._session.boxes.index_of(boxes.cell_id)
        with _Flag(self, "_writing"):
            self._layer.data = []
            self._layer.features = _features(Boxes.empty())
            if len(boxes):
                self._layer.add(
                    list(to_vertices(boxes, self._layer.ndim)),
                    shape_type="rectangle",
                    edge_width=_edge_widths(boxes),
                    edge_color=self._exploration.colours()[order],
                    face_color="transparent",
                )
                self._layer.current_edge_width = float(_edge_widths(boxes).max())
            self._layer.current_edge_color = PERSON_COLOUR
        self._write_features(boxes)
        self._show_selection()

    def _write_features(self, boxes: Boxes | None = None) -> None:
        """Write the features of all rows, which `boxes` gives in the layer's order."""
        if boxes is None:
            boxes = self._session.boxes[self._rows_in_session()]
        with _Flag(self, "_writing"):
            self._layer.features = _features(boxes)
            self._layer.feature_defaults = (
                _features(Boxes.empty()).reindex([0]).assign(cell_id=0, score=1.0, source="person")
            )

    def _agrees(self) -> bool:
        """Return whether the layer shows just the session's boxes."""
        ids, boxes = self._row_ids(), self._session.boxes
        if len(ids) != len(boxes) or not np.array_equal(np.sort(ids), np.sort(boxes.cell_id)):
            return False
        images, xyxy = from_vertices(self._layer.data)
        shown = boxes[boxes.index_of(ids)]
        return np.array_equal(images, shown.image_index) and np.allclose(
            xyxy, shown.xyxy, atol=0.01
        )

    def _show_selection(self) -> None:
        if self._layer is None or self._following:
            return
        rows = set(np.flatnonzero(np.isin(self._row_ids(), self._session.selection)).tolist())
        if rows != set(self._layer.selected_data):
            with _Flag(self, "_writing"):
                self._layer.selected_data = rows
                self._layer.refresh()

    # --- layer -> session -------------------------------------------------------------------

    def _on_layer_data(self, event: Any) -> None:
        if event.action in _DONE and not self._writing:
            self._follow()

    def _on_layer_features(self) -> None:
        # A paste tells of features only; other edits have been followed by now.
        if not self._writing and self._layer.nshapes != len(self._session.boxes):
            self._follow()

    def _follow(self) -> None:
        """Take what the layer shows over into the session."""
        shapes = self._layer.data
        images, xyxy = from_vertices(shapes)
        with _Flag(self, "_following"):
            ids = self._session.follow(self._row_ids(), images, xyxy)
        if np.any(ids == 0) or not all(_is_upright(vertices) for vertices in shapes):
            # Not within napari's own event, which still has to finish its drawing.
            QTimer.singleShot(0, self._rewrite)
            return
        self._write_features(self._session.boxes[self._session.boxes.index_of(ids)])
        self.recolour()

    def _on_layer_selection(self) -> None:
        if self._writing or self._following:
            return
        ids = self._row_ids()
        rows = [row for row in self._layer.selected_data if row < len(ids)]
        with _Flag(self, "_following"):
            self._session.select(ids[rows])

    def _row_ids(self) -> IntArray:
        """Return the cell_id of each row; 0 for a row that has none yet."""
        ids = np.zeros(self._layer.nshapes, dtype=np.int64)
        column = self._layer.features.get("cell_id", pd.Series(dtype=float))
        known = np.nan_to_num(column.to_numpy(dtype=np.float64))[: len(ids)]
        ids[: len(known)] = known.astype(np.int64)
        return ids

    def _rows_in_session(self) -> IntArray:
        return self._session.boxes.index_of(self._row_ids())

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
            setattr(self._layer, name, getattr(self._image, name))

    def _world_frame(self, image_index: int) -> float:
        return float(self._image.data_to_world((image_index, 0, 0))[0])

    def _on_layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value == self._layer:
            self._forget_layer()

    def _forget_layer(self) -> None:
        if self._layer is None:
            return
        layer, self._layer = self._layer, None
        layer.events.data.disconnect(self._on_layer_data)
        layer.events.features.disconnect(self._on_layer_features)
        layer.selected_data.events.items_changed.disconnect(self._on_layer_selection)


class _Flag:
    """Sets an attribute to True for a while, so that the layer's own echo is not followed."""

    def __init__(self, owner: CellsLayer, name: str) -> None:
        self._owner, self._name = owner, name

    def __enter__(self) -> None:
        self._before = getattr(self._owner, self._name)
        setattr(self._owner, self._name, True)

    def __exit__(self, *error: object) -> None:
        setattr(self._owner, self._name, self._before)


def _features(boxes: Boxes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_id": boxes.cell_id,
            "score": boxes.score.astype(np.float64),
            "source": np.array(SOURCE_NAMES, dtype=object)[boxes.source],
        }
    )


def _edge_widths(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Return (n,) widths in pixels; who made a box is told without colour too."""
    width = float(np.clip(np.median(boxes.diameter_px) * EDGE_SHARE, 0.8, 20))
    return width * WIDTH_OF_SOURCE[boxes.source]


def _is_upright(vertices: npt.NDArray[Any]) -> bool:
    """Return whether vertices are those of a rectangle along the axes."""
    if len(vertices) != 4:
        return False
    corners = vertices[:, -2:]
    low, high = corners.min(axis=0), corners.max(axis=0)
    off = np.minimum(np.abs(corners - low), np.abs(corners - high))
    return bool(off.max() < 0.01)
