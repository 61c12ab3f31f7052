"""What all dock widgets have in common: context, theme, and an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from qtpy import PYSIDE6
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QVBoxLayout, QWidget

from napari_attmil.core import Remedy
from napari_attmil.widgets.card import CardHost
from napari_attmil.widgets.closing import WindowGuard, guard, working_on
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.open_bar import OpenBar, dropped_paths
from napari_attmil.widgets.parts import (
    Listening,
    Message,
    MessageBar,
    MessageBoard,
    pause_timer,
    stop_listening_within,
    style_sheet,
)
from napari_attmil.widgets.viewer import key_of_event


class DockPanel(Listening, QWidget):
    """A dock widget of one viewer.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    title = ""
    """As the manifest has it, so that napari can open the panel again."""
    glossary_word = "study"
    """Where the panel's "?" opens the glossary."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = napari_viewer
        self._docked = False
        self._join_timer = pause_timer(self._on_docked, parent=self)
        self._of_window: WindowGuard | None = None
        self.context = PanelContext(napari_viewer, self, self.title)
        self.listen(self._viewer.events.theme, self._apply_theme)
        self._apply_theme()
        self._create()
        self._lay_out()
        layout = cast("QVBoxLayout", self.layout())
        # In a low window the controls scroll, so that messages keep their buttons in sight.
        if not any(layout.stretch(place) for place in range(layout.count())):
            layout.setStretch(layout.count() - 1, 1)
        layout.insertWidget(0, MessageBar(self.message_board, self.context.shared_board))
        self.open_bar = OpenBar(self.context, self.glossary_word)
        layout.insertWidget(0, self.open_bar)
        self.setAcceptDrops(True)
        self._connect()
        self.card_host = CardHost(self.context, self)
        self.listen(self.context.remedy_wanted, self._carry_out)

    @property
    def message_board(self) -> MessageBoard:
        """What this panel tells, see `parts.tell`."""
        return self.context.message_board

    @property
    def study_folder(self) -> Path | None:
        """The folder of the open study, where dialogs start."""
        return self.context.study_folder

    def remedies(self) -> Mapping[Remedy, Callable[[], object]]:
        """Return what this panel can do about mistakes, whichever panel tells of them."""
        return {}

    def _carry_out(self, remedy: Remedy) -> None:
        action = self.remedies().get(remedy)
        if action is None:
            return
        if (dock := self.dock()) is not None:
            dock.show()
            dock.raise_()
        action()

    def _create(self) -> None:
        """Make the controls."""

    def _lay_out(self) -> None:
        """Arrange the controls."""

    def _connect(self) -> None:
        """Listen to controls, session and viewer."""

    def close_panel(self) -> None:
        """End the work, and leave the viewer as if the panel had never listened."""
        stop_listening_within(self)

    def event(self, event: QEvent) -> bool:
        """End the work when the dock lets the panel go, or the window closes."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self._tell_what_stops()
                self.close_panel()
                if PYSIDE6:  # it keeps what a signal's lambda holds until the sender is deleted
                    self.deleteLater()
            self._docked = self.parent() is not None
            if self._docked:
                self._join_timer.start()
        return super().event(event)

    def _tell_what_stops(self) -> None:
        """Tell in the other panels what stops with this one, which a script may have removed."""
        for text in working_on(self):
            note = f"Stopped, as the panel “{self.title}” was closed: {text}."
            self.context.shared_board.tell(Message(note))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let undo and redo work also while the panel has the focus; text fields keep their own."""
        if not self.context.bindings.run(key_of_event(event.key(), event.modifiers())):
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what is dropped as a study."""
        event.acceptProposedAction()
        self.context.opening.open(dropped_paths(event.mimeData()))

    def dock(self) -> QDockWidget | None:
        """Return the dock that holds the panel, None if there is none."""
        dock = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        return dock

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the work."""
        self.close_panel()
        super().closeEvent(event)

    def _on_docked(self) -> None:
        """Ask before the dock or the window closes, and end with them; only now is there one."""
        dock = self.dock()
        of_window = None if dock is None else guard(dock)
        if of_window is not None and of_window is not self._of_window:
            self._of_window = of_window
            self.listen(of_window.closed, self.close_panel)
        self._join_others()

    def _join_others(self) -> None:
        """Share the room of another panel as tabs: below each other none has enough."""
        dock, window = self.dock(), self.window()
        if dock is None or not isinstance(window, QMainWindow):
            return
        area = window.dockWidgetArea(dock)
        others = [panel.dock() for panel in window.findChildren(DockPanel) if panel is not self]
        for other in others:
            if other is None or other.isFloating() or window.dockWidgetArea(other) != area:
                continue
            if dock not in window.tabifiedDockWidgets(other):
                window.tabifyDockWidget(other, dock)
            dock.raise_()
            return

    def _apply_theme(self) -> None:
        self.setStyleSheet(style_sheet(self._viewer.theme))
