"""What all dock widgets have in common: context, theme, and an end."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QWidget

from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.style import style_sheet


class DockPanel(QWidget):
    """A dock widget of one viewer.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = napari_viewer
        self._closed = self._docked = False
        self.context = PanelContext(napari_viewer, self)
        self._viewer.events.theme.connect(self._apply_theme)
        self._apply_theme()

    def close_parts(self) -> None:
        """Let the parts of the panel end their work and stop listening."""

    def close_panel(self) -> None:
        """End the work, and leave the viewer as if the panel had never listened."""
        if self._closed:
            return
        self._closed = True
        self.close_parts()
        self.context.close()
        self._viewer.events.theme.disconnect(self._apply_theme)

    def event(self, event: QEvent) -> bool:
        """End the work when the dock lets the panel go, or the window closes."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.close_panel()
            self._docked = self.parent() is not None
        return super().event(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the work."""
        self.close_panel()
        super().closeEvent(event)

    def _apply_theme(self) -> None:
        self.setStyleSheet(style_sheet(self._viewer.theme))
