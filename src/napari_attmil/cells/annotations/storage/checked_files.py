"""Which files this process has checked, so that one that is as it was is not checked again."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations.storage.checks import check_digests
from napari_attmil.cells.annotations.storage.log_check import check_log
from napari_attmil.cells.annotations.storage.log_owner import has_foreign_log
from napari_attmil.cells.annotations.storage.schema_check import check_pages
from napari_attmil.core import UserError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_Stamp = tuple[tuple[int, ...], ...]
"""What changes when the file, or its write-ahead log, is written or replaced."""

_checked: dict[Path, _Stamp] = {}
_held: Counter[Path] = Counter()
"""The files that this process has open, by how often."""
_counting = threading.Lock()
"""Held too while a log is read, so that no thread opens its file meanwhile."""


def check_once(connection: sqlite3.Connection, path: Path) -> None:
    """Check a file's pages and digests, unless it is as when this process checked it last.

    A file of 300,000 boxes takes seconds: it is checked by the thread that opens a study, and not
    again by the main thread.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    stamp = _stamp(path)  # before: what is written meanwhile is checked the next time
    if not _is_checked(path, stamp):
        check_pages(connection, path)
        check_digests(connection, path)
        _checked[path.absolute()] = stamp


def check_log_once(path: Path) -> None:
    """Check a file's write-ahead log before SQLite opens it, unless it was checked and is as then.

    Nor is it checked while this process has the file open: its log was checked before, and to read
    a file beside SQLite takes SQLite's locks on it away. Another program would take itself for the
    last one and remove the log, with all edits that are written to it later.

    Raises
    ------
    UserError
        If commits are missing at its end, or it is another file's.
    """
    stamp = _stamp(path)
    if _held[path.absolute()] or _is_checked(path, stamp):
        return
    check_log(path)
    # What changes meanwhile is open in a program, so that the log is its own.
    if has_foreign_log(path) and _stamp(path) == stamp:
        raise UserError(
            f"{path}-wal is not the log of {path.name} beside it, but another file's or an older "
            "one's: boxes would be replaced by those in it. Nothing was changed. Move it, and "
            f"{path.name}-shm if that is there, to another folder, or run `attmil repair` on the "
            "study's folder, which keeps them under another name."
        )


@contextlib.contextmanager
def held(path: Path, checks_log: bool = False) -> Iterator[None]:
    """Open a file and have it open, with `check_log_once` before if asked.

    Raises
    ------
    UserError
        As `check_log_once`.
    """
    with _counting:
        if checks_log:
            check_log_once(path)
        _held[path.absolute()] += 1
    try:
        yield
    finally:
        with _counting:
            _held[path.absolute()] -= 1


@contextlib.contextmanager
def own_change(path: Path) -> Iterator[None]:
    """Change a file, or close it; if it was checked, it still is, unless an error is raised."""
    was_checked = _is_checked(path, _stamp(path))
    yield
    if was_checked:
        _checked[path.absolute()] = _stamp(path)


def _is_checked(path: Path, stamp: _Stamp) -> bool:
    return bool(stamp) and _checked.get(path.absolute()) == stamp


def _stamp(path: Path) -> _Stamp:
    """Return the stamp of a file as it is; empty if there is none."""
    stamp = []
    for part in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError):
            status = part.stat()
            if status.st_size:  # an empty log is as good as none
                ids = (status.st_dev, status.st_ino)
                stamp.append((*ids, status.st_size, status.st_mtime_ns))
    return tuple(stamp)
