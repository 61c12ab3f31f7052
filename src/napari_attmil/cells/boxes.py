"""The cells of a sample as immutable arrays, and comparison of boxes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.overlaps import greatest_overlap, iou, overlapping_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_attmil.core import Float32Array, Int64Array

SAME_PLACE_PX = 0.01
"""Tolerance for an unmoved corner; layers store float64, boxes float32."""
MIN_SIDE_PX = 3.0
"""A shorter box is a stray click, not a cell (napari leaves one of 2.5 px)."""

SAME_CELL_IOU = 0.5
"""Boxes that overlap by this much or more show the same cell."""
SAME_BOX_IOU = 0.9
"""Boxes that overlap by this much or more count as the same box."""
FEW_PAIRS = 4_000_000
"""So many pairs of boxes are compared at once; of more boxes, only those that overlap are."""


class Source(IntEnum):
    """Who made or confirmed a box."""

    MODEL = 0
    """The detector; nobody has looked at it."""
    PERSON = 1
    """A person drew or moved it."""
    ACCEPTED = 2
    """The detector made it, and a person has confirmed it as it is."""


SOURCE_NAMES = ("model", "person", "accepted")
"""Their names in tables and files, by value."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """The cells of one sample.

    Attributes
    ----------
    cell_id
        (n,) int64, positive, unique within the sample, never used again after a deletion.
    image_index
        (n,) int32, the image within the sample, from 0.
    xyxy
        (n, 4) float32: x_min, y_min, x_max, y_max in pixels of that image; x is the column.
    score
        (n,) float32 in 0..1, how sure the detector is; 1 for one that a person made.
    source
        (n,) uint8, values of `Source`.
    """

    cell_id: Int64Array
    image_index: npt.NDArray[np.int32]
    xyxy: Float32Array
    score: Float32Array
    source: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Convert the arrays to their types, make them read-only, and check that they agree."""
        types = {
            "cell_id": np.int64,
            "image_index": np.int32,
            "xyxy": np.float32,
            "score": np.float32,
            "source": np.uint8,
        }
        for name, dtype in types.items():
            object.__setattr__(self, name, _sealed(getattr(self, name), dtype))
        n = len(self.cell_id)
        if self.xyxy.shape != (n, 4):
            raise ValueError(f"xyxy has shape {self.xyxy.shape}, but {n} cells need ({n}, 4).")
        for field in fields(self):
            if len(getattr(self, field.name)) != n:
                raise ValueError(f"{field.name} is not as long as cell_id ({n}).")
        # Far faster than np.unique if ids nearly ascend, and run for every correction.
        ascending = np.sort(self.cell_id, kind="stable")
        if np.any(ascending[1:] == ascending[:-1]):
            raise ValueError("Two cells share one cell_id.")

    @classmethod
    def empty(cls) -> Self:
        """Return no cells."""
        return cls.from_detections(np.empty(0), np.empty((0, 4)), np.empty(0))

    @classmethod
    def from_detections(
        cls,
        image_index: npt.ArrayLike,
        xyxy: npt.ArrayLike,
        score: npt.ArrayLike,
        first_id: int = 1,
    ) -> Self:
        """Return the detector's boxes with fresh ids, counted from `first_id`."""
        n = len(np.asarray(image_index))
        return cls(
            cell_id=np.arange(first_id, first_id + n),
            image_index=np.asarray(image_index, dtype=np.int32),
            xyxy=np.asarray(xyxy, dtype=np.float32).reshape(n, 4),
            score=np.asarray(score, dtype=np.float32),
            source=np.full(n, Source.MODEL, dtype=np.uint8),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Boxes]) -> Self:
        """Return the cells of several parts, in order; ids must be unique."""
        if not parts:
            return cls.empty()
        return cls(
            **{
                field.name: np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            }
        )

    def __len__(self) -> int:
        return len(self.cell_id)

    def __getitem__(self, rows: Any) -> Self:
        """Return the cells of a mask, of positions or of a slice."""
        return replace(
            self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)}
        )

    def of_image(self, image_index: int) -> Self:
        """Return the cells of one image."""
        return self[self.image_index == image_index]

    def sorted_by_image(self) -> Self:
        """Return the cells ordered by image, otherwise in their present order."""
        return self[np.argsort(self.image_index, kind="stable")]

    def in_order(self) -> Self:
        """Return the cells ordered by image, then by cell_id."""
        return self[np.lexsort((self.cell_id, self.image_index))]

    def index_of(self, cell_ids: npt.ArrayLike) -> Int64Array:
        """Return the positions of cells, in the order of `cell_ids`.

        Raises
        ------
        KeyError
            If there is no such cell.
        """
        wanted = np.atleast_1d(np.asarray(cell_ids, dtype=np.int64))
        found = positions_of(wanted, self.cell_id)
        if np.any(found < 0):
            raise KeyError(f"There is no cell {wanted[found < 0].min()}.")
        return found

    def rows_in(self, earlier: Boxes) -> Int64Array:
        """Return (n,) the row of each cell in earlier boxes; -1 where it is new or has moved."""
        rows = positions_of(self.cell_id, earlier.cell_id)
        found = np.flatnonzero(rows >= 0)
        before = earlier.xyxy[rows[found]]
        moved = has_moved(before, self.xyxy[found])
        moved |= earlier.image_index[rows[found]] != self.image_index[found]
        rows[found[moved]] = -1
        return rows

    def is_unchanged_since(self, earlier: Boxes) -> bool:
        """Return whether there are the same cells as earlier, and none has moved."""
        return len(self) == len(earlier) and bool(np.all(self.rows_in(earlier) >= 0))

    @property
    def next_id(self) -> int:
        """A cell_id larger than all present ones."""
        return int(self.cell_id.max(initial=0)) + 1

    @property
    def diameter_px(self) -> Float32Array:
        """(n,) geometric mean of width and height in pixels."""
        sides = np.maximum(self.xyxy[:, 2:] - self.xyxy[:, :2], 0)
        diameter: Float32Array = np.sqrt(sides[:, 0] * sides[:, 1])
        return diameter

    @cached_property
    def median_diameter_px(self) -> float:
        """The median diameter in pixels of the n > 0 cells; found once, as it takes a while."""
        return median_diameter_px(self.xyxy)

    def digest(self) -> str:
        """Return a fingerprint of where the cells are, to notice that features are stale."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        blake = hashlib.blake2b(digest_size=16)
        for array in (self.cell_id, self.image_index, self.xyxy):
            blake.update(np.ascontiguousarray(array).tobytes())
        return blake.hexdigest()


def has_moved(before: npt.ArrayLike, after: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return (n,) which of (n, 4) boxes, or of (n, 2) points, lie elsewhere than before."""
    distance_px = np.abs(np.subtract(before, after, dtype=np.float64))
    return np.asarray(np.any(distance_px > SAME_PLACE_PX, axis=1))


def positions_of(wanted: Int64Array, ids: Int64Array) -> Int64Array:
    """Return (n,) the position of each wanted id among (m,) others; -1 if it is not there.

    For an id that occurs several times it is the first position.
    """
    order = np.argsort(ids, kind="stable")
    places = np.searchsorted(ids, wanted, sorter=order)
    found = np.append(order, -1)[places]
    is_there = np.append(ids, -1)[found] == wanted
    return np.where(is_there, found, -1).astype(np.int64)


def _sealed(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a read-only array that nothing else can change; the same one if it already is so."""
    if (
        isinstance(values, np.ndarray)
        and values.dtype == dtype
        and values.flags.owndata
        and not values.flags.writeable
    ):
        return values
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def median_diameter_px(xyxy: Float32Array) -> float:
    """Return the median diameter in pixels of (n, 4) boxes, n > 0."""
    sides = xyxy[:, 2:] - xyxy[:, :2]
    return max(float(np.median(np.sqrt(np.prod(sides, axis=1)))), 1.0)


def iou_matrix(boxes: npt.ArrayLike, others: npt.ArrayLike) -> Float32Array:
    """Return the (n, m) intersection over union of (n, 4) and (m, 4) boxes, 0 to 1."""
    a = np.asarray(boxes, dtype=np.float32).reshape(-1, 1, 4)
    return iou(a, np.asarray(others, dtype=np.float32).reshape(1, -1, 4))


def are_same_cells(boxes: Boxes, others: Boxes) -> npt.NDArray[np.bool_]:
    """Return (n,) which boxes show the same cell as one of the others."""
    same = np.zeros(len(boxes), dtype=bool)
    for image in np.unique(boxes.image_index):
        rows = np.flatnonzero(boxes.image_index == image)
        overlap = greatest_overlap(boxes.xyxy[rows], others.of_image(image).xyxy)
        same[rows] = overlap >= SAME_CELL_IOU
    return same


def match_boxes(
    found: npt.ArrayLike, truth: npt.ArrayLike, min_iou: float = SAME_CELL_IOU
) -> Int64Array:
    """Pair boxes one to one so that the summed intersection over union is largest.

    Returns
    -------
    (n,) int64
        For each found box its row in `truth`, or -1 where none overlaps by `min_iou`.
    """
    from scipy.optimize import linear_sum_assignment  # 0.2 s that no panel waits for

    a, b = (np.asarray(each, dtype=np.float32).reshape(-1, 4) for each in (found, truth))
    pairs = np.full(len(a), -1, dtype=np.int64)
    for own, other in _groups(a, b):
        overlap = iou_matrix(a[own], b[other])
        rows, columns = linear_sum_assignment(
            np.where(overlap >= min_iou, overlap, 0), maximize=True
        )
        good = overlap[rows, columns] >= min_iou
        pairs[own[rows[good]]] = other[columns[good]]
    return pairs


def _groups(found: Float32Array, truth: Float32Array) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield the rows of boxes that can be paired among themselves only: all, if they are few."""
    if len(found) * len(truth) <= FEW_PAIRS:
        yield np.arange(len(found)), np.arange(len(truth))
        return
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns, _ = overlapping_pairs(found, truth)
    edges = (np.ones(len(rows)), (rows, len(found) + columns))
    size = len(found) + len(truth)
    _, group = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        own, other = members[members < len(found)], members[members >= len(found)] - len(found)
        if len(own) and len(other):
            yield own, other
