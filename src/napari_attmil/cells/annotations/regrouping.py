"""Cells of images that were in several samples, made one sample's: no two may have one id.

Ids are unique within a sample. Where images of several samples are put together, those of a later
image are shifted by a multiple of `SHIFT`. That depends on the order of the images alone, so that
what is read, and what the first edit then writes, agree; and so do two people's copies.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.cells.annotations.journal import (
    UNDONE,
    JournalEntry,
    Place,
    frames_key,
    read_entries,
)
from napari_attmil.cells.annotations.notes import SAMPLE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from napari_attmil.cells.annotations.edits import Edit

SHIFT: Final = 1_000_000
"""More than the cells of any image."""

_OF_IMAGES: Final = "image IN (SELECT value FROM json_each(?))"
_CELL_IDS: Final = f"SELECT image, page, cell_id FROM cells WHERE {_OF_IMAGES}"
_EDIT_IDS: Final = tuple(
    "SELECT image, page, json_extract(row.value, '$[0]') "
    f"FROM frame_lists JOIN edits USING (frames), json_each(content, '$.{side}') AS row "
    f"WHERE position = json_extract(row.value, '$[1]') AND state <= {UNDONE} AND {_OF_IMAGES}"
    for side in ("before", "after")
)
"""Of edits that can be undone or redone: their cells need not be there now."""
_EDITS_OF_IMAGES: Final = (
    "SELECT frames, json_extract(content, '$.before'), json_extract(content, '$.after') FROM edits "
    f"WHERE state <= {UNDONE} AND frames IN (SELECT frames FROM frame_lists WHERE {_OF_IMAGES})"
)


def id_shifts(
    places: Sequence[Place],
    ids: Mapping[Place, Iterable[int]],
    moved: Collection[int] = frozenset(),
) -> dict[Place, int]:
    """Return by how much ids of an image's cells are shifted; images that need none are missing.

    Parameters
    ----------
    places
        The images of a sample in their order.
    ids
        The ids of each image's cells as they are stored.
    moved
        Ids that are one cell's although several images have them.
    """
    used: set[int] = set()
    shifts: dict[Place, int] = {}
    for index, place in enumerate(places):
        own = set(ids.get(place, ()))
        if (own & used) - set(moved):
            factor = max(index, 1)
            while {cell + factor * SHIFT for cell in own} & used:
                factor += 1
            shifts[place] = factor * SHIFT
            own = {cell + shifts[place] for cell in own}
        used |= own
    return shifts


def stored_shifts(
    connection: sqlite3.Connection,
    places: Sequence[Place],
    cell_ids: Mapping[Place, Iterable[int]] | None = None,
) -> dict[Place, int]:
    """Return the shifts that a sample needs which has these images now.

    `cell_ids` are those of its cells, which are read if None.
    """
    names = json.dumps([image for image, _ in places])
    ids: dict[Place, set[int]] = {}
    if cell_ids is not None:
        ids = {place: set(cell_ids.get(place, ())) for place in places}
    queries = [_CELL_IDS] if cell_ids is None else []
    # Undone edits of an image that was always in this sample have ids of their own.
    queries += _EDIT_IDS if _were_in_others(connection, places) else ()
    for query in queries:
        for image, page, cell_id in connection.execute(query, (names,)):
            ids.setdefault((image, page), set()).add(int(cell_id))
    shifts = id_shifts(places, ids)
    return id_shifts(places, ids, _moved_cells(connection, places, ids)) if shifts else shifts


def _moved_cells(
    connection: sqlite3.Connection, places: Sequence[Place], ids: Mapping[Place, Collection[int]]
) -> set[int]:
    """Return ids of cells that an edit has moved from one image to another of its sample.

    Such an edit names the same cell in two images. Where a third has its id, that is another cell.
    """
    names, lists = json.dumps([image for image, _ in places]), dict[tuple[str, int], Place]()
    for key, index, *place in connection.execute("SELECT * FROM frame_lists"):
        lists[key, index] = (place[0], place[1])
    between: dict[int, set[Place]] = {}
    for key, *sides in connection.execute(_EDITS_OF_IMAGES, (names,)):
        before, after = ({int(row[0]): int(row[1]) for row in json.loads(side)} for side in sides)
        for cell in before.keys() & after.keys():
            if before[cell] != after[cell]:
                ends = {lists[key, before[cell]], lists[key, after[cell]]}
                between.setdefault(cell, set()).update(ends)
    return {
        cell
        for cell, ends in between.items()
        if ends.issuperset(place for place, own in ids.items() if cell in own)
    }


def _were_in_others(connection: sqlite3.Connection, places: Sequence[Place]) -> bool:
    """Return whether images of a sample were in other samples before."""
    names = json.dumps([image for image, _ in places])
    query = f"SELECT EXISTS (SELECT 1 FROM frame_lists WHERE {_OF_IMAGES} AND frames != ?)"
    (found,) = connection.execute(query, (names, frames_key(places))).fetchone()
    return bool(found)


def shifted_entry(entry: JournalEntry, shifts: Mapping[int, int]) -> JournalEntry:
    """Return an edit whose cells have shifted ids; `shifts` are by the index of their image."""
    content: dict[str, Any] = json.loads(entry.content)
    for row in (*content["before"], *content["after"], *chain(*content.get("notes", ()))):
        if row[0] != SAMPLE:
            row[0] += shifts.get(int(row[1]), 0)
    return entry._replace(content=json.dumps(content))


def entries_of(
    connection: sqlite3.Connection,
    places: Sequence[Place],
    uid: str = "",
    are_parts_enough: bool = False,
) -> list[JournalEntry]:
    """Return the edits of a sample's images, as `read_entries`, with the ids its cells have."""
    entries = read_entries(connection, places, uid=uid, are_parts_enough=are_parts_enough)
    shifts = stored_shifts(connection, places)
    by_index = {index: shifts[place] for index, place in enumerate(places) if place in shifts}
    return [shifted_entry(entry, by_index) for entry in entries] if by_index else entries


def edit_of(connection: sqlite3.Connection, places: Sequence[Place], uid: str) -> Edit | None:
    """Return one edit of a sample as its images are now; None if it, or one of those, has gone."""
    return next((entry.edit for entry in entries_of(connection, places, uid)), None)


def make_ids_unique(connection: sqlite3.Connection, places: Sequence[Place]) -> None:
    """Shift ids in the tables and in all edits of the images, where a sample needs it."""
    shifts = stored_shifts(connection, places)
    if not shifts:
        return
    for place, shift in shifts.items():
        where = "WHERE image = ? AND page = ?"
        # By way of negative ids: row by row, one would meet another that is not shifted yet.
        for table in ("cells", "notes"):
            ids = f"{where} AND cell_id > {SAMPLE}"
            connection.execute(f"UPDATE {table} SET cell_id = -cell_id - ? {ids}", (shift, *place))
            connection.execute(
                f"UPDATE {table} SET cell_id = -cell_id {where} AND cell_id < {SAMPLE}", place
            )
        connection.execute(f"UPDATE images SET next_id = next_id + ? {where}", (shift, *place))
    for key, by_index in _lists_with(connection, shifts).items():
        _shift_edits(connection, key, by_index)
        if key != frames_key(places):
            # Whoever still has the former samples open would write ids that are no more.
            connection.execute("UPDATE versions SET version = version + 1 WHERE frames = ?", (key,))


def _lists_with(
    connection: sqlite3.Connection, shifts: Mapping[Place, int]
) -> dict[str, dict[int, int]]:
    """Return, for each list of images with some of these, the shifts by the images' index."""
    found: dict[str, dict[int, int]] = {}
    for place, shift in shifts.items():
        for key, index in connection.execute(
            "SELECT frames, position FROM frame_lists WHERE image = ? AND page = ?", place
        ):
            found.setdefault(key, {})[index] = shift
    return found


def _shift_edits(connection: sqlite3.Connection, key: str, shifts: Mapping[int, int]) -> None:
    rows = connection.execute(
        f"SELECT {', '.join(JournalEntry._fields)} FROM edits WHERE frames = ?", (key,)
    ).fetchall()
    connection.executemany(
        "UPDATE edits SET content = ? WHERE uid = ?",
        [
            (shifted_entry(entry, shifts).content, entry.uid)
            for entry in map(JournalEntry._make, rows)
        ],
    )
