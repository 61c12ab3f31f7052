from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.cells.annotations.annotation_file import (
    AUTHOR_VARIABLE,
    AnnotationFile,
    Annotations,
    author_name,
)
from napari_attmil.cells.annotations.corrections import add_box, delete_boxes
from napari_attmil.cells.annotations.edits import Edit
from napari_attmil.cells.annotations.storage import connection as connection_module, schema
from napari_attmil.cells.annotations.storage.schema import open_for_writing
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def sample_in(folder: Path, *names: str) -> Sample:
    return Sample("s", "p", None, tuple(Frame(folder / name) for name in names))


def corrected() -> Annotations:
    boxes = Boxes.from_detections(
        [0, 0, 1], [[0.25, 1, 10, 10], [20.0, 20, 30, 30], [5, 5, 9, 9.5]], [0.9, 0.8, 0.7]
    )
    gone = boxes[boxes.cell_id == 2]
    left = add_box(delete_boxes(boxes, [2]), 1, [40, 40, 50, 52])
    return Annotations(left, gone, frozenset({0, 1}), 9)


def assert_same(read: Boxes, written: Boxes) -> None:
    for name in ("cell_id", "image_index", "xyxy", "score", "source"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    sample = sample_in(tmp_path, "a.tif", "b.tif")
    AnnotationFile(tmp_path / "annotations.sqlite").write(sample, corrected())
    read = AnnotationFile(tmp_path / "annotations.sqlite").read(sample)
    assert read is not None
    assert_same(read.boxes, corrected().boxes)
    assert_same(read.deleted, corrected().deleted)
    assert (read.searched, read.next_id) == ({0, 1}, 9)
    assert Source.PERSON in read.boxes.source


def test_nothing_is_known_before_the_first_edit_and_nothing_is_made(tmp_path: Path) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    assert file.read(sample_in(tmp_path, "a.tif")) is None
    assert not file.path.exists()


def test_a_moved_project_keeps_its_annotations(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    AnnotationFile(old / "annotations.sqlite").write(
        sample_in(old / "x", "a.tif", "b.tif"), corrected()
    )
    old.rename(new)
    read = AnnotationFile(new / "annotations.sqlite").read(sample_in(new / "x", "a.tif", "b.tif"))
    assert read is not None
    assert_same(read.boxes, corrected().boxes)


def test_a_sample_s_edit_leaves_the_other_samples_alone(tmp_path: Path) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    first, second = sample_in(tmp_path, "a.tif", "b.tif"), sample_in(tmp_path, "c.tif", "d.tif")
    file.write(first, corrected())
    file.write(second, replace(corrected(), boxes=Boxes.empty(), deleted=Boxes.empty()))
    read = file.read(first)
    assert read is not None
    assert_same(read.boxes, corrected().boxes)


def test_all_samples_are_read_by_name_and_untouched_ones_left_out(tmp_path: Path) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    known = replace(sample_in(tmp_path, "a.tif", "b.tif"), name="known")
    file.write(known, corrected())
    found = file.read_all([known, replace(sample_in(tmp_path, "c.tif"), name="new")])
    assert list(found) == ["known"]
    assert_same(found["known"].boxes, corrected().boxes)


@contextlib.contextmanager
def full_disk(file: AnnotationFile) -> Iterator[None]:
    """Make every edit fail as on a full disk."""

    def open_full(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.edits BEGIN "
            "INSERT INTO versions VALUES (hex(zeroblob(1000000)), 1); END"
        )
        return connection

    file.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection_module, "open_for_writing", open_full)
        yield
    file.close()


def drawn(before: Annotations, *xyxy: float) -> tuple[Annotations, Edit]:
    boxes = add_box(before.boxes, 0, xyxy, before.next_id)
    after = replace(before, boxes=boxes.in_order(), next_id=boxes.next_id)
    return after, Edit.between("Draw 1 box", before, after)


def test_an_edit_that_fails_leaves_the_one_before_and_is_written_with_the_next(
    tmp_path: Path,
) -> None:
    file, sample = AnnotationFile(tmp_path / "annotations.sqlite"), sample_in(tmp_path, "a.tif")
    one, first = drawn(Annotations(), 0, 0, 9, 9)
    file.record(sample, first, one.next_id)
    two, second = drawn(one, 20, 20, 29, 29)
    refusal = r"disk is full.*stay in memory.*next change tries again"
    with full_disk(file), pytest.raises(UserError, match=refusal):
        file.record(sample, second, two.next_id)
    read = AnnotationFile(file.path).read(sample)
    assert read is not None and file.has_pending
    assert_same(read.boxes, one.boxes)
    three, third = drawn(two, 40, 40, 49, 49)
    file.record(sample, third, three.next_id)
    read = AnnotationFile(file.path).read(sample)
    assert read is not None and not file.has_pending
    assert_same(read.boxes, three.boxes)
    assert len(file.history([sample])) == 3


def test_a_sample_that_another_program_has_changed_is_not_written_over(tmp_path: Path) -> None:
    sample, path = sample_in(tmp_path, "a.tif"), tmp_path / "annotations.sqlite"
    one, two = AnnotationFile(path), AnnotationFile(path)
    one.read(sample)
    two.read(sample)
    after, edit = drawn(Annotations(), 0, 0, 9, 9)
    _, elsewhere = drawn(Annotations(), 0, 0, 9, 9)
    two.record(replace(sample_in(tmp_path, "b.tif"), name="other"), elsewhere, after.next_id)
    one.record(sample, edit, after.next_id)
    one.undo(sample, edit)
    one.redo(sample, edit)
    other, theirs = drawn(Annotations(), 5, 5, 15, 15)
    with pytest.raises(UserError, match="Another window or program has changed the boxes"):
        two.record(sample, theirs, other.next_id)
    read = AnnotationFile(path).read(sample)
    assert read is not None
    assert_same(read.boxes, after.boxes)


@pytest.mark.parametrize("one_file", [True, False])
def test_an_image_open_on_its_own_and_in_a_sample_loses_no_box(
    tmp_path: Path, one_file: bool
) -> None:
    alone, both = sample_in(tmp_path, "a.tif"), sample_in(tmp_path, "a.tif", "b.tif")
    one = AnnotationFile(tmp_path / "annotations.sqlite")
    two = one if one_file else AnnotationFile(one.path)
    one.read(alone)
    two.read(both)
    after, edit = drawn(Annotations(), 0, 0, 9, 9)
    one.record(alone, edit, after.next_id)
    again, more = drawn(after, 5, 5, 15, 15)
    one.record(alone, more, again.next_id)
    other, theirs = drawn(Annotations(), 40, 40, 50, 50)
    with pytest.raises(UserError, match="Another window or program has changed the boxes"):
        two.record(both, theirs, other.next_id)
    read = AnnotationFile(one.path).read(both)
    assert read is not None
    assert_same(read.boxes, again.boxes)


def test_a_sample_sees_what_was_done_to_its_image_alone_when_it_is_read_again(
    tmp_path: Path,
) -> None:
    alone, both = sample_in(tmp_path, "a.tif"), sample_in(tmp_path, "a.tif", "b.tif")
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    after, edit = drawn(Annotations(), 0, 0, 9, 9)
    file.record(alone, edit, after.next_id)
    now = file.read(both)
    assert now is not None
    other, more = drawn(now, 40, 40, 50, 50)
    file.record(both, more, other.next_id)
    with pytest.raises(UserError, match="Another window or program has changed the boxes"):
        file.record(alone, drawn(after, 5, 5, 15, 15)[1], after.next_id + 1)
    read = AnnotationFile(file.path).read(both)
    assert read is not None and read.boxes.xyxy.tolist() == [[0, 0, 9, 9], [40, 40, 50, 50]]


def test_the_journal_says_who_did_what_when_and_what_made_the_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_ATTMIL_AUTHOR", "Ana")
    file, sample = AnnotationFile(tmp_path / "annotations.sqlite"), sample_in(tmp_path, "a.tif")
    after, edit = drawn(Annotations(), 0, 0, 9, 9)
    file.record(sample, edit, after.next_id, made_by="detector 12ab")
    with contextlib.closing(sqlite3.connect(file.path)) as connection:
        row = connection.execute(
            "SELECT author, title, made_by, made_at, cell_id FROM cells JOIN edits "
            "ON cells.edit = edits.number"
        ).fetchone()
    assert row[:3] == ("Ana", "Draw 1 box", "detector 12ab") and row[4] == 1
    assert datetime.fromisoformat(row[3]).tzinfo is not None


VERSION_1 = """
CREATE TABLE images (
    image TEXT NOT NULL, page INTEGER NOT NULL, detected INTEGER NOT NULL, next_id INTEGER NOT NULL,
    PRIMARY KEY (image, page)
);
CREATE TABLE cells (
    image TEXT NOT NULL, page INTEGER NOT NULL, cell_id INTEGER NOT NULL,
    x_min REAL NOT NULL, y_min REAL NOT NULL, x_max REAL NOT NULL, y_max REAL NOT NULL,
    score REAL NOT NULL, source INTEGER NOT NULL, deleted INTEGER NOT NULL
);
CREATE INDEX cells_of_image ON cells (image, page);
INSERT INTO images VALUES ('a.tif', 0, 1, 4);
INSERT INTO cells VALUES ('a.tif', 0, 1, 0, 0, 9, 9, 0.5, 0, 0);
INSERT INTO cells VALUES ('a.tif', 0, 3, 5, 5, 9, 9, 1, 1, 1);
PRAGMA user_version = 1;
"""


def older_file(folder: Path) -> Path:
    path = folder / "annotations.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    return path


def test_an_older_file_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    path, sample = older_file(tmp_path), sample_in(tmp_path, "a.tif")
    before = path.read_bytes()
    read = AnnotationFile(path).read(sample)
    assert read is not None
    assert (read.boxes.cell_id.tolist(), read.deleted.cell_id.tolist()) == ([1], [3])
    assert (read.searched, read.next_id, read.reviewed) == ({0}, 4, frozenset())
    assert len(AnnotationFile(path).read_all([sample])["s"].boxes) == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_is_changed_by_an_edit_after_a_copy_was_put_aside(tmp_path: Path) -> None:
    path, sample = older_file(tmp_path), sample_in(tmp_path, "a.tif")
    file = AnnotationFile(path)
    read = file.read(sample)
    assert read is not None
    after, edit = drawn(read, 20, 20, 29, 29)
    file.record(sample, edit, after.next_id)
    with contextlib.closing(sqlite3.connect(tmp_path / "annotations-version-1.sqlite")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT count(*) FROM cells").fetchone() == (2,)
    again = AnnotationFile(path).read(sample)
    assert again is not None
    assert_same(again.boxes, after.boxes)


def test_an_edit_that_the_file_no_longer_has_is_told_when_undone(tmp_path: Path) -> None:
    path, sample = tmp_path / "annotations.sqlite", sample_in(tmp_path, "a.tif")
    file = AnnotationFile(path)
    after, edit = drawn(Annotations(), 20, 20, 29, 29)
    file.record(sample, edit, after.next_id)
    with contextlib.closing(open_for_writing(path)) as connection:
        connection.execute("DELETE FROM edits")
    with pytest.raises(UserError, match="its journal lacks 'Draw 1 box'"):
        file.undo(sample, edit)
    now = AnnotationFile(path).read(sample)
    assert now is not None
    assert_same(now.boxes, after.boxes)


def test_each_image_of_the_samples_is_known_as_far_as_it_was_written(tmp_path: Path) -> None:
    file, sample = AnnotationFile(tmp_path / "annotations.sqlite"), sample_in(tmp_path, "a", "b")
    other = replace(sample_in(tmp_path, "c"), name="other")
    assert file.read_all([sample]) == {}
    file.write(sample, replace(corrected(), reviewed=frozenset({1})))
    read = file.read_all([other, sample])
    assert list(read) == ["s"]
    boxes = [read["s"].boxes.of_image(index) for index in range(2)]
    assert [len(each) for each in boxes] == [1, 2]
    assert [np.count_nonzero(each.source == Source.PERSON) for each in boxes] == [0, 1]
    assert (read["s"].reviewed, read["s"].searched) == ({1}, {0, 1})
    least = [each.score[each.source == Source.MODEL].min() for each in boxes]
    np.testing.assert_allclose(least, [0.9, 0.7], rtol=1e-6)


def test_a_damaged_file_is_said_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    path.write_bytes(b"this is no database, but somebody's notes" * 50)
    with pytest.raises(UserError, match="could not be read"):
        AnnotationFile(path).write(sample_in(tmp_path, "a.tif"), corrected())
    assert path.read_bytes().startswith(b"this is no database")


def test_cell_ids_beyond_the_precision_of_floats_stay_apart(tmp_path: Path) -> None:
    ids = np.array([2**53, 2**53 + 1])
    boxes = replace(
        Boxes.from_detections([0, 0], [[1, 2, 9, 8], [20, 2, 30, 9]], [1, 1]), cell_id=ids
    )
    sample = sample_in(tmp_path, "a.tif")
    AnnotationFile(tmp_path / "annotations.sqlite").write(sample, Annotations(boxes))
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    kept = file.read(sample)
    assert kept is not None
    assert kept.boxes.cell_id.tolist() == ids.tolist()
    (done,) = file.history([sample])
    assert file.past_edit(sample, done.uid).after.cells.boxes.cell_id.tolist() == ids.tolist()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="newer napari-attmil"):
        AnnotationFile(path).read(sample_in(tmp_path, "a.tif"))


@pytest.mark.parametrize("error", [ImportError("no module named pwd"), KeyError("uid"), OSError()])
def test_an_account_without_a_name_is_unknown(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.delenv(AUTHOR_VARIABLE, raising=False)
    monkeypatch.setattr("getpass.getuser", nameless)
    assert author_name() == "unknown"


BROKEN_EDIT = '{"before": [[1]], "after": [], "reviewed": [[], []]}'
HUGE_EDIT = BROKEN_EDIT.replace("[1]", f"[1, 0, {10**400}, 2, 9, 8, 1, 0, 0]")


@pytest.mark.parametrize(
    ("damage", "reader"),
    [
        ("UPDATE cells SET x_min = 'abc'", "read"),
        ("UPDATE cells SET score = 9e999", "read"),
        ("UPDATE cells SET source = 77", "read"),
        ("UPDATE images SET next_id = 'many'", "read"),
        ("DROP TABLE versions", "read"),
        ("UPDATE edits SET content = '{'", "journal"),
        ("UPDATE edits SET content = '[]'", "journal"),
        (f"UPDATE edits SET content = '{BROKEN_EDIT}'", "journal"),
        (f"UPDATE edits SET content = '{HUGE_EDIT}'", "journal"),
        (f"UPDATE edits SET content = '{'[' * 100_000}'", "journal"),
    ],
)
def test_rows_that_make_no_sense_are_told_as_damage(
    tmp_path: Path, damage: str, reader: str
) -> None:
    sample = sample_in(tmp_path, "a.tif")
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    boxes = Boxes.from_detections([0], [[1, 2, 9, 8]], [0.9])
    file.write(sample, Annotations(boxes, next_id=2))
    file.close()
    with contextlib.closing(sqlite3.connect(file.path)) as connection, connection:
        connection.execute(damage)
    with pytest.raises(UserError, match=r"could not be read.*put a copy of yours in its place"):
        getattr(file, reader)(sample)


@pytest.mark.parametrize("version", ["'abc'", "x'ff'", "9e99"])
def test_a_version_that_is_no_number_is_a_sentence_not_a_traceback(
    tmp_path: Path, version: str
) -> None:
    file, sample = AnnotationFile(tmp_path / "annotations.sqlite"), sample_in(tmp_path, "a.tif")
    one, first = drawn(Annotations(), 0, 0, 9, 9)
    file.record(sample, first, one.next_id)
    file.close()
    with contextlib.closing(sqlite3.connect(file.path)) as connection, connection:
        connection.execute(f"UPDATE versions SET version = {version}")
    _, second = drawn(one, 20, 20, 29, 29)
    with pytest.raises(UserError, match=r"cannot be written|has changed the boxes"):
        file.record(sample, second, 3)
    assert file.has_pending


def test_a_commit_that_stood_though_it_failed_is_not_made_twice_nor_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FailsAfterwards(sqlite3.Connection):
        def __exit__(self, *failure: Any) -> Any:
            super().__exit__(*failure)
            raise sqlite3.OperationalError("disk I/O error")

    def connected(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=FailsAfterwards)

    file, sample = AnnotationFile(tmp_path / "annotations.sqlite"), sample_in(tmp_path, "a.tif")
    one, first = drawn(Annotations(), 0, 0, 9, 9)
    file.record(sample, first, one.next_id)
    two, second = drawn(one, 20, 20, 29, 29)
    file.close()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_connected", connected)
        with pytest.raises(UserError, match=r"disk I/O error.*stay in memory"):
            file.record(sample, second, two.next_id)
    assert file.has_pending
    three, third = drawn(two, 40, 40, 49, 49)
    file.record(sample, third, three.next_id)
    read = AnnotationFile(file.path).read(sample)
    assert read is not None and not file.has_pending
    assert_same(read.boxes, three.boxes)
    assert [entry.uid for entry in file.journal(sample)] == [first.uid, second.uid, third.uid]
