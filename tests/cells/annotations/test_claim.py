"""Which program on which machine may write, and files that are not where they were."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.corrections import add_box
from napari_attmil.cells.annotations.edits import Annotations, Edit
from napari_attmil.cells.annotations.storage import connection, schema
from napari_attmil.cells.annotations.storage.claim import ABANDONED_AFTER_S
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTE = {"host": "lab-2", "user": "anna", "process": 7, "since": "2026-01-01", "token": "hers"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annotations.sqlite"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample("s", "p", None, (Frame(tmp_path / "a.tif"),))


def with_boxes(count: int) -> Annotations:
    boxes = Boxes.empty()
    for place in range(count):
        boxes = add_box(boxes, 0, [20 * place, 0, 20 * place + 9, 9])
    return Annotations(boxes, Boxes.empty(), next_id=boxes.next_id)


def boxes_on_disk(path: Path, sample: Sample) -> int:
    read = AnnotationFile(path).read(sample)
    return 0 if read is None else len(read.boxes)


def note_of_another_machine(path: Path, age_s: float = 0) -> Path:
    note = path.with_name("annotations.sqlite.writer")
    note.write_text(json.dumps(NOTE))
    os.utime(note, (time.time() - age_s, time.time() - age_s))
    return note


def test_the_program_that_writes_leaves_a_note_and_takes_it_away(
    path: Path, sample: Sample
) -> None:
    file, note = AnnotationFile(path), path.with_name("annotations.sqlite.writer")
    file.write(sample, with_boxes(1))
    assert json.loads(note.read_text())["process"] == os.getpid()
    file.close()
    assert not note.exists()


def test_a_study_that_another_machine_writes_is_refused_by_name(path: Path, sample: Sample) -> None:
    note = note_of_another_machine(path)
    file = AnnotationFile(path)
    with pytest.raises(UserError, match=r"anna on lab-2 has .* open to change it. Close the study"):
        file.write(sample, with_boxes(1))
    assert file.has_pending and not path.exists()
    note.unlink()  # she closes it
    file.retry()
    assert boxes_on_disk(path, sample) == 1


@pytest.mark.parametrize(("age_s", "may"), [(-5, True), (5, False)])
def test_a_machine_that_is_silent_for_two_minutes_has_lost_its_claim(
    path: Path, sample: Sample, age_s: int, may: bool
) -> None:
    note_of_another_machine(path, ABANDONED_AFTER_S - age_s)
    refused = contextlib.nullcontext() if may else pytest.raises(UserError, match="anna on lab-2")
    with refused:
        AnnotationFile(path).write(sample, with_boxes(1))


def test_a_claim_that_was_taken_over_is_noticed_before_the_next_write(
    path: Path, sample: Sample
) -> None:
    file = AnnotationFile(path)
    file.write(sample, with_boxes(1))
    note = note_of_another_machine(path)  # as after a laptop has slept
    with pytest.raises(UserError, match="anna on lab-2"):
        file.write(sample, with_boxes(2))
    file.close()
    assert boxes_on_disk(path, sample) == 1 and json.loads(note.read_text()) == NOTE


def test_what_another_machine_wrote_in_between_is_never_overwritten(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (connection, schema):
        monkeypatch.setattr(module, "is_own_drive", lambda folder: False)
    mine, theirs = AnnotationFile(path), AnnotationFile(path)
    mine.write(sample, with_boxes(1))
    mine.close()
    theirs.write(sample, with_boxes(3))
    theirs.close()
    with contextlib.closing(sqlite3.connect(path)) as opened:
        assert opened.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    drawn = Edit.between("Draw 1 box", with_boxes(1), with_boxes(2))
    with pytest.raises(UserError, match="has changed the boxes of sample 's'"):
        mine.record(sample, drawn, 3)
    assert boxes_on_disk(path, sample) == 3


@pytest.mark.parametrize("change", ["moved", "replaced"])
def test_nothing_is_written_into_a_file_that_is_not_in_its_place(
    tmp_path: Path, change: str
) -> None:
    folder, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    path, sample = folder / "annotations.sqlite", Sample("s", "p", None, (Frame(folder / "a"),))
    file = AnnotationFile(path)
    file.write(sample, with_boxes(1))
    folder.rename(elsewhere)
    if change == "replaced":
        shutil.copytree(elsewhere, folder)
    drawn = Edit.between("Draw 1 box", with_boxes(1), with_boxes(2))
    sentence = {"moved": "is not there any more.*stay in memory", "replaced": "was replaced"}
    with pytest.raises(UserError, match=sentence[change]):
        file.record(sample, drawn, 3)
    assert file.has_pending and folder.exists() == (change == "replaced")
    if change == "moved":
        elsewhere.rename(folder)
        file.retry()
        assert boxes_on_disk(path, sample) == 2


WRITER = """
import sys
from pathlib import Path
from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.corrections import add_box
from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

folder = Path(sys.argv[1])
sample = Sample("s", "p", None, (Frame(folder / "a.tif"),))
for line in sys.stdin:
    file, written = AnnotationFile(folder / "annotations.sqlite"), 0
    try:
        for _ in range(int(line.strip(" !\\n"))):
            now = file.read(sample) or Annotations()
            x = 20 * now.next_id
            boxes = add_box(now.boxes, 0, [x, 0, x + 9, 9], now.next_id)
            file.write(sample, Annotations(boxes, next_id=now.next_id + 1))
            written += 1
        print(written, flush=True)
    except UserError as error:
        print(written, error, flush=True)
    if "!" in line:
        file.close()
"""


@contextlib.contextmanager
def mounted(below: Path, place: Path, *options: str) -> Iterator[Path]:
    """Give a mount of a folder as another machine may have it: its locks meet no other's.

    It remembers no file names: a mount that does sees another's note for a second after it has
    gone, and is refused once more.
    """
    place.mkdir()
    options = (*options, "-o", "entry_timeout=0,negative_timeout=0,attr_timeout=0")
    if (
        shutil.which("bindfs") is None
        or subprocess.run(["bindfs", *options, below, place]).returncode
    ):
        pytest.skip("FUSE's bindfs is not to be had")
    try:
        yield place
    finally:
        subprocess.run(["fusermount", "-u", place], check=True)


@pytest.mark.parametrize("options", [(), ("-o", "direct_io")], ids=["maps", "no shared maps"])
def test_two_machines_on_one_drive_lose_no_box(tmp_path: Path, options: tuple[str, ...]) -> None:
    below = tmp_path / "server"
    below.mkdir()
    with (
        mounted(below, tmp_path / "a", *options) as a,
        mounted(below, tmp_path / "b", *options) as b,
    ):
        machines = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(place)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for place in (a, b)
        ]
        acknowledged, refusals = 0, 0
        for turn in range(8):
            for number, machine in enumerate(machines):
                assert machine.stdin is not None and machine.stdout is not None
                # Every other time a machine leaves the study open, so that the next is refused.
                closes = "!" if turn % 2 or number else ""
                machine.stdin.write(f"5{closes} \n")
                machine.stdin.flush()
                written, _, refusal = machine.stdout.readline().partition(" ")
                acknowledged += int(written)
                refusals += "open to change it" in refusal
        for machine in machines:
            machine.communicate()
        sample = Sample("s", "p", None, (Frame(b / "a.tif"),))
        assert refusals == 4 and acknowledged == (8 * 2 - 4) * 5
        assert boxes_on_disk(b / "annotations.sqlite", sample) == acknowledged
