"""What undo and redo offer after a restart is what they offered before it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from napari_attmil.cells.annotations.annotation_file import (
    AUTHOR_VARIABLE,
    FILE_NAME,
    AnnotationFile,
)
from napari_attmil.cells.annotations.edits import new_uid
from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

FOUND = Boxes.from_detections([0, 1], [[0, 0, 9, 9], [20, 20, 29, 29]], [0.9, 0.6])
KINDS = (
    "draw",
    "move",
    "delete",
    "review",
    "search",
    "search all",
    "look ahead",
    "undo",
    "undo",
    "redo",
    "take back",
    "undo to",
    "reopen",
    "anna",
)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"), st.integers(0, 9)), max_size=12
)


def opened(folder: Path) -> Session:
    """Return a session on a study of two samples, a and b, of two images each."""
    samples = tuple(
        Sample(name, name, None, tuple(Frame(folder / f"{name}{n}.tif") for n in "12"))
        for name in "ab"
    )
    session = Session()
    session.open_cohort(Cohort(samples, folder), AnnotationFile(folder / FILE_NAME))
    session.show(samples[0])
    return session


class Desk:
    """A study, and somebody who works on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.session = folder, opened(folder)

    def do(self, kind: str, name: str, number: int) -> None:
        session = self.session
        editor, history, key = session.editor, session.history, session.key_of(name)
        session.show(next(each for each in session.cohort.samples if each.name == name))
        ids = session.boxes.cell_id.tolist()
        one = [ids[number % len(ids)]] if ids else []
        image, at = number % 2, 40 * (number // 2)
        if kind == "draw":
            editor.add(image, [at, 50, at + 10, 60])
        elif kind == "move" and one:
            editor.move(one[0], [at, 100, at + 10, 110])
        elif kind == "delete" and one:
            editor.delete(one)
        elif kind == "review":
            editor.set_reviewed(image)
        elif kind == "search":
            editor.merge(FOUND, key=key)
        elif kind == "search all":
            step = new_uid()
            for each in "ab":
                editor.merge(FOUND, key=session.key_of(each), step=step)
        elif kind == "look ahead":
            editor.merge(FOUND[image : image + 1], images=[image], key=key, automatic=True)
        elif kind == "undo":
            editor.undo()
        elif kind == "redo":
            editor.redo()
        elif kind == "take back" and history.steps:
            history.take_back(history.steps[number % len(history.steps)])
        elif kind == "undo to" and history.steps:
            history.undo_to(history.steps[number % len(history.steps)])
        elif kind == "reopen":
            self.reopen()
        elif kind == "anna":
            self.reopen(name, image, at)

    def reopen(self, name: str = "", image: int = 0, at: int = 0) -> None:
        """Close the study and open it again, after Anna drew a box in a sample, if one is given."""
        self.session.records.forget_samples()
        if name:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(AUTHOR_VARIABLE, "anna")
                anna = opened(self.folder)
                anna.show(next(each for each in anna.cohort.samples if each.name == name))
                anna.editor.add(image, [at, 150, at + 10, 160])
                anna.records.forget_samples()
        self.session = opened(self.folder)


def way(session: Session, step: str) -> list[Any]:
    """Return what undo or redo says and makes of the samples, to its end."""
    told: list[Any] = []
    while title := getattr(session.history, f"{step}_title"):
        getattr(session.editor, step)()
        told.append((title, contents(session)))
    return told


def contents(session: Session) -> list[Any]:
    states = session.states_of_samples()
    return [
        (
            name,
            state.boxes.cell_id.tolist(),
            state.boxes.xyxy.tolist(),
            state.deleted.cell_id.tolist(),
            sorted(state.searched),
            sorted(state.reviewed),
        )
        for name, state in sorted(states.items())
    ]


def copied(source: Path, target: Path) -> Path:
    target.mkdir()
    if (source / FILE_NAME).exists():
        with (
            contextlib.closing(sqlite3.connect(source / FILE_NAME)) as one,
            contextlib.closing(sqlite3.connect(target / FILE_NAME)) as other,
        ):
            one.backup(other)
    return target


@given(ACTIONS)
@example([("draw", "a", 0), ("draw", "a", 0), ("take back", "a", 0)])
@example([("draw", "a", 0), ("undo", "a", 0), ("draw", "b", 0), ("undo", "b", 0)])
@example([("draw", "a", 0), ("draw", "b", 2), ("take back", "a", 0), ("undo", "a", 0)])
@settings(deadline=None, max_examples=25)
def test_redo_and_undo_offer_the_same_after_a_restart(actions: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv(AUTHOR_VARIABLE, "me")
        folder = Path(name) / "study"
        folder.mkdir()
        desk = Desk(folder)
        for action in actions:
            desk.do(*action)
        for step in ("redo", "undo"):
            again = opened(copied(folder, Path(name) / step))
            assert contents(again) == contents(desk.session)
            assert way(again, step) == way(desk.session, step)
            again.records.forget_samples()  # the day's copy may still be in the making
        desk.session.records.forget_samples()
