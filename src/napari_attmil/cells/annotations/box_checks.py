"""Boxes that are probably mistakes: tiny, huge, duplicate, or outside their image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.boxes import MIN_SIDE_PX, SAME_BOX_IOU, Boxes
from napari_attmil.cells.overlaps import overlapping_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TINY, HUGE = 0.4, 2.5
"""A diameter below and above these shares of the image's median is odd."""
_LEAST_BOXES = 5
"""With fewer boxes, the median is meaningless."""


@dataclass(frozen=True)
class OddBox:
    """A box to check.

    Attributes
    ----------
    cell_id, image_index
        The box and its image.
    reason
        Words that follow "the box": "has 2.9 times the diameter of the image's median box".
    """

    cell_id: int
    image_index: int
    reason: str


def odd_boxes(boxes: Boxes, sizes_px: Sequence[tuple[int, int]]) -> list[OddBox]:
    """Return the odd boxes of a sample, in the order of its images.

    Boxes at the border may be small, as cells are cut off there.

    Parameters
    ----------
    boxes
        The sample's cells.
    sizes_px
        (width, height) of each of its images.
    """
    found: list[OddBox] = []
    for image in np.unique(boxes.image_index).tolist():
        part = boxes.of_image(image)
        for row, reason in _reasons(part, sizes_px[image]):
            found.append(OddBox(int(part.cell_id[row]), image, reason))
    return found


def _reasons(boxes: Boxes, size_px: tuple[int, int]) -> Iterator[tuple[int, str]]:
    width, height = size_px
    low, high = boxes.xyxy[:, :2], boxes.xyxy[:, 2:]
    gone = np.any((high <= 0) | (low >= (width, height)), axis=1)
    beyond = ~gone & (np.any(low < -1, axis=1) | np.any(high > (width + 1, height + 1), axis=1))
    at_border = np.any((low <= 1) | (high >= (width - 1, height - 1)), axis=1)
    thin = np.any(high - low < MIN_SIDE_PX, axis=1)
    reasons = {
        "lies outside of the image": gone,
        "reaches out of the image": beyond,
        f"has a side below {MIN_SIDE_PX:g} px": thin,
    }
    for reason, odd in reasons.items():
        yield from ((row, reason) for row in np.flatnonzero(odd).tolist())
    yield from _odd_sizes(boxes, ~thin, at_border)
    yield from _duplicates(boxes)


def _odd_sizes(
    boxes: Boxes, sound: npt.NDArray[np.bool_], at_border: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, str]]:
    if np.count_nonzero(sound) < _LEAST_BOXES:
        return
    share = boxes.diameter_px / np.median(boxes.diameter_px[sound])
    odd = sound & ((share > HUGE) | ((share < TINY) & ~at_border))
    for row in np.flatnonzero(odd).tolist():
        yield row, f"has {share[row]:.2g} times the diameter of the image's median box"


def _duplicates(boxes: Boxes) -> Iterator[tuple[int, str]]:
    """Yield the later box of each pair."""
    rows, columns, share = overlapping_pairs(boxes.xyxy, boxes.xyxy)
    pairs = np.stack([rows, columns], axis=1)[(rows < columns) & (share >= SAME_BOX_IOU)]
    for first, second in pairs.tolist():
        yield second, f"shows the same as box {boxes.cell_id[first]}"
