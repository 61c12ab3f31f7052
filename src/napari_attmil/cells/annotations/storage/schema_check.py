"""Whether a database is an `annotations.sqlite`, and which version of it."""

from __future__ import annotations

import contextlib
import sqlite3
from functools import cache
from pathlib import Path
from typing import Final

from napari_attmil.core import UserError

Columns = dict[str, tuple[str, ...]]
"""The columns of each table, by its name."""

REPAIR: Final = "run `attmil repair` on the study's folder, or put a copy of yours in its place"


def refuse_empty(path: Path) -> None:
    """Raise UserError where a failed copy or a full disk has left nothing of a file."""
    if path.exists() and not path.stat().st_size:
        raise UserError(
            f"{path} is empty (0 bytes), so it is damaged, not new; nothing was written to it: "
            f"{REPAIR}."
        )


def check_schema(
    connection: sqlite3.Connection, path: Path | None, changes: tuple[str, ...]
) -> int:
    """Return the version of a database; 0 if it has no tables yet.

    Parameters
    ----------
    connection
        To the database.
    path
        For messages.
    changes
        The statements that make the tables of each version of those of the one before.

    Raises
    ------
    UserError
        If the file is of a newer version, lacks tables, or holds what would run when it is read
        or written: triggers, views, virtual tables, computed columns.
    """
    connection.execute("PRAGMA trusted_schema = OFF")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(changes):
        raise UserError(f"{path} was written by a newer napari-attmil; update this one to open it.")
    (foreign,) = connection.execute(
        "SELECT group_concat(name, ', ') FROM sqlite_master WHERE type IN ('trigger', 'view') "
        "OR sql LIKE 'CREATE VIRTUAL%'"
    ).fetchone()
    found = columns_of(connection)
    if foreign:
        raise _stranger(path, f"it holds {foreign}, which this program never makes")
    if not version:  # A dump that was read in again has lost its version, not its tables.
        fitting = [n for n in range(1, len(changes) + 1) if _has(found, _known(changes[:n]))]
        version = max(fitting, default=0)
        if found and not version:
            raise _stranger(path, "its tables are others")
    elif not _has(found, _known(changes[:version])):
        raise _stranger(path, "tables or columns are missing")
    return int(version)


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Raise UserError if the pages of a database do not hold together."""
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        reason = " ".join(verdict.split())
        raise UserError(
            f"The boxes kept in {path} could not be read: it is damaged ({reason}); {REPAIR}."
        )


def _has(found: Columns, known: Columns) -> bool:
    return all(found.get(table) == columns for table, columns in known.items())


@cache
def _known(changes: tuple[str, ...]) -> Columns:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("".join(changes))
        return columns_of(connection)


def columns_of(connection: sqlite3.Connection) -> Columns:
    """Return the columns of each table of a database."""
    columns: Columns = {}
    for table, column, hidden in connection.execute(
        "SELECT t.name, c.name, c.hidden FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c "
        "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    ):
        name = f"{column} (computed)" if hidden else column
        columns[table] = (*columns.get(table, ()), name)
    return columns


def _stranger(path: Path | None, reason: str) -> UserError:
    return UserError(
        f"The boxes kept in {path} could not be read: this program did not write it so, {reason}. "
        f"If it is yours, {REPAIR}."
    )
