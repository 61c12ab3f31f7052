"""Asks before work that is under way is stopped by closing its panel or napari's window.

Hiding a panel, also by the Window and Plugins menus, stops nothing and asks nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QDockWidget, QMainWindow, QMessageBox, QWidget

from napari_attmil.widgets.parts import ProgressRow

KEEP = "Keep it running"
STOP = "Stop and close"


def guard(dock: QDockWidget) -> WindowGuard | None:
    """Have a dock, and the window that it is in, ask before they stop the work in them.

    Returns the window's guard; None if the dock is in no window.
    """
    _guard_dock(dock)
    window = dock.parent()
    if not isinstance(window, QMainWindow):
        return None
    return window.findChild(WindowGuard) or WindowGuard(window)


class WindowGuard(QObject):
    """Asks when a person closes a window; a script that closes the viewer is not asked.

    Parameters
    ----------
    window
        napari's.

    Signals
    -------
    closed()
        The window has closed; its parts are still there.
    """

    closed = Signal()

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._is_asking = False
        self._is_closing = False
        window.installEventFilter(self)

    def eventFilter(self, window: QObject | None, event: QEvent | None) -> bool:
        """Refuse to close while a person wants the work to go on; else end the panels."""
        if event is not None and event.type() == QEvent.Type.Hide and self._is_closing:
            self._is_closing = False
            self.closed.emit()
        if event is None or event.type() != QEvent.Type.Close or not isinstance(window, QWidget):
            return False
        if self._is_asking:
            event.ignore()
            return True
        self._is_closing = True  # unless napari asks too, and is told to stay
        if not _is_in_use(window) or not working_on(window):
            return False
        self._is_asking = True
        stops = may_stop(window, "napari stays open.")
        self._is_asking = False
        if not stops:
            self._is_closing = False
            event.ignore()
            return True
        for row in _working_rows(window):
            row.stop()
        return False


def working_on(part: QWidget) -> list[str]:
    """Return what is under way in a part of the window."""
    return [row.text for row in _working_rows(part)]


def _working_rows(part: QWidget) -> list[ProgressRow]:
    return [row for row in part.findChildren(ProgressRow) if row.is_working]


def may_stop(part: QWidget, otherwise: str) -> bool:
    """Ask whether the work in a part of the window may be stopped.

    Parameters
    ----------
    part
        What is about to close.
    otherwise
        What happens if the work is to go on.
    """
    work = "\n".join(f"• {text}" for text in working_on(part))
    question = f"Still at work:\n{work}\n\nClosing stops this. If you keep it running, {otherwise}"
    box = QMessageBox(QMessageBox.Icon.Question, "Still at work", question, parent=part)
    box.setTextFormat(Qt.TextFormat.PlainText)
    keep = box.addButton(KEEP, QMessageBox.ButtonRole.RejectRole)
    stop = box.addButton(STOP, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    return box.clickedButton() is stop


def _guard_dock(dock: Any) -> None:
    """Let the "x" of a dock ask first: it calls `destroyOnClose`, which napari's docks have."""
    destroy: Callable[[], None] | None = getattr(dock, "destroyOnClose", None)
    if destroy is None or "destroyOnClose" in vars(dock):
        return

    def ask_first() -> None:
        back = "the panel is only hidden; the Plugins menu shows it again."
        if not working_on(dock) or may_stop(dock, back):
            destroy()
        else:
            dock.hide()

    dock.destroyOnClose = ask_first


def _is_in_use(window: QWidget) -> bool:
    """Tell whether a person may be looking: napari takes its canvas away before a script's end."""
    centre = window.centralWidget() if isinstance(window, QMainWindow) else None
    parts = [] if centre is None else centre.children()
    return any(isinstance(part, QWidget) and part.isVisible() for part in parts)
