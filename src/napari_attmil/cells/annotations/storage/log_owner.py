"""Whether a write-ahead log belongs to the file that it lies beside.

A log has no mark of its file: SQLite replays one that another file has left over whatever lies
there, and replaces boxes without a word. Three things tell that a log is not the file's own. There
is no file. The file is not in the mode that keeps a log: SQLite changes the mode after the log is
gone, and before there is a new one. Or an edit that the file has is not there with the log: edits
are never deleted, and a file never has one that its own log, up to the last commit, has not.

A log that goes on where an older copy of the same file ends cannot be told from the file's own.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations.storage.checks import digests_of_edits
from napari_attmil.cells.annotations.storage.drive import is_own_drive
from napari_attmil.cells.annotations.storage.log_check import is_empty_log, read_log
from napari_attmil.cells.annotations.storage.schema import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

_Uids = frozenset[bytes]
"""The names of edits."""


def has_foreign_log(path: Path) -> bool:
    """Return whether the log beside a database is another file's; neither is changed.

    To be called before SQLite opens the file, and not while this process has it open, as what else
    opens one of its files takes SQLite's locks away.
    """
    log, index = (path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm"))
    if is_empty_log(log):  # First: the file is made before its log.
        return False
    if not path.exists() or _keeps_no_log(path):
        return read_log(log).committed > 0
    had_index = index.exists()
    is_foreign = _lacks_edits(path, log)
    if is_foreign and not had_index:  # Without its log it looks as if edits were lost.
        index.unlink(missing_ok=True)
    return is_foreign


def _keeps_no_log(path: Path) -> bool:
    """Return whether a database, whose header can be read, is in the mode of a rollback journal."""
    with path.open("rb") as file:
        header = file.read(20)
    return header.startswith(b"SQLite format 3\0") and header[18:] == b"\x01\x01"


def _lacks_edits(path: Path, log: Path) -> bool:
    """Return whether edits that the file has are not there when it is read with the log."""
    try:
        alone = _read(f"{path.resolve().as_uri()}?mode=ro&immutable=1", _whole_edits)
    except sqlite3.Error:
        return False  # Damaged, or in the middle of a checkpoint: then the log has it all.
    if not alone:
        return False
    try:
        return not alone <= _edits_with(log, path)
    except sqlite3.Error:
        return True


def _edits_with(log: Path, path: Path) -> _Uids:
    if is_own_drive(path.parent):
        with contextlib.suppress(sqlite3.OperationalError):  # nothing can be written there
            return _read(f"{path.resolve().as_uri()}?mode=ro", _edits)
    with tempfile.TemporaryDirectory() as folder:
        for part in (path, log):
            shutil.copy(part, folder)
        return _read((Path(folder) / path.name).as_uri(), _edits)


def _read(uri: str, what: Callable[[sqlite3.Connection], _Uids]) -> _Uids:
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.text_factory = bytes
        return what(connection)


def _edits(connection: sqlite3.Connection) -> _Uids:
    # Of the table's own rows: where a checkpoint was cut short, an index may be another's.
    rows = connection.execute("SELECT uid FROM edits NOT INDEXED WHERE typeof(uid) = 'text'")
    return frozenset(uid for (uid,) in rows)


def _whole_edits(connection: sqlite3.Connection) -> _Uids:
    """Return the edits whose names have digests too: a name in which a bit has turned has none."""
    edits = _edits(connection)
    if edits and (b"checks",) in connection.execute("SELECT name FROM sqlite_master").fetchall():
        edits &= digests_of_edits(connection).keys()
    return edits
