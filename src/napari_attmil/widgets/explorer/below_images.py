"""Places a panel that needs width below the images, as high as the window allows."""

from __future__ import annotations

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QSizePolicy

from napari_attmil.widgets.parts import Listening, pause_timer

HEIGHT_PX = 340
HEIGHT_SHARE = 0.42
"""Of the window: large screens have room for long lists and figures."""
USABLE_PX = 300
IMAGES_PX = 230
"""What is left to the images, with the slider that turns them."""
BOTTOM = Qt.DockWidgetArea.BottomDockWidgetArea
LEFT = Qt.DockWidgetArea.LeftDockWidgetArea
CORNER = Qt.Corner.BottomLeftCorner


class BelowImages(Listening, QObject):
    """Puts a dock below the images, and fits its height to the window until the user drags it.

    The dock is as wide as the window; where the layers' controls, which do not shrink, would
    leave it too low, it stands beside them.

    Parameters
    ----------
    dock
        The dock to place.
    window
        The window that holds it.
    """

    def __init__(self, dock: QDockWidget, window: QMainWindow, parent: QObject | None = None):
        super().__init__(parent)
        self._dock, self._window = dock, window
        self._height_at_press = 0
        self._has_let_go = False
        self._fit_timer = pause_timer(self._fit, parent=self)
        window.setCorner(CORNER, LEFT)  # otherwise a low window would grow at once
        if (panel := dock.widget()) is not None:  # napari 0.9.0 keeps it from growing
            panel.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        window.addDockWidget(BOTTOM, dock)
        window.installEventFilter(self)
        self.at_end(self._let_go)
        self._fit()

    def _let_go(self) -> None:
        """Give the corner of the window back."""
        self._has_let_go = True
        if isalive(self._window):
            self._window.removeEventFilter(self)
            self._window.setCorner(CORNER, BOTTOM)
        del self._dock, self._window

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the size of the window; the edges between docks are the window's own."""
        if self._has_let_go:  # an event that was under way while the panel closed
            return False
        was_dragged = self._dock.height() != self._height_at_press
        if event.type() == QEvent.Type.Resize:
            self._fit_timer.start()
        elif event.type() == QEvent.Type.MouseButtonPress:
            self._height_at_press = self._dock.height()
        elif event.type() == QEvent.Type.MouseButtonRelease and was_dragged:
            self._window.removeEventFilter(self)
        return False

    def _fit(self) -> None:
        dock, window = self._dock, self._window
        if dock.isFloating() or window.dockWidgetArea(dock) != BOTTOM:
            return
        window.setCorner(CORNER, BOTTOM)
        if self._room_px() < USABLE_PX:
            window.setCorner(CORNER, LEFT)
        wanted = max(HEIGHT_PX, round(HEIGHT_SHARE * window.height()))
        height = min(wanted, self._column_px() - IMAGES_PX)
        window.resizeDocks([dock], [height], Qt.Orientation.Vertical)

    def _room_px(self) -> int:
        """Return how high the dock can be below everything else."""
        others = (
            self._window.layout().minimumSize().height() - self._dock.minimumSizeHint().height()
        )
        return self._window.height() - others

    def _column_px(self) -> int:
        """Return how high images and dock are together."""
        window = self._window
        return window.height() - window.centralWidget().y() - window.statusBar().height()
