"""Files that are damaged, empty, reloaded, or a stranger's."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.corrections import add_box
from napari_attmil.cells.annotations.edits import Annotations, Edit
from napari_attmil.cells.annotations.storage.schema import SCHEMA_VERSION, read_into_memory
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample("s", "p", None, (Frame(tmp_path / "a.tif"),))


@pytest.fixture
def path(tmp_path: Path, sample: Sample) -> Path:
    """Return a file with one box."""
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    file.write(sample, one_box())
    file.close()
    return file.path


def one_box() -> Annotations:
    boxes = add_box(Boxes.empty(), 0, [0, 0, 9, 9])
    return Annotations(boxes, next_id=boxes.next_id)


def change(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_an_empty_file_is_damaged_not_new(tmp_path: Path, sample: Sample) -> None:
    path = tmp_path / "annotations.sqlite"
    path.touch()
    file = AnnotationFile(path)
    sentence = r"empty \(0 bytes\).*nothing was written.*repair"
    with pytest.raises(UserError, match=sentence):
        file.read(sample)
    with pytest.raises(UserError, match=sentence):
        file.record(sample, Edit.between("Draw 1 box", Annotations(), one_box()), 2)
    assert path.stat().st_size == 0


@pytest.mark.parametrize(
    "foreign",
    [
        "CREATE TRIGGER sweep AFTER INSERT ON cells BEGIN DELETE FROM cells; END",
        "ALTER TABLE images RENAME TO i; CREATE VIEW images AS WITH RECURSIVE t(n) AS (SELECT 1 "
        "UNION ALL SELECT n + 1 FROM t) SELECT 'a' AS image, n AS page FROM t",
        "CREATE VIRTUAL TABLE words USING fts5(text)",
        "ALTER TABLE cells ADD trap AS (abs(-9223372036854775808))",
        "ALTER TABLE cells RENAME COLUMN score TO marks",
    ],
)
def test_what_would_run_in_a_strangers_file_is_refused_at_opening(
    path: Path, sample: Sample, foreign: str
) -> None:
    change(path, foreign)
    file = AnnotationFile(path)
    with pytest.raises(UserError, match="could not be read: this program did not write it so"):
        file.read(sample)
    with pytest.raises(UserError, match="this program did not write it so"):
        file.write(sample, one_box())


def test_a_dump_that_was_read_in_again_opens_with_all_boxes(path: Path, sample: Sample) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
    path.unlink()
    change(path, dump)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    file = AnnotationFile(path)
    read = file.read(sample)
    assert read is not None and len(read.boxes) == 1
    file.write(sample, Annotations(next_id=2))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert len(file.journal(sample)) == 2


def test_pages_that_do_not_hold_together_are_told(path: Path, sample: Sample) -> None:
    damaged = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'cells'"
        ).fetchone()
    damaged[4096 * (root - 1) + 3 : 4096 * (root - 1) + 5] = b"\x7f\xff"  # its number of rows
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"could not be read.*attmil repair"):
        AnnotationFile(path).read(sample)


def test_half_an_edit_of_a_killed_program_is_not_read_where_nothing_can_be_written(
    path: Path, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM cells")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
            "INSERT INTO cells SELECT 'a.tif', 0, i + 9, 0, 0, 1, 1, 1, 0, 0, 0 FROM n"
        )
        left = tmp_path / "left"
        left.mkdir()
        for name in (path.name, f"{path.name}-journal"):
            shutil.copy(path.with_name(name), left)
        connection.execute("ROLLBACK")
    with contextlib.closing(read_into_memory(left / path.name)) as connection:
        assert connection.execute("SELECT count(*) FROM cells").fetchone() == (1,)
