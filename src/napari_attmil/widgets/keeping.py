"""Tells a person that boxes are not on the disk, and goes on trying until they are."""

from __future__ import annotations

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_attmil.session import Session
from napari_attmil.widgets.style import set_warning

TRY_EVERY_MS = 15_000


class Keeping(QObject):
    """Whether a session's changes reach the disk.

    Parameters
    ----------
    session
        The session of the viewer.

    Signals
    -------
    reason_changed(reason)
        Why they do not; empty when they do again.
    """

    reason_changed = Signal(str)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._reason = ""
        self._has_failed = False
        self._timer = QTimer(self)
        self._timer.setInterval(TRY_EVERY_MS)
        self._timer.timeout.connect(self.try_again)
        session.not_kept.connect(self._note_failure)
        session.boxes_changed.connect(self._on_edit)

    @property
    def reason(self) -> str:
        """Why changes do not reach the disk; empty if they do."""
        return self._reason

    def try_again(self) -> None:
        """Write what could not be written yet."""
        self._has_failed = False
        self._session.keep_pending()
        if not self._has_failed:
            self._set_reason("")

    def close(self) -> None:
        """Try a last time, and stop listening."""
        self._timer.stop()
        if self._reason:
            self.try_again()
        self._session.not_kept.disconnect(self._note_failure)
        self._session.boxes_changed.disconnect(self._on_edit)

    def _note_failure(self, reason: str) -> None:
        self._has_failed = True
        if reason != self._reason:
            show_warning(reason)
            self._set_reason(reason)

    def _on_edit(self) -> None:
        if self._reason and not self._session.has_pending:
            self.try_again()

    def _set_reason(self, reason: str) -> None:
        if reason == self._reason:
            return
        self._reason = reason
        if reason:
            self._timer.start()
        else:
            self._timer.stop()
        self.reason_changed.emit(reason)


class KeepingNote(QWidget):
    """Says in a panel what is not on the disk; hidden while all is.

    Parameters
    ----------
    keeping
        What the viewer's panels know of it.
    """

    def __init__(self, keeping: Keeping, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._again = QPushButton("Save now")
        self._again.setToolTip("Write the changes that could not be written yet.")
        set_warning(self._text, True)

        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._text, 1)
        row.addWidget(self._again)

        self._again.clicked.connect(keeping.try_again)
        keeping.reason_changed.connect(self._show_reason)

        self._show_reason(keeping.reason)

    def text(self) -> str:
        """Return what is said."""
        return self._text.text()

    def _show_reason(self, reason: str) -> None:
        self._text.setText(reason)
        self.setVisible(bool(reason))
