"""What a panel tells: it stays, whole, with what mends it, until somebody has dealt with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QToolButton, QWidget
from support.pages.page import Page

from napari_attmil.core import Remedy, UserError
from napari_attmil.widgets.parts import (
    Message,
    MessageBar,
    MessageBoard,
    column,
    errors_shown,
    tell,
    tell_error,
    warn,
)
from napari_attmil.widgets.parts.message_bar import MessageEntry, MessageText

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

LONG = f"'/data/{'very-long-folder-name/' * 12}image.tif' cannot be read; copy it again."


class Panel(QWidget):
    """A panel with controls below its messages."""

    def __init__(self) -> None:
        super().__init__()
        self.message_board = MessageBoard(self)
        self.bar = MessageBar(self.message_board)
        self.controls = QWidget()
        self.within = QObject(self.controls)
        column(self.bar, (self.controls, 1), within=self, margin_px=0)


@pytest.fixture
def panel(qtbot: QtBot) -> Panel:
    panel = Panel()
    qtbot.addWidget(panel)
    panel.resize(350, 600)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def test_a_message_is_shown_whole_however_long_a_path_is(panel: Panel, qtbot: QtBot) -> None:
    tell(panel.within, LONG)
    entry = panel.findChild(MessageEntry)
    text = panel.findChild(MessageText)
    qtbot.waitUntil(lambda: text.width() > 100)
    assert LONG in text.toPlainText() and panel.width() == 350
    qtbot.waitUntil(lambda: text.height() >= text.document().size().height())
    assert text.document().size().width() <= text.width()
    qtbot.waitUntil(lambda: panel.bar.height() >= entry.height())


def test_the_newest_comes_first_and_many_leave_the_controls_their_room(
    panel: Panel, qtbot: QtBot
) -> None:
    for number in range(12):
        warn(panel.within, f"{number}: {LONG}")
    assert [text[:2] for text in Page(panel).messages()[:3]] == ["11", "10", "9:"]
    qtbot.waitUntil(lambda: panel.bar.height() <= 0.4 * 600)
    assert panel.height() == 600 and panel.controls.height() >= 0.55 * 600


def test_a_message_stays_until_it_is_closed(panel: Panel) -> None:
    tell(panel.within, "Saved.")
    assert panel.bar.isVisible()
    (close,) = panel.findChildren(QToolButton)
    close.click()
    assert Page(panel).messages() == [] and not panel.bar.isVisible()


def test_the_next_try_takes_the_message_of_the_last_one_away(panel: Panel) -> None:
    with errors_shown(panel.within, "save"):
        raise UserError("The disk is full; free some space.")
    with errors_shown(panel.within, "train"):
        raise UserError("No classes; give some.")
    with errors_shown(panel.within, "save"):
        tell(panel.within, "Written.", "save")
    assert Page(panel).messages() == ["Written.", "No classes; give some."]


def test_notes_of_what_is_done_go_when_something_else_is_started(panel: Panel) -> None:
    of_viewer = MessageBoard(panel)
    bar = MessageBar(panel.message_board, of_viewer, parent=panel)
    of_viewer.tell(Message("The layers are one study now."))
    of_viewer.tell(Message("Not written to the disk.", lasting=True))
    tell(panel.within, "Saved.", "save")
    warn(panel.within, "No cells were found.", "detect")
    assert len(bar.messages()) == 4
    with errors_shown(panel.within, "export"):
        tell(panel.within, "Exported.", "export")
    assert [message.text for message in bar.messages()] == [
        "Exported.",
        "No cells were found.",
        "Not written to the disk.",
    ]


def test_saving_elsewhere_asks_again_and_other_remedies_go_to_their_panel(panel: Panel) -> None:
    asked, wanted = list[str](), list[Remedy]()
    panel.message_board.remedy_wanted.connect(wanted.append)
    error = UserError("/a is read-only; choose another folder.", Remedy.SAVE_ELSEWHERE)
    tell_error(panel.within, error, "save", elsewhere=lambda: asked.append("where"))
    tell_error(panel.within, UserError("No images; open some.", Remedy.OPEN_IMAGES), "train")
    Page(panel).press("Save elsewhere…")
    Page(panel).press("Open images or folder…")
    assert (asked, wanted) == (["where"], [Remedy.OPEN_IMAGES])
    assert len(Page(panel).messages()) == 2


def test_what_may_pass_is_tried_again(panel: Panel) -> None:
    tried = list[str]()
    error = UserError("The disk is full; free some space.", Remedy.SAVE_ELSEWHERE)
    tell_error(panel.within, error, "train", lambda: tried.append("again"))
    Page(panel).press("Try again")
    assert tried == ["again"]


def test_a_text_can_be_copied_as_it_is(panel: Panel) -> None:
    tell_error(panel.within, UserError(LONG), "show")
    Page(panel).press("Copy")
    assert QApplication.clipboard().text() == LONG


def test_the_details_of_a_fault_can_be_copied(
    panel: Panel, notifications: list[tuple[str, str]]
) -> None:
    tell_error(panel.within, KeyError("what is missing"), "train")
    (message,) = Page(panel).messages()
    assert "KeyError" in message and "what is missing" in message
    Page(panel).press("Copy details")
    assert "KeyError: 'what is missing'" in QApplication.clipboard().text()


def test_severity_is_said_in_a_word(panel: Panel) -> None:
    warn(panel.within, "a < b")
    text = panel.findChild(MessageText)
    assert text.toPlainText() == "Warning. a < b"


def test_a_message_that_nobody_can_see_is_told_by_napari_too(
    panel: Panel, notifications: list[tuple[str, str]]
) -> None:
    tell(panel.within, "Seen.")
    panel.hide()
    tell(panel.within, "Hidden.")
    assert notifications == [("info", "Hidden.")]
    assert Page(panel).messages() == ["Hidden.", "Seen."]


def test_outside_a_panel_napari_tells(
    qapp: QApplication, notifications: list[tuple[str, str]]
) -> None:
    with errors_shown(QObject()):
        raise UserError(f"{Path('x')} is no image; choose another.")
    assert notifications == [("error", "x is no image; choose another.")]
