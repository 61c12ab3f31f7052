"""The reviewed images that a detector is trained on."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_attmil.widgets.parts import column, push_button, row
from napari_attmil.widgets.viewer import Place

ROWS_SHOWN = 5


class ReviewedList(QWidget):
    """A list of images to tick; at first all are ticked.

    Signals
    -------
    changed()
        Images were listed, ticked or unticked.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._list = QListWidget()
        tick_all = push_button(
            "Tick &all", "Use all reviewed images.", lambda: self._tick_all(Qt.CheckState.Checked)
        )
        tick_none = push_button(
            "Tick n&one",
            "Use none, to tick a few by hand.",
            lambda: self._tick_all(Qt.CheckState.Unchecked),
        )
        column(self._list, row(tick_all, tick_none), within=self, margin_px=0)
        self._list.itemChanged.connect(self.changed)
        tip = "Reviewed images to train the detector on, or to test it with; space ticks one."
        self._list.setToolTip(tip)
        self._list.setAccessibleName(tip)
        self._list.setMaximumHeight((ROWS_SHOWN + 1) * self._list.fontMetrics().lineSpacing())

    def setImages(self, titles: Mapping[Place, str]) -> None:
        """List images; those listed before keep their state, new ones are ticked."""
        unticked = self.unticked()
        with QSignalBlocker(self._list):
            self._list.clear()
            for place, title in titles.items():
                item = QListWidgetItem(title)
                item.setData(Qt.ItemDataRole.UserRole, place)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                ticked = place not in unticked
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
                self._list.addItem(item)
        self.setVisible(bool(titles))
        self.changed.emit()

    def count(self) -> int:
        """Return how many images are ticked."""
        return self._list.count() - len(self.unticked())

    def unticked(self) -> frozenset[Place]:
        """Return sample and position of each image that is left out."""
        return frozenset(
            tuple(item.data(Qt.ItemDataRole.UserRole))
            for item in self._items()
            if item.checkState() == Qt.CheckState.Unchecked
        )

    def _items(self) -> list[QListWidgetItem]:
        items = map(self._list.item, range(self._list.count()))
        return [item for item in items if item is not None]

    def _tick_all(self, state: Qt.CheckState) -> None:
        with QSignalBlocker(self._list):
            for item in self._items():
                item.setCheckState(state)
        self.changed.emit()
