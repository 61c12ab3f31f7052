"""What a person sees while boxes cannot be written to the disk."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget
from support.pages.page import Page

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.storage import connection
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session
from napari_attmil.widgets.parts import MessageBar, MessageBoard
from napari_attmil.widgets.viewer import keeping as keeping_module
from napari_attmil.widgets.viewer.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot


def on_full_disk(path: Path) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture
def study(tmp_path: Path) -> Session:
    """Return a session on a study of one image, whose boxes are kept."""
    sample = Sample("s", "p", None, (Frame(tmp_path / "a.tif"),))
    session = Session()
    session.open_cohort(Cohort((sample,), tmp_path), AnnotationFile.beside(tmp_path))
    session.show(sample)
    return session


class Place(QObject):
    """Something with a board of messages, as the viewer's workspace is."""

    def __init__(self) -> None:
        super().__init__()
        self.message_board = MessageBoard(self)


@pytest.fixture
def note(qtbot: QtBot, study: Session) -> Iterator[Page]:
    """Return a panel, not shown yet, whose only part is the bar of messages."""
    place = Place()
    keeping = Keeping(study, place)
    panel = QWidget()
    qtbot.addWidget(panel)
    MessageBar(place.message_board, parent=panel)
    yield Page(panel)
    keeping.stop_listening()


def boxes_on_disk(session: Session) -> int:
    assert session.sample is not None
    read = AnnotationFile.beside(session.cohort.folder).read(session.sample)
    return 0 if read is None else len(read.boxes)


def test_a_full_disk_is_told_once_and_stays_in_the_panel(
    note: Page,
    study: Session,
    notifications: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not note.messages() and note.part(MessageBar).isHidden()
    monkeypatch.setattr(connection, "open_for_writing", on_full_disk)
    study.editor.add(0, [0, 0, 9, 9])
    study.editor.add(0, [20, 0, 29, 9])
    (message,) = note.messages()
    assert "disk is full" in message and not note.part(MessageBar).isHidden()
    # Nobody sees the bar here.
    assert len(notifications) == 1 and len(study.boxes) == 2


def test_save_now_writes_what_waited_and_the_note_goes(
    note: Page, study: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(connection, "open_for_writing", on_full_disk)
        study.editor.add(0, [0, 0, 9, 9])
        note.press("Save now")
        assert note.messages()
    note.press("Save now")
    assert not note.messages() and boxes_on_disk(study) == 1


def test_the_next_edit_writes_what_waited_and_the_note_goes(
    note: Page, study: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(connection, "open_for_writing", on_full_disk)
        study.editor.add(0, [0, 0, 9, 9])
    study.editor.add(0, [20, 0, 29, 9])
    assert not note.messages() and boxes_on_disk(study) == 2


def test_what_waited_is_written_by_itself_and_at_the_latest_at_the_end(
    note: Page, study: Session, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setattr(keeping_module, "TRY_EVERY_MS", 1)
    keeping = Keeping(study)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "open_for_writing", on_full_disk)
        study.editor.add(0, [0, 0, 9, 9])
    qtbot.waitUntil(lambda: not keeping.reason)
    assert boxes_on_disk(study) == 1
    with monkeypatch.context() as patch:
        patch.setattr(connection, "open_for_writing", on_full_disk)
        study.editor.add(0, [20, 0, 29, 9])
    keeping.stop_listening()
    assert boxes_on_disk(study) == 2
