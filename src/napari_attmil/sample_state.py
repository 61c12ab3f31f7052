"""What is known about one sample: its cells, what a person did to them, and the prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.boxes import MIN_SIDE_PX, Boxes, FloatArray, IntArray
from napari_attmil.cells.corrections import add_box, delete_boxes, move_box
from napari_attmil.cells.project import Annotations
from napari_attmil.explore.cell_table import attention_of

if TYPE_CHECKING:
    from napari_attmil.bags.classifier import Prediction

SAME_PLACE_PX: Final = 0.01
"""Corners closer than this did not move: layers keep float64, boxes float32."""


@dataclass(frozen=True, eq=False)
class SampleState:
    """What is known about one sample.

    Attributes
    ----------
    boxes
        Its cells at present.
    deleted
        Boxes that a person deleted; a later detection leaves them out.
    detected
        Whether the detector has seen all of its images.
    prediction
        What the classifier said last.
    classified
        The boxes it was said about.
    """

    boxes: Boxes = field(default_factory=Boxes.empty)
    deleted: Boxes = field(default_factory=Boxes.empty)
    detected: bool = False
    prediction: Prediction | None = None
    classified: Boxes = field(default_factory=Boxes.empty)

    def annotations(self, next_id: int = 1) -> Annotations:
        """Return what is kept on disk, with the next cell_id to give away."""
        free = max(next_id, self.boxes.next_id, self.deleted.next_id)
        return Annotations(self.boxes, self.deleted, self.detected, free)

    @property
    def is_stale(self) -> bool:
        """Whether boxes changed since the classification."""
        return self.prediction is not None and self.classified.digest() != self.boxes.digest()

    def attention(self) -> npt.NDArray[np.float64]:
        """Return (n,) the attention of each box; NaN where it is newer than the classification."""
        if self.prediction is None:
            return np.full(len(self.boxes), np.nan)
        attention = attention_of(self.boxes, self.prediction)
        known = np.isin(self.boxes.cell_id, self.classified.cell_id)
        before = self.classified[self.classified.index_of(self.boxes.cell_id[known])].xyxy
        attention[np.flatnonzero(known)[_moved(before, self.boxes.xyxy[known])]] = np.nan
        return attention


@dataclass(frozen=True, eq=False)
class Version:
    """The part of a sample's state that undo brings back."""

    boxes: Boxes
    deleted: Boxes
    detected: bool


class History:
    """Earlier and undone versions of one sample's boxes, and the ids it has given away."""

    def __init__(self) -> None:
        self.undo: list[Version] = []
        self.redo: list[Version] = []
        self.next_id = 1


def follow_rows(
    boxes: Boxes,
    cell_ids: npt.ArrayLike,
    image_index: npt.ArrayLike,
    xyxy: npt.ArrayLike,
    first_id: int = 1,
) -> tuple[Boxes, IntArray]:
    """Return boxes that are what a person sees.

    Rows of an unknown id, or of one that an earlier row has, are new boxes of a person; rows of
    a known id that lie elsewhere were moved; cells without a row were deleted.

    Parameters
    ----------
    boxes
        The cells before.
    cell_ids, image_index, xyxy
        (n,), (n,) and (n, 4), as shown.
    first_id
        New boxes get no smaller id than this.

    Returns
    -------
    Boxes
        The cells now.
    (n,) int64
        The id of each row; 0 for a row too small to be a cell, which is left out.
    """
    images = np.asarray(image_index, dtype=np.int32)
    corners = np.asarray(xyxy, dtype=np.float32).reshape(-1, 4)
    sides = np.abs(corners[:, 2:] - corners[:, :2])
    large_enough = np.all(sides >= MIN_SIDE_PX, axis=1)
    ids = np.array(cell_ids, dtype=np.int64)
    known = _rows_of_cells(boxes, ids, images) & large_enough
    ids[~known] = 0
    now = delete_boxes(boxes, np.setdiff1d(boxes.cell_id, ids))
    rows = np.flatnonzero(known)
    before = now[now.index_of(ids[rows])].xyxy
    for row in rows[_moved(before, corners[rows])]:
        now = move_box(now, int(ids[row]), corners[row])
    for row in np.flatnonzero(~known & large_enough):
        now = add_box(now, int(images[row]), corners[row], first_id)
        ids[row] = now.cell_id[-1]
        first_id = now.next_id
    return now, ids


def _rows_of_cells(
    boxes: Boxes, ids: IntArray, images: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return which rows are the first of a cell of `boxes`, in that cell's image."""
    image_of = dict(zip(boxes.cell_id.tolist(), boxes.image_index.tolist(), strict=True))
    known = np.zeros(len(ids), dtype=bool)
    _, first = np.unique(ids, return_index=True)
    known[first] = [image_of.get(int(ids[row])) == images[row] for row in first]
    return known


def _moved(before: FloatArray, after: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray(np.any(np.abs(before - after) > SAME_PLACE_PX, axis=1))
