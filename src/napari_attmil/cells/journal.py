"""The tables of `annotations.sqlite`, how edits are written in them, and older versions' change."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.edits import Cells, Edit
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Place = tuple[str, int]
"""An image in the file: its name, relative to the project, and its page."""
SCHEMA_VERSION: Final = 2
DONE, UNDONE, DROPPED = 0, 1, 2
"""States of an edit: in force, taken back, or taken back and followed by another one."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS images (
    image TEXT NOT NULL, page INTEGER NOT NULL, detected INTEGER NOT NULL, next_id INTEGER NOT NULL,
    PRIMARY KEY (image, page)
);
CREATE TABLE IF NOT EXISTS cells (
    image TEXT NOT NULL, page INTEGER NOT NULL, cell_id INTEGER NOT NULL,
    x_min REAL NOT NULL, y_min REAL NOT NULL, x_max REAL NOT NULL, y_max REAL NOT NULL,
    score REAL NOT NULL, source INTEGER NOT NULL, deleted INTEGER NOT NULL
);
"""
_VERSION_1_TO_2: Final = """
DROP INDEX IF EXISTS cells_of_image;
CREATE UNIQUE INDEX cell ON cells (image, page, cell_id);
ALTER TABLE cells ADD edit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD reviewed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE edits (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, frames TEXT NOT NULL,
    sample TEXT NOT NULL, title TEXT NOT NULL, author TEXT NOT NULL, made_by TEXT NOT NULL,
    made_at TEXT NOT NULL, state INTEGER NOT NULL, content TEXT NOT NULL
);
CREATE INDEX edits_of_frames ON edits (frames, number);
CREATE TABLE versions (frames TEXT PRIMARY KEY, version INTEGER NOT NULL);
"""


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or change those of an older version after a copy has been put aside.

    Raises
    ------
    UserError
        If the file is of a newer version.
    sqlite3.Error
        If the file is no database or cannot be written.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise UserError(f"{path} was written by a newer napari-attmil; update this one to open it.")
    if version == SCHEMA_VERSION:
        return
    if version:
        _back_up(connection, path.with_name(f"{path.stem}-version-{version}{path.suffix}"))
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES} {_VERSION_1_TO_2} "
        f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
    # Readers and the writer then do not wait for each other; where a drive cannot do that,
    # SQLite stays with its slower way, which is as safe.
    connection.execute("PRAGMA journal_mode = WAL")


def write_cells(
    connection: sqlite3.Connection, places: Sequence[Place], edit: Edit, number: int
) -> None:
    """Bring cells, reviewed and detected flags to what an edit has made of them."""
    gone = edit.before.boxes
    connection.executemany(
        "DELETE FROM cells WHERE image = ? AND page = ? AND cell_id = ?",
        [
            (*places[index], cell_id)
            for index, cell_id in zip(gone.image_index.tolist(), gone.cell_id.tolist(), strict=True)
        ],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*places[row[1]], row[0], *row[2:], number) for row in rows_of(edit.after)],
    )
    for images, flag in (
        (edit.reviewed_after - edit.reviewed_before, 1),
        (edit.reviewed_before - edit.reviewed_after, 0),
    ):
        connection.executemany(
            "UPDATE images SET reviewed = ? WHERE image = ? AND page = ?",
            [(flag, *places[index]) for index in images],
        )


def edit_to_text(edit: Edit) -> str:
    """Return all of an edit but its title as JSON."""
    return json.dumps(
        {
            "before": rows_of(edit.before),
            "after": rows_of(edit.after),
            "detected": [edit.detected_before, edit.detected_after],
            "reviewed": [sorted(edit.reviewed_before), sorted(edit.reviewed_after)],
        }
    )


def edit_from_text(title: str, text: str) -> Edit:
    """Return the edit that `edit_to_text` was given."""
    content = json.loads(text)
    detected, reviewed = content["detected"], content["reviewed"]
    return Edit(
        title,
        cells_of(content["before"]),
        cells_of(content["after"]),
        detected[0],
        detected[1],
        frozenset(reviewed[0]),
        frozenset(reviewed[1]),
    )


def rows_of(cells: Cells) -> list[list[Any]]:
    """Return plain rows: cell_id, image_index, the four of xyxy, score, source, deleted."""
    boxes = cells.boxes
    columns = (boxes.cell_id, boxes.image_index, *boxes.xyxy.T, boxes.score, boxes.source)
    values = [column.tolist() for column in (*columns, cells.deleted.astype(int))]
    return [list(row) for row in zip(*values, strict=True)]


def cells_of(rows: Iterable[Sequence[float]]) -> Cells:
    """Return the cells of such rows."""
    listed = list(rows)
    table = np.array(listed, dtype=np.float64).reshape(len(listed), 9)
    boxes = Boxes(
        cell_id=table[:, 0].astype(np.int64),
        image_index=table[:, 1].astype(np.int32),
        xyxy=table[:, 2:6].astype(np.float32),
        score=table[:, 6].astype(np.float32),
        source=table[:, 7].astype(np.uint8),
    )
    return Cells(boxes, table[:, 8].astype(bool))


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    if not path.exists():
        with contextlib.closing(sqlite3.connect(path)) as copy:
            connection.backup(copy)
