"""The window "Samples and classes", by mouse and keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QTableView, QTableWidget

from support.hand import MOUSE
from support.pages.page import Page

if TYPE_CHECKING:
    from qtpy.QtCore import QAbstractItemModel
    from qtpy.QtGui import QClipboard
    from qtpy.QtWidgets import QTableWidgetItem, QWidget

COLUMNS = ("sample", "patient", "class", "images")


class SamplesPage(Page):
    """The table of samples, once its folder has been looked through."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        end = time.monotonic() + 20
        while self.busy and time.monotonic() < end:
            MOUSE.qWait(10)

    @property
    def view(self) -> QTableView:
        return self.part(QTableView)

    @property
    def _model(self) -> QAbstractItemModel:
        return cast("QAbstractItemModel", self.view.model())

    def rows(self) -> list[list[str]]:
        """Return the texts of the table."""
        model = self._model
        return [
            [model.index(row, column).data() for column in range(len(COLUMNS))]
            for row in range(model.rowCount())
        ]

    def select(self, column: str, first: int, last: int | None = None) -> None:
        """Select some rows of a column, as dragging over them does."""
        place, model = COLUMNS.index(column), self._model
        end = first if last is None else last
        chosen = QItemSelection(model.index(first, place), model.index(end, place))
        self.view.setCurrentIndex(model.index(first, place))
        selection = self.view.selectionModel()
        assert selection is not None
        selection.select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def selected(self) -> tuple[int, str]:
        """Return the current cell."""
        index = self.view.currentIndex()
        return index.row(), COLUMNS[index.column()]

    def key(
        self,
        key: Qt.Key,
        modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        MOUSE.keyClick(self.view, key, modifier)

    def control(self, key: Qt.Key) -> None:
        """Press a key with Ctrl."""
        self.key(key, Qt.KeyboardModifier.ControlModifier)

    def type(self, text: str) -> None:
        """Type into the current cell, and press Enter."""
        MOUSE.keyClicks(self.view, text[:1])
        (editor,) = (each for each in self.view.findChildren(QLineEdit) if each.isVisible())
        MOUSE.keyClicks(editor, text[1:])
        MOUSE.keyClick(editor, Qt.Key.Key_Return)
        QApplication.processEvents()  # Qt takes the text in a moment later

    def paste(self, text: str) -> None:
        """Copy a text elsewhere and press Ctrl+V here."""
        cast("QClipboard", QGuiApplication.clipboard()).setText(text)
        self.control(Qt.Key.Key_V)

    def copied(self) -> str:
        """Press Ctrl+C and return what was copied."""
        self.control(Qt.Key.Key_C)
        return cast("QClipboard", QGuiApplication.clipboard()).text()


class NamePatternPage(Page):
    """The pattern of names."""

    def preview(self) -> list[list[str]]:
        table = self.part(QTableWidget)
        return [
            [cast("QTableWidgetItem", table.item(row, column)).text() for column in range(4)]
            for row in range(table.rowCount())
        ]

    def type(self, pattern: str) -> None:
        self.part(QComboBox).setEditText(pattern)
