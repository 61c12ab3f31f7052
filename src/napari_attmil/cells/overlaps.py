"""Which boxes of one image overlap, found by a grid: all pairs of many boxes fill no memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float32Array, Int64Array

MOST_PLACES = 64
"""A box that touches more places of the grid is compared with all others instead."""


def iou(boxes: Float32Array, others: Float32Array) -> Float32Array:
    """Return the intersection over union of (..., 4) boxes, pair by pair, 0 to 1."""
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(
        boxes[..., :2], others[..., :2]
    )
    intersection = np.prod(np.maximum(sides, 0), axis=-1)
    area_a = np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
    area_b = np.prod(np.maximum(others[..., 2:] - others[..., :2], 0), axis=-1)
    union = area_a + area_b - intersection
    share: Float32Array = np.divide(
        intersection, union, out=np.zeros_like(intersection), where=union > 0
    )
    return share


def overlapping_pairs(
    boxes: npt.ArrayLike, others: npt.ArrayLike
) -> tuple[Int64Array, Int64Array, Float32Array]:
    """Return rows of the boxes and of the others that overlap, and their IoU.

    Ordered by the rows of the boxes, then of the others.
    """
    a, b = (np.asarray(each, dtype=np.float32).reshape(-1, 4) for each in (boxes, others))
    if not (len(a) and len(b)):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    side = max(float(np.median(np.concatenate([a, b])[:, 2:] - np.concatenate([a, b])[:, :2])), 1.0)
    row_a, place_a, large_a = _in_grid(a, 2 * side)
    row_b, place_b, large_b = _in_grid(b, 2 * side)
    order = np.argsort(place_b, kind="stable")
    start = np.searchsorted(place_b[order], place_a, "left")
    count = np.searchsorted(place_b[order], place_a, "right") - start
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows = np.repeat(row_a, count)
    columns = row_b[order[np.repeat(start, count) + within]]
    every_a, every_b = np.arange(len(a)), np.arange(len(b))
    rows = np.concatenate([rows, np.repeat(large_a, len(b)), np.tile(every_a, len(large_b))])
    columns = np.concatenate([columns, np.tile(every_b, len(large_a)), np.repeat(large_b, len(a))])
    rows, columns = np.divmod(np.unique(rows * len(b) + columns), len(b))
    share = iou(a[rows], b[columns])
    found = share > 0
    return rows[found], columns[found], share[found]


def greatest_overlap(boxes: npt.ArrayLike, others: npt.ArrayLike) -> Float32Array:
    """Return (n,) the largest IoU of each box with any of the others; 0 without an overlap."""
    rows, _, share = overlapping_pairs(boxes, others)
    greatest = np.zeros(len(np.asarray(boxes).reshape(-1, 4)), np.float32)
    np.maximum.at(greatest, rows, share)
    return greatest


def _in_grid(boxes: Float32Array, side: float) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return the rows and places of boxes in a grid, and the rows of those too large for it."""
    low, high = (np.floor(part / side).astype(np.int64) for part in (boxes[:, :2], boxes[:, 2:]))
    spans = np.maximum(high - low + 1, 1)
    size = spans.prod(axis=1)
    small = np.flatnonzero(size <= MOST_PLACES)
    rows = np.repeat(small, size[small])
    within = np.arange(len(rows)) - np.repeat(np.cumsum(size[small]) - size[small], size[small])
    down, right = np.divmod(within, spans[rows, 0])
    places = (low[rows, 1] + down) * (1 << 31) + low[rows, 0] + right
    return rows, places, np.flatnonzero(size > MOST_PLACES)
