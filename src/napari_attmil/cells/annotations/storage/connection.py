"""One process' way to `annotations.sqlite`: who may write, and what is said when nobody can."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from napari_attmil.cells.annotations.storage.backup import back_up_daily
from napari_attmil.cells.annotations.storage.checked_files import (
    check_once,
    held,
    own_change,
)
from napari_attmil.cells.annotations.storage.claim import Claim
from napari_attmil.cells.annotations.storage.drive import is_own_drive
from napari_attmil.cells.annotations.storage.schema import open_for_reading, open_for_writing
from napari_attmil.cells.annotations.storage.schema_check import REPAIR
from napari_attmil.core import Remedy, UserError, reason_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNREADABLE: Final = (
    *(sqlite3.Error, OSError, ValueError, TypeError, LookupError, AttributeError),
    *(OverflowError, RecursionError, MemoryError),
)
"""What files that cannot be used raise: SQLite's errors, and those of rows that make no sense."""


_REASONS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another program is using it",
    "SQLITE_LOCKED": "another program is using it",
    "SQLITE_READONLY": "the folder or the file is read-only",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_IOERR": "the drive reports an error",
    "SQLITE_PROTOCOL": "the drive cannot lock files",
}
"""What SQLite's errors mean, by the start of their names; all others are damages."""


class Connection:
    """The connection to one file.

    Parameters
    ----------
    path
        The SQLite file.
    is_claimed
        Whether one program at a time may write. It may from its first write, or `claim`, until
        `close`; a program that is killed loses its claim.
    """

    def __init__(self, path: Path, is_claimed: bool = True) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        self._claim = Claim(path) if is_claimed else None
        self._seen: tuple[int, int] | None = None
        """Which file was there when it was read or written last."""
        self._holding = contextlib.ExitStack()
        self._is_backed_up = False
        self._copying: threading.Thread | None = None
        """Makes the day's copy."""

    def claim(self) -> None:
        """Become the program that writes.

        Raises
        ------
        UserError
            If another one is, or the folder is read-only.
        """
        if self._claim is not None:
            try:
                self._claim.take()
            except OSError as error:
                raise self._not_written(error) from error

    def close(self) -> None:
        """Let go of the file and of the claim; the next write takes both again."""
        self._close_file()
        if self._claim is not None:
            self._claim.release()

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
            with (
                held(self._path, checks_log=self._seen is None),
                contextlib.closing(open_for_reading(self._path)) as connection,
            ):
                if self._seen is None:
                    check_once(connection, self._path)
                    self._seen = _identity(self._path)
                yield connection
        except UserError:
            raise
        except UNREADABLE as error:
            raise UserError(
                f"The boxes kept in {self._path} could not be read: {_reason(error)}. Close what "
                f"else uses the file; if it is damaged, {REPAIR}.",
                Remedy.TRY_AGAIN,
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
            self._check_place()
            if self._open is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self.claim()
                with contextlib.ExitStack() as holding:
                    holding.enter_context(held(self._path, checks_log=True))
                    self._open = open_for_writing(self._path)
                    self._holding = holding.pop_all()
                self._seen = _identity(self._path)
                if not self._is_backed_up:
                    self._copying = back_up_daily(self._open, self._path)
                    self._is_backed_up = True
            elif self._claim is not None:
                self._claim.check()
            with own_change(self._path):
                yield self._open
            if not is_own_drive(self._path.parent):
                # Only a file that is opened again is sure to be as another machine has left it.
                self._close_file()
        except UserError:
            raise
        except UNREADABLE as error:
            self._close_file()  # A drive that comes back needs to be opened afresh.
            raise self._not_written(error) from error

    def _check_place(self) -> None:
        """Refuse to write where the file is not any more: it could be in a folder's trash."""
        if self._seen is None or (there := _identity(self._path)) == self._seen:
            return
        self._close_file()
        if there is None:
            raise UserError(
                f"{self._path} is not there any more: the study was moved, renamed or deleted. "
                "Changes of boxes stay in memory; put it back and they are written, or export "
                "them (CSV) and open the study where it is now."
            )
        if is_own_drive(self._path.parent):  # elsewhere, the numbers of files may change
            raise UserError(
                f"{self._path} was replaced by another file since it was opened, so changes of "
                "boxes are not written to it; they stay in memory. Export them (CSV), then open "
                "the study again."
            )

    def _close_file(self) -> None:
        connection, self._open = self._open, None
        copying, self._copying = self._copying, None
        # The collector may close a file in any thread.
        if copying is not None and copying is not threading.current_thread():
            copying.join()
        if connection is not None:
            with own_change(self._path):  # SQLite moves its log into the file
                connection.close()
        self._holding.close()

    def _not_written(self, error: Exception) -> UserError:
        return UserError(
            f"Changes of boxes cannot be written to {self._path}: {_reason(error)}; they stay in "
            f"memory. {_remedy(error)}, and the next change tries again."
        )


def _reason(error: Exception) -> str:
    """Say what has happened; SQLite's own words are for programmers."""
    name = getattr(error, "sqlite_errorname", "")
    for start, reason in _REASONS.items():
        if name.startswith(start):
            return reason
    if isinstance(error, sqlite3.Error) and not name:
        return str(error)  # our own words
    return reason_in_words(error) if isinstance(error, OSError) else "it is damaged"


def _remedy(error: Exception) -> str:
    """Return what a person can do about it."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL") or getattr(error, "errno", None) == errno.ENOSPC:
        return "The disk is full: free some space"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "Another program is writing: close the study there"
    if name.startswith(("SQLITE_IOERR_LOCK", "SQLITE_IOERR_SHM", "SQLITE_PROTOCOL")):
        return "This drive cannot lock files: copy the study to one of this computer's own"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")) or isinstance(error, OSError):
        return "Make sure that you may write to this folder, or copy the study to one where you may"
    return "Free some space, or close what else uses the file"


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
