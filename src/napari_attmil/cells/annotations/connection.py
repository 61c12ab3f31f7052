"""One process' way to `annotations.sqlite`: who may write, and what is said when nobody can."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from napari_attmil.cells.annotations.schema import open_for_reading, open_for_writing
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of drives that know no locks; SQLite's own are left there, and the journal's versions."""

_UNREADABLE: Final = (sqlite3.Error, OSError, ValueError, TypeError, LookupError, AttributeError)
"""What files that cannot be used raise: SQLite's errors, and those of rows that make no sense."""


class Connection:
    """The connection to one file.

    Parameters
    ----------
    path
        The SQLite file; made when something is written first.
    is_claimed
        Whether one process at a time may write. It may from its first write, or `claim`, until
        `close`; the operating system ends the claim of a process that is killed.
    """

    def __init__(self, path: Path, is_claimed: bool = True) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        # Two viewers of one process share the claim; the journal's versions keep them apart.
        name = f"{path.absolute()}.lock"
        self._lock = FileLock(name, thread_local=False, is_singleton=True) if is_claimed else None
        self._has_claim = False

    def claim(self) -> None:
        """Become the process that writes.

        Raises
        ------
        UserError
            If another one is, or the folder is read-only.
        """
        if self._lock is None or self._has_claim:
            return
        try:
            self._lock.acquire(timeout=0)
            self._has_claim = True
        except Timeout:
            raise UserError(
                f"Another program has {self._path} open to change it. Close the study there, and "
                "the next change here is written; until then changes stay in memory."
            ) from None
        except NotImplementedError:
            pass  # This system has no locks; see `_NO_LOCKS`.
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise self._not_written(error) from error

    def close(self) -> None:
        """Let go of the file and of the claim; the next write takes both again."""
        self._close_file()
        if self._lock is not None and self._has_claim:
            self._has_claim = False
            self._lock.release()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to a file that is there.

        What is read belongs into the block as far as it is understood: a damaged file may also
        give rows that make no sense.

        Raises
        ------
        UserError
            If the file, or what it holds, cannot be read.
        """
        try:
            with contextlib.closing(open_for_reading(self._path)) as connection:
                yield connection
        except UserError:
            raise
        except _UNREADABLE as error:
            raise UserError(
                f"The boxes kept in {self._path} could not be read ({error}). Close what else "
                "uses the file; if it is damaged, put a copy of yours in its place."
            ) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection that stays open: opening one takes longer than an edit.

        Raises
        ------
        UserError
            If nothing can be written.
        """
        try:
            if self._open is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self.claim()
                self._open = open_for_writing(self._path)
            yield self._open
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            self._close_file()  # A drive that comes back needs to be opened afresh.
            raise self._not_written(error) from error

    def _close_file(self) -> None:
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def _not_written(self, error: Exception) -> UserError:
        return UserError(
            f"Changes of boxes cannot be written to {self._path} ({error}); they stay in memory. "
            f"{_remedy(error)}, and the next change tries again."
        )


def _remedy(error: Exception) -> str:
    """Return what a person can do about it."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL") or getattr(error, "errno", None) == errno.ENOSPC:
        return "The disk is full: free some space"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "Another program is writing: close the study there"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")) or isinstance(error, OSError):
        return "Make sure that you may write to this folder, or copy the study to one where you may"
    return "Free some space, or close what else uses the file"
