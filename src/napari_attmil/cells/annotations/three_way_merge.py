"""Joins two people's corrections of the same annotations without silently losing any.

Where both changed the same cell in different ways, both boxes remain and the conflict is reported.
A deletion never overrides the other person's confirmed box.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells.annotations.edits import Annotations, Cells
from napari_attmil.cells.annotations.notes import NO_NOTES, Note, joined_notes, with_notes
from napari_attmil.cells.boxes import SAME_BOX_IOU, Boxes, Source, iou_matrix, match_boxes

if TYPE_CHECKING:
    from napari_attmil.cells.annotations.notes import Notes


@dataclass(frozen=True)
class Conflict:
    """One cell about which two people disagree.

    Attributes
    ----------
    image_index
        The image within the sample.
    reason
        What each of them did.
    cell_ids
        The boxes that remain.
    """

    image_index: int
    reason: str
    cell_ids: tuple[int, ...]


def merge_annotations(
    base: Annotations, mine: Annotations, theirs: Annotations
) -> tuple[Annotations, list[Conflict]]:
    """Join two people's annotations of one sample.

    Parameters
    ----------
    base
        What both started from.
    mine, theirs
        What each made of it. Of two cells with one id, the second gets a fresh one.

    Returns
    -------
    Annotations
        All cells; an image stays reviewed where everybody who changed it has confirmed it and
        nothing is in conflict.
    list of Conflict
        The disagreements, for a person to settle.
    """
    joined = _Joined(base, mine, theirs)
    joined.join_known_cells()
    joined.join_new_cells()
    return joined.annotations(), joined.conflicts


class _Joined:
    """The cells of both so far, by cell_id as one-row `Cells`, and the conflicts."""

    def __init__(self, base: Annotations, mine: Annotations, theirs: Annotations) -> None:
        self._sides = mine, theirs
        self._base, self._mine, self._theirs = (Cells.of(side) for side in (base, mine, theirs))
        self._base_notes, self._notes_of = base.notes, (mine.notes, theirs.notes)
        self._ids: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """Under which id each side's cells are kept."""
        self._next_id = max(base.next_id, mine.next_id, theirs.next_id)
        self._kept: dict[int, Cells] = {}
        self._changed = [
            _images_of(side.without(self._base)) | _images_of(self._base.without(side))
            for side in (self._mine, self._theirs)
        ]
        self.conflicts: list[Conflict] = []

    def join_known_cells(self) -> None:
        """Join cells that were there at the start: whoever changed one decides."""
        mine, theirs = _by_id(self._mine), _by_id(self._theirs)
        for cell_id, before in _by_id(self._base).items():
            one, other = mine.get(cell_id), theirs.get(cell_id)
            if _same(other, before):
                self._keep(one)
            elif _same(one, before) or _same(one, other):
                self._keep(other)
            else:
                self._note_ids(one, other, self._settle(one, other))

    def join_new_cells(self) -> None:
        """Join cells that one of them, or both, drew or detected since."""
        known = self._base.boxes.cell_id
        mine = self._mine[~np.isin(self._mine.boxes.cell_id, known)]
        theirs = self._theirs[~np.isin(self._theirs.boxes.cell_id, known)]
        partners = _partners(mine, theirs)
        taken = set(partners.values())
        pairs: list[tuple[Cells | None, Cells | None]] = [
            (_row(mine, row), _row(theirs, partners[row]) if row in partners else None)
            for row in range(len(mine))
        ]
        pairs += [(None, _row(theirs, row)) for row in sorted(set(range(len(theirs))) - taken)]
        for one, other in pairs:
            self._note_ids(one, other, self._join_pair(one, other))

    def annotations(self) -> Annotations:
        """Return the merged annotations."""
        mine, theirs = self._sides
        boxes = Boxes.concatenate([cell.boxes for cell in self._kept.values()])
        deleted = np.array([cell.deleted[0] for cell in self._kept.values()], dtype=bool)
        return Annotations(
            boxes[~deleted].in_order(),
            boxes[deleted].in_order(),
            mine.searched | theirs.searched,
            self._next_id,
            self._reviewed(),
            self._notes(),
        )

    def _reviewed(self) -> frozenset[int]:
        mine, theirs = self._sides
        disputed = frozenset(conflict.image_index for conflict in self.conflicts)
        return frozenset(
            image
            for image in (mine.reviewed | theirs.reviewed) - disputed
            if (image in mine.reviewed or image not in self._changed[0])
            and (image in theirs.reviewed or image not in self._changed[1])
        )

    def _keep(self, cell: Cells | None) -> int:
        """Keep a cell, under a fresh id if another has its own; return the id."""
        if cell is None:
            return 0
        cell_id = int(cell.boxes.cell_id[0])
        if cell_id in self._kept:
            cell_id, self._next_id = self._next_id, self._next_id + 1
            cell = Cells(replace(cell.boxes, cell_id=np.array([cell_id])), cell.deleted)
        self._kept[cell_id] = cell
        return cell_id

    def _note_ids(self, one: Cells | None, other: Cells | None, kept: tuple[int, ...]) -> None:
        """Note under which ids the cells of both sides are kept, or the one in their place."""
        for side, cell, cell_id in zip(self._ids, (one, other), (kept[0], kept[-1]), strict=True):
            if cell is not None:
                side[int(cell.boxes.cell_id[0])] = cell_id

    def _settle(self, one: Cells | None, other: Cells | None) -> tuple[int, ...]:
        """Join two different changes of one cell; return the ids of what remains, mine first."""
        present = [cell for cell in (one, other) if cell is not None and not cell.deleted[0]]
        if not present:
            return (self._keep(one or other),)
        if len(present) == 1:
            return self._dispute(present, "one deleted the cell, the other changed it")
        if _iou(*present) >= SAME_BOX_IOU:
            return (self._keep(_surer(*present)),)
        return self._dispute(present, "both changed the box, differently")

    def _join_pair(self, one: Cells | None, other: Cells | None) -> tuple[int, ...]:
        """Join a new cell of mine with the one of theirs that shows the same, if there is any.

        | mine, theirs | deleted | detected | confirmed |
        |---|---|---|---|
        | deleted | deleted | deleted | disputed |
        | detected | deleted | detected | confirmed |
        | confirmed | disputed | confirmed | the surer; disputed where they differ |
        """
        present = [cell for cell in (one, other) if cell is not None and not cell.deleted[0]]
        confirmed = [cell for cell in present if cell.boxes.source[0] != Source.MODEL]
        if one is None or other is None:
            return (self._keep(one or other),)
        if not present or not confirmed:
            return (self._keep(next((cell for cell in (one, other) if cell.deleted[0]), one)),)
        if len(present) == 1:
            return self._dispute(confirmed, "one deleted the cell, the other confirmed it")
        if len(confirmed) == 2 and _iou(one, other) < SAME_BOX_IOU:
            return self._dispute(confirmed, "both drew the cell, differently")
        return (self._keep(_surer(one, other)),)

    def _dispute(self, cells: list[Cells], reason: str) -> tuple[int, ...]:
        ids = tuple(self._keep(cell) for cell in cells)
        self.conflicts.append(Conflict(int(cells[0].boxes.image_index[0]), reason, ids))
        return ids

    def _notes(self) -> Notes:
        """Return what both noted, each about the cell that it was noted about.

        Of one cell's note that both changed, everything is kept; see `joined_notes`.
        """
        joined: dict[int, Note] = {}
        for side, notes, others in zip(
            self._ids, self._notes_of, self._notes_of[::-1], strict=True
        ):
            for cell, note in notes.items():
                before = self._base_notes.get(cell)
                if note == before and others.get(cell) != before:
                    continue  # The other one has changed or removed it.
                here = side.get(cell, cell)
                joined[here] = _joined(joined.get(here), note, before)
        return with_notes(NO_NOTES, joined)


def _joined(one: Note | None, other: Note, before: Note | None) -> Note:
    """Return a note of one side, if there is any, with the other's; tags that one removed go."""
    if one is None:
        return other
    gone = set(() if before is None else before.tags) - (set(one.tags) & set(other.tags))
    both = joined_notes(one, other)
    return replace(both, tags=tuple(tag for tag in both.tags if tag not in gone))


def _row(cells: Cells, row: int) -> Cells:
    return cells[np.array([row])]


def _by_id(cells: Cells) -> dict[int, Cells]:
    ids = cells.boxes.cell_id.tolist()
    return {cell_id: _row(cells, row) for row, cell_id in enumerate(ids)}


def _images_of(cells: Cells) -> frozenset[int]:
    return frozenset(cells.boxes.image_index.tolist())


def _same(one: Cells | None, other: Cells | None) -> bool:
    if one is None or other is None:
        return one is other
    return not len(one.without(other))


def _surer(one: Cells, other: Cells) -> Cells:
    """Return the cell that a person drew, else the accepted one, else the first."""
    order = (Source.PERSON, Source.ACCEPTED, Source.MODEL)
    return min((one, other), key=lambda cell: order.index(Source(int(cell.boxes.source[0]))))


def _iou(one: Cells, other: Cells) -> float:
    return float(iou_matrix(one.boxes.xyxy, other.boxes.xyxy)[0, 0])


def _partners(mine: Cells, theirs: Cells) -> dict[int, int]:
    """Return which row of theirs shows the same cell as a row of mine."""
    partners = {}
    for image in _images_of(mine) & _images_of(theirs):
        one = np.flatnonzero(mine.boxes.image_index == image)
        other = np.flatnonzero(theirs.boxes.image_index == image)
        pairs = match_boxes(mine.boxes.xyxy[one], theirs.boxes.xyxy[other])
        for row, place in zip(one[pairs >= 0], pairs[pairs >= 0], strict=True):
            partners[int(row)] = int(other[place])
    return partners
