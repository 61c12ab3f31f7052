"""Copies of `annotations.sqlite` that are put aside before the first edit of a day."""

from __future__ import annotations

import contextlib
import sqlite3
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


def back_up_daily(connection: sqlite3.Connection, path: Path) -> None:
    """Put a copy of a file with edits aside, once a day.

    An edit does not fail because there is no room for a copy.

    Raises
    ------
    UserError
        If the file is damaged: the copies of better days must not make way for it.
    """
    (has_edits,) = connection.execute("SELECT EXISTS (SELECT 1 FROM edits)").fetchone()
    copy = path.with_name(f"{path.stem}-backup-{datetime.now(UTC):%Y-%m-%d}{path.suffix}")
    if copy.exists() or not has_edits or path.name.startswith("."):  # hidden: in the making
        return
    check_once(connection, path)
    aside = unfinished_path(copy)
    with contextlib.suppress(sqlite3.Error, OSError):
        try:
            # Page by page: VACUUM would build all tables anew, which takes several times as long.
            with contextlib.closing(sqlite3.connect(aside)) as target:
                connection.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")  # A copy is one file.
            aside.replace(copy)
        finally:
            aside.unlink(missing_ok=True)
        for old in backups_of(path)[KEPT:]:
            old.unlink()
