"""A digest of what is stored of each image, by which changes that nobody made are noticed.

Bad disks and failed copies change numbers in pages that still hold together. The digest of an image
is the sum of those of its rows, so that an edit takes as long whatever else the image has.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from napari_attmil.cells.annotations.storage.schema_check import REPAIR
from napari_attmil.core import UserError

if TYPE_CHECKING:
    import sqlite3

Digests = dict[tuple[str, int], int]
"""By an image's name and page."""

_MASK: Final = (1 << 62) - 1
"""Sums stay within SQLite's integers of 64 bits."""
COLUMNS: Final = {
    "cells": ("cell_id", "x_min", "y_min", "x_max", "y_max", "score", "source", "deleted"),
    "images": ("detected", "next_id", "reviewed"),
    "notes": ("cell_id", "tags", "note", "columns"),
    "edits": (
        *("frames", "uid", "sample", "title", "author", "made_by", "made_at", "state"),
        "content",
    ),
}
"""What is covered of each table."""
_EDIT: Final = -1
"""Stands for the page, and an edit's uid for the image, in the digest of a row of the journal."""


def row_digest(*values: object) -> int:
    """Return the digest of a row's values."""
    return int.from_bytes(hashlib.blake2b(repr(values).encode(), digest_size=8).digest()) & _MASK


def keep_digests(connection: sqlite3.Connection) -> None:
    """Have a connection bring digests up to date with each row that it writes.

    The triggers are the connection's own, they are not stored in the file.
    """
    connection.create_function("row_digest", -1, row_digest, deterministic=True)
    # Or rows that INSERT OR REPLACE removes would go unnoticed.
    connection.execute("PRAGMA recursive_triggers = ON")
    for table, columns in COLUMNS.items():
        for event, sides in {"INSERT": "+", "DELETE": "-", "UPDATE": "-+"}.items():
            steps = "".join(_step(table, columns, side) for side in sides)
            connection.execute(
                f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} "
                f"BEGIN {steps} END"
            )


def _step(table: str, columns: Iterable[str], side: str) -> str:
    row = "new" if side == "+" else "old"
    values = ", ".join(f"{row}.{column}" for column in columns)
    image, page = (f"{row}.image", f"{row}.page")
    if table == "edits":
        image, page = f"{row}.uid", str(_EDIT)
    digest = f"{side}row_digest('{table}', {values}) & {_MASK}"
    return (
        f"INSERT INTO checks VALUES ({image}, {page}, {digest}) "
        f"ON CONFLICT DO UPDATE SET digest = (digest + excluded.digest) & {_MASK}; "
    )


def true_digests(connection: sqlite3.Connection, tables: Iterable[str] = COLUMNS) -> Digests:
    """Return the digests of the rows that are there."""
    found: Digests = defaultdict(int)
    for table in tables:
        place = "image, page" if table != "edits" else f"uid, {_EDIT}"
        columns = ", ".join(COLUMNS[table])
        for image, page, *values in connection.execute(f"SELECT {place}, {columns} FROM {table}"):
            key = (image, page)
            found[key] = (found[key] + row_digest(table, *values)) & _MASK
    return dict(found)


def check_digests(connection: sqlite3.Connection, path: object) -> None:
    """Raise UserError, naming an image, where its rows are not as they were written.

    Edits of the journal are checked as they are read; see `digests_of_edits`.
    """
    rows = connection.execute("SELECT image, page, digest FROM checks WHERE page != ?", (_EDIT,))
    stored = {(image, page): digest for image, page, digest in rows}
    true = true_digests(connection, ("cells", "images", "notes"))
    damaged = sorted(
        key for key in stored.keys() | true.keys() if stored.get(key, 0) != true.get(key, 0)
    )
    if damaged:
        raise UserError(
            f"The boxes kept in {path} could not be read: those of {len(damaged)} images, "
            f"{damaged[0][0]} among them, are not as they were written; {REPAIR}."
        )


def digests_of_edits(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the digests that were written with the journal's rows, by the edit's uid."""
    rows = connection.execute("SELECT image, digest FROM checks WHERE page = ?", (_EDIT,))
    return dict(rows)


def write_digests(connection: sqlite3.Connection) -> None:
    """Write the digests of all rows anew, as of a file that had none."""
    connection.execute("DELETE FROM checks")
    rows = [(*key, digest) for key, digest in true_digests(connection).items()]
    connection.executemany("INSERT INTO checks VALUES (?, ?, ?)", rows)
