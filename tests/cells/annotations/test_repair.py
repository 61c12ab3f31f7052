"""Daily copies, and what is had back of a damaged file."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.corrections import add_box, delete_boxes
from napari_attmil.cells.annotations.edits import Annotations, Edit
from napari_attmil.cells.annotations.repair import repair_file
from napari_attmil.cells.annotations.storage import backup
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cli import app
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample("s", "p", None, (Frame(tmp_path / "a.tif"), Frame(tmp_path / "b.tif")))


def annotate(path: Path, sample: Sample, edits: int, seed: int = 0) -> Annotations:
    """Draw, delete, review and take back; return what there is then."""
    file, rng = AnnotationFile(path), np.random.default_rng(seed)
    now = file.read(sample) or Annotations()
    for number in range(edits):
        image, corner = int(rng.integers(2)), rng.integers(0, 90, 2)
        boxes = add_box(now.boxes, image, [*corner, *corner + 9], now.next_id)
        after = replace(now, boxes=boxes.in_order(), next_id=now.next_id + 1)
        if number % 5 == 4:
            gone = now.boxes[:1]
            left = delete_boxes(now.boxes, gone.cell_id.tolist())
            after = replace(now, boxes=left, deleted=Boxes.concatenate([now.deleted, gone]))
        if number % 7 == 6:
            after = replace(now, reviewed=now.reviewed ^ {image})
        edit = Edit.between(f"Edit {number}", now, after)
        file.record(sample, edit, after.next_id)
        if number % 6 == 5:
            file.undo(sample, edit)
        else:
            now = after
    file.close()
    return now


def same(read: Annotations | None, wanted: Annotations) -> bool:
    assert read is not None
    return (
        read.boxes.digest() == wanted.boxes.in_order().digest()
        and read.deleted.digest() == wanted.deleted.in_order().digest()
        and read.reviewed == wanted.reviewed
    )


def overwrite_pages(path: Path, *tables: str) -> None:
    """Damage all pages of some tables, as a bad disk does."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        roots = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name IN (SELECT value FROM json_each(?))",
            (f"[{','.join(repr(table) for table in tables)}]".replace("'", '"'),),
        ).fetchall()
    content = bytearray(path.read_bytes())
    for (root,) in roots:
        content[size * (root - 1) : size * root] = b"\xa5" * size
    path.write_bytes(content)


def test_a_copy_is_put_aside_before_a_days_first_edit_and_three_are_kept(
    tmp_path: Path, sample: Sample
) -> None:
    path = tmp_path / "annotations.sqlite"
    annotate(path, sample, 3)
    assert not backup.backups_of(path)  # there was nothing before
    for day in range(1, 6):
        (tmp_path / f"annotations-backup-2020-01-0{day}.sqlite").write_bytes(b"old")
    before = AnnotationFile(path).read(sample)
    annotate(path, sample, 2, seed=1)
    annotate(path, sample, 2, seed=2)
    newest, *older = backup.backups_of(path)
    assert [copy.stem[-2:] for copy in older] == ["05", "04"]
    assert before is not None and same(AnnotationFile(newest).read(sample), before)


def test_copies_of_good_days_do_not_make_way_for_a_damaged_file(
    tmp_path: Path, sample: Sample
) -> None:
    path = tmp_path / "annotations.sqlite"
    annotate(path, sample, 30)
    overwrite_pages(path, "frame_lists")
    with pytest.raises(UserError, match="attmil repair"):
        annotate(path, sample, 1)
    assert not backup.backups_of(path)


@pytest.mark.parametrize("tables", [("cells",), ("images", "cells"), ("versions",)])
@pytest.mark.parametrize("has_copy", [True, False])
def test_boxes_that_cannot_be_read_come_back_from_copy_and_journal(
    tmp_path: Path, sample: Sample, tables: tuple[str, ...], has_copy: bool
) -> None:
    path = tmp_path / "annotations.sqlite"
    annotate(path, sample, 40)
    wanted = annotate(path, sample, 40, seed=1)
    assert len(backup.backups_of(path)) == 1
    if not has_copy:
        backup.backups_of(path)[0].unlink()
    overwrite_pages(path, *tables)
    with pytest.raises(UserError, match="attmil repair"):
        AnnotationFile(path).read(sample)
    repaired = repair_file(path)
    assert same(AnnotationFile(path).read(sample), wanted)
    assert (repaired.rebuilt_from is not None) == has_copy and repaired.damaged.exists()
    assert repaired.boxes == len(wanted.boxes) and repaired.lost_edits == 0
    file = AnnotationFile(path)
    assert len(file.journal(sample)) == 80
    annotate(path, sample, 3)  # and it can be gone on with


def test_a_whole_file_stays_as_it_is(tmp_path: Path, sample: Sample) -> None:
    path = tmp_path / "annotations.sqlite"
    wanted = annotate(path, sample, 20)
    assert repair_file(path).rebuilt_from is None
    assert same(AnnotationFile(path).read(sample), wanted)


def test_a_repair_that_was_killed_after_it_took_the_log_away_can_be_run_again(
    tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, path = tmp_path / "made.sqlite", tmp_path / "annotations.sqlite"
    annotate(made, sample, 20)
    file = AnnotationFile(made)
    now = file.read(sample) or Annotations()
    added = add_box(now.boxes, 0, [200, 0, 209, 9], now.next_id)
    wanted = replace(now, boxes=added, next_id=now.next_id + 1)
    file.write(sample, wanted)
    for ending in ("", "-wal"):  # as they are while it is open: the last edit is in the log
        (tmp_path / f"annotations.sqlite{ending}").write_bytes(
            (tmp_path / f"made.sqlite{ending}").read_bytes()
        )

    replaced = type(path).replace

    def killed(made: Path, target: Path) -> Path:
        if target == path:
            raise KeyboardInterrupt
        return replaced(made, target)  # the day's copy

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(type(path), "replace", killed)
        repair_file(path)
    assert path.exists() and not (tmp_path / "annotations.sqlite-wal").exists()
    (tmp_path / ".repair-of-a-killed-one").mkdir()
    repair_file(path)
    assert same(AnnotationFile(path).read(sample), wanted)
    assert not list(tmp_path.glob(".repair-*"))


@pytest.mark.parametrize("content", ["5", "[]", "null", "{", "[" * 99_999, '{"before": 7}'])
def test_a_row_of_the_journal_that_is_no_edit_costs_only_itself(
    tmp_path: Path, sample: Sample, content: str
) -> None:
    path = tmp_path / "annotations.sqlite"
    wanted = annotate(path, sample, 20)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE edits SET content = ? WHERE number = 10", (content,))
    assert repair_file(path).edits == 19
    assert same(AnnotationFile(path).read(sample), wanted)
    assert len(AnnotationFile(path).journal(sample)) == 19


def test_an_empty_file_comes_back_from_the_days_copy(tmp_path: Path, sample: Sample) -> None:
    path = tmp_path / "annotations.sqlite"
    wanted = annotate(path, sample, 20)
    annotate(path, sample, 1, seed=1)
    path.write_bytes(b"")
    told = CliRunner().invoke(app, ["repair", str(tmp_path)])
    assert told.exit_code == 0
    assert f"{len(wanted.boxes)} boxes and 20 edits are in" in told.output
    assert "rebuilt from annotations-backup-" in told.output
    assert same(AnnotationFile(path).read(sample), wanted)


def test_a_file_of_which_nothing_is_left_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    path.write_bytes(b"\xa5" * 8192)
    with pytest.raises(UserError, match=r"Nothing of .* could be read, and there is no copy"):
        repair_file(path)
    assert path.read_bytes() == b"\xa5" * 8192 and not list(tmp_path.glob("*damaged*"))
    with pytest.raises(UserError, match="There is no"):
        repair_file(tmp_path / "other" / "annotations.sqlite")


def test_no_flipped_byte_changes_a_box_or_the_journal_silently(
    tmp_path: Path, sample: Sample
) -> None:
    path, rng = tmp_path / "annotations.sqlite", np.random.default_rng(0)
    wanted = annotate(path, sample, 60)
    whole = path.read_bytes()
    journal = {entry.uid: entry for entry in AnnotationFile(path).journal(sample)}
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        file = AnnotationFile(path)
        try:
            assert same(file.read(sample), wanted)
            assert all(journal[entry.uid] == entry for entry in file.journal(sample))
        except UserError as error:
            refused += "could not be read" in str(error) or "newer napari-attmil" in str(error)
    assert refused > 30  # the rest hit bytes that nothing is stored in


@pytest.mark.parametrize(
    "damage", ["UPDATE cells SET x_max = x_max + 1 WHERE cell_id = 3", "DELETE FROM cells"]
)
def test_numbers_that_a_bad_disk_changed_are_noticed_and_rebuilt(
    tmp_path: Path, sample: Sample, damage: str
) -> None:
    path = tmp_path / "annotations.sqlite"
    wanted = annotate(path, sample, 30)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    with pytest.raises(UserError, match=r"a\.tif among them, are not as they were written"):
        AnnotationFile(path).read(sample)
    repair_file(path)
    assert same(AnnotationFile(path).read(sample), wanted)
