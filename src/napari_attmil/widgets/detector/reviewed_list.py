"""Which of the reviewed images a detector is fitted to."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.widgets.viewer import Place

ROWS_SHOWN = 5


class ReviewedList(QWidget):
    """A list of images to tick; all of them are at first.

    Signals
    -------
    changed()
        Other images are ticked.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = QListWidget()
        self._all = QPushButton("Tick &all")
        self._none = QPushButton("Tick n&one")

        buttons = QHBoxLayout()
        buttons.addWidget(self._all)
        buttons.addWidget(self._none)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._list)
        layout.addLayout(buttons)

        self._list.itemChanged.connect(self.changed)
        self._all.clicked.connect(lambda: self._tick_all(Qt.CheckState.Checked))
        self._none.clicked.connect(lambda: self._tick_all(Qt.CheckState.Unchecked))

        tip = "Reviewed images that the detector is fitted to, or measured with; space ticks one."
        self._list.setToolTip(tip)
        self._list.setAccessibleName(tip)
        self._all.setToolTip("Use all reviewed images.")
        self._none.setToolTip("Use none, to tick a few by hand.")
        self._list.setMaximumHeight((ROWS_SHOWN + 1) * self._list.fontMetrics().lineSpacing())

    def setImages(self, titles: Mapping[Place, str]) -> None:
        """List other images; those known keep their tick, new ones get one."""
        unticked = self.unticked()
        self._list.blockSignals(True)
        self._list.clear()
        for place, title in titles.items():
            item = QListWidgetItem(title)
            item.setData(Qt.ItemDataRole.UserRole, place)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            ticked = place not in unticked
            item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            self._list.addItem(item)
        self._list.blockSignals(False)
        self.setVisible(bool(titles))
        self.changed.emit()

    def count(self) -> int:
        """Return how many images are ticked."""
        return self._list.count() - len(self.unticked())

    def unticked(self) -> frozenset[Place]:
        """Return sample and position of each image that is left out."""
        items = (self._list.item(row) for row in range(self._list.count()))
        return frozenset(
            tuple(item.data(Qt.ItemDataRole.UserRole))
            for item in items
            if item.checkState() == Qt.CheckState.Unchecked
        )

    def _tick_all(self, state: Qt.CheckState) -> None:
        self._list.blockSignals(True)
        for row in range(self._list.count()):
            self._list.item(row).setCheckState(state)
        self._list.blockSignals(False)
        self.changed.emit()
