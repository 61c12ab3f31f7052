"""How edits are written in the tables of `annotations.sqlite`."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_attmil.cells.annotations.edits import Cells, Content, Edit
from napari_attmil.cells.annotations.notes import SAMPLE, notes_of, rows_of_notes
from napari_attmil.cells.annotations.storage import digests_of_edits, row_digest
from napari_attmil.cells.boxes import Boxes, Source

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_attmil.images import Sample

Place = tuple[str, int]
"""An image in the file: its name, relative to the project, and its page."""
DONE, UNDONE, DROPPED, MERGED = 0, 1, 2, 3
"""States of an edit: in force, taken back, taken back and followed by another one, or another
person's, which came in with a merge."""
ALL_STATES = (DONE, UNDONE, DROPPED, MERGED)

_SOURCES = tuple(map(int, Source))


class PlaceNames:
    """What images are called in a file: relative to its folder, so that this can be moved.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Path, str] = {}

    @cached_property
    def folder(self) -> Path:
        """The folder of the file, without links."""
        return self._path.parent.resolve()

    def places(self, sample: Sample) -> list[Place]:
        """Return the places of a sample's images."""
        return [(self._name(frame.path), frame.page) for frame in sample.frames]

    def _name(self, image: Path) -> str:
        if image not in self._known:
            path = image.resolve()
            relative = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
            self._known[image] = relative.as_posix()
        return self._known[image]


class JournalEntry(NamedTuple):
    """One row of the journal, as it goes from file to file."""

    uid: str
    sample: str
    title: str
    author: str
    made_by: str
    made_at: str
    state: int
    content: str

    @property
    def edit(self) -> Edit:
        """What was done."""
        return edit_from_text(self.uid, self.title, self.content)


def frames_key(places: Sequence[Place]) -> str:
    """Return the name under which the edits of a sample with exactly these images are stored."""
    return hashlib.blake2b(repr(list(places)).encode(), digest_size=12).hexdigest()


def note_frames(connection: sqlite3.Connection, places: Sequence[Place]) -> None:
    """Note which images a sample has now, for the day when it has others."""
    key = frames_key(places)
    connection.executemany(
        "INSERT OR IGNORE INTO frame_lists VALUES (?, ?, ?, ?)",
        [(key, index, *place) for index, place in enumerate(places)],
    )


def read_entries(
    connection: sqlite3.Connection,
    places: Sequence[Place],
    states: Iterable[int] = ALL_STATES,
    uid: str = "",
    are_parts_enough: bool = False,
) -> list[JournalEntry]:
    """Return the edits of a sample's images, the first one first; only that of a uid, if given.

    Edits that were made while the sample had other images are moved to where its images are now,
    and left out if one of theirs has gone; or, if parts are enough, if all of theirs have.
    """
    lists = _positions(connection, places)
    rows = connection.execute(
        f"SELECT frames, {', '.join(JournalEntry._fields)} FROM edits "
        "WHERE frames IN (SELECT value FROM json_each(?)) "
        "AND state IN (SELECT value FROM json_each(?)) AND (? = '' OR uid = ?) ORDER BY number",
        (json.dumps(list(lists)), json.dumps(list(states)), uid, uid),
    )
    same, digests = list(range(len(places))), digests_of_edits(connection)
    entries = []
    for key, *row in rows:
        entry = JournalEntry(*row)
        if digests.get(entry.uid) != row_digest("edits", key, *row):
            raise ValueError(f"the edit {entry.title!r} is not as it was written")
        if lists[key] == same:
            entries.append(entry)
            continue
        edit = entry.edit.on_images(lists[key], are_parts_enough)
        if edit is not None:
            entries.append(entry._replace(content=edit_to_text(edit)))
    return entries


def drop_undone(connection: sqlite3.Connection, places: Sequence[Place]) -> None:
    """Note that what was taken back cannot be made again: another edit follows."""
    connection.execute(
        "UPDATE edits SET state = ? WHERE state = ? AND frames IN (SELECT value FROM json_each(?))",
        (DROPPED, UNDONE, json.dumps(list(_positions(connection, places)))),
    )


def _positions(
    connection: sqlite3.Connection, places: Sequence[Place]
) -> dict[str, list[int | None]]:
    """Return where the images are now of each list that has one of these among its own."""
    now = {place: index for index, place in enumerate(places)}
    found: dict[str, list[int | None]] = {frames_key(places): list(range(len(places)))}
    rows = connection.execute(
        "SELECT frames, image, page FROM frame_lists WHERE frames IN (SELECT frames FROM "
        "frame_lists WHERE image IN (SELECT value FROM json_each(?))) AND frames != ? "
        "ORDER BY frames, position",
        (json.dumps([name for name, _ in places]), frames_key(places)),
    )
    for key, *place in rows:
        found.setdefault(key, []).append(now.get((place[0], place[1])))
    return found


def write_cells(
    connection: sqlite3.Connection, places: Sequence[Place], edit: Edit, number: int
) -> None:
    """Bring cells and reviewed flags to what an edit has made of them."""
    gone = edit.before.cells.boxes
    connection.executemany(
        "DELETE FROM cells WHERE image = ? AND page = ? AND cell_id = ?",
        [
            (*places[index], cell_id)
            for index, cell_id in zip(gone.image_index.tolist(), gone.cell_id.tolist(), strict=True)
        ],
    )
    connection.executemany(
        "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*places[row[1]], row[0], *row[2:], number) for row in rows_of(edit.after.cells)],
    )
    for images, flag in (
        (edit.after.reviewed - edit.before.reviewed, 1),
        (edit.before.reviewed - edit.after.reviewed, 0),
    ):
        connection.executemany(
            "UPDATE images SET reviewed = ? WHERE image = ? AND page = ?",
            [(flag, *places[index]) for index in images],
        )
    _write_notes(connection, places, edit)


def _write_notes(connection: sqlite3.Connection, places: Sequence[Place], edit: Edit) -> None:
    """Write what is noted now; a sample's note stands with its first image."""
    before, after = edit.before.notes, edit.after.notes
    gone = [
        (*place, cell)
        for cell, note in {**before, **after}.items()
        for place in (places if cell == SAMPLE else [places[note.image_index]])
    ]
    connection.executemany("DELETE FROM notes WHERE image = ? AND page = ? AND cell_id = ?", gone)
    connection.executemany(
        "INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?)",
        [
            (*places[image], cell, json.dumps(tags), text, json.dumps(columns))
            for cell, image, tags, text, columns in rows_of_notes(after)
        ],
    )


def write_step(connection: sqlite3.Connection, edit: Edit) -> None:
    """Write beside the journal how an edit was made, and which images it changes."""
    images = json.dumps(sorted(edit.images))
    connection.execute(
        "INSERT OR REPLACE INTO steps (uid, step, machine, automatic, settled, images) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (edit.uid, edit.step, platform.node(), edit.automatic, edit.settled, images),
    )


def set_of_step(connection: sqlite3.Connection, uid: str, column: str, value: str | int) -> None:
    """Change what stands beside the journal about one edit."""
    connection.execute(
        f"INSERT INTO steps (uid, {column}) VALUES (?, ?) "
        f"ON CONFLICT (uid) DO UPDATE SET {column} = excluded.{column}",
        (uid, value),
    )


def edit_to_text(edit: Edit) -> str:
    """Return all of an edit but its title and uid as JSON."""
    before, after = edit.before, edit.after
    return json.dumps(
        {
            "before": rows_of(before.cells),
            "after": rows_of(after.cells),
            "searched": [sorted(before.searched), sorted(after.searched)],
            "reviewed": [sorted(before.reviewed), sorted(after.reviewed)],
            "notes": [rows_of_notes(before.notes), rows_of_notes(after.notes)],
        }
    )


def edit_from_text(uid: str, title: str, text: str) -> Edit:
    """Return the edit that `edit_to_text` was given."""
    content = json.loads(text)
    # Files of version 2 say of the whole sample only whether it was searched.
    searched, reviewed = content.get("searched", [[], []]), content["reviewed"]
    notes = content.get("notes", [[], []])  # Not in files before version 4.
    before, after = (
        Content(
            cells_of(content[part]),
            frozenset(searched[side]),
            frozenset(reviewed[side]),
            notes_of(notes[side]),
        )
        for side, part in enumerate(("before", "after"))
    )
    return Edit(title, before, after, uid)


def rows_of(cells: Cells) -> list[list[Any]]:
    """Return plain rows: cell_id, image_index, the four of xyxy, score, source, deleted."""
    boxes = cells.boxes
    columns = (boxes.cell_id, boxes.image_index, *boxes.xyxy.T, boxes.score, boxes.source)
    values = [column.tolist() for column in (*columns, cells.deleted.astype(int))]
    return [list(row) for row in zip(*values, strict=True)]


def cells_of(rows: Iterable[Sequence[float]]) -> Cells:
    """Return the cells of such rows; a ValueError if they cannot be such, in a damaged file."""
    listed = list(rows)
    table = np.array(listed, dtype=np.float64).reshape(len(listed), 9)
    if not (np.isfinite(table).all() and np.isin(table[:, 7], _SOURCES).all()):
        raise ValueError("a cell has a value that no cell can have")
    boxes = Boxes(
        # Not by way of floats, in which two numbers beyond 2^53 become one.
        cell_id=np.array([int(row[0]) for row in listed], dtype=np.int64),
        image_index=table[:, 1].astype(np.int32),
        xyxy=table[:, 2:6].astype(np.float32),
        score=table[:, 6].astype(np.float32),
        source=table[:, 7].astype(np.uint8),
    )
    return Cells(boxes, table[:, 8].astype(bool))
