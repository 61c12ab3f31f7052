"""Large images as overlapping tiles: memory is limited, and seams give no duplicate boxes.

Lengths are in cell diameters, so that the work does not depend on the magnification.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torchvision.ops import nms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_attmil.core import Float32Array

TILE_DIAMETERS = 32.0
"""Images up to this side are processed in one piece, larger ones in tiles of this side."""
OVERLAP_DIAMETERS = 3.2
"""Every cell lies whole in some tile, with more than a cell's width around it."""
SEAM_DIAMETERS = 0.2
"""Largest distance between the centres of one cell as found in two tiles."""


@dataclass(frozen=True)
class Tile:
    """A part of an image, in pixels of the image.

    Attributes
    ----------
    window
        top, left, bottom, right of the part in which cells are searched for.
    core
        The same for the part whose cells are taken from this tile; cores do not overlap.
    """

    window: tuple[int, int, int, int]
    core: tuple[int, int, int, int]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        top, left, bottom, right = self.window
        return slice(top, bottom), slice(left, right)

    @property
    def offset(self) -> Float32Array:
        """(4,) difference between a box's coordinates in the image and in the window."""
        return np.array([self.window[1], self.window[0]] * 2, dtype=np.float32)

    @property
    def core_xyxy(self) -> Float32Array:
        """(4,) x_min, y_min, x_max, y_max of the core."""
        top, left, bottom, right = self.core
        return np.array([left, top, right, bottom], dtype=np.float32)

    def holds(self, xyxy: Float32Array, margin_px: float = 0.0) -> npt.NDArray[np.bool_]:
        """Return which (n, 4) boxes have their centre in the core grown by a margin."""
        top, left, bottom, right = self.core
        x, y = ((xyxy[:, :2] + xyxy[:, 2:]) / 2).T
        inside_x = (x >= left - margin_px) & (x < right + margin_px)
        return np.asarray(inside_x & (y >= top - margin_px) & (y < bottom + margin_px))


def tiles_of(shape: tuple[int, ...], cell_diameter_px: float) -> list[Tile]:
    """Return the tiles of an image of shape (Y, X, ...), row by row; a small image is one tile."""
    rows = _intervals(shape[0], cell_diameter_px)
    columns = _intervals(shape[1], cell_diameter_px)
    return [
        Tile((top, left, bottom, right), (core_top, core_left, core_bottom, core_right))
        for (top, bottom), (core_top, core_bottom) in rows
        for (left, right), (core_left, core_right) in columns
    ]


def tile_count(shape: tuple[int, ...], cell_diameter_px: float) -> int:
    """Return how many tiles an image of shape (Y, X, ...) has; see `tiles_of`."""
    return len(tiles_of(shape, cell_diameter_px))


def merge_tiles(
    tiles: Sequence[Tile],
    found: Sequence[tuple[Float32Array, Float32Array]],
    cell_diameter_px: float,
    max_overlap: float,
) -> tuple[Float32Array, Float32Array]:
    """Join the boxes of all tiles, with each cell once.

    Parameters
    ----------
    tiles
        Of one image.
    found
        For each tile (n, 4) boxes in pixels of the image, and (n,) scores.
    cell_diameter_px
        As given to `tiles_of`.
    max_overlap
        Of two boxes at a seam that overlap more (intersection over union), the surer one is kept.

    Returns
    -------
    (n, 4) float32, (n,) float32
        The surest first.
    """
    seam_px = SEAM_DIAMETERS * cell_diameter_px
    kept, scores, seen_twice = [], [], []
    for tile, (xyxy, score) in zip(tiles, found, strict=True):
        mine = tile.holds(xyxy, seam_px)
        kept.append(xyxy[mine])
        scores.append(score[mine])
        seen_twice.append(~tile.holds(xyxy[mine], -2 * seam_px))
    xyxy, score = np.concatenate(kept), np.concatenate(scores)
    at_seam = np.flatnonzero(np.concatenate(seen_twice))
    surest = nms(torch.from_numpy(xyxy[at_seam]), torch.from_numpy(score[at_seam]), max_overlap)
    keep = np.ones(len(score), dtype=bool)
    keep[at_seam] = False
    keep[at_seam[surest.numpy()]] = True
    order = np.flatnonzero(keep)[np.argsort(-score[keep], kind="stable")]
    return xyxy[order], score[order]


def _intervals(
    length_px: int, cell_diameter_px: float
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return window and core of each tile along one axis."""
    tile_px = round(TILE_DIAMETERS * cell_diameter_px)
    overlap_px = round(OVERLAP_DIAMETERS * cell_diameter_px)
    if length_px <= tile_px:
        return [((0, length_px), (0, length_px))]
    count = -(-(length_px - overlap_px) // (tile_px - overlap_px))
    starts = np.linspace(0, length_px - tile_px, count).round().astype(int).tolist()
    seams = [(here + tile_px + there) // 2 for here, there in itertools.pairwise(starts)]
    edges = [0, *seams, length_px]
    windows = [(start, start + tile_px) for start in starts]
    return list(zip(windows, itertools.pairwise(edges), strict=True))
