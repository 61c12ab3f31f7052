"""The window of the card: it floats beside the cell, can be docked, and closes by Escape."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtGui import QCursor, QKeySequence, QShortcut
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_attmil.core import Float64Array
from napari_attmil.widgets.card.placing import place_beside
from napari_attmil.widgets.parts import style_sheet

RIGHT = Qt.DockWidgetArea.RightDockWidgetArea
POINTED_AT_PX = 40
"""Around the mouse pointer, which is on what was clicked."""
ROUND_CELL_PX = 20
ABOVE_PX = 40
"""For the title of the card, which is no higher than the window."""


class CardWindow(QDockWidget):
    """Holds the card.

    Parameters
    ----------
    card
        What is shown.
    main
        napari's window; None if the viewer has none.
    on_escape
        Called by the key Escape, wherever it is pressed.
    """

    def __init__(
        self, card: QWidget, main: QMainWindow | None, on_escape: Callable[[], None]
    ) -> None:
        super().__init__("Cell", main)
        self._main = main
        self.setObjectName("napari-attmil cell")
        self.setWidget(card)
        if main is not None:
            main.addDockWidget(RIGHT, self)
        self.setFloating(True)
        room = card.sizeHint() if main is None else main.size() - QSize(0, ABOVE_PX)
        self.resize(card.sizeHint().boundedTo(room))
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.ApplicationShortcut)
        escape.activated.connect(on_escape)

    def set_theme(self, name: str) -> None:
        """Take the colours of one of napari's themes."""
        self.setStyleSheet(style_sheet(name))

    def place_beside(self, cell: Float64Array | None) -> None:
        """Move beside the cell when the window opens, later only if it covers cell or pointer.

        Parameters
        ----------
        cell
            (4, 2) corners of its box on the screen, see `Camera.offsets`; None if out of sight.
        """
        if self._main is None or not self.isFloating():
            return
        kept_free = [*self._area_of(self._main, cell), _around_pointer()]
        covers = any(self.frameGeometry().intersects(area) for area in kept_free)
        if covers or not self.isVisible():
            size, within = self.frameGeometry().size(), self._main.frameGeometry()
            self.move(place_beside(kept_free, size, within))

    def _area_of(self, main: QMainWindow, cell: Float64Array | None) -> list[QRect]:
        """Return where the cell is on the screen, if it is in sight."""
        canvas = main.centralWidget()
        if cell is None or canvas is None:
            return []
        middle = canvas.mapToGlobal(canvas.rect().center())
        low, high = cell.min(axis=0).round().astype(int), cell.max(axis=0).round().astype(int)
        corners = [middle + QPoint(*corner.tolist()) for corner in (low, high)]
        around = (-ROUND_CELL_PX, -ROUND_CELL_PX, ROUND_CELL_PX, ROUND_CELL_PX)
        area = QRect(*corners).adjusted(*around)
        seen = QRect(canvas.mapToGlobal(QPoint(0, 0)), canvas.size())
        return [area] if area.intersects(seen) else []


def _around_pointer() -> QRect:
    area = QRect(0, 0, 2 * POINTED_AT_PX, 2 * POINTED_AT_PX)
    area.moveCenter(QCursor.pos())
    return area
