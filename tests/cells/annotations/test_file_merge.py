from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_attmil.cells.annotations.annotation_file import (
    AUTHOR_VARIABLE,
    FILE_NAME,
    AnnotationFile,
)
from napari_attmil.cells.annotations.file_merge import MERGE_TITLE, merge_files
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cli import app
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def opened(folder: Path) -> Session:
    sample = Sample("a", "a", None, (Frame(folder / "a.tif"), Frame(folder / "b.tif")))
    session = Session()
    session.open_cohort(Cohort((sample,), folder), AnnotationFile(folder / FILE_NAME))
    session.show(sample)
    return session


def copied(source: Path, target: Path) -> Session:
    """Open a copy of a project, as a colleague who was given it."""
    target.mkdir()
    shutil.copy(source / FILE_NAME, target)
    return opened(target)


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A project in which the detector has found two cells."""
    folder = tmp_path / "mine"
    folder.mkdir()
    session = opened(folder)
    session.editor.merge(Boxes.from_detections([0, 1], [[0, 0, 20, 20]] * 2, [0.9, 0.8]))
    return folder


def merged(mine: Path, theirs: Path, out: Path) -> tuple[int, int]:
    """Merge, and return the numbers of edits taken over and of conflicts."""
    samples = [Sample("a", "a", None, (Frame(mine / "a.tif"), Frame(mine / "b.tif")))]
    (result,) = merge_files(mine / FILE_NAME, theirs / FILE_NAME, out / FILE_NAME, samples)
    return result.taken_over, len(result.conflicts)


@pytest.mark.parametrize("damaged", ["mine", "theirs"])
def test_a_damaged_copy_is_named_and_leaves_no_merged_file(
    started: Path, tmp_path: Path, damaged: str
) -> None:
    copied(started, tmp_path / "theirs")
    (tmp_path / damaged / FILE_NAME).write_bytes(b"a file that is no database" * 50)
    with pytest.raises(UserError, match=f"{damaged}.*could not be read"):
        merged(started, tmp_path / "theirs", tmp_path / "both")
    assert not list((tmp_path / "both").glob("*"))


def test_a_merge_that_was_killed_is_not_in_the_way_of_the_next(
    started: Path, tmp_path: Path
) -> None:
    copied(started, tmp_path / "theirs").editor.add(0, [40, 40, 60, 60])
    (tmp_path / "both").mkdir()
    aside = tmp_path / "both" / f".{FILE_NAME}.merging"
    for ending in ("", "-wal", "-shm", ".lock", ".writer"):
        aside.with_name(aside.name + ending).write_bytes(b"half" * 2000)
    assert merged(started, tmp_path / "theirs", tmp_path / "both") == (1, 0)
    assert [path.name for path in (tmp_path / "both").iterdir()] == [FILE_NAME]


def test_a_merge_is_not_there_before_it_is_whole(started: Path, tmp_path: Path) -> None:
    copied(started, tmp_path / "theirs")
    samples = [Sample(name, name, None, (Frame(started / f"{name}.tif"),)) for name in "ab"]
    out = tmp_path / "both" / FILE_NAME
    for _ in merge_files(started / FILE_NAME, tmp_path / "theirs" / FILE_NAME, out, samples):
        assert not out.exists()
    assert out.exists()


def test_a_merge_into_a_place_that_is_a_file_is_refused(started: Path, tmp_path: Path) -> None:
    copied(started, tmp_path / "theirs")
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="taken is a file"):
        merged(started, tmp_path / "theirs", tmp_path / "taken" / "both")


def test_both_peoples_edits_are_there_once_and_the_merge_can_be_undone(
    started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = copied(started, tmp_path / "theirs")
    monkeypatch.setenv(AUTHOR_VARIABLE, "anna")
    theirs.editor.add(1, [50, 50, 70, 70])
    theirs.editor.delete([1])
    monkeypatch.delenv(AUTHOR_VARIABLE)
    opened(started).editor.add(0, [80, 80, 95, 95])
    assert merged(started, tmp_path / "theirs", tmp_path / "both") == (2, 0)
    both = opened(tmp_path / "both")
    assert both.boxes.xyxy.tolist() == [[80, 80, 95, 95], [0, 0, 20, 20], [50, 50, 70, 70]]
    assert both.editor.undo_title == "Draw 1 box"
    merge = both.history.steps[-1]
    assert (merge.title, merge.author, merge.is_mine) == (MERGE_TITLE, "anna", False)
    both.history.take_back(merge)
    assert both.boxes.xyxy.tolist() == [[0, 0, 20, 20], [80, 80, 95, 95], [0, 0, 20, 20]]


def test_merging_again_takes_nothing_over_twice(started: Path, tmp_path: Path) -> None:
    copied(started, tmp_path / "theirs").editor.add(1, [50, 50, 70, 70])
    opened(started).editor.add(0, [80, 80, 95, 95])
    merged(started, tmp_path / "theirs", tmp_path / "both")
    for other in ("theirs", "mine"):
        again = tmp_path / f"again-{other}"
        assert merged(tmp_path / "both", tmp_path / other, again) == (0, 0)
        assert opened(again).boxes.digest() == opened(tmp_path / "both").boxes.digest()


def test_an_edit_that_one_took_back_since_stays_taken_back(started: Path, tmp_path: Path) -> None:
    opened(started).editor.add(0, [80, 80, 95, 95])
    copied(started, tmp_path / "theirs").editor.add(1, [50, 50, 70, 70])
    opened(started).editor.undo()
    merged(started, tmp_path / "theirs", tmp_path / "both")
    boxes = opened(tmp_path / "both").boxes.xyxy.tolist()
    assert [80, 80, 95, 95] not in boxes and [50, 50, 70, 70] in boxes


def test_neither_copy_is_changed_and_nothing_is_written_over(started: Path, tmp_path: Path) -> None:
    copied(started, tmp_path / "theirs").editor.add(1, [50, 50, 70, 70])
    merged(started, tmp_path / "theirs", tmp_path / "both")
    assert len(opened(started).boxes) == 2
    with pytest.raises(UserError, match="exists already"):
        merged(started, tmp_path / "theirs", tmp_path / "both")
    with pytest.raises(UserError, match="does not exist"):
        merged(started, tmp_path / "nobody", tmp_path / "new")


def test_command_lists_conflicts_and_writes_them(started: Path, tmp_path: Path) -> None:
    rows = ["image,sample,patient,label", "a.tif,a,a,x", "b.tif,a,a,x"]
    (started / "cohort.csv").write_text("\n".join(rows))
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(started / name, np.zeros((8, 8), dtype=np.uint8))
    copied(started, tmp_path / "theirs").editor.move(1, [0, 0, 40, 40])
    opened(started).editor.delete([1])
    arguments = ["merge", str(started), str(tmp_path / "theirs"), "--out", str(tmp_path / "both")]
    answer = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "1 edit taken over, 1 conflict;" in answer.stdout
    assert "one deleted the cell, the other changed it" in answer.stdout
    written = (tmp_path / "both" / "conflicts.csv").read_text().splitlines()
    assert len(written) == 2 and written[1].startswith("a,")
