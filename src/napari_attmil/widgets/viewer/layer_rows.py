"""The rows of a Shapes layer as boxes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers.base import ActionType

from napari_attmil.cells import Boxes, has_moved
from napari_attmil.core import Float32Array, Int64Array
from napari_attmil.explore import PERSON_COLOUR
from napari_attmil.widgets.viewer.box_shapes import (
    are_upright,
    features_of,
    features_of_drawn,
    from_vertices,
    to_vertices,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LEAST_CHANGE = 0.1
"""Of an edge's width, as a share: a box more or less changes it by a little, which nobody sees."""

Mask = npt.NDArray[np.bool_]


class LayerRows:
    """Brings a Shapes layer to the boxes it is to show.

    Parameters
    ----------
    layer
        The layer; its features carry each box's cell_id.
    image_axis
        Which of its axes says of which image a box is; None if there is one image.
    """

    def __init__(self, layer: Any, image_axis: int | None = 0) -> None:
        self._drawn_colour: npt.ArrayLike = PERSON_COLOUR
        self._image_axis = image_axis
        self._layer = layer

    def ids(self) -> Int64Array:
        """Return the (n,) cell_id of each row; 0 for a row that has none yet."""
        ids = np.zeros(self._layer.nshapes, dtype=np.int64)
        column = self._layer.features.get("cell_id", pd.Series(dtype=float))
        known = np.nan_to_num(column.to_numpy(dtype=np.float64))[: len(ids)]
        ids[: len(known)] = known.astype(np.int64)
        return ids

    def corners(self) -> tuple[Int64Array, Float32Array]:
        """Return the (n,) image and the (n, 4) xyxy of each row."""
        return from_vertices(self._layer.data, self._image_axis)

    def are_flat(self) -> bool:
        """Return whether each row lies in one plane of rows and columns."""
        return all(not np.ptp(shape[:, :-2], axis=0).any() for shape in self._layer.data)

    def are_rectangles(self) -> bool:
        """Return whether all rows are rectangles along the axes."""
        return bool(are_upright(self._layer.data).all())

    def show(
        self,
        boxes: Boxes,
        widths: npt.NDArray[np.float64],
        colours: npt.NDArray[np.float64],
        selected: Collection[int] = (),
    ) -> None:
        """Show just these boxes; rows that show one of them already are left alone.

        The layer's own little picture stays as it is: see `BoxesMirror`.

        Parameters
        ----------
        boxes
            The (n,) boxes.
        widths
            (n,) widths of their edges in pixels.
        colours
            (n, 4) RGBA of their edges.
        selected
            Ids of those that are picked out; heeded if any box is shown anew.
        """
        stays = self._that_stay(boxes, widths)
        # napari keeps the order of the rows that stay, and puts new ones at the end.
        shown = self.ids()[stays]
        fresh = np.flatnonzero(~np.isin(boxes.cell_id, shown))
        order = boxes.index_of(np.concatenate([shown, boxes.cell_id[fresh]]))
        if stays.all() and not len(fresh):
            self.describe(boxes[order])
            self.colour(colours[order])
            return
        # The frames around selected boxes, and around one under the mouse.
        has_frames = not stays.all() or bool(selected) or bool(self._layer.selected_data)
        with self._drawn_later():
            if not stays.all():
                self._layer.remove(np.flatnonzero(~stays).tolist())
            if len(fresh):
                self._add(boxes[fresh], widths[fresh], colours[fresh])
            self.describe(boxes[order])
            self.colour(colours[order])
            self.select(selected)
        self._tell_of_data()
        self._layer.refresh(highlight=has_frames, thumbnail=False)

    def select(self, ids: Collection[int]) -> bool:
        """Select the rows of some boxes; return whether others were selected before."""
        rows = set(np.flatnonzero(np.isin(self.ids(), list(ids))).tolist())
        if rows == set(self._layer.selected_data):
            return False
        self._layer.selected_data = rows
        return True

    def describe(self, boxes: Boxes) -> None:
        """Write the features of all rows, which `boxes` gives in their order."""
        features, shown = features_of(boxes), self._layer.features
        if features.equals(shown):
            return
        if features.index.equals(shown.index) and features.dtypes.equals(shown.dtypes):
            # The same table with other values: napari's own check of a new one takes long.
            shown[features.columns] = features
            self._layer.events.features()
        else:
            self._layer.features = features
            self._layer.feature_defaults = features_of_drawn()

    def colour(self, colours: npt.NDArray[np.float64]) -> None:
        """Colour the edges of all rows, (n, 4) RGBA, if they have other colours."""
        if len(colours) and not np.allclose(self._layer.edge_color, colours, atol=1e-6):
            # napari tells of it twice, and each time all boxes are drawn.
            with self._layer.events.edge_color.blocker():
                self._layer.edge_color = colours
            self._layer.events.edge_color()

    def _that_stay(self, boxes: Boxes, widths: npt.NDArray[np.float64]) -> Mask:
        """Return which rows are the first to show one of the boxes as it is to look."""
        ids = self.ids()
        images, xyxy = self.corners()
        _, first = np.unique(ids, return_index=True)
        rows = first[np.isin(ids[first], boxes.cell_id)]
        places = boxes.index_of(ids[rows])
        stay = are_upright(self._layer.data)[rows]
        stay &= images[rows] == boxes.image_index[places]
        stay &= ~has_moved(xyxy[rows], boxes.xyxy[places])
        now = np.array(self._layer.edge_width, dtype=np.float64)
        stay &= np.isclose(now[rows], widths[places], rtol=LEAST_CHANGE)
        stays = np.zeros(len(ids), dtype=bool)
        stays[rows[stay]] = True
        return stays

    def draw_in(self, colour: npt.NDArray[np.float64]) -> None:
        """Give boxes to be drawn an RGBA; those that are there keep theirs."""
        self._drawn_colour = colour
        with self._layer.block_update_properties():
            self._layer.current_edge_color = colour

    @contextmanager
    def _drawn_later(self) -> Iterator[None]:
        """Keep napari from drawing the layer after every single step; whoever asks refreshes it."""
        events = self._layer.events
        with (
            events.data.blocker(),
            events.set_data.blocker(),
            events.extent.blocker(),
            events.highlight.blocker(),
            self._layer.block_thumbnail_update(),
        ):
            yield

    def _tell_of_data(self) -> None:
        """Tell once, for all steps, that the shapes are others: the viewer takes its range anew."""
        self._layer.events.data(
            value=self._layer.data,
            action=ActionType.CHANGED,
            data_indices=tuple(range(self._layer.nshapes)),
            vertex_indices=((),),
        )

    def _add(
        self,
        boxes: Boxes,
        widths: npt.NDArray[np.float64],
        colours: npt.NDArray[np.float64],
    ) -> None:
        self._layer.add(
            list(to_vertices(boxes, self._layer.ndim, self._image_axis)),
            shape_type="rectangle",
            edge_width=widths,
            edge_color=colours,
            face_color="transparent",
        )
        # Of boxes to be drawn; those that are there are not to be drawn anew for it.
        width = float(widths.max())
        with self._layer.block_update_properties():
            if not np.isclose(self._layer.current_edge_width, width, rtol=LEAST_CHANGE):
                self._layer.current_edge_width = width
            self._layer.current_edge_color = self._drawn_colour
