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


@dataclass(frozen=True)
class Portion:
    """Which of a sample's boxes a layer holds.

    Attributes
    ----------
    images
        The boxes of these images only; of all images if None.
    """

    images: tuple[int, ...] | None = None

    @classmethod
    def of_sample(cls, boxes: Boxes, image_index: int, reach: int = 0) -> Portion:
        """Return what a layer holds of a sample while it shows an image.

        All boxes if they are few, else those of the image, and of as many before and after it as
        `reach` says if these are few.
        """
        if len(boxes) <= MOST_SHAPES:
            return cls()
        around = cls(tuple(range(image_index - reach, image_index + reach + 1)))
        return around if len(around.held(boxes)) <= MOST_SHAPES else cls((image_index,))

    def is_part_with(self, image_index: int) -> bool:
        """Return whether these are some images only, and one of them is among them."""
        return self.images is not None and image_index in self.images

    def held(self, boxes: Boxes) -> Boxes:
        """Return those of a sample's boxes that the layer holds."""
        return boxes if self.images is None else boxes[np.isin(boxes.image_index, self.images)]

    def others(self, boxes: Boxes) -> Boxes:
        """Return those of a sample's boxes that the layer does not hold."""
        if self.images is None:
            return Boxes.empty()
        return boxes[~np.isin(boxes.image_index, self.images)]


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
