"""What a panel has to tell, and the buttons that mend it: kept until somebody has dealt with it."""

from __future__ import annotations

import html
import itertools
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias
from weakref import WeakSet

from napari.utils.notifications import (
    notification_manager,
    show_error,
    show_info,
    show_warning,
)
from qtpy.QtCore import QObject, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication, QWidget

from napari_attmil.core import Remedy, UserError

Action: TypeAlias = tuple[str, Callable[[], object]]
"""The text of a button, and what it does."""
_NUMBERS = itertools.count()
OUT_OF_MEMORY = (
    "The device's memory is full; close other programs that use it, or choose the device cpu "
    "under Classifier."
)


class Severity(Enum):
    """How much a message matters, in a word."""

    NOTE = "Note"
    WARNING = "Warning"
    ERROR = "Error"


_TOASTS = {
    Severity.NOTE: show_info,
    Severity.WARNING: show_warning,
    Severity.ERROR: show_error,
}


@dataclass(frozen=True, eq=False)
class Message:
    """One thing to tell.

    Attributes
    ----------
    text
        Sentences.
    severity
        How much it matters.
    actions
        What can be done about it. The message stays until the topic is tried anew or it is closed.
    topic
        What it is about: a later message of the same topic takes its place.
    lasting
        Whether it stays until its cause has gone, and cannot be closed.
    number
        Counts all messages.
    """

    text: str
    severity: Severity = Severity.NOTE
    actions: tuple[Action, ...] = ()
    topic: str = ""
    lasting: bool = False
    number: int = field(default_factory=lambda: next(_NUMBERS))


class MessageBoard(QObject):
    """The messages of one panel, or those that all panels of a viewer show.

    Signals
    -------
    changed()
        A message came or went.
    begun()
        The person has started something else.
    remedy_wanted(Remedy)
        A button was pressed whose action lies in some panel.
    """

    changed = Signal()
    begun = Signal()
    remedy_wanted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._messages: list[Message] = []
        self._bars: WeakSet[QWidget] = WeakSet()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages, the newest first."""
        return tuple(self._messages)

    def is_shown_in(self, bar: QWidget) -> None:
        """Remember a widget that shows the messages."""
        self._bars.add(bar)

    def tell(self, message: Message) -> None:
        """Show a message; where nobody can see it now, napari tells it as well."""
        same = [old for old in self._messages if old.text == message.text]
        same += [old for old in self._messages if message.topic and old.topic == message.topic]
        self._messages = [message, *(old for old in self._messages if old not in same)]
        self.changed.emit()
        if not any(map(_is_seen, self._bars)):
            _TOASTS[message.severity](message.text)

    def dismiss(self, message: Message) -> None:
        """Take a message away, if it is still there."""
        self._keep([old for old in self._messages if old is not message])

    def clear(self, topic: str) -> None:
        """Take away what was told of a topic: it is tried anew, or its cause has gone."""
        self._keep([old for old in self._messages if old.topic != topic])

    def begin(self, topic: str) -> None:
        """Make room for what a person starts now: what was told of it goes, and what is done."""
        if topic:
            self.clear(topic)
        self.clear_notes()
        self.begun.emit()

    def clear_notes(self) -> None:
        """Take away the notes of things that are done."""
        self._keep([old for old in self._messages if old.lasting or old.severity != Severity.NOTE])

    def clear_all(self) -> None:
        """Take away all but what lasts: another study is open."""
        self._keep([old for old in self._messages if old.lasting])

    def _keep(self, messages: list[Message]) -> None:
        if len(messages) < len(self._messages):
            self._messages = messages
            self.changed.emit()


def _is_seen(bar: QWidget) -> bool:
    """Tell whether the panel of a bar is in sight: behind another tab it lies outside its window.

    The bar itself may not be laid out yet.
    """
    panel = bar.parentWidget() or bar
    return panel.isVisible() and not panel.visibleRegion().isEmpty()


def board_of(source: QObject) -> MessageBoard | None:
    """Return the board of the panel, or else of the viewer, that something is part of."""
    at: QObject | None = source
    while at is not None:
        board = getattr(at, "message_board", None)
        if isinstance(board, MessageBoard):
            return board
        at = at.parent()
    return None


def tell(
    source: QObject,
    text: str,
    topic: str = "",
    *actions: Action,
    severity: Severity = Severity.NOTE,
) -> None:
    """Tell something in the panel that `source` is part of; see `Message`."""
    board = board_of(source)
    if board is None:
        _TOASTS[severity](text)
    else:
        board.tell(Message(text, severity, actions, topic))


def warn(source: QObject, text: str, topic: str = "", *actions: Action) -> None:
    """Warn in the panel that `source` is part of; see `Message`."""
    tell(source, text, topic, *actions, severity=Severity.WARNING)


def begin(source: QObject, topic: str = "") -> None:
    """Say that a person starts something in the panel that `source` is part of."""
    board = board_of(source)
    if board is not None:
        board.begin(topic)


def untell(source: QObject, topic: str) -> None:
    """Take away what was told of a topic in the panel that `source` is part of."""
    board = board_of(source)
    if board is not None:
        board.clear(topic)


def tell_error(
    source: QObject,
    error: Exception,
    topic: str = "",
    again: Callable[[], object] | None = None,
    elsewhere: Callable[[], object] | None = None,
) -> None:
    """Tell an error in the panel that `source` is part of.

    Parameters
    ----------
    source
        Where it happened.
    error
        A user's mistake is told in its own words, with its remedy; anything else is a fault of
        the program, whose details can be copied.
    topic
        What was tried.
    again
        Tries it again.
    elsewhere
        Asks once more for the place to save to.
    """
    if "torch" in sys.modules and _is_out_of_memory(error):
        error = UserError(OUT_OF_MEMORY, Remedy.USE_CPU)
    if isinstance(error, UserError):
        text, actions = str(error), _actions_for(error.remedy, board_of(source), again, elsewhere)
        tell(source, text, topic, *actions, severity=Severity.ERROR)
        return
    # napari's notification offers the traceback, but would not name the error's type.
    text = f"A fault in napari-attmil, {type(error).__name__}: {error}"
    fault = RuntimeError(text)
    fault.__cause__ = error
    board = board_of(source)
    if board is not None:
        details = "".join(traceback.format_exception(error))
        copying = ("Copy details", lambda: copy_text(details))
        board.tell(Message(text, Severity.ERROR, (copying,), topic))
    notification_manager.receive_error(RuntimeError, fault, error.__traceback__)


@contextmanager
def errors_shown(
    source: QObject,
    topic: str = "",
    again: Callable[[], object] | None = None,
    elsewhere: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Tell a user's mistake instead of raising it, in place of the last try's; see `tell_error`."""
    begin(source, topic)
    try:
        yield
    except UserError as error:
        tell_error(source, error, topic, again, elsewhere)


def showing_folder(path: Path) -> Action:
    """Return a button that opens the folder of a file that was written."""
    return opening(path if path.is_dir() else path.parent, "Show folder")


def opening(path: Path, text: str) -> Action:
    """Return a button of a text that opens a file or folder in its own program."""
    return text, lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def to_panel(source: QObject, remedy: Remedy) -> Action:
    """Return a button that carries a remedy out in its panel."""
    board = board_of(source)
    return remedy.value, lambda: None if board is None else board.remedy_wanted.emit(remedy)


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def as_html(message: Message) -> str:
    """Return a message with how much it matters in bold."""
    text = html.escape(message.text).replace("\n", "<br>")
    return f"<b>{message.severity.value}.</b> {text}"


def _actions_for(
    remedy: Remedy | None,
    board: MessageBoard | None,
    again: Callable[[], object] | None,
    elsewhere: Callable[[], object] | None,
) -> list[Action]:
    """Return the buttons that mend a mistake."""
    if remedy is Remedy.SAVE_ELSEWHERE and elsewhere is not None:
        return [(remedy.value, elsewhere)]
    actions = list[Action]()
    if remedy not in (None, Remedy.SAVE_ELSEWHERE, Remedy.TRY_AGAIN) and board is not None:
        actions.append((remedy.value, lambda: board.remedy_wanted.emit(remedy)))
    if again is not None:
        actions.append((Remedy.TRY_AGAIN.value, again))
    return actions


def _is_out_of_memory(error: Exception) -> bool:
    from napari_attmil.core import is_out_of_memory

    return is_out_of_memory(error)
