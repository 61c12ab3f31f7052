"""One edit of a sample's annotations as a value: the rows it removed and those it added."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.annotations.notes import NO_NOTES, NOT_A_CELL, SAMPLE, cells_with_tag
from napari_attmil.cells.boxes import Boxes, are_same_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.cells.annotations.notes import Notes
    from napari_attmil.core import Int64Array

Mask = npt.NDArray[np.bool_]
Rows = slice | npt.NDArray[np.intp]


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
    notes
        What is noted about cells, deleted ones among them, and about the sample.
    """

    boxes: Boxes = field(default_factory=Boxes.empty)
    deleted: Boxes = field(default_factory=Boxes.empty)
    searched: frozenset[int] = frozenset()
    next_id: int = 1
    reviewed: frozenset[int] = frozenset()
    notes: Notes = field(default_factory=dict)

    @property
    def cells(self) -> Boxes:
        """The boxes that are cells: those that nobody has tagged as "not a cell"."""
        return self.cells_among(self.boxes)

    def cells_among(self, boxes: Boxes) -> Boxes:
        """Return boxes of the sample without those that are tagged as "not a cell"."""
        others = cells_with_tag(self.notes, NOT_A_CELL)
        return boxes[~np.isin(boxes.cell_id, others)] if others else boxes

    def with_free_id(self) -> Self:
        """Return the same with a `next_id` that no cell has."""
        return replace(self, next_id=max(self.next_id, self.boxes.next_id, self.deleted.next_id))

    def is_searched(self, image_count: int) -> bool:
        """Return whether the detector has seen all images of a sample."""
        return self.searched.issuperset(range(image_count))


AnyAnnotations = TypeVar("AnyAnnotations", bound=Annotations)


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
        return cls.joined(annotations.boxes, annotations.deleted)

    @classmethod
    def joined(cls, *parts: Boxes) -> Cells:
        """Return boxes that are there and deleted ones as one."""
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
        """Return the same cells where their images lie elsewhere; without those of images gone."""
        moved = [positions[image] for image in self.boxes.image_index.tolist()]
        kept = self[np.array([place is not None for place in moved], dtype=bool)]
        index = np.array([place for place in moved if place is not None], dtype=np.int32)
        return Cells(replace(kept.boxes, image_index=index), kept.deleted)

    def without(self, others: Cells) -> Cells:
        """Return the rows that `others` does not contain unchanged."""
        return self[~self._is_in(others)] if len(others) else self

    def _is_in(self, others: Cells) -> Mask:
        """Return which rows `others`, which is not empty, contains unchanged."""
        places = np.searchsorted(others.boxes.cell_id, self.boxes.cell_id)
        places = np.minimum(places, len(others) - 1)
        same = _are_same(self.boxes, others.boxes, slice(None), places)
        return np.asarray(same & (self.deleted == others.deleted[places]))


@dataclass(frozen=True, eq=False)
class Content:
    """What an edit takes away, or what it puts there.

    Attributes
    ----------
    cells
        The cells that it changes.
    searched, reviewed
        All of `Annotations.searched` and `Annotations.reviewed`.
    notes
        The notes that it changes.
    """

    cells: Cells
    searched: frozenset[int] = frozenset()
    reviewed: frozenset[int] = frozenset()
    notes: Notes = field(default_factory=dict)

    @property
    def present_ids(self) -> Int64Array:
        """Ids of those of its cells that are not deleted."""
        return self.cells.boxes.cell_id[~self.cells.deleted]

    def on_images(self, positions: Sequence[int | None]) -> Content:
        """Return the same where the images lie elsewhere; without what was in images gone."""
        return Content(
            self.cells.on_images(positions),
            _moved(self.searched, positions),
            _moved(self.reviewed, positions),
            {
                cell: replace(note, image_index=(cell and positions[note.image_index]) or 0)
                for cell, note in self.notes.items()
                if cell == SAMPLE or positions[note.image_index] is not None
            },
        )


def new_uid() -> str:
    """Return a name that nothing else has, on any computer."""
    return uuid.uuid4().hex


@dataclass(frozen=True, eq=False)
class Edit:
    """One step of undo: a drag, the deletion of several boxes, a detection.

    Attributes
    ----------
    title
        What was done, in a person's words.
    before, after
        What it takes away or changes, and what stands there since.
    uid
        Names it in the journal, and in other people's copies of it.
    step
        Name of the step of undo that it is part of: of edits of several samples that were made
        at once. Empty if it is one by itself.
    automatic
        Whether *Undo* leaves it in force: the program made it without being asked, as when it
        looks ahead, or it is other people's work that a merge brought.
    settled
        Whether it only takes back another one which later edits had overtaken.
    author
        Who made it; empty for the person at the computer.
    """

    title: str
    before: Content
    after: Content
    uid: str = field(default_factory=new_uid)
    step: str = ""
    automatic: bool = False
    settled: bool = False
    author: str = ""

    @classmethod
    def between(cls, title: str, old: Annotations, new: Annotations) -> Edit:
        """Return the edit that makes `new` of `old`."""
        old_boxes, new_boxes = _where_they_differ(old.boxes, new.boxes)
        old_cells = Cells.joined(old_boxes, old.deleted)
        new_cells = Cells.joined(new_boxes, new.deleted)
        old_notes, new_notes = (
            _other_notes(old.notes, new.notes),
            _other_notes(new.notes, old.notes),
        )
        return cls(
            title,
            Content(old_cells.without(new_cells), old.searched, old.reviewed, old_notes),
            Content(new_cells.without(old_cells), new.searched, new.reviewed, new_notes),
        )

    @property
    def inverse(self) -> Edit:
        """The edit that takes this one back."""
        return replace(self, before=self.after, after=self.before)

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self.images or self.before.notes or self.after.notes)

    @property
    def images(self) -> frozenset[int]:
        """The images that it changes."""
        before, after = self.before, self.after
        of_cells = [part.cells.boxes.image_index for part in (before, after)]
        flags = (before.searched ^ after.searched) | (before.reviewed ^ after.reviewed)
        noted = {**before.notes, **after.notes}
        of_notes = [note.image_index for cell, note in noted.items() if cell != SAMPLE]
        return flags.union(np.concatenate(of_cells).tolist(), of_notes)

    def on_images(
        self, positions: Sequence[int | None], is_part_enough: bool = False
    ) -> Edit | None:
        """Return the edit for a sample whose images have been added to, or taken from, since.

        Parameters
        ----------
        positions
            Where each image of then is now; None for one that has gone.
        is_part_enough
            Whether to return what it changes in the images that are there, if in any.

        Returns
        -------
        Edit or None
            None if it changes an image that has gone.
        """
        gone = [image for image in self.images if positions[image] is None]
        if gone and (not is_part_enough or len(gone) == len(self.images)):
            return None
        before, after = self.before.on_images(positions), self.after.on_images(positions)
        return replace(self, before=before, after=after)

    def applied_to(self, annotations: AnyAnnotations) -> AnyAnnotations:
        """Return annotations after this edit, which was made to these very annotations."""
        fresh, before, after = self.after.cells, self.before, self.after
        return replace(
            annotations,
            boxes=self._put_into(annotations.boxes, fresh.boxes[~fresh.deleted]),
            deleted=self._put_into(annotations.deleted, fresh.boxes[fresh.deleted]),
            searched=_changed(annotations.searched, before.searched, after.searched),
            reviewed=_changed(annotations.reviewed, before.reviewed, after.reviewed),
            notes=self._noted(annotations.notes),
        ).with_free_id()

    def fits(self, annotations: Annotations) -> bool:
        """Return whether all that it changes is still as it was before it."""
        here, before, after = annotations, self.before, self.after
        return (
            not self._misfits(annotations)
            and _has_flags(here.searched, before.searched, after.searched)
            and _has_flags(here.reviewed, before.reviewed, after.reviewed)
            and all(here.notes.get(cell) == before.notes.get(cell) for cell in self._noted_cells)
        )

    def where_it_fits(self, annotations: Annotations) -> Edit:
        """Return the part of it that later edits have not overtaken.

        Cells, flags and notes that were changed since stay as they are; so does a deletion where
        another box has been drawn on the cell since.
        """
        misfits = self._misfits(annotations) | self.doubling(annotations)
        notes = annotations.notes
        noted = [
            cell for cell in self._noted_cells if notes.get(cell) == self.before.notes.get(cell)
        ]
        before, after = (
            replace(
                content,
                cells=content.cells[~np.isin(content.cells.boxes.cell_id, list(misfits))],
                notes={cell: note for cell, note in content.notes.items() if cell in noted},
            )
            for content in (self.before, self.after)
        )
        return Edit(self.title, before, after)

    def doubling(self, annotations: Annotations) -> set[int]:
        """Return the ids of boxes that it would put on cells that already have another one."""
        new = self.after.cells
        new = new[~new.deleted & ~np.isin(new.boxes.cell_id, self.before.present_ids)]
        there = annotations.boxes[~np.isin(annotations.boxes.cell_id, new.boxes.cell_id)]
        return set(new.boxes.cell_id[are_same_cells(new.boxes, there)].tolist())

    def _misfits(self, annotations: Annotations) -> set[int]:
        """Return the ids of its cells that are not as they were before it."""
        before = self.before.cells
        ids = np.union1d(before.boxes.cell_id, self.after.cells.boxes.cell_id)
        both = (annotations.boxes, annotations.deleted)
        now = Cells.joined(*(part[np.isin(part.cell_id, ids)] for part in both))
        others = (now.without(before), before.without(now))
        return {cell for part in others for cell in part.boxes.cell_id.tolist()}

    @property
    def _noted_cells(self) -> set[int]:
        return {*self.before.notes, *self.after.notes}

    def _noted(self, notes: Notes) -> Notes:
        """Return notes after this edit."""
        changed = self._noted_cells
        if not changed:
            return notes
        return {c: note for c, note in notes.items() if c not in changed} | {**self.after.notes}

    def _put_into(self, boxes: Boxes, fresh: Boxes) -> Boxes:
        """Return boxes without those that this edit takes away, and with fresh ones.

        The very same boxes if there are none, so that what was computed of them is still known.
        """
        taken = np.isin(boxes.cell_id, self.before.cells.boxes.cell_id)
        if not taken.any() and not len(fresh):
            return boxes
        return Boxes.concatenate([boxes[~taken], fresh]).in_order()


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


def _are_same(old: Boxes, new: Boxes, old_rows: Rows, new_rows: Rows) -> Mask:
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


def _has_flags(now: frozenset[int], before: frozenset[int], after: frozenset[int]) -> bool:
    """Return whether the images whose flag an edit changes are as they were before it."""
    return before - after <= now and not (after - before) & now


def _other_notes(notes: Notes, others: Notes) -> Notes:
    """Return the notes that `others` does not contain unchanged."""
    if notes is others:
        return NO_NOTES
    return {cell: note for cell, note in notes.items() if others.get(cell) != note}
