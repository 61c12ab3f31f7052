"""Another person's copy of annotations, with the ids that the same cells have in one's own.

Ids change where images of several samples become one sample's (see `regrouping`). Where only one of
two people has done so, or their cells differ, the same cell has two ids. The edits that both copies
share say which.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.cells.annotations.edits import Annotations, Cells
from napari_attmil.cells.annotations.notes import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_attmil.cells.annotations.journal import JournalEntry
    from napari_attmil.cells.boxes import Boxes

_Place = tuple[int, int]
"""The index of an image, and an id of a cell in it."""


def with_ids_of(
    mine: Annotations,
    my_entries: Sequence[JournalEntry],
    theirs: Annotations,
    their_entries: Sequence[JournalEntry],
) -> tuple[Annotations, Sequence[JournalEntry]]:
    """Return another person's annotations and edits with the ids that their cells have in mine.

    Cells that only they have keep their ids, or get ones that no cell of mine has.
    """
    same = _same_cells(my_entries, their_entries)
    if all(cell == mine_id for (_, cell), mine_id in same.items()):
        return theirs, their_entries
    used = {cell for _, cell in _places(mine, my_entries)} | {*same.values()}
    next_id = max(mine.next_id, theirs.next_id, max(used, default=0) + 1)
    for place in _places(theirs, their_entries):
        if place not in same:
            same[place] = next_id if place[1] in used else place[1]
            next_id += same[place] == next_id
            used.add(same[place])
    entries = [_renumbered_entry(entry, same) for entry in their_entries]
    notes = {
        cell and same.get((note.image_index, cell), cell): note
        for cell, note in theirs.notes.items()
    }
    boxes, deleted = (_renumbered(part, same) for part in (theirs.boxes, theirs.deleted))
    renumbered = replace(theirs, boxes=boxes, deleted=deleted, notes=notes, next_id=next_id)
    return renumbered, entries


def _same_cells(
    my_entries: Iterable[JournalEntry], their_entries: Iterable[JournalEntry]
) -> dict[_Place, int]:
    """Return the ids in mine of cells of the edits that both have."""
    mine = {entry.uid: entry for entry in my_entries}
    same: dict[_Place, int] = {}
    for entry in their_entries:
        if entry.uid in mine:
            pairs = zip(_rows(mine[entry.uid]), _rows(entry), strict=False)
            same |= {(row[1], row[0]): my_row[0] for my_row, row in pairs if my_row[1] == row[1]}
    return same


def _rows(entry: JournalEntry) -> Iterator[list[Any]]:
    content = json.loads(entry.content)
    return chain(content["before"], content["after"])


def _places(annotations: Annotations, entries: Iterable[JournalEntry]) -> Iterator[_Place]:
    """Yield the cells that there are and those that edits speak of."""
    boxes = Cells.of(annotations).boxes
    yield from zip(boxes.image_index.tolist(), boxes.cell_id.tolist(), strict=True)
    for entry in entries:
        yield from ((row[1], row[0]) for row in _rows(entry))


def _renumbered(boxes: Boxes, same: Mapping[_Place, int]) -> Boxes:
    places = zip(boxes.image_index.tolist(), boxes.cell_id.tolist(), strict=True)
    ids = np.array([same[place] for place in places], dtype=np.int64)
    return replace(boxes, cell_id=ids).in_order()


def _renumbered_entry(entry: JournalEntry, same: Mapping[_Place, int]) -> JournalEntry:
    content: dict[str, Any] = json.loads(entry.content)
    for row in (*content["before"], *content["after"], *chain(*content.get("notes", ()))):
        if row[0] != SAMPLE:
            row[0] = same.get((row[1], row[0]), row[0])
    return entry._replace(content=json.dumps(content))
