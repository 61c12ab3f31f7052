"""Tells a person that boxes are not on the disk, and goes on trying until they are."""

from __future__ import annotations

from enum import Enum
from functools import partial

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox, QWidget

from napari_attmil.cells.annotations import Edit
from napari_attmil.session import LayerKey, Session, SessionKey
from napari_attmil.widgets.parts import (
    Listening,
    Message,
    Severity,
    as_file_name,
    ask_where_to_save,
    board_of,
    errors_shown,
    showing_folder,
    tell,
    warn,
)
from napari_attmil.widgets.viewer.boxes_writer import write_boxes
from napari_attmil.widgets.viewer.layers import CellsLayer

TRY_EVERY_MS = 15_000
TOPIC = "keeping"
KINDS = "Table (*.csv);;COCO (*.json)"


class Answer(Enum):
    """What a person does about changes that would be lost."""

    AGAIN = "Try again"
    LOSE = "Open and lose the changes"
    STAY = "Stay"


def ask_about_unsaved(why_not: str) -> Answer:
    """Ask what to do before another study takes the place of changes in memory."""
    # With a parent it looks like the rest of the window.
    box = QMessageBox(QMessageBox.Icon.Warning, "Not saved yet", why_not, parent=_window())
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


def _window() -> QWidget | None:
    windows = (each for each in QApplication.topLevelWidgets() if isinstance(each, QMainWindow))
    return QApplication.activeWindow() or next(filter(QWidget.isVisible, windows), None)


class MemoryOnly(Listening, QObject):
    """Tells at the first edit of boxes that no place on the disk keeps them, and saves them.

    Parameters
    ----------
    session
        The session of the viewer.
    cells
        What shows the boxes.
    parent
        What has the board of messages of all panels.
    """

    def __init__(self, session: Session, cells: CellsLayer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._cells = session, cells
        self._told: set[SessionKey] = set()
        self.listen(session.records.edited, self._on_edit)

    def _on_edit(self, key: SessionKey, edit: Edit) -> None:
        is_layer = isinstance(key, LayerKey) and not key.frames
        if not is_layer or edit.automatic or key in self._told:
            return
        self._told.add(key)
        record = self._session.records.get(key)
        name = "" if record is None else record.sample.name
        text = (
            f"The boxes of '{name}' are in memory only, as it has no file and its pixels cannot be "
            "read; save them before napari closes."
        )
        warn(self, text, TOPIC, ("Save boxes…", partial(self._save, key, name)))

    def _save(self, key: SessionKey, name: str) -> None:
        layer, window = self._cells.layer, _window()
        if key != self._session.key or layer is None or window is None:
            warn(self, f"Show '{name}' with its boxes first, then save them.", TOPIC)
            return
        path = ask_where_to_save(window, "Save boxes", f"{as_file_name(name)}.csv", KINDS)
        if path is not None:
            with errors_shown(self, TOPIC):
                write_boxes(str(path), *layer.as_layer_data_tuple()[:2])
                tell(self, f"Boxes saved in {path}", TOPIC, showing_folder(path))


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
