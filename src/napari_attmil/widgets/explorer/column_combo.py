"""A choice among the columns of a table of cells."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox

from napari_attmil.session import MAKER, column_title
from napari_attmil.widgets.parts import make_narrow


class ColumnCombo(QComboBox):
    """Keeps what was chosen while the columns change around it.

    Parameters
    ----------
    tip
        What is chosen.
    """

    def __init__(self, tip: str) -> None:
        super().__init__()
        make_narrow(self, tip)

    def columns(self) -> list[str]:
        """Return the columns on offer."""
        return [str(self.itemData(place)) for place in range(self.count())]

    def setColumns(self, columns: Sequence[str], wanted: str = "") -> None:
        """Offer columns; without the former choice among them, `wanted` or the first is chosen."""
        if list(columns) == self.columns():
            return
        former = self.currentData()
        with QSignalBlocker(self):
            self.clear()
            for column in columns:
                title = "who made the box" if column == MAKER else column_title(column)
                self.addItem(title, column)
            place = self.findData(former)
            self.setCurrentIndex(max(place if place >= 0 else self.findData(wanted), 0))
