"""What the disk refuses stays in memory, is tried again, and is never lost without a word."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.keys import LayerKey
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

FOUND = Boxes.from_detections([0, 0], [[0, 0, 9, 9], [20, 20, 30, 30]], [0.9, 0.8])


def study(folder: Path, *names: str) -> Cohort:
    folder.mkdir(exist_ok=True)
    frames = {name: (Frame(folder / f"{name}.tif"),) for name in names}
    return Cohort(tuple(Sample(name, name, None, of) for name, of in frames.items()), folder)


def opened(cohort: Cohort, told: list[str] | None = None) -> Session:
    session = Session()
    session.storage_failed.connect((told if told is not None else list[str]()).append)
    session.open_cohort(cohort, AnnotationFile.beside(cohort.folder))
    session.show(cohort.samples[0])
    return session


def run(cohort: Cohort, script: str) -> None:
    file = AnnotationFile.beside(cohort.folder).path
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


FULL = "CREATE TRIGGER full BEFORE INSERT ON edits BEGIN SELECT RAISE(ABORT, 'full'); END"


@pytest.fixture
def unsaved(tmp_path: Path) -> Session:
    """Return a session whose second box is in memory only."""
    session = opened(study(tmp_path / "one", "a"))
    session.editor.add(0, [0, 0, 9, 9])
    assert session.cohort is not None
    run(session.cohort, FULL)
    session.editor.add(0, [20, 20, 29, 29])
    return session


def test_no_other_study_takes_the_place_of_changes_that_are_not_on_the_disk(
    unsaved: Session, tmp_path: Path
) -> None:
    first, other = unsaved.cohort, study(tmp_path / "other", "a")
    assert first is not None
    with pytest.raises(UserError, match="memory only"):
        unsaved.open_cohort(other, AnnotationFile.beside(other.folder))
    assert unsaved.cohort is first and len(unsaved.boxes) == 2
    run(first, "DROP TRIGGER full")
    unsaved.open_cohort(other, AnnotationFile.beside(other.folder))
    assert unsaved.cohort is other and not unsaved.records.has_pending
    assert len(opened(first).boxes) == 2


def test_whoever_says_so_loses_them(unsaved: Session, tmp_path: Path) -> None:
    other = study(tmp_path / "other", "a")
    unsaved.open_cohort(other, AnnotationFile.beside(other.folder), discard=True)
    assert unsaved.cohort is other and not unsaved.records.has_pending


def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: AnnotationFile, samples: object) -> None:
        raise UserError("Another program is writing.")

    monkeypatch.setattr(AnnotationFile, "read_all", busy)


def test_what_could_not_be_read_is_said_and_comes_with_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = study(tmp_path / "one", "a", "b")
    opened(cohort).editor.add(0, [0, 0, 9, 9])
    told: list[str] = []
    with monkeypatch.context() as patched:
        unreadable(patched)
        session = opened(cohort, told)
        assert told and session.records.has_pending and not session.records.is_saved(session.key)
    session.records.retry()
    assert len(session.boxes) == 1 and not session.records.has_pending
    session.editor.add(0, [20, 20, 29, 29])
    assert len(opened(cohort).boxes) == 2


def test_what_the_disk_holds_is_not_written_over_by_those_who_could_not_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = study(tmp_path / "one", "a", "b")
    opened(cohort).editor.merge(FOUND)
    told: list[str] = []
    with monkeypatch.context() as patched:
        unreadable(patched)
        session = opened(cohort, told)
        session.editor.add(0, [40, 40, 49, 49])
    session.records.retry()
    assert "yours were not written over them" in told[-1]
    assert session.records.has_pending and len(session.boxes) == 1
    assert len(opened(cohort).boxes) == 2
    with pytest.raises(UserError, match="memory only"):
        session.open_cohort(cohort, AnnotationFile.beside(cohort.folder))
    session.open_cohort(cohort, AnnotationFile.beside(cohort.folder), discard=True)
    session.show(cohort.samples[0])
    assert len(session.boxes) == 2


def test_what_was_begun_for_a_former_study_never_reaches_one_with_samples_of_the_same_name(
    tmp_path: Path,
) -> None:
    session = opened(study(tmp_path / "one", "a"))
    key = session.key
    other = study(tmp_path / "other", "a")
    session.open_cohort(other, AnnotationFile.beside(other.folder))
    session.show(other.samples[0])
    session.editor.merge(FOUND, key=key)
    assert len(session.boxes) == 0 and not session.records.is_searched(session.key)
    assert AnnotationFile.beside(other.folder).read_all(other.samples) == {}


def test_a_search_of_what_could_not_be_read_gives_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = study(tmp_path / "one", "a", "b")
    opened(cohort).editor.add(0, [0, 0, 9, 9])
    with monkeypatch.context() as patched:
        unreadable(patched)
        session = opened(cohort)
        for name in "ab":
            session.editor.merge(FOUND, key=session.key_of(name))
    session.records.retry()
    assert not session.records.has_pending
    assert session.boxes.xyxy.tolist() == [[0, 0, 9, 9]]
    session.show(cohort.samples[1])
    assert len(session.boxes) == 0 and session.editor.add(0, [1, 1, 8, 8]) == 1


def test_a_file_whose_name_begins_like_that_of_another_is_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (study(tmp_path / name, "s").samples[0] for name in ("ab", "a"))
    one, other = LayerKey(layer="/ab"), LayerKey(layer="/a")
    session = Session()
    with monkeypatch.context() as patched:
        unreadable(patched)
        session.records.attach({one: first}, AnnotationFile(tmp_path / "own.sqlite"))
        session.show(first, one)
        session.editor.add(0, [0, 0, 9, 9])
    session.records.attach({other: second}, AnnotationFile(tmp_path / "own.sqlite"))
    assert session.records.is_saved(other) and not session.records.is_saved(one)
