"""The bar at the top of a panel that shows its messages."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QResizeEvent, QTextOption
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QSizePolicy,
    QStyle,
    QTextEdit,
    QToolButton,
    QWidget,
)

from napari_attmil.widgets.parts.layouts import STRETCH, column, row
from napari_attmil.widgets.parts.listening import Listening
from napari_attmil.widgets.parts.messages import (
    Action,
    Message,
    MessageBoard,
    Severity,
    as_html,
    copy_text,
)
from napari_attmil.widgets.parts.style import push_button, scrolling

ICON_PX = 18
LARGEST_SHARE = 0.4
"""Of the panel's height; more messages scroll, so that the controls stay in sight."""
LEAST_PX = 56
"""What is left of the bar where the window has no more room."""
_ICONS = {
    Severity.NOTE: QStyle.StandardPixmap.SP_MessageBoxInformation,
    Severity.WARNING: QStyle.StandardPixmap.SP_MessageBoxWarning,
    Severity.ERROR: QStyle.StandardPixmap.SP_MessageBoxCritical,
}


class MessageBar(Listening, QWidget):
    """Messages one below the other, the newest first; hidden while there are none.

    Parameters
    ----------
    *boards
        Where messages are told.
    """

    def __init__(self, *boards: MessageBoard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._boards = boards
        self._entries: dict[Message, MessageEntry] = {}
        self._inner = QWidget()
        self._column = column(within=self._inner, margin_px=4, spacing_px=4)
        self._area = scrolling(self._inner)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inner.installEventFilter(self)
        column(self._area, within=self, margin_px=0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        for board in boards:
            board.is_shown_in(self)
            self.listen(board.changed, self._show_messages)
            self.listen(board.begun, self._make_room)
        self._show_messages()

    def messages(self) -> list[Message]:
        """Return what is shown, the newest first."""
        told = [message for board in self._boards for message in board.messages]
        return sorted(told, key=lambda message: message.number, reverse=True)

    def sizeHint(self) -> QSize:
        """Return the height of the messages, but leave the controls most of the panel."""
        panel, wanted = self.parentWidget(), self._inner.sizeHint()
        most = wanted.height() if panel is None else int(LARGEST_SHARE * panel.height())
        return QSize(wanted.width(), max(LEAST_PX, min(wanted.height(), most)))

    def minimumSizeHint(self) -> QSize:
        """Return the height of a line of the newest: a message does not enlarge the window."""
        return QSize(60, min(LEAST_PX, self._inner.sizeHint().height()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the height of the messages."""
        if watched is self._inner and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _make_room(self) -> None:
        for board in self._boards:
            board.clear_notes()

    def _show_messages(self) -> None:
        told = self.messages()
        for message in set(self._entries) - set(told):
            entry = self._entries.pop(message)
            self._column.removeWidget(entry)
            entry.hide()
            entry.deleteLater()
        for place, message in enumerate(told):
            if message not in self._entries:
                entry = MessageEntry(message)
                entry.closed.connect(self._dismiss)
                self._entries[message] = entry
                self._column.insertWidget(place, entry)
                self._area.verticalScrollBar().setValue(0)
        self.setVisible(bool(told))
        self.updateGeometry()

    def _dismiss(self, message: Message) -> None:
        for board in self._boards:
            board.dismiss(message)


class MessageEntry(QFrame):
    """One message with its buttons.

    Signals
    -------
    closed(Message)
        A person has read it.
    """

    closed = Signal(object)

    def __init__(self, message: Message) -> None:
        super().__init__()
        severity = message.severity.value
        icon, text, close = QLabel(), MessageText(as_html(message)), QToolButton()
        buttons = [push_button(title, _tip(title), act) for title, act in _offers(message)]

        above = row(icon, (text, 1), close, margin_px=0, spacing_px=6)
        above.setAlignment(icon, Qt.AlignmentFlag.AlignTop)
        above.setAlignment(close, Qt.AlignmentFlag.AlignTop)
        below = [row(STRETCH, *buttons, spacing_px=4)] if buttons else []
        column(above, *below, within=self, margin_px=5, spacing_px=3)

        close.clicked.connect(lambda: self.closed.emit(message))

        self.setProperty("message", severity)
        self.setAccessibleName(severity)
        self.setAccessibleDescription(message.text)
        icon.setPixmap(self.style().standardIcon(_ICONS[message.severity]).pixmap(ICON_PX, ICON_PX))
        icon.setToolTip(severity)
        close.setText("✕")
        close.setProperty("fold", True)
        close.setToolTip("Close this message.")
        close.setVisible(not message.lasting)


def _offers(message: Message) -> tuple[Action, ...]:
    """Return the buttons of a message; an error, which somebody may be asked about, is copied."""
    if message.severity is not Severity.ERROR:
        return message.actions
    return (*message.actions, ("Copy", lambda: copy_text(message.text)))


def _tip(title: str) -> str:
    return "Put this message on the clipboard." if title == "Copy" else f"{title.rstrip('…')}."


class MessageText(QTextEdit):
    """A text that can be selected, breaks long paths, and is as high as it needs to be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.setHtml(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Follow the width with the height."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Return next to no width: a message must not widen its panel."""
        return QSize(60, self.height())

    def _fit(self) -> None:
        self.document().setTextWidth(self.viewport().width())
        self.setFixedHeight(int(self.document().size().height()) + 2)
