"""Which program on which machine may write, and files that are not where they were."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from support.annotations import boxes_on_disk, with_boxes
from support.two_machines import DRIVES, CannotMountError, Machine, boxes_in, mounted

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.edits import Edit
from napari_attmil.cells.annotations.storage import connection, schema
from napari_attmil.cells.annotations.storage.claim import ABANDONED_AFTER_S
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path

NOTE = {"host": "lab-2", "user": "anna", "process": 7, "since": "2026-01-01", "token": "hers"}


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


REMEMBERS_NO_NAMES = ("-o", "entry_timeout=0,negative_timeout=0,attr_timeout=0")
"""A mount that remembers them sees a note for a second after it has gone: one more refusal."""


@pytest.mark.parametrize("drive", DRIVES)
def test_two_machines_on_one_drive_lose_no_box(tmp_path: Path, drive: str) -> None:
    below, options = tmp_path / "server", (*DRIVES[drive], *REMEMBERS_NO_NAMES)
    below.mkdir()
    acknowledged, refusals = 0, 0
    with contextlib.ExitStack() as stack:
        try:
            places = [
                stack.enter_context(mounted(below, tmp_path / name, *options)) for name in "ab"
            ]
        except CannotMountError as error:
            pytest.skip(str(error))
        with Machine(places[0]) as one, Machine(places[1]) as other:
            for turn in range(8):
                # Every other time a machine leaves the study open, so that the next is refused.
                for machine, closes in ((one, turn % 2 == 1), (other, True)):
                    written, refusal = machine.draw(5, closes)
                    acknowledged += written
                    refusals += "open to change it" in refusal
        assert refusals == 4 and acknowledged == (8 * 2 - 4) * 5
        assert boxes_in(places[1]) == acknowledged
