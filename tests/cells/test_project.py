from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.corrections import add_box, delete_boxes
from napari_attmil.cells.project import AnnotationFile, Annotations
from napari_attmil.images.cohort import Frame, Sample
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from pathlib import Path


def sample_in(folder: Path, *names: str) -> Sample:
    return Sample("s", "p", None, tuple(Frame(folder / name) for name in names))


def corrected() -> Annotations:
    boxes = Boxes.from_detections(
        [0, 0, 1], [[0.25, 1, 10, 10], [20, 20, 30, 30], [5, 5, 9, 9.5]], [0.9, 0.8, 0.7]
    )
    gone = boxes[boxes.cell_id == 2]
    return Annotations(add_box(delete_boxes(boxes, [2]), 1, [40, 40, 50, 52]), gone, True, 9)


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
    assert (read.detected, read.next_id) == (True, 9)
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


def test_a_failed_edit_leaves_the_one_before(tmp_path: Path) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    sample = sample_in(tmp_path, "a.tif", "b.tif")
    file.write(sample, corrected())
    broken = replace(corrected(), next_id=None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="stay in memory"):
        file.write(sample, broken)
    read = file.read(sample)
    assert read is not None
    assert_same(read.boxes, corrected().boxes)


def test_a_damaged_file_is_said_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    path.write_bytes(b"this is no database, but somebody's notes" * 50)
    with pytest.raises(UserError, match="could not be kept"):
        AnnotationFile(path).write(sample_in(tmp_path, "a.tif"), corrected())
    assert path.read_bytes().startswith(b"this is no database")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="newer napari-attmil"):
        AnnotationFile(path).read(sample_in(tmp_path, "a.tif"))


WRITER = """
import sys
from pathlib import Path
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.corrections import add_box
from napari_attmil.cells.project import AnnotationFile, Annotations
from napari_attmil.images.cohort import Frame, Sample

folder = Path(sys.argv[1])
sample = Sample("s", "p", None, (Frame(folder / "a.tif"),))
boxes, file = Boxes.empty(), AnnotationFile(folder / "annotations.sqlite")
while True:
    boxes = add_box(boxes, 0, [1, 1, 9, 9])
    file.write(sample, Annotations(boxes, Boxes.empty(), False, boxes.next_id))
    print(len(boxes), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_edit_that_was_committed(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(25):
        committed = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    committed = max([committed, *map(int, writer.stdout.read().split())])
    writer.wait()
    read = AnnotationFile(tmp_path / "annotations.sqlite").read(sample_in(tmp_path, "a.tif"))
    assert read is not None
    # The edit under way may have been committed before its number could be printed.
    assert len(read.boxes) in (committed, committed + 1)
