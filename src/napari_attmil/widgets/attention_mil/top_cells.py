"""A strip of the cells with the highest attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QToolButton, QWidget

from napari_attmil.widgets.parts import plain_tip

PER_ROW = 4


@dataclass(frozen=True, eq=False)
class CellThumbnail:
    """One cell to be shown.

    Attributes
    ----------
    cell_id
        Which cell.
    pixmap
        Its picture.
    caption, tip
        The text below it, and its tooltip.
    """

    cell_id: int
    pixmap: QPixmap
    caption: str
    tip: str


class TopCells(QWidget):
    """Thumbnails in rows of four, each a button.

    Signals
    -------
    cell_clicked(int), menu_wanted(int)
        The cell_id of the thumbnail that was pressed, or clicked with the right button.
    """

    cell_clicked = Signal(int)
    menu_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._buttons: list[QToolButton] = []
        self._cells: tuple[CellThumbnail, ...] = ()

        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        for column in range(PER_ROW):
            self._grid.setColumnStretch(column, 1)

    def value(self) -> tuple[int, ...]:
        """Return the ids of the cells shown, in their order."""
        return tuple(cell.cell_id for cell in self._cells)

    def setValue(self, cells: Sequence[CellThumbnail]) -> None:
        """Show cells."""
        self._cells = tuple(cells)
        for button in self._buttons:
            self._grid.removeWidget(button)
            button.deleteLater()
        self._buttons = [self._button(cell) for cell in cells]
        for place, button in enumerate(self._buttons):
            self._grid.addWidget(button, place // PER_ROW, place % PER_ROW)

    def button(self, place: int) -> QToolButton:
        """Return the button of one cell."""
        return self._buttons[place]

    def _button(self, cell: CellThumbnail) -> QToolButton:
        button = QToolButton()
        button.setIcon(QIcon(cell.pixmap))
        button.setIconSize(cell.pixmap.size())
        button.setText(cell.caption)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setToolTip(plain_tip(cell.tip))
        button.clicked.connect(lambda: self.cell_clicked.emit(cell.cell_id))
        button.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        button.customContextMenuRequested.connect(lambda: self.menu_wanted.emit(cell.cell_id))
        return button
