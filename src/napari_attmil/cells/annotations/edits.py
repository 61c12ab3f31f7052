"""One edit of a sample's annotations as a value: what it took away, what it put there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.boxes import Boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.core import Int64Array

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Annotations:
    """The boxes of one sample as a person left them.

    Attributes
    ----------
    boxes
        Its cells.
    deleted
        Boxes that a person deleted, which a later detection leaves out.
    searched
        Images that the detector has seen, also where it found nothing.
    next_id
        The next cell_id to give away; never one that was given before, undone or not.
    reviewed
        Images whose boxes a person has confirmed to be right and complete, also when there are
        none.
    """

    boxes: Boxes = field(default_factory=Boxes.empty)
    deleted: Boxes = field(default_factory=Boxes.empty)
    searched: frozenset[int] = frozenset()
    next_id: int = 1
    reviewed: frozenset[int] = frozenset()

    def is_searched(self, image_count: int) -> bool:
        """Return whether the detector has seen all images of a sample that has so many."""
        return self.searched.issuperset(range(image_count))


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows of a sample's cells, those that a person deleted among them.

    Attributes
    ----------
    boxes
        The (n,) cells, by cell_id.
    deleted
        (n,) bool, whether a person deleted it.
    """

    boxes: Boxes
    deleted: Mask

    @classmethod
    def of(cls, annotations: Annotations) -> Cells:
        """Return all cells of a sample."""
        parts = (annotations.boxes, annotations.deleted)
        deleted = np.repeat([False, True], [len(part) for part in parts])
        joined = Boxes.concatenate(parts)
        order = np.argsort(joined.cell_id, kind="stable")
        return cls(joined[order], deleted[order])

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Mask | Int64Array) -> Cells:
        """Return the rows of a mask or of positions."""
        return Cells(self.boxes[rows], self.deleted[rows])

    def on_images(self, positions: Sequence[int | None]) -> Cells:
        """Return the same cells where their images lie elsewhere in the sample."""
        index = [positions[image] for image in self.boxes.image_index.tolist()]
        return Cells(replace(self.boxes, image_index=np.array(index, dtype=np.int32)), self.deleted)

    def without(self, others: Cells) -> Cells:
        """Return the rows that `others` does not have just so."""
        return self[~self._is_in(others)] if len(others) else self

    def _is_in(self, others: Cells) -> Mask:
        """Return which rows `others`, of which there are some, has just so."""
        places = np.searchsorted(others.boxes.cell_id, self.boxes.cell_id)
        places = np.minimum(places, len(others) - 1)
        same = self.deleted == others.deleted[places]
        for column in fields(Boxes):
            mine, theirs = getattr(self.boxes, column.name), getattr(others.boxes, column.name)
            equal = mine == theirs[places]
            same &= np.all(equal, axis=tuple(range(1, equal.ndim)))
        return np.asarray(same)


@dataclass(frozen=True, eq=False)
class Edit:
    """One step of undo: a drag, the deletion of several boxes, a detection.

    Attributes
    ----------
    title
        What was done, in a person's words.
    before, after
        The rows that it took away or changed, and what stands there since.
    searched_before, searched_after, reviewed_before, reviewed_after
        The same of `Annotations.searched` and `Annotations.reviewed`.
    uid
        Names it in the journal, and in other people's copies of it.
    """

    title: str
    before: Cells
    after: Cells
    searched_before: frozenset[int] = frozenset()
    searched_after: frozenset[int] = frozenset()
    reviewed_before: frozenset[int] = frozenset()
    reviewed_after: frozenset[int] = frozenset()
    uid: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def between(cls, title: str, old: Annotations, new: Annotations) -> Edit:
        """Return the edit that makes `new` of `old`."""
        old_boxes, new_boxes = _where_they_differ(old.boxes, new.boxes)
        old_cells = Cells.of(replace(old, boxes=old_boxes))
        new_cells = Cells.of(replace(new, boxes=new_boxes))
        return cls(
            title,
            old_cells.without(new_cells),
            new_cells.without(old_cells),
            old.searched,
            new.searched,
            old.reviewed,
            new.reviewed,
        )

    @property
    def inverse(self) -> Edit:
        """The edit that takes this one back."""
        return Edit(
            self.title,
            self.after,
            self.before,
            self.searched_after,
            self.searched_before,
            self.reviewed_after,
            self.reviewed_before,
            self.uid,
        )

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to take back."""
        return bool(
            len(self.before)
            or len(self.after)
            or self.searched_before != self.searched_after
            or self.reviewed_before != self.reviewed_after
        )

    @property
    def images(self) -> frozenset[int]:
        """The images that it changes."""
        cells = np.concatenate([self.before.boxes.image_index, self.after.boxes.image_index])
        flags = (self.searched_before ^ self.searched_after) | (
            self.reviewed_before ^ self.reviewed_after
        )
        return frozenset(cells.tolist()) | flags

    def on_images(self, positions: Sequence[int | None]) -> Edit | None:
        """Return the edit for a sample whose images have been added to, or taken from, since.

        Parameters
        ----------
        positions
            Where each image of then is now; None for one that has gone.

        Returns
        -------
        Edit or None
            None if it changes an image that has gone.
        """
        if any(positions[image] is None for image in self.images):
            return None
        return replace(
            self,
            before=self.before.on_images(positions),
            after=self.after.on_images(positions),
            searched_before=_moved(self.searched_before, positions),
            searched_after=_moved(self.searched_after, positions),
            reviewed_before=_moved(self.reviewed_before, positions),
            reviewed_after=_moved(self.reviewed_after, positions),
        )

    def applied_to(self, annotations: Annotations) -> Annotations:
        """Return annotations after this edit, which was made of just these."""
        boxes = self._put_into(annotations.boxes, self.after.boxes[~self.after.deleted])
        deleted = self._put_into(annotations.deleted, self.after.boxes[self.after.deleted])
        return replace(
            annotations,
            boxes=boxes,
            deleted=deleted,
            searched=_changed(annotations.searched, self.searched_before, self.searched_after),
            next_id=max(annotations.next_id, boxes.next_id, deleted.next_id),
            reviewed=_changed(annotations.reviewed, self.reviewed_before, self.reviewed_after),
        )

    def _put_into(self, boxes: Boxes, fresh: Boxes) -> Boxes:
        """Return boxes without those that this edit takes away, and with fresh ones."""
        kept = boxes[~np.isin(boxes.cell_id, self.before.boxes.cell_id)]
        return Boxes.concatenate([kept, fresh]).in_order()


def _where_they_differ(old: Boxes, new: Boxes) -> tuple[Boxes, Boxes]:
    """Return two samples' cells without the same rows that both begin and end with.

    A correction changes few of 100,000 cells: only those are to be compared one by one.
    """
    both = min(len(old), len(new))
    begin = _count_leading(_are_same(old, new, slice(both), slice(both)))
    rest = both - begin
    last = slice(len(old) - rest, None), slice(len(new) - rest, None)
    end = _count_leading(_are_same(old, new, *last)[::-1])
    return old[begin : len(old) - end], new[begin : len(new) - end]


def _are_same(old: Boxes, new: Boxes, old_rows: slice, new_rows: slice) -> Mask:
    """Return which of as many rows of two samples' cells are the same."""
    same = np.ones(len(old.cell_id[old_rows]), dtype=bool)
    for column in fields(Boxes):
        equal = getattr(old, column.name)[old_rows] == getattr(new, column.name)[new_rows]
        same &= np.all(equal, axis=tuple(range(1, equal.ndim)))
    return same


def _count_leading(mask: Mask) -> int:
    """Return with how many true values a mask begins."""
    return len(mask) if mask.all() else int(np.argmin(mask))


def _moved(images: frozenset[int], positions: Sequence[int | None]) -> frozenset[int]:
    places = (positions[image] for image in images)
    return frozenset(place for place in places if place is not None)


def _changed(now: frozenset[int], before: frozenset[int], after: frozenset[int]) -> frozenset[int]:
    """Return a set of images after a change, which says nothing of images added since."""
    return (now - (before - after)) | (after - before)
