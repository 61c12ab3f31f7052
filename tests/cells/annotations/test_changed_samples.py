"""A sample that images are added to, or taken from, keeps what was done to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def opened(folder: Path, *names: str) -> Session:
    """Return a session on a sample that has just these images."""
    sample = Sample("s", "p", None, tuple(Frame(folder / name) for name in names))
    session = Session()
    session.open_cohort(Cohort((sample,), folder), AnnotationFile(folder / "annotations.sqlite"))
    session.show(sample)
    return session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a study of the images b and d: detected, one box drawn in d, b reviewed."""
    session = opened(tmp_path, "b", "d")
    session.editor.merge(Boxes.from_detections([0], [[0, 0, 9, 9]], [0.9]))
    session.editor.add(1, [20, 20, 30, 30])
    session.editor.set_reviewed(0)
    return tmp_path


def test_an_added_image_hides_no_older_edit(folder: Path) -> None:
    session = opened(folder, "a", "b", "c", "d")
    assert session.editor.undo_title == "Reviewed"
    assert session.boxes.image_index.tolist() == [1, 3] and session.state.reviewed == {1}
    session.editor.undo()
    session.editor.undo()
    assert session.boxes.xyxy.tolist() == [[0, 0, 9, 9]] and session.state.reviewed == set()
    session.editor.undo()
    assert not session.editor.undo_title and len(session.boxes) == 0
    assert session.state.searched == set()
    for _ in range(3):
        session.editor.redo()
    again = opened(folder, "a", "b", "c", "d")
    assert again.boxes.xyxy.tolist() == [[0, 0, 9, 9], [20, 20, 30, 30]]
    assert again.boxes.image_index.tolist() == [1, 3] and again.state.reviewed == {1}


def test_edits_of_before_and_after_an_image_was_added_are_undone_in_their_order(
    folder: Path,
) -> None:
    session = opened(folder, "a", "b", "d")
    session.editor.add(0, [40, 40, 50, 50])
    session = opened(folder, "a", "b", "d")
    titles = []
    while session.editor.undo_title:
        titles.append(session.editor.undo_title)
        session.editor.undo()
    assert titles == ["Draw 1 box", "Reviewed", "Draw 1 box", "Detect cells"]
    assert opened(folder, "a", "b", "d").editor.redo_title == "Detect cells"


def test_a_new_edit_ends_what_could_be_redone_of_before_the_image_was_added(folder: Path) -> None:
    session = opened(folder, "b", "d")
    session.editor.undo()
    session = opened(folder, "a", "b", "d")
    assert session.editor.redo_title == "Reviewed"
    session.editor.add(0, [40, 40, 50, 50])
    assert opened(folder, "a", "b", "d").editor.redo_title == ""


def test_edits_of_an_image_that_has_gone_wait_until_it_is_back(folder: Path) -> None:
    session = opened(folder, "d")
    assert session.editor.undo_title == "Draw 1 box"
    session.editor.undo()
    assert not session.editor.undo_title and session.boxes.image_index.tolist() == []
    session = opened(folder, "b", "d")
    assert session.editor.undo_title == "Reviewed"
    assert session.boxes.image_index.tolist() == [0]


def test_the_detector_s_look_at_an_image_is_known_one_by_one(tmp_path: Path) -> None:
    session = opened(tmp_path, "a", "b", "c")
    session.editor.merge(Boxes.empty(), images=[1])
    session.editor.add(0, [20, 20, 30, 30])
    assert opened(tmp_path, "a", "b", "c").state.searched == {1}
    again = opened(tmp_path, "a", "b", "c")
    assert not again.records.is_searched(again.key)
    session.editor.merge(Boxes.empty(), images=[0, 2])
    again = opened(tmp_path, "a", "b", "c")
    assert again.records.is_searched(again.key)
