"""The right to write a file, which one program on one machine has at a time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import tempfile
import threading
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil
from filelock import FileLock, Timeout

from napari_attmil.cells.annotations.storage.author import author_name
from napari_attmil.core import UserError, unfinished_path

REFRESHED_EVERY_S: Final = 20.0
ABANDONED_AFTER_S: Final = 120.0
"""A machine whose note has not been refreshed for so long is taken to be off, or cut off."""

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of drives that know no locks; the note alone then says who writes."""


@dataclass(frozen=True)
class _Note:
    """Who writes: the content of the note beside the file."""

    host: str
    user: str
    process: int
    since: str
    token: str

    @property
    def is_this_process(self) -> bool:
        return self.host == socket.gethostname() and self.process == os.getpid()


class Claim:
    """The claim of this program on one file.

    Two things say who has it. A lock of the operating system, which ends with the program that
    holds it; but on drives that several machines mount, locks of two machines may not meet. So a
    note beside the file also names machine, user and time, and is refreshed while it holds.

    Parameters
    ----------
    path
        The file to write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note_path = path.with_name(f"{path.name}.writer")
        # Two viewers of one process share the claim; the journal's versions keep them apart.
        self._lock = FileLock(f"{path.absolute()}.lock", thread_local=False, is_singleton=True)
        self._token = ""
        self._is_over = threading.Event()

    def take(self) -> None:
        """Become the program that writes.

        Raises
        ------
        UserError
            If another one is.
        OSError
            If nothing can be written beside the file.
        """
        if self._token:
            return
        self._take_lock()
        try:
            self._take_note()
        except BaseException:
            self._lock.release()
            raise

    def check(self) -> None:
        """Raise UserError if another machine has taken the claim over in the meantime."""
        if not self._token:
            return
        note = self._read()
        if note is None:
            self._write_note(self._token)
        elif note.token != self._token:
            self._stop()
            raise self._refusal(note)

    def release(self) -> None:
        """Let another program write."""
        if not self._token:
            return
        token = self._token
        self._stop()
        if not self._lock.is_locked:
            note = self._read()
            if note is not None and note.token == token:
                with contextlib.suppress(OSError):
                    self._note_path.unlink()

    def _stop(self) -> None:
        self._token = ""
        self._is_over.set()
        self._lock.release()

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise self._refusal(self._read()) from None
        except NotImplementedError:
            pass  # What older versions of filelock make of ENOSYS.
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise

    def _take_note(self) -> None:
        note = self._read()
        if note is not None and note.is_this_process:
            self._hold(note.token)
            return
        if note is not None and not self._is_abandoned(note):
            raise self._refusal(note)
        if self._note_path.exists():
            # Renamed first: of two programs that find it abandoned, one gets it.
            aside = unfinished_path(self._note_path)
            with contextlib.suppress(FileNotFoundError):
                self._note_path.rename(aside)
                aside.unlink()
        token = uuid.uuid4().hex
        self._write_note(token)
        self._hold(token)

    def _write_note(self, token: str) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        note = _Note(socket.gethostname(), author_name(), os.getpid(), since, token)
        try:
            with self._note_path.open("x", encoding="utf-8") as file:
                json.dump(asdict(note), file)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            raise self._refusal(self._read()) from None

    def _hold(self, token: str) -> None:
        self._token, self._is_over = token, threading.Event()
        arguments = (self._note_path, self._is_over)
        threading.Thread(target=_keep_fresh, args=arguments, daemon=True).start()

    def _read(self) -> _Note | None:
        """Return the note; None if there is none, or only what a crash has left of it."""
        try:
            return _Note(**json.loads(self._note_path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _is_abandoned(self, note: _Note) -> bool:
        """Return whether the program that wrote a note has ended without removing it."""
        if note.host == socket.gethostname() and not psutil.pid_exists(note.process):
            return True
        try:
            # By the clock of the drive: those of two machines may differ.
            with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".") as now:
                passed = os.stat(now.name).st_mtime - self._note_path.stat().st_mtime
        except FileNotFoundError:
            return True
        return passed > ABANDONED_AFTER_S

    def _refusal(self, note: _Note | None) -> UserError:
        is_elsewhere = note is not None and note.host != socket.gethostname()
        who = f"{note.user} on {note.host}" if note and is_elsewhere else "Another program"
        return UserError(
            f"{who} has {self._path} open to change it. Close the study there, and the next "
            "change here is written; until then changes stay in memory."
        )


def _keep_fresh(path: Path, is_over: threading.Event) -> None:
    while not is_over.wait(REFRESHED_EVERY_S):
        with contextlib.suppress(OSError):
            os.utime(path)
