"""A person's corrections of boxes, written to disk as they are made.

One SQLite file beside the images, one transaction an edit: a process that is killed loses at
most the edit under way. The file holds the present boxes and a journal of all edits: who did
what and when, with all that is needed to undo it, also after a restart.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import platformdirs

from napari_attmil.cells.annotations.author import AUTHOR_VARIABLE, author_name
from napari_attmil.cells.annotations.connection import Connection
from napari_attmil.cells.annotations.edits import Annotations, Edit
from napari_attmil.cells.annotations.journal import (
    DONE,
    MERGED,
    UNDONE,
    JournalEntry,
    Place,
    drop_undone,
    edit_to_text,
    frames_key,
    note_frames,
    write_cells,
)
from napari_attmil.cells.annotations.queries import (
    NOTHING_KNOWN,
    SUMMARY,
    annotations_of,
    read_tables,
)
from napari_attmil.cells.annotations.regrouping import (
    entries_of,
    make_ids_unique,
    stored_shifts,
)
from napari_attmil.cells.annotations.schema import SCHEMA_VERSION
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.images import Frame, Sample

FILE_NAME = "annotations.sqlite"
STUDY_DEPTH = 4
"""A study's images lie at most so deep: class, patient, sample."""

__all__ = [
    "AUTHOR_VARIABLE",
    "FILE_NAME",
    "SCHEMA_VERSION",
    "AnnotationFile",
    "Annotations",
    "author_name",
]

_Operation = Callable[[sqlite3.Connection], None]


class AnnotationFile:
    """The annotations of all samples of one project.

    Several programs may look at it, one at a time may write. A sample that something else has
    changed since it was read is refused, never overwritten.

    Parameters
    ----------
    path
        The SQLite file; made with the first edit.
    one_writer
        Whether one program at a time may write; the others get an error.
    """

    def __init__(self, path: Path, one_writer: bool = True) -> None:
        self.path = Path(path)
        self._connection = Connection(self.path, one_writer)
        self._names: dict[Path, str] = {}
        self._versions: dict[str, int] = {}
        self._with_unique_ids: set[str] = set()
        """The keys of samples whose ids no other sample's images can share any more."""
        self._pending: dict[str, tuple[str, Sequence[Place], list[_Operation]]] = {}
        """By the key of a sample's frames: name, images, and what is still to be written."""

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the next edit opens it again."""
        self._connection.close()

    def claim(self) -> None:
        """Let no other program write until this one is closed.

        Raises
        ------
        UserError
            If another one writes, or nobody can.
        """
        self._connection.claim()

    @classmethod
    def beside(cls, folder: Path) -> AnnotationFile:
        """Return the file in a project's folder, or in the user's own if that is read-only.

        A file that is there already stays the project's, also where it cannot be written.
        """
        if (folder / FILE_NAME).exists():
            return cls(folder / FILE_NAME)
        try:
            with tempfile.TemporaryFile(dir=folder):
                return cls(folder / FILE_NAME)
        except OSError:
            return cls.of_user()

    @classmethod
    def of_user(cls) -> AnnotationFile:
        """Return the file for images that belong to no project; several programs may write it."""
        return cls(platformdirs.user_data_path("napari-attmil") / FILE_NAME, one_writer=False)

    @classmethod
    def above(cls, image: Path) -> AnnotationFile | None:
        """Return the file of the study that an image is part of, None if it has none."""
        paths = (folder / FILE_NAME for folder in image.absolute().parents[:STUDY_DEPTH])
        return next((cls(path) for path in paths if path.is_file()), None)

    # --- reading ----------------------------------------------------------------------------

    def read(self, sample: Sample) -> Annotations | None:
        """Return what was written about a sample's images, None if nothing was.

        Raises
        ------
        UserError
            If the file is damaged or of a newer version.
        """
        return self.read_all([sample]).get(sample.name)

    def read_all(self, samples: Sequence[Sample]) -> dict[str, Annotations]:
        """Return what was written about several samples, by name; the others are left out."""
        places = {sample.name: self._places(sample) for sample in samples}
        keys = {name: frames_key(of_sample) for name, of_sample in places.items()}
        if not self.path.exists():
            self._versions |= dict.fromkeys(keys.values(), 0)
            return {}
        with self._connection.reading() as connection:
            images, cells = read_tables(connection, self._where(samples))
            versions = dict(connection.execute("SELECT frames, version FROM versions"))
            ids = {place: [int(row[0]) for row in rows] for place, rows in cells.items()}
            found = {
                name: annotations_of(
                    of_sample, images, cells, stored_shifts(connection, of_sample, ids)
                )
                for name, of_sample in places.items()
                if any(place in images for place in of_sample)
            }
        self._versions |= {key: versions.get(key, 0) for key in keys.values()}
        return found

    def history(self, sample: Sample) -> tuple[list[Edit], list[Edit]]:
        """Return a sample's edits that can be undone and redone, each list's next one last."""
        if not self.path.exists():
            return [], []
        with self._connection.reading() as connection:
            entries = entries_of(connection, self._places(sample), (DONE, UNDONE))
            done = [entry.edit for entry in entries if entry.state == DONE]
            undone = [entry.edit for entry in entries if entry.state == UNDONE]
        return done, undone[::-1]

    def journal(self, sample: Sample) -> list[JournalEntry]:
        """Return all that was ever done to a sample, the first edit first."""
        if not self.path.exists():
            return []
        with self._connection.reading() as connection:
            entries = entries_of(connection, self._places(sample))
            _ = [entry.edit for entry in entries]  # Fails here if one is damaged.
        return entries

    def note_merged(self, sample: Sample, entries: Sequence[JournalEntry]) -> None:
        """Note another person's edits, which a merge brings; errors as `record`."""
        key = frames_key(self._places(sample))
        with self._connection.writing() as connection, connection:
            connection.executemany(
                f"INSERT INTO edits (frames, {', '.join(JournalEntry._fields)}) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(key, *entry._replace(state=MERGED)) for entry in entries],
            )

    def summaries(self, samples: Sequence[Sample]) -> pd.DataFrame:
        """Return one row an image of the samples, in their order.

        Columns: sample, image_index, path, page; boxes, person, accepted (their numbers),
        detected, reviewed (bool); least_score (the least certain box that nobody has confirmed, NaN
        if there is none), mean_score (of the same boxes).
        """
        counted: dict[Place, tuple[float, ...]] = {}
        if self.path.exists():
            with self._connection.reading() as connection:
                counted = {(row[0], row[1]): row[2:] for row in connection.execute(SUMMARY)}
        rows = [
            (sample.name, index, str(frame.path), frame.page, *counted.get(place, NOTHING_KNOWN))
            for sample in samples
            for index, (frame, place) in enumerate(
                zip(sample.frames, self._places(sample), strict=True)
            )
        ]
        columns = ["sample", "image_index", "path", "page", "detected", "reviewed"]
        columns += ["boxes", "person", "accepted", "least_score", "mean_score"]
        types = {"detected": bool, "reviewed": bool, "least_score": float, "mean_score": float}
        return pd.DataFrame(rows, columns=columns).astype(types)

    def boxes_of_other_images(self, samples: Sequence[Sample]) -> dict[Path, int]:
        """Return how many boxes there are of files that are none of the samples' images."""
        if not self.path.exists():
            return {}
        known = {place for sample in samples for place in self._places(sample)}
        counts: dict[Path, int] = {}
        with self._connection.reading() as connection:
            for image, page, _, _, boxes, *_ in connection.execute(SUMMARY):
                if boxes and (image, page) not in known:
                    path = self._folder / image
                    counts[path] = counts.get(path, 0) + int(boxes)
        return counts

    # --- writing ----------------------------------------------------------------------------

    def record(self, sample: Sample, edit: Edit, next_id: int, made_by: str = "") -> None:
        """Write an edit and what it has changed, in one transaction.

        Parameters
        ----------
        sample
            The sample.
        edit
            What was done to what the file, or an edit that could not be written yet, says of it.
        next_id
            The next cell_id to give away.
        made_by
            What made the boxes: a detector's digest, a file; empty for a person.

        Raises
        ------
        UserError
            If the disk is full, the folder is read-only, another program keeps the file, or has
            changed the sample. The edit is kept in memory and written with the next one.
        """
        places = self._places(sample)
        stamp = (author_name(), made_by, datetime.now(UTC).isoformat(timespec="seconds"))

        def write(connection: sqlite3.Connection) -> None:
            drop_undone(connection, places)
            note_frames(connection, places)
            entry = (sample.name, edit.title, *stamp, DONE, edit_to_text(edit))
            number = connection.execute(
                "INSERT INTO edits (uid, frames, sample, title, author, made_by, made_at, state, "
                "content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (edit.uid, frames_key(places), *entry),
            ).lastrowid
            self._write(connection, places, edit, next_id, int(number or 0))

        self._do(places, sample.name, write)

    def undo(self, sample: Sample, edit: Edit) -> None:
        """Write that the last edit was taken back; errors as `record`."""
        self._step(sample, edit.inverse, UNDONE)

    def redo(self, sample: Sample, edit: Edit) -> None:
        """Write that the edit that was taken back last was made again; errors as `record`."""
        self._step(sample, edit, DONE)

    def write(
        self, sample: Sample, annotations: Annotations, title: str = "Import", made_by: str = ""
    ) -> None:
        """Make a sample's annotations these, as one edit; errors as `record`."""
        now = self.read(sample) or Annotations()
        edit = Edit.between(title, now, annotations)
        if edit.changes_anything or annotations.next_id > now.next_id:
            self.record(sample, edit, max(annotations.next_id, now.next_id), made_by)

    def retry(self) -> None:
        """Write the edits that could not be written yet; errors as `record`."""
        self.claim()
        for key in list(self._pending):
            self._do_pending(key)

    @property
    def has_pending(self) -> bool:
        """Whether there are edits that could not be written yet."""
        return bool(self._pending)

    # --- inside -----------------------------------------------------------------------------

    def _step(self, sample: Sample, edit: Edit, state: int) -> None:
        places = self._places(sample)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE edits SET state = ? WHERE uid = ?", (state, edit.uid))
            row = connection.execute(
                "SELECT number FROM edits WHERE uid = ?", (edit.uid,)
            ).fetchone()
            if row is None:
                raise sqlite3.DatabaseError(f"its journal lacks {edit.title!r}")
            self._write(connection, places, edit, 1, int(row[0]))

        self._do(places, sample.name, write)

    def _write(
        self,
        connection: sqlite3.Connection,
        places: Sequence[Place],
        edit: Edit,
        next_id: int,
        number: int,
    ) -> None:
        """Write what an edit makes of the tables of what is there."""
        images = sorted(edit.images or {0})
        connection.executemany(
            "INSERT INTO images (image, page, detected, next_id) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET detected = excluded.detected, "
            "next_id = max(next_id, excluded.next_id)",
            [(*places[index], index in edit.after.searched, next_id) for index in images],
        )
        write_cells(connection, places, edit, number)

    def _do(self, places: Sequence[Place], name: str, operation: _Operation) -> None:
        """Do an operation on a sample, after those that could not be done before it."""
        key = frames_key(places)
        self._pending.setdefault(key, (name, places, []))[2].append(operation)
        self._do_pending(key)

    def _do_pending(self, key: str) -> None:
        """Write all that is pending of a sample, or nothing of it."""
        name, places, operations = self._pending[key]
        with self._connection.writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            version = _version(connection, key)
            if self._versions.get(key, version) != version:
                raise UserError(
                    f"Another window or program has changed the boxes of sample {name!r} since it "
                    "was opened here, so yours were not written over them: export yours (CSV), "
                    "then open the study again, or napari for images that belong to none."
                )
            if key not in self._with_unique_ids:
                make_ids_unique(connection, places)
            for operation in operations:
                operation(connection)
            connection.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (key, version + 1))
        self._versions[key] = version + 1
        self._with_unique_ids.add(key)
        del self._pending[key]

    def _where(self, samples: Sequence[Sample]) -> list[str]:
        """Return the names of a few samples' images; empty if so many that all rows are read."""
        names = {place[0] for sample in samples for place in self._places(sample)}
        return sorted(names) if len(names) <= 50 else []

    def _places(self, sample: Sample) -> list[Place]:
        """Return how images are named: relative to the project, so that this can be moved."""
        return [(self._name(frame), frame.page) for frame in sample.frames]

    @cached_property
    def _folder(self) -> Path:
        return self.path.parent.resolve()

    def _name(self, frame: Frame) -> str:
        if frame.path not in self._names:
            path, folder = frame.path.resolve(), self._folder
            relative = path.relative_to(folder) if path.is_relative_to(folder) else path
            self._names[frame.path] = relative.as_posix()
        return self._names[frame.path]


def _version(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("SELECT version FROM versions WHERE frames = ?", (key,)).fetchone()
    return int(row[0]) if row else 0
