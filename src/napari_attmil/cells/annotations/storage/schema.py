"""The file `annotations.sqlite`: its tables, how it is opened, and how an older one is changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from napari_attmil.cells.annotations.storage.checks import keep_digests, write_digests
from napari_attmil.cells.annotations.storage.drive import is_own_drive
from napari_attmil.cells.annotations.storage.schema_check import check_schema, refuse_empty
from napari_attmil.core import unfinished_path

SCHEMA_VERSION: Final = 5
WITH_DIGESTS: Final = 5
"""The first version with digests; see `checks`."""
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
# Beside the journal, not in it: SQLite would read through each long row's content on the way to
# columns behind it.
_VERSION_3_TO_4: Final = """
CREATE TABLE steps (
    uid TEXT PRIMARY KEY, step TEXT NOT NULL DEFAULT '', machine TEXT NOT NULL DEFAULT '',
    automatic INTEGER NOT NULL DEFAULT 0, settled INTEGER NOT NULL DEFAULT 0,
    undone TEXT NOT NULL DEFAULT '', images TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE notes (
    image TEXT NOT NULL, page INTEGER NOT NULL, cell_id INTEGER NOT NULL,
    tags TEXT NOT NULL, note TEXT NOT NULL, columns TEXT NOT NULL,
    PRIMARY KEY (image, page, cell_id)
);
"""
_VERSION_4_TO_5: Final = """
CREATE TABLE checks (
    image TEXT NOT NULL, page INTEGER NOT NULL, digest INTEGER NOT NULL, PRIMARY KEY (image, page)
);
"""
_CHANGES: Final = (_TABLES, _VERSION_1_TO_2, _VERSION_2_TO_3, _VERSION_3_TO_4, _VERSION_4_TO_5)
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
    refuse_empty(path)
    if not path.exists() and not path.name.startswith("."):  # hidden: in the making as a whole
        _make(path)
    connection = _connected(path)
    try:
        _choose_journal(connection, path)
        _bring_up_to_date(connection, path)
        keep_digests(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that is there, also where nothing can be written.

    A file of an older version is not changed: the connection is to an upgraded copy in memory.

    Raises
    ------
    UserError, sqlite3.Error, OSError
        As `open_for_writing`.
    """
    refuse_empty(path)
    if not is_own_drive(path.parent) and _has_log(path):
        return read_into_memory(path)  # SQLite would share memory with the machine that writes.
    try:
        connection = _connected(path)
        try:
            if check_schema(connection, path, _CHANGES) == SCHEMA_VERSION:
                return connection
        except BaseException:
            connection.close()
            raise
        return _in_memory(connection, path)
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
    beside = [path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-journal")]
    unfinished = [part for part in beside if part.exists() and part.stat().st_size]
    if not unfinished:
        # There is no room for the files of WAL, and nobody changes what is there.
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        return _in_memory(sqlite3.connect(uri, uri=True), path)
    # A process that was killed left edits, or half of one: SQLite needs room to sort that out.
    with tempfile.TemporaryDirectory() as folder:
        for part in (path, *unfinished):
            shutil.copy(part, folder)
        return _in_memory(sqlite3.connect(Path(folder) / path.name), path)


def _connected(path: Path) -> sqlite3.Connection:
    # One thread writes, but the collector may close what nobody holds any more in any other.
    return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)


def _make(path: Path) -> None:
    """Make a new file, whole or not at all: an empty one would be taken for a damaged one."""
    aside = unfinished_path(path)
    try:
        with contextlib.closing(_connected(aside)) as connection:
            _bring_up_to_date(connection, None)
        try:
            os.link(aside, path)  # Does not replace what another program has made meanwhile.
        except FileExistsError:
            pass
        except OSError:  # a drive without hard links
            aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)


def _choose_journal(connection: sqlite3.Connection, path: Path) -> None:
    """Choose how SQLite makes a commit whole: as safely as the drive allows."""
    if is_own_drive(path.parent):
        # Readers and the writer then do not wait for each other.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return
    # Alone with the file, SQLite needs no shared memory to take over what a log holds.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("SELECT count(*) FROM sqlite_master")  # lets go of the lock


def _has_log(path: Path) -> bool:
    """Return whether a database is in the mode that keeps a write-ahead log."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\x02\x02"


def _in_memory(source: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.closing(source):
        source.backup(copy)
    check_schema(copy, path, _CHANGES)
    _bring_up_to_date(copy, None)
    return copy


def _is_in_use(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _bring_up_to_date(connection: sqlite3.Connection, path: Path | None) -> None:
    """Make the tables, or change those of an older version; a copy in memory has no path."""
    version = check_schema(connection, path, _CHANGES)
    if version and version < SCHEMA_VERSION and path is not None:
        _back_up(connection, path.with_name(f"{path.stem}-version-{version}{path.suffix}"))
    if (version, _stated_version(connection)) == (SCHEMA_VERSION, SCHEMA_VERSION):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have done it meanwhile.
        version = check_schema(connection, path, _CHANGES)
        for statement in "".join(_CHANGES[version:]).split(";"):
            connection.execute(statement)
        if version < WITH_DIGESTS:
            write_digests(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _stated_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    if not path.exists():
        with contextlib.closing(sqlite3.connect(path)) as copy:
            connection.backup(copy)
