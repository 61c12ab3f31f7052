"""The file `annotations.sqlite`: its tables, how it is opened, and how an older one is changed."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from napari_attmil.core import UserError

SCHEMA_VERSION: Final = 3
WAIT_S: Final = 5.0
"""Another process that is writing is waited for so long."""

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
_VERSION_2_TO_3: Final = """
CREATE TABLE frame_lists (
    frames TEXT NOT NULL, position INTEGER NOT NULL, image TEXT NOT NULL, page INTEGER NOT NULL,
    PRIMARY KEY (frames, position)
);
CREATE INDEX frame_lists_of_image ON frame_lists (image);
"""
_CHANGES: Final = (_TABLES, _VERSION_1_TO_2, _VERSION_2_TO_3)
"""What makes the tables of each version of those of the one before."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are on the disk when they return.

    The file is made if it is missing; one of an older version is changed, after a copy of it has
    been put aside.

    Raises
    ------
    UserError
        If the file is of a newer version.
    sqlite3.Error, OSError
        If it is no database or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return _made_ready(_connected(path), path)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that is there, also where nothing can be written.

    A file of an older version is not changed: the connection is to an upgraded copy in memory.

    Raises
    ------
    UserError, sqlite3.Error, OSError
        As `open_for_writing`.
    """
    try:
        connection = _connected(path)
        if _is_older(connection):
            return _in_memory(connection)
        return _made_ready(connection, path)
    except (sqlite3.OperationalError, OSError) as error:
        if _is_in_use(error):
            raise
    return read_into_memory(path)


def read_into_memory(path: Path) -> sqlite3.Connection:
    """Return a copy in memory of a file whose folder nothing can be written to.

    Raises
    ------
    UserError, sqlite3.Error, OSError
        If the file is of a newer version, no database, or cannot be read.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        # A process that was killed left edits in the log: SQLite needs room to take them over.
        with tempfile.TemporaryDirectory() as folder:
            for part in (path, log):
                shutil.copy(part, folder)
            copy = Path(folder) / path.name
            return _in_memory(sqlite3.connect(copy))
    # There is no room for the files of WAL, and nobody changes what is there.
    return _in_memory(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True))


def _connected(path: Path) -> sqlite3.Connection:
    # One thread writes, but the collector may close what nobody holds any more in any other.
    return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)


def _is_older(connection: sqlite3.Connection) -> bool:
    try:
        return 0 < _version(connection) < SCHEMA_VERSION
    except BaseException:
        connection.close()
        raise


def _made_ready(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        _bring_up_to_date(connection, path)
        with contextlib.suppress(sqlite3.OperationalError):
            # Readers and the writer then do not wait for each other; where a drive cannot do
            # that, SQLite stays with its slower way, which is as safe.
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.closing(source):
        source.backup(copy)
    _bring_up_to_date(copy, None)
    return copy


def _is_in_use(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _bring_up_to_date(connection: sqlite3.Connection, path: Path | None) -> None:
    """Make the tables, or change those of an older version; a copy in memory has no path."""
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise UserError(f"{path} was written by a newer napari-attmil; update this one to open it.")
    if version == SCHEMA_VERSION:
        return
    if version and path is not None:
        _back_up(connection, path.with_name(f"{path.stem}-version-{version}{path.suffix}"))
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == version:  # no other process has done it meanwhile
            for statement in "".join(_CHANGES[version:]).split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    if not path.exists():
        with contextlib.closing(sqlite3.connect(path)) as copy:
            connection.backup(copy)
