"""Boxes as shapes of a layer, and shapes as boxes.

The only place that swaps (x, y) and (y, x). Everything is in pixels of the image's data; scale
and translation belong to the layers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.cells import SOURCE_NAMES, Boxes
from napari_attmil.core import Float32Array, Int64Array

EDGE_SHARE = 0.045
"""Width of a box's edge as a share of the median cell diameter."""
WIDTH_OF_SOURCE = np.array([0.8, 1.8, 1.3])
"""Of boxes of the detector, of a person, and accepted: times the usual width."""
BOXES_OF_LAYER = "napari-attmil cells of the sample"
"""Key of a layer's metadata: the sample's `Boxes`, and the `Portion` of them that it holds."""
SAMPLE_OF_LAYER = "napari-attmil images of the sample"
"""Key of a layer's metadata: the `Sample`, which names the images that the boxes are of."""
NOTES_OF_LAYER = "napari-attmil notes of the sample"
"""Key of a layer's metadata: what is noted about the cells, by their ids."""
IMAGE_AXIS_OF_LAYER = "napari-attmil axis of images"
"""Key of a layer's metadata: which of its axes says of which image a box is; None for one image."""
MOST_SHAPES = 1000
"""A layer holds more only where the shown image has more: napari builds some 5,000 a second."""
MOST_OF_IMAGE = 5000
"""Of an image with more boxes, those in view are shapes, if they are few; others are painted."""
NOWHERE = (0.0, 0.0, 0.0, 0.0)
MARGIN = 0.5
"""So far around what is seen, as a share of its sides, boxes are shapes too."""


@dataclass(frozen=True)
class Portion:
    """Which of a sample's boxes a layer holds.

    Attributes
    ----------
    images
        The boxes of these images only; of all images if None.
    view
        Of these, those whose centres lie in x_min, y_min, x_max, y_max; all if None.
    """

    images: tuple[int, ...] | None = None
    view: tuple[float, ...] | None = None

    @classmethod
    def of_sample(
        cls,
        boxes: Boxes,
        image_index: int,
        reach: int = 0,
        view: npt.ArrayLike | None = None,
    ) -> Portion:
        """Return what a layer holds of a sample while it shows an image.

        All boxes if they are few, else those of the image, and of as many before and after it as
        `reach` says if these are few. Of an image with very many, those in the view that the viewer
        shows, and around it if `reach` is not 0, or none if these are many.
        """
        if len(boxes) <= MOST_SHAPES:
            return cls()
        here = cls((image_index,))
        if np.count_nonzero(boxes.image_index == image_index) > MOST_OF_IMAGE:
            return cls._in_view((image_index,), boxes, reach, view)
        around = cls(tuple(range(image_index - reach, image_index + reach + 1)))
        return around if len(around.held(boxes)) <= MOST_SHAPES else here

    @classmethod
    def _in_view(
        cls, images: tuple[int, ...], boxes: Boxes, reach: int, view: npt.ArrayLike | None
    ) -> Portion:
        seen = np.array(NOWHERE if view is None else view, dtype=np.float64)
        by = (seen[2:] - seen[:2]) * MARGIN
        wide = np.concatenate([seen[:2] - by, seen[2:] + by])
        for part in (wide, seen) if reach else (seen,):
            portion = cls(images, tuple(part.tolist()))
            if np.count_nonzero(portion._holds(boxes)) <= MOST_SHAPES:
                return portion
        return cls(images, NOWHERE)

    def is_enough_for(self, least: Portion) -> bool:
        """Return whether these are some images only, and the boxes of another portion among them.

        Where no boxes are needed, as those in view are too many, those that are there may stay.
        """
        if self.images is None or least.images is None or not set(least.images) <= {*self.images}:
            return False
        if self.view is None or least.view is None:
            return self.view is least.view
        if least.view == NOWHERE:
            return True
        own, others = np.array(self.view), np.array(least.view)
        return bool(np.all(own[:2] <= others[:2]) and np.all(others[2:] <= own[2:]))

    def held(self, boxes: Boxes) -> Boxes:
        """Return those of a sample's boxes that the layer holds."""
        return boxes if self.images is None else boxes[self._holds(boxes)]

    def others(self, boxes: Boxes) -> Boxes:
        """Return those of a sample's boxes that the layer does not hold."""
        return Boxes.empty() if self.images is None else boxes[~self._holds(boxes)]

    def _holds(self, boxes: Boxes) -> npt.NDArray[np.bool_]:
        holds = np.isin(boxes.image_index, np.array(self.images))
        if self.view is not None:
            centre = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2
            low, high = np.array(self.view[:2]), np.array(self.view[2:])
            holds &= np.all((centre >= low) & (centre < high), axis=1)
        return holds


def to_vertices(boxes: Boxes, ndim: int, image_axis: int | None = 0) -> npt.NDArray[np.float64]:
    """Return (n, 4, ndim) corners as Shapes stores them: (...,) row, column.

    Of the leading axes, `image_axis` has the image's index; the others are 0.
    """
    x_min, y_min, x_max, y_max = boxes.xyxy.astype(np.float64).T
    vertices = np.zeros((len(boxes), 4, ndim))
    vertices[..., -2] = np.stack([y_min, y_min, y_max, y_max], axis=1)
    vertices[..., -1] = np.stack([x_min, x_max, x_max, x_min], axis=1)
    if image_axis is not None and ndim > 2:
        vertices[..., image_axis] = boxes.image_index[:, np.newaxis]
    return vertices


def from_vertices(
    shapes: Sequence[npt.NDArray[Any]], image_axis: int | None = 0
) -> tuple[Int64Array, Float32Array]:
    """Return (n,) image indices and (n, 4) xyxy around shapes of any kind.

    Each shape has (m, ndim) vertices, whose `image_axis` says which image it is of; a rotated
    rectangle or a polygon becomes the upright box around it.
    """
    if not len(shapes):
        return np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.float32)
    vertices, starts = _joined(shapes)
    low = np.minimum.reduceat(vertices[:, -2:], starts)
    high = np.maximum.reduceat(vertices[:, -2:], starts)
    images = np.zeros(len(shapes))
    if image_axis is not None and vertices.shape[1] > 2:
        images = np.rint(vertices[starts, image_axis])
    xyxy = np.concatenate([low[:, ::-1], high[:, ::-1]], axis=1)
    return images.astype(np.int64), xyxy.astype(np.float32)


def pixel_at(layer: Any, world: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return (x, y) in pixels of a layer's data at a place of the viewer."""
    row, column = layer.world_to_data(np.asarray(world)[-layer.ndim :])[-2:]
    return np.array([column, row])


def are_upright(shapes: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Return (n,) whether vertices are those of a rectangle along the axes."""
    if not len(shapes):
        return np.zeros(0, dtype=bool)
    vertices, starts = _joined(shapes)
    counts = np.array([len(shape) for shape in shapes])
    corners = vertices[:, -2:]
    low = np.repeat(np.minimum.reduceat(corners, starts), counts, axis=0)
    high = np.repeat(np.maximum.reduceat(corners, starts), counts, axis=0)
    off = np.minimum(np.abs(corners - low), np.abs(corners - high)).max(axis=1)
    return (counts == 4) & (np.maximum.reduceat(off, starts) < 0.01)


def _joined(shapes: Sequence[npt.NDArray[Any]]) -> tuple[npt.NDArray[Any], Int64Array]:
    """Return the (m, ndim) vertices of all shapes, and (n,) where each one's begin."""
    counts = [len(shape) for shape in shapes]
    return np.concatenate(shapes), np.cumsum([0, *counts[:-1]])


def features_of(boxes: Boxes) -> pd.DataFrame:
    """Return one row a box: what a layer's features say of it."""
    return pd.DataFrame(
        {
            "cell_id": boxes.cell_id,
            "score": boxes.score.astype(np.float64),
            "source": np.array(SOURCE_NAMES, dtype=object)[boxes.source],
        }
    )


def features_of_drawn() -> pd.DataFrame:
    """Return the one row of features that a box has which a person has just drawn."""
    return features_of(Boxes.empty()).reindex([0]).assign(cell_id=0, score=1.0, source="person")


def edge_widths(boxes: Boxes, sample: Boxes) -> npt.NDArray[np.float64]:
    """Return (n,) widths in pixels of some of a sample's boxes.

    They fit the size of the sample's cells; who made a box is told without colour too.
    """
    if not len(boxes):
        return np.zeros(0)
    width = float(np.clip(sample.median_diameter_px * EDGE_SHARE, 0.8, 20))
    return width * WIDTH_OF_SOURCE[boxes.source]
