"""The reviewed images: which of them train the detector, and which test it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QTreeWidget, QTreeWidgetItem, QWidget

from napari_attmil.widgets.parts import column, push_button, row
from napari_attmil.widgets.viewer import Place
from napari_attmil.workflows import CheckedImage

IMAGE, TEST, CORRECTED, LOOK = range(4)
COLUMNS = {
    "Image": "A ticked image is used; space ticks one.",
    "Test": (
        "A ticked image tests the new detector instead of training it, now and later. Tick others "
        "to test on those."
    ),
    "Corrected": "How many boxes a person drew, moved or deleted.",
    "Look": "Images that look alike, by light, focus and cells; test images come from all looks.",
}
"""Headings of the list with their tooltips."""
ROWS_SHOWN = 6
WIDEST_NAME_PX = 160
"""A longer name is cut in its middle, so that all columns are in view."""


class ReviewedList(QWidget):
    """A list of images to tick; at first all are ticked.

    Signals
    -------
    changed()
        Images were listed, ticked or unticked.
    test_chosen(place, is_test)
        A person decided whether an image tests the detector.
    """

    changed = Signal()
    test_chosen = Signal(object, bool)

    def __init__(self) -> None:
        super().__init__()
        self._tree = QTreeWidget()
        self._tree.setObjectName("reviewed")
        self._tree.setHeaderLabels(list(COLUMNS))
        for place, explanation in enumerate(COLUMNS.values()):
            self._tree.headerItem().setToolTip(place, explanation)
        self._tree.setRootIsDecorated(False)
        self._tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._tree.setAccessibleName("Reviewed images to train the detector on, or to test it with")
        self._tree.setMaximumHeight((ROWS_SHOWN + 3) * self._tree.fontMetrics().lineSpacing())
        tick_all = push_button(
            "Tick &all", "Use all reviewed images.", lambda: self._tick_all(Qt.CheckState.Checked)
        )
        tick_none = push_button(
            "Tick n&one",
            "Use none, to tick a few by hand.",
            lambda: self._tick_all(Qt.CheckState.Unchecked),
        )
        column(self._tree, row(tick_all, tick_none), within=self, margin_px=0)
        self._tree.itemChanged.connect(self._on_changed)

    def setImages(self, titles: Mapping[Place, str]) -> None:
        """List images; those listed before keep their state, new ones are ticked."""
        unticked, known = self.unticked(), {self._place(item): item for item in self._items()}
        with QSignalBlocker(self._tree):
            for place, item in known.items():
                if place not in titles:
                    self._tree.takeTopLevelItem(self._tree.indexOfTopLevelItem(item))
            for row_number, (place, title) in enumerate(titles.items()):
                if place not in known:
                    item = QTreeWidgetItem([title])
                    item.setData(IMAGE, Qt.ItemDataRole.UserRole, place)
                    item.setToolTip(IMAGE, title)
                    item.setCheckState(IMAGE, _state(place not in unticked))
                    self._tree.insertTopLevelItem(row_number, item)
            self._tree.resizeColumnToContents(IMAGE)
            width = min(self._tree.columnWidth(IMAGE), WIDEST_NAME_PX)
            self._tree.setColumnWidth(IMAGE, width)
        self.setVisible(bool(titles))
        self.changed.emit()

    def setChecked(self, images: Iterable[CheckedImage]) -> None:
        """Show which images test the detector, how much was corrected, and how they look."""
        by_place = {image.place: image for image in images}
        with QSignalBlocker(self._tree):
            for item in self._items():
                image = by_place.get(self._place(item))
                texts = ("", "") if image is None else (str(image.corrections), image.look)
                for place, text in zip((CORRECTED, LOOK), texts, strict=True):
                    item.setText(place, text)
                    item.setToolTip(place, text)
                is_test = image is not None and image.is_held_out
                item.setData(
                    TEST,
                    Qt.ItemDataRole.CheckStateRole,
                    None if image is None else _state(is_test),
                )
            for place in (TEST, CORRECTED, LOOK):
                self._tree.resizeColumnToContents(place)

    def count(self) -> int:
        """Return how many images are ticked."""
        return self._tree.topLevelItemCount() - len(self.unticked())

    def unticked(self) -> frozenset[Place]:
        """Return sample and position of each image that is left out."""
        return frozenset(
            self._place(item)
            for item in self._items()
            if item.checkState(IMAGE) == Qt.CheckState.Unchecked
        )

    def _items(self) -> list[QTreeWidgetItem]:
        items = map(self._tree.topLevelItem, range(self._tree.topLevelItemCount()))
        return [item for item in items if item is not None]

    def _place(self, item: QTreeWidgetItem) -> Place:
        sample, index = item.data(IMAGE, Qt.ItemDataRole.UserRole)
        return sample, index

    def _on_changed(self, item: QTreeWidgetItem, place: int) -> None:
        if place == IMAGE:
            self.changed.emit()
        elif place == TEST:
            is_test = item.checkState(TEST) == Qt.CheckState.Checked
            self.test_chosen.emit(self._place(item), is_test)

    def _tick_all(self, state: Qt.CheckState) -> None:
        with QSignalBlocker(self._tree):
            for item in self._items():
                item.setCheckState(IMAGE, state)
        self.changed.emit()


def _state(is_ticked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked
