"""Copies of `annotations.sqlite` that are put aside before the first edit of a day."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from napari_attmil.cells.annotations.storage.checked_files import check_once
from napari_attmil.core import unfinished_path

KEPT: Final = 3
"""So many days' copies; the older ones go."""


def backups_of(path: Path) -> list[Path]:
    """Return the copies of a file that are there, the newest first."""
    return sorted(path.parent.glob(f"{path.stem}-backup-*{path.suffix}"), reverse=True)


def back_up_daily(connection: sqlite3.Connection, path: Path) -> threading.Thread | None:
    """Put a copy of a file with edits aside, once a day, as it is now.

    An edit does not fail because there is no room for a copy.

    Returns
    -------
    threading.Thread
        What copies, to be waited for before the file is closed; None if nothing does any more.

    Raises
    ------
    UserError
        If the file is damaged: the copies of better days must not make way for it.
    """
    (has_edits,) = connection.execute("SELECT EXISTS (SELECT 1 FROM edits)").fetchone()
    copy = path.with_name(f"{path.stem}-backup-{datetime.now(UTC):%Y-%m-%d}{path.suffix}")
    if copy.exists() or not has_edits or path.name.startswith("."):  # hidden: in the making
        return None
    check_once(connection, path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":  # A reader would keep the edit waiting.
        _copy(connection, path, copy)
        return None
    snapshot = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    snapshot.execute("BEGIN")
    snapshot.execute("SELECT count(*) FROM edits").fetchone()  # From here on it sees no edit.
    thread = threading.Thread(target=_copy_and_close, args=(snapshot, path, copy))
    thread.start()
    return thread


def _copy_and_close(snapshot: sqlite3.Connection, path: Path, copy: Path) -> None:
    with contextlib.closing(snapshot):
        _copy(snapshot, path, copy)


def _copy(connection: sqlite3.Connection, path: Path, copy: Path) -> None:
    """Write a copy whole or not at all, and remove the oldest ones."""
    aside = unfinished_path(copy)
    with contextlib.suppress(sqlite3.Error, OSError):
        try:
            # Page by page: VACUUM INTO builds all tables anew, in up to twice the time (48 MB).
            with contextlib.closing(sqlite3.connect(aside)) as target:
                connection.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")  # A copy is one file.
            aside.replace(copy)
        finally:
            aside.unlink(missing_ok=True)
        for old in backups_of(path)[KEPT:]:
            old.unlink()
