"""Tells a person that boxes are not on the disk, and goes on trying until they are."""

from __future__ import annotations

from enum import Enum

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox, QWidget

from napari_attmil.session import Session
from napari_attmil.widgets.parts import Listening, Message, Severity, board_of

TRY_EVERY_MS = 15_000
TOPIC = "keeping"


class Answer(Enum):
    """What a person does about changes that would be lost."""

    AGAIN = "Try again"
    LOSE = "Open and lose the changes"
    STAY = "Stay"


def ask_about_unsaved(why_not: str) -> Answer:
    """Ask what to do before another study takes the place of changes in memory."""
    windows = (each for each in QApplication.topLevelWidgets() if isinstance(each, QMainWindow))
    window = QApplication.activeWindow() or next(filter(QWidget.isVisible, windows), None)
    # With a parent it looks like the rest of the window.
    box = QMessageBox(QMessageBox.Icon.Warning, "Not saved yet", why_not, parent=window)
    box.setTextFormat(Qt.TextFormat.PlainText)
    roles = {
        Answer.AGAIN: QMessageBox.ButtonRole.AcceptRole,
        Answer.LOSE: QMessageBox.ButtonRole.DestructiveRole,
        Answer.STAY: QMessageBox.ButtonRole.RejectRole,
    }
    buttons = {answer: box.addButton(answer.value, role) for answer, role in roles.items()}
    box.exec()
    pressed = (answer for answer, button in buttons.items() if button is box.clickedButton())
    return next(pressed, Answer.STAY)


class Keeping(Listening, QObject):
    """Whether a session's changes reach the disk.

    Parameters
    ----------
    session
        The session of the viewer.
    parent
        What has the board of messages of all panels.
    """

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._reason = ""
        self._has_failed = False
        self._timer = QTimer(self)
        self._timer.setInterval(TRY_EVERY_MS)
        self._timer.timeout.connect(self.try_again)
        self.listen(session.storage_failed, self._note_failure)
        self.listen(session.boxes_changed, self._on_edit)
        self.at_end(self._try_a_last_time)

    @property
    def reason(self) -> str:
        """Why changes do not reach the disk; empty if they do."""
        return self._reason

    def try_again(self) -> None:
        """Write what could not be written yet."""
        self._has_failed = False
        self._session.records.retry()
        if not self._has_failed:
            self._set_reason("")

    def _try_a_last_time(self) -> None:
        self._timer.stop()
        if self._reason:
            self.try_again()

    def _note_failure(self, reason: str) -> None:
        self._has_failed = True
        self._set_reason(reason)

    def _on_edit(self) -> None:
        if self._reason and not self._session.records.has_pending:
            self.try_again()

    def _set_reason(self, reason: str) -> None:
        if reason == self._reason:
            return
        self._reason = reason
        board = board_of(self)
        if board is not None:
            board.clear(TOPIC)
        if not reason:
            self._timer.stop()
            return
        self._timer.start()
        if board is not None:
            again = ("Save now", self.try_again)
            board.tell(Message(reason, Severity.WARNING, (again,), TOPIC, lasting=True))
