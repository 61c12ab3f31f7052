"""What the tabs of the explorer have in common: they work only while they are looked at."""

from __future__ import annotations

from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, pause_timer


class ExplorerTab(Listening, QWidget):
    """A tab that shows something of the cells in question.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.is_stale = True
        # Several changes in a row are shown once.
        self._refresh_timer = pause_timer(self._refresh_now, parent=self)

    def refresh(self) -> None:
        """Show how things stand now; called when the tab is visible."""

    def invalidate(self) -> None:
        """Refresh soon, or as soon as the tab is visible."""
        self.is_stale = True
        if self.isVisible():
            self._refresh_timer.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Refresh what has changed while nobody looked."""
        super().showEvent(event)
        if self.is_stale:
            self._refresh_timer.start()

    def _refresh_now(self) -> None:
        if self.is_stale and self.isVisible():
            self.is_stale = False
            self.refresh()
