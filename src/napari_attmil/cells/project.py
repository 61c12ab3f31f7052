"""What a person did to boxes, on disk as soon as it is done.

One SQLite file beside the images, one transaction an edit: a process that is killed loses at
most the edit under way. Undo after a restart, and merging two people's work, are not here yet.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs

from napari_attmil.cells.boxes import Boxes
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_attmil.images.cohort import Frame, Sample

FILE_NAME = "annotations.sqlite"
SCHEMA_VERSION = 1
WAIT_S = 5.0
"""Another process that is writing is waited for so long."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    image TEXT NOT NULL, page INTEGER NOT NULL, detected INTEGER NOT NULL, next_id INTEGER NOT NULL,
    PRIMARY KEY (image, page)
);
CREATE TABLE IF NOT EXISTS cells (
    image TEXT NOT NULL, page INTEGER NOT NULL, cell_id INTEGER NOT NULL,
    x_min REAL NOT NULL, y_min REAL NOT NULL, x_max REAL NOT NULL, y_max REAL NOT NULL,
    score REAL NOT NULL, source INTEGER NOT NULL, deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS cells_of_image ON cells (image, page);
"""


@dataclass(frozen=True, eq=False)
class Annotations:
    """The boxes of one sample as a person left them.

    Attributes
    ----------
    boxes
        Its cells.
    deleted
        Boxes that a person deleted, which a later detection leaves out.
    detected
        Whether the detector has seen all of its images.
    next_id
        The next cell_id to give away.
    """

    boxes: Boxes
    deleted: Boxes
    detected: bool
    next_id: int


class AnnotationFile:
    """The annotations of all samples of one project.

    Parameters
    ----------
    path
        The SQLite file; made with the first edit.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @classmethod
    def beside(cls, folder: Path) -> AnnotationFile:
        """Return the file in a project's folder, or in the user's own if that is read-only."""
        try:
            with tempfile.TemporaryFile(dir=folder):
                return cls(folder / FILE_NAME)
        except OSError:
            return cls.of_user()

    @classmethod
    def of_user(cls) -> AnnotationFile:
        """Return the file for images that belong to no project."""
        return cls(platformdirs.user_data_path("napari-attmil") / FILE_NAME)

    def read(self, sample: Sample) -> Annotations | None:
        """Return what was written about a sample's images, None if nothing was.

        Raises
        ------
        UserError
            If the file is damaged or of a newer version.
        """
        if not self.path.exists():
            return None
        with self._connection() as connection:
            rows, known = [], []
            for index, frame in enumerate(sample.frames):
                place = self._place(frame)
                state = connection.execute(
                    "SELECT detected, next_id FROM images WHERE image = ? AND page = ?", place
                ).fetchone()
                if state is not None:
                    known.append(state)
                rows += [
                    (index, *cell)
                    for cell in connection.execute(
                        "SELECT cell_id, x_min, y_min, x_max, y_max, score, source, deleted "
                        "FROM cells WHERE image = ? AND page = ? ORDER BY rowid",
                        place,
                    )
                ]
        if not known:
            return None
        detected = len(known) == len(sample.frames) and all(flag for flag, _ in known)
        return Annotations(
            _boxes([row for row in rows if not row[-1]]),
            _boxes([row for row in rows if row[-1]]),
            detected,
            max(next_id for _, next_id in known),
        )

    def read_all(self, samples: Sequence[Sample]) -> dict[str, Annotations]:
        """Return what was written about several samples, by name; the others are left out."""
        found = {sample.name: self.read(sample) for sample in samples}
        return {name: kept for name, kept in found.items() if kept is not None}

    def write(self, sample: Sample, annotations: Annotations) -> None:
        """Replace what is known of a sample's images, in one transaction.

        Raises
        ------
        UserError
            If the disk is full, the folder is read-only, or another process keeps the file.
        """
        with self._connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for index, frame in enumerate(sample.frames):
                place = self._place(frame)
                connection.execute("DELETE FROM cells WHERE image = ? AND page = ?", place)
                connection.execute(
                    "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)",
                    (*place, annotations.detected, annotations.next_id),
                )
                for boxes, deleted in ((annotations.boxes, 0), (annotations.deleted, 1)):
                    connection.executemany(
                        "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        [(*place, *row, deleted) for row in _rows(boxes.of_image(index))],
                    )

    def _place(self, frame: Frame) -> tuple[str, int]:
        """Return how an image is named: relative to the project, so that this can be moved."""
        path, folder = frame.path.resolve(), self.path.parent.resolve()
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        return name.as_posix(), frame.page

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(
                sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            ) as connection:
                self._check_version(connection)
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"Your boxes could not be kept in {self.path} ({error}); they stay in memory. "
                "Free some space, or close what else uses the file: the next change tries again."
            ) from error

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise UserError(
                f"{self.path} was written by a newer napari-attmil; update this one to open it."
            )
        if version < SCHEMA_VERSION:
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _rows(boxes: Boxes) -> Iterator[tuple[float, ...]]:
    columns = (boxes.cell_id, *boxes.xyxy.T, boxes.score, boxes.source)
    yield from zip(*(column.tolist() for column in columns), strict=True)


def _boxes(rows: Sequence[tuple[float, ...]]) -> Boxes:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 9)
    return Boxes(
        cell_id=table[:, 1].astype(np.int64),
        image_index=table[:, 0].astype(np.int32),
        xyxy=table[:, 2:6].astype(np.float32),
        score=table[:, 6].astype(np.float32),
        source=table[:, 7].astype(np.uint8),
    )
