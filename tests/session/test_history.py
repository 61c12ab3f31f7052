from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import (
    AUTHOR_VARIABLE,
    FILE_NAME,
    AnnotationFile,
)
from napari_attmil.cells.annotations.journal import write_cells
from napari_attmil.cells.annotations.notes import SAMPLE
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_attmil.session.history_steps import Move

FOUND = Boxes.from_detections([0, 1], [[0, 0, 9, 9], [20, 20, 29, 29]], [0.9, 0.6])


def opened(folder: Path, file: bool = True) -> Session:
    """Return a session on a study of two samples, a and b, of two images each."""
    samples = tuple(
        Sample(name, name, None, tuple(Frame(folder / f"{name}{n}.tif") for n in "12"))
        for name in "ab"
    )
    session = Session()
    session.open_cohort(
        Cohort(samples, folder), AnnotationFile(folder / FILE_NAME) if file else None
    )
    session.show(samples[0])
    return session


@pytest.fixture(autouse=True)
def _author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTHOR_VARIABLE, "me")


@contextlib.contextmanager
def anna_between(mine: Session, folder: Path) -> Iterator[Session]:
    """Close a session; give Anna hers on the same study, which she closes in the end."""
    mine.records.forget_samples()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(AUTHOR_VARIABLE, "anna")
        anna = opened(folder)
        yield anna
        anna.records.forget_samples()


def show(session: Session, name: str) -> None:
    assert session.cohort is not None
    session.show(next(sample for sample in session.cohort.samples if sample.name == name))


def moves(session: Session) -> list[Move]:
    told: list[Move] = []
    session.history.moved.connect(told.append)
    return told


def ids(session: Session, name: str) -> list[int]:
    states = session.states_of_samples()
    return states[name].boxes.cell_id.tolist() if name in states else []


@pytest.mark.parametrize("on_disk", [True, False])
def test_undo_takes_back_the_last_step_wherever_it_was_and_says_which(
    tmp_path: Path, on_disk: bool
) -> None:
    session = opened(tmp_path, file=on_disk)
    session.editor.merge(FOUND)
    session.editor.set_reviewed(1)
    show(session, "b")
    session.editor.add(0, [40, 40, 50, 50])
    show(session, "a")
    told = moves(session)
    session.editor.undo()
    assert ids(session, "b") == [] and ids(session, "a") == [1, 2]
    session.editor.undo()
    assert session.state.reviewed == frozenset()
    session.editor.redo()
    assert session.state.reviewed == {1}
    assert [move.text for move in told] == [
        "Draw 1 box, image 1 of b: taken back",
        "Reviewed, image 2 of a: taken back",
        "Reviewed, image 2 of a: made again",
    ]
    assert [(move.key, move.image_index) for move in told] == [
        (session.key_of("b"), 0),
        (session.key_of("a"), 1),
        (session.key_of("a"), 1),
    ]


def test_the_review_before_an_unasked_detection_is_what_undo_takes_back(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND[:1], images=[0])
    session.editor.set_reviewed(0)
    session.editor.merge(FOUND[1:], images=[1], automatic=True)
    assert session.editor.undo_title == "Reviewed"
    session.editor.undo()
    assert session.state.reviewed == frozenset() and session.state.searched == {0, 1}
    assert len(session.boxes) == 2 and (session.boxes.source == Source.MODEL).all()
    session.editor.merge(FOUND[1:], images=[1], key=session.key_of("b"), automatic=True)
    session.editor.redo()
    assert session.state.reviewed == {0}
    again = opened(tmp_path)
    assert again.state.reviewed == {0} and again.state.searched == {0, 1}
    again.editor.undo()
    again.editor.undo()
    assert again.boxes.image_index.tolist() == [1] and again.state.searched == {1}
    assert opened(tmp_path).state.searched == {1}


def test_undo_goes_on_over_all_samples_after_a_restart_and_so_does_redo(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.add(0, [0, 0, 9, 9])
    show(session, "b")
    session.editor.add(1, [0, 0, 9, 9])
    session.editor.add(1, [20, 20, 29, 29])
    session.editor.undo()
    again = opened(tmp_path)
    assert again.editor.redo_title == "Draw 1 box"
    again.editor.undo()
    again.editor.undo()
    assert ids(again, "a") == ids(again, "b") == [] and not again.editor.undo_title
    third = opened(tmp_path)
    told = moves(third)
    for _ in range(3):
        third.editor.redo()
    assert ids(third, "a") == [1] and ids(third, "b") == [1, 2]
    assert [move.key for move in told] == [third.key_of(name) for name in "abb"]
    third.editor.undo()
    show(third, "a")
    third.editor.accept([1])
    third.editor.delete([1])
    assert not third.editor.redo_title and not opened(tmp_path).editor.redo_title


def test_a_detection_of_all_samples_is_one_step(tmp_path: Path) -> None:
    session = opened(tmp_path)
    for name in "ab":
        session.editor.merge(FOUND, key=session.key_of(name), step="one search")
    told = moves(session)
    session.editor.undo()
    assert ids(session, "a") == ids(session, "b") == []
    session.editor.redo()
    again = opened(tmp_path)
    assert ids(again, "a") == ids(again, "b") == [1, 2]
    again.editor.undo()
    assert ids(again, "a") == ids(again, "b") == [] and not again.editor.undo_title
    assert [move.text for move in told] == [
        "Detect cells, 2 samples: taken back",
        "Detect cells, 2 samples: made again",
    ]


def test_undo_leaves_another_person_s_edits_and_those_of_another_computer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND)
    session.editor.accept([1, 2])
    with anna_between(session, tmp_path) as anna:
        assert not anna.editor.undo_title
        anna.editor.move(1, [5, 5, 15, 15])
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("platform.node", lambda: "another computer")
        assert not opened(tmp_path).editor.undo_title
    back = opened(tmp_path)
    told = moves(back)
    back.editor.undo()  # My acceptance; Anna has moved one of the two boxes since.
    assert back.boxes.source.tolist() == [Source.PERSON, Source.MODEL]
    assert back.boxes.xyxy[0].tolist() == [5, 5, 15, 15]
    text = "Accept 2 boxes, 2 images of a: taken back. What was changed since stays."
    assert [move.text for move in told] == [text]
    assert opened(tmp_path).editor.undo_title == "Detect cells"
    back.editor.redo()
    assert back.boxes.source.tolist() == [Source.PERSON, Source.ACCEPTED]
    assert back.editor.undo_title == "Accept 2 boxes"
    back.editor.undo()
    back.editor.undo()  # My detection: the box that Anna moved stays.
    assert back.boxes.xyxy.tolist() == [[5, 5, 15, 15]] and not back.editor.undo_title
    assert opened(tmp_path).boxes.xyxy.tolist() == [[5, 5, 15, 15]]


def test_a_deletion_is_not_taken_back_where_the_cell_has_a_new_box(
    tmp_path: Path,
) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND)
    session.editor.delete([1, 2])
    with anna_between(session, tmp_path) as anna:
        anna.editor.add(0, [1, 1, 9, 9])
    back = opened(tmp_path)
    deletion = back.history.steps[1]
    assert deletion.title == "Delete 2 boxes"
    back.history.take_back(deletion)
    assert back.boxes.cell_id.tolist() == [3, 2] and back.state.deleted.cell_id.tolist() == [1]
    back.history.redo()
    assert back.boxes.cell_id.tolist() == [3] and back.state.deleted.cell_id.tolist() == [1, 2]


def test_of_two_boxes_on_one_cell_the_deleted_one_comes_back(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.add(0, [0, 0, 9, 9])
    session.editor.add(0, [1, 1, 9, 9])
    session.editor.delete([1])
    session.editor.merge(FOUND[1:], images=[1], automatic=True)
    session.editor.undo()
    assert session.boxes.of_image(0).cell_id.tolist() == [1, 2]


def test_undo_to_a_step_takes_back_all_later_ones_and_one_redo_makes_them_again(
    tmp_path: Path,
) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND)
    session.editor.accept([1])
    show(session, "b")
    session.editor.add(0, [0, 0, 9, 9])
    with anna_between(session, tmp_path) as anna:
        anna.editor.delete([1, 2])
    session = opened(tmp_path)
    told = moves(session)
    assert [(step.title, step.author) for step in session.history.steps] == [
        ("Detect cells", "me"),
        ("Accept 1 box", "me"),
        ("Draw 1 box", "me"),
        ("Delete 2 boxes", "anna"),
    ]
    session.history.undo_to(session.history.steps[0])
    assert session.boxes.source.tolist() == [Source.MODEL] * 2 and ids(session, "b") == []
    assert session.editor.redo_title == "3 changes"
    again = opened(tmp_path)
    assert again.editor.redo_title == "3 changes"
    again.editor.redo()
    assert ids(again, "a") == [] and ids(again, "b") == [1] and not again.editor.redo_title
    assert [move.text for move in told] == ["3 changes: taken back"]
    third = opened(tmp_path)
    assert [step.is_done for step in third.history.steps] == [True] * 4


def test_a_step_taken_back_though_overtaken_is_made_again_after_a_restart(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND)
    session.editor.move(1, [2, 2, 12, 12])
    session.history.take_back(session.history.steps[0])
    assert ids(session, "a") == [1]
    session = opened(tmp_path)
    titles = (session.history.undo_title, session.history.redo_title)
    assert titles == ("Move 1 box", "Detect cells")
    session.editor.redo()
    assert ids(session, "a") == [1, 2] and session.history.redo_title == ""


def test_what_was_made_again_is_not_offered_to_redo_after_a_restart(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND)
    session.editor.move(1, [2, 2, 12, 12])
    session.history.take_back(session.history.steps[0])
    session.editor.redo()
    session = opened(tmp_path)
    assert session.history.redo_title == ""
    session.editor.redo()
    assert ids(session, "a") == [1, 2]
    session.editor.undo()
    session.editor.undo()
    assert ids(session, "a") == []


def test_a_change_that_cannot_be_read_is_told_and_undo_goes_on_before_it(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.add(0, [0, 0, 9, 9])
    session.editor.add(1, [0, 0, 9, 9])
    session.records.forget_samples()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE edits SET content = '{' WHERE number = 2")
    again, failures = opened(tmp_path), list[str]()
    again.storage_failed.connect(failures.append)
    again.editor.undo()
    assert len(failures) == 1 and "could not be read" in failures[0]
    again.editor.undo()
    assert ids(again, "a") == [2]


def test_what_a_full_disk_refused_of_an_undo_of_many_samples_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(tmp_path)
    for name in "ab":
        session.editor.merge(FOUND, key=session.key_of(name), step="one search")

    def full(connection: sqlite3.Connection, places: list[tuple[str, int]], *_: object) -> None:
        if places[0][0] == "b1.tif":
            raise sqlite3.OperationalError("database or disk is full")
        write_cells(connection, places, *_)  # type: ignore[arg-type]

    failures: list[str] = []
    session.storage_failed.connect(failures.append)
    with monkeypatch.context() as patch:
        patch.setattr("napari_attmil.cells.annotations.annotation_file.write_cells", full)
        session.editor.undo()
    assert ids(session, "a") == ids(session, "b") == [] and len(failures) == 1
    other = opened(tmp_path)
    assert ids(other, "a") == [] and ids(other, "b") == [1, 2]
    session.records.retry()
    assert ids(opened(tmp_path), "b") == []


def test_another_study_has_a_history_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    session = opened(tmp_path)
    session.editor.add(0, [0, 0, 9, 9])
    other = opened(tmp_path / "other")
    assert other.cohort is not None
    session.open_cohort(other.cohort, AnnotationFile(tmp_path / "other" / FILE_NAME))
    assert not session.editor.undo_title and not session.history.steps


def test_notes_are_steps_of_the_same_history(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.editor.merge(FOUND)
    session.notes.tag([1, 2], "not altered")
    session.notes.write([SAMPLE], "Stained late.")
    told = moves(session)
    session.editor.undo()
    session.editor.undo()
    assert session.state.notes == {}
    assert [move.text for move in told] == [
        "Note, a: taken back",
        "Tag “not altered”, 2 cells, 2 images of a: taken back",
    ]
    session.editor.redo()
    again = opened(tmp_path)
    assert again.notes.of(1).tags == ("not altered",) and again.notes.of().text == ""
