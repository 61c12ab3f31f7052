"""Pictures of single cells as an encoder sees them: grey, square, all of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import roi_align

from napari_attmil.cells.detection import GreyLevels

if TYPE_CHECKING:
    from napari_attmil.core import Float32Array

BLOCK_PX: Final = 2048
"""Large images are read in squares of this side."""


def pictures_of_cells(
    image: npt.NDArray[Any], xyxy: npt.ArrayLike, side_px: int, context: float
) -> torch.Tensor:
    """Cut cells out of one image.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), of any type; it may be a lazy array, of which parts are read.
    xyxy
        (n, 4) boxes in pixels of the image.
    side_px
        Side of the pictures.
    context
        A picture shows the longer side of its box times this.

    Returns
    -------
    (n, 1, side_px, side_px) float32
        In grey levels of which the image's median is 0 and the standard deviation 1. Beyond the
        image's edge its border pixels are repeated.
    """
    boxes = np.asarray(xyxy, dtype=np.float32).reshape(-1, 4)
    levels = GreyLevels.of(image)
    squares = _squares(boxes, context)
    pictures = torch.empty((len(boxes), 1, side_px, side_px))
    blocks = ((boxes[:, :2] + boxes[:, 2:]) / 2 // BLOCK_PX).astype(int)
    for block in np.unique(blocks, axis=0):
        rows = np.flatnonzero((blocks == block).all(axis=1))
        part, offset = _part_around(image, squares[rows], levels)
        places = squares[rows] - np.tile(offset, 2)
        # As many points along each side of a picture's pixel as it covers pixels of the image.
        points = int(np.ceil((places[:, 2] - places[:, 0]).max() / side_px))
        grey = torch.from_numpy(part)[None, None]
        pictures[rows] = roi_align(
            grey, [torch.from_numpy(places)], side_px, 1.0, max(1, points), aligned=True
        )
    return pictures


def _squares(boxes: Float32Array, context: float) -> Float32Array:
    """Return (n, 4) squares around boxes."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * np.float32(context / 2)
    return np.concatenate([centre - half, centre + half], axis=1)


def _part_around(
    image: npt.NDArray[Any], squares: Float32Array, levels: GreyLevels
) -> tuple[Float32Array, Float32Array]:
    """Return the normalised part of an image that holds all squares, and the (x, y) of its corner.

    Where squares reach beyond the image its border pixels are repeated.
    """
    low = np.floor(squares[:, :2].min(axis=0)).astype(int) - 1
    high = np.ceil(squares[:, 2:].max(axis=0)).astype(int) + 2
    rows = np.clip(np.arange(low[1], high[1]), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(low[0], high[0]), 0, image.shape[1] - 1)
    # A plain slice first: a lazy array then reads no more than it must.
    part = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    grey = levels.normalise(np.asarray(part))
    return grey[np.ix_(rows - rows[0], columns - columns[0])], low.astype(np.float32)
