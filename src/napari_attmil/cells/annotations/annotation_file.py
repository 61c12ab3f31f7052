"""A person's corrections of boxes, written to disk as they are made.

One SQLite file beside the images, one transaction an edit: a process that is killed loses at
most the edit under way. The file holds the present boxes and a journal of all edits: who did
what and when, with all that is needed to undo it, also after a restart.
"""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from napari_attmil.cells.annotations.edits import Annotations, Edit
from napari_attmil.cells.annotations.journal import (
    DONE,
    MERGED,
    UNDONE,
    JournalEntry,
    Place,
    PlaceNames,
    drop_undone,
    edit_to_text,
    frames_key,
    note_frames,
    set_of_step,
    write_cells,
    write_step,
)
from napari_attmil.cells.annotations.past_edits import read_past_edits
from napari_attmil.cells.annotations.pending_writes import PendingWrites
from napari_attmil.cells.annotations.queries import (
    BOX_COUNTS,
    annotations_of,
    read_notes,
    read_tables,
)
from napari_attmil.cells.annotations.regrouping import edit_of, entries_of, stored_shifts
from napari_attmil.cells.annotations.storage import (
    AUTHOR_VARIABLE,
    SCHEMA_VERSION,
    Connection,
    author_name,
)
from napari_attmil.core import UserError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Sequence

    from napari_attmil.cells.annotations.past_edits import PastEdit
    from napari_attmil.cells.annotations.pending_writes import Operation
    from napari_attmil.images import Sample

_Places = dict[str, list[Place]]
"""The images of each sample, by its name."""

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
        self._names = PlaceNames(self.path)
        self._pending = PendingWrites(self._connection)
        self._ahead: tuple[_Places, dict[str, int], dict[str, Annotations]] | None = None
        """What `read_ahead` has read: of which samples, and at which versions."""

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
        places = {sample.name: self._names.places(sample) for sample in samples}
        if not self.path.exists():
            self._pending.note_versions(places.values(), {})
            return {}
        with self._connection.reading() as connection:
            versions, found = self._read(connection, samples, places)
        self._ahead = None
        self._pending.note_versions(places.values(), versions)
        return found

    def read_ahead(self, samples: Sequence[Sample]) -> None:
        """Read what the next `read_all` of the same samples gives, if nobody writes meanwhile.

        For another thread than that of the windows: 300,000 boxes take seconds. Errors as `read`.
        """
        places = {sample.name: self._names.places(sample) for sample in samples}
        if self.path.exists():
            with self._connection.reading() as connection:
                self._ahead = places, *self._read(connection, samples, places)

    def _read(
        self, connection: sqlite3.Connection, samples: Sequence[Sample], places: _Places
    ) -> tuple[dict[str, int], dict[str, Annotations]]:
        """Return the versions of all samples, and the annotations of some."""
        # First: what is written meanwhile is then another's change, and is not overwritten.
        versions = dict(connection.execute("SELECT frames, version FROM versions"))
        if self._ahead is not None and self._ahead[:2] == (places, versions):
            return versions, self._ahead[2]
        images, cells = read_tables(connection, self._where(samples))
        notes = read_notes(connection)
        ids = {place: [int(row[0]) for row in rows] for place, rows in cells.items()}
        return versions, {
            name: annotations_of(
                of_sample, images, cells, notes, stored_shifts(connection, of_sample, ids)
            )
            for name, of_sample in places.items()
            if any(place in images for place in of_sample)
        }

    def history(self, samples: Sequence[Sample]) -> list[PastEdit]:
        """Return the edits of samples that can be undone or redone, the first one first."""
        if not self.path.exists():
            return []
        with self._connection.reading() as connection:
            places = {sample.name: self._names.places(sample) for sample in samples}
            return read_past_edits(connection, places)

    def past_edit(self, sample: Sample, uid: str) -> Edit:
        """Return an edit of the history with all that it changed.

        Raises
        ------
        UserError
            If it, or one of its images, is not there any more, or cannot be read.
        """
        with self._connection.reading() as connection:
            edit = edit_of(connection, self._names.places(sample), uid)
        if edit is None:
            raise UserError(
                f"A change of sample {sample.name!r} is no longer in {self.path}, so it cannot be "
                "taken back; open the study again to see the history as it is now."
            )
        return edit

    def journal(self, sample: Sample, are_parts_enough: bool = False) -> list[JournalEntry]:
        """Return all that was ever done to a sample, the first edit first; see `read_entries`."""
        if not self.path.exists():
            return []
        with self._connection.reading() as connection:
            places = self._names.places(sample)
            entries = entries_of(connection, places, are_parts_enough=are_parts_enough)
            _ = [entry.edit for entry in entries]  # Fails here if one is damaged.
        return entries

    def edit_uids(self) -> frozenset[str]:
        """Return the names of all edits of all samples, those that a merge brought among them."""
        with self._connection.reading() as connection:
            return frozenset(uid for (uid,) in connection.execute("SELECT uid FROM edits"))

    def note_merged(self, sample: Sample, entries: Sequence[JournalEntry]) -> None:
        """Note another person's edits, which a merge brings; errors as `record`."""
        key = frames_key(self._names.places(sample))
        with self._connection.writing() as connection, connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO edits (frames, {', '.join(JournalEntry._fields)}) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(key, *entry._replace(state=MERGED)) for entry in entries],
            )

    def boxes_of_other_images(self, samples: Sequence[Sample]) -> dict[Path, int]:
        """Return how many boxes there are of files that are none of the samples' images."""
        if not self.path.exists():
            return {}
        known = {place for sample in samples for place in self._names.places(sample)}
        counts: dict[Path, int] = {}
        with self._connection.reading() as connection:
            for image, page, boxes in connection.execute(BOX_COUNTS):
                if boxes and (image, page) not in known:
                    path = self._names.folder / image
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
        places = self._names.places(sample)
        stamp = (
            edit.author or author_name(),
            made_by,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )

        def write(connection: sqlite3.Connection) -> None:
            if not (edit.automatic or edit.settled):
                drop_undone(connection, places)
            note_frames(connection, places)
            entry = (sample.name, edit.title, *stamp, DONE, edit_to_text(edit))
            number = connection.execute(
                "INSERT INTO edits (uid, frames, sample, title, author, made_by, made_at, state, "
                "content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (edit.uid, frames_key(places), *entry),
            ).lastrowid
            write_step(connection, edit)
            self._write(connection, places, edit, next_id, int(number or 0))

        self._do(places, sample.name, write)

    def undo(self, sample: Sample, edit: Edit, undone: str = "") -> None:
        """Write that an edit was taken back, by the undo of that name; errors as `record`."""
        self._step(sample, edit.inverse, UNDONE, undone)

    def redo(self, sample: Sample, edit: Edit) -> None:
        """Write that an edit that was taken back was made again; errors as `record`."""
        self._step(sample, edit, DONE)

    def settle(self, sample: Sample, uid: str, settled: bool = True, undone: str = "") -> None:
        """Write whether undo passes over an edit: a later one, of that undo, has taken it back."""

        def write(connection: sqlite3.Connection) -> None:
            set_of_step(connection, uid, "settled", int(settled))
            set_of_step(connection, uid, "undone", undone)

        self._do(self._names.places(sample), sample.name, write)

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Write all edits of a block in one transaction at its end; errors as `record`."""
        return self._pending.at_once()

    def write(
        self,
        sample: Sample,
        annotations: Annotations,
        title: str = "Import",
        made_by: str = "",
        **of_edit: Any,
    ) -> None:
        """Make a sample's annotations these, as one edit; errors as `record`.

        Parameters
        ----------
        sample
            The sample.
        annotations
            What there is to be.
        title, **of_edit
            See `Edit`.
        made_by
            As in `record`.
        """
        now = self.read(sample) or Annotations()
        edit = replace(Edit.between(title, now, annotations), **of_edit)
        if edit.changes_anything or annotations.next_id > now.next_id:
            self.record(sample, edit, max(annotations.next_id, now.next_id), made_by)

    def retry(self) -> None:
        """Write the edits that could not be written yet; errors as `record`."""
        self.claim()
        self._pending.do_all()

    @property
    def has_pending(self) -> bool:
        """Whether there are edits that could not be written yet."""
        return bool(self._pending)

    # --- inside -----------------------------------------------------------------------------

    def _step(self, sample: Sample, edit: Edit, state: int, undone: str = "") -> None:
        places = self._names.places(sample)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE edits SET state = ? WHERE uid = ?", (state, edit.uid))
            row = connection.execute(
                "SELECT number FROM edits WHERE uid = ?", (edit.uid,)
            ).fetchone()
            if row is None:
                raise sqlite3.DatabaseError(f"its journal lacks {edit.title!r}")
            set_of_step(connection, edit.uid, "undone", undone)
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
        searched = edit.after.searched
        connection.executemany(
            "INSERT INTO images (image, page, detected, next_id) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET next_id = max(next_id, excluded.next_id)",
            [(*places[index], index in searched, next_id) for index in images],
        )
        connection.executemany(
            "UPDATE images SET detected = ? WHERE image = ? AND page = ?",
            [(index in searched, *places[index]) for index in edit.before.searched ^ searched],
        )
        write_cells(connection, places, edit, number)

    def _do(self, places: Sequence[Place], name: str, operation: Operation) -> None:
        self._pending.do(places, name, operation)

    def _where(self, samples: Sequence[Sample]) -> list[str]:
        """Return the names of a few samples' images; empty if so many that all rows are read."""
        names = {place[0] for sample in samples for place in self._names.places(sample)}
        return sorted(names) if len(names) <= 50 else []
