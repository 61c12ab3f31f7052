"""Writes to `annotations.sqlite` that wait until they can be made, sample by sample in order."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_attmil.cells.annotations.journal import frames_key
from napari_attmil.cells.annotations.regrouping import make_ids_unique
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from napari_attmil.cells.annotations.journal import Place
    from napari_attmil.cells.annotations.storage import Connection

Operation = Callable[[sqlite3.Connection], None]

LAST: Final = "last write"
"""Stands among the keys of samples, with a random number as its version: which write came last."""


@dataclass(frozen=True)
class _Attempt:
    """An attempt to write: its random number, and each sample's versions and operations in it."""

    mark: int
    versions: Mapping[str, Mapping[str, int]]
    counts: Mapping[str, int]


class PendingWrites:
    """What is still to be written of each sample.

    A sample that something else has changed since it was read, or an image of it, is refused, never
    overwritten.

    Parameters
    ----------
    connection
        The way to the file.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._versions: dict[str, Mapping[str, int]] = {}
        """By the key of a sample's frames: the versions of it, and of each of its images."""
        self._with_unique_ids: set[str] = set()
        """The keys of samples whose ids no other sample's images can share any more."""
        self._pending: dict[str, tuple[str, Sequence[Place], list[Operation]]] = {}
        """By the key of a sample's frames: name, images, and what is still to be written."""
        self._is_waiting = False
        """Whether operations are only noted; see `at_once`."""
        self._doubtful: _Attempt | None = None
        """The last attempt, until it is known whether it is on the disk."""

    def __bool__(self) -> bool:
        """Return whether anything could not be written yet."""
        return bool(self._pending)

    def note_versions(
        self, samples: Iterable[Sequence[Place]], versions: Mapping[str, int]
    ) -> None:
        """Note which versions of samples were read: only these may be changed.

        Parameters
        ----------
        samples
            The images of each sample.
        versions
            All versions in the file.
        """
        for places in samples:
            key = frames_key(places)
            read = {each: versions.get(each, 0) for each in _watched(places)}
            if self._versions.get(key, read) != read:
                self._with_unique_ids.discard(key)
            self._versions[key] = read

    def do(self, places: Sequence[Place], name: str, operation: Operation) -> None:
        """Do an operation on a sample, after those that could not be done before it."""
        key = frames_key(places)
        self._pending.setdefault(key, (name, places, []))[2].append(operation)
        if not self._is_waiting:
            self._do([key])

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Do all operations of the block in one transaction, at its end."""
        before, self._is_waiting = self._is_waiting, True
        try:
            yield
        finally:
            self._is_waiting = before
        if not before:
            self.do_all()

    def do_all(self) -> None:
        """Do all that is pending in one transaction; where that fails, sample by sample."""
        keys = list(self._pending)
        try:
            self._do(keys)
        except UserError as error:
            if len(keys) < 2:
                raise
            failures = [failure for key in keys if (failure := self._failure_of(key))]
            if failures:
                raise failures[0] from error

    def _failure_of(self, key: str) -> UserError | None:
        try:
            self._do([key])
        except UserError as error:
            return error
        return None

    def _do(self, keys: Sequence[str]) -> None:
        """Write all that is pending of some samples, or nothing of it."""
        if not keys:
            return
        with self._connection.writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            self._look_for_last(connection)
            keys = [key for key in keys if key in self._pending]
            versions = {key: self._write(connection, key) for key in keys}
            mark = secrets.randbits(62)
            connection.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (LAST, mark))
            counts = {key: len(self._pending[key][2]) for key in keys}
            self._doubtful = _Attempt(mark, versions, counts)
        self._settle(self._doubtful)

    def _look_for_last(self, connection: sqlite3.Connection) -> None:
        """See whether the last attempt is there after all: a commit may stand though it failed."""
        if self._doubtful is None:
            return
        row = connection.execute("SELECT version FROM versions WHERE frames = ?", (LAST,))
        if row.fetchone() == (self._doubtful.mark,):
            self._settle(self._doubtful)
        self._doubtful = None

    def _settle(self, attempt: _Attempt) -> None:
        """Note that an attempt is on the disk."""
        self._versions |= attempt.versions
        self._with_unique_ids.update(attempt.versions)
        for key, count in attempt.counts.items():
            del self._pending[key][2][:count]
            if not self._pending[key][2]:
                del self._pending[key]
        self._doubtful = None

    def _write(self, connection: sqlite3.Connection, key: str) -> Mapping[str, int]:
        """Write what is pending of a sample; return its versions then."""
        name, places, operations = self._pending[key]
        versions = _versions_in(connection, places)
        if self._versions.get(key, versions) != versions:
            raise UserError(
                f"Another window or program has changed the boxes of sample {name!r} since it "
                "was opened here, so yours were not written over them: export yours (CSV), "
                "then open the study again, or napari for images that belong to none."
            )
        if key not in self._with_unique_ids:
            make_ids_unique(connection, places)
        for operation in operations:
            operation(connection)
        written = {each: version + 1 for each, version in versions.items()}
        connection.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?)", written.items())
        return written


def _watched(places: Sequence[Place]) -> list[str]:
    """Return the keys of the versions that say whether a sample is as it was read.

    Its own, and that of each of its images, which may be open as a layer or in another sample too:
    both would give the same id to different cells.
    """
    return [frames_key(places), *(frames_key([place]) for place in places)]


def _versions_in(connection: sqlite3.Connection, places: Sequence[Place]) -> dict[str, int]:
    """Return the versions in the file of a sample and of its images."""
    keys = _watched(places)
    rows = connection.execute(
        "SELECT frames, version FROM versions WHERE frames IN (SELECT value FROM json_each(?))",
        (json.dumps(keys),),
    )
    return dict.fromkeys(keys, 0) | dict(rows)
