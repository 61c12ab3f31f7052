"""The table of samples under keyboard and clipboard, as a spreadsheet behaves."""

from __future__ import annotations

from qtpy.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QCompleter,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_attmil.images import (
    FIELDS,
    Field,
    cells_of_text,
    filled_down,
    merged,
    parted,
    pasted,
    with_values,
)
from napari_attmil.widgets.attention_mil.samples.table import IMAGES, SampleTable

TIP = (
    "Type, or paste cells from a spreadsheet (Ctrl+V). A pasted table with the heads image or "
    "sample, patient and class finds its rows by itself. Ctrl+D fills the selection from its first "
    "row, Delete empties it, Ctrl+Z takes back."
)


class SampleTableView(QTableView):
    """Shows and edits a `SampleTable`.

    Signals
    -------
    told(str)
        What of a paste did not fit; empty if all did.
    images_wanted(int)
        The images of a row were double-clicked.
    """

    told = Signal(str)
    images_wanted = Signal(int)

    def __init__(self, table: SampleTable) -> None:
        super().__init__()
        self._table = table
        self.setModel(table)
        self.setItemDelegateForColumn(FIELDS.index("label"), _ClassEditor(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setWordWrap(False)
        self.setToolTip(TIP)
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().setDefaultSectionSize(24)
        self.doubleClicked.connect(self._on_double_click)

    def chosen_rows(self) -> list[int]:
        """Return the rows in which something is selected, ascending."""
        return sorted({index.row() for index in self.selectedIndexes()})

    def paste(self) -> None:
        """Put the clipboard's cells in from the first selected cell on; one cell fills them all."""
        clipboard = QGuiApplication.clipboard()
        cells = cells_of_text("" if clipboard is None else clipboard.text())
        chosen = [index for index in self.selectedIndexes() if index.column() != IMAGES]
        if not any(map(any, cells)) or not self._table.samples:
            return
        if len(cells) == len(cells[0]) == 1 and len(chosen) > 1:
            values = {(each.row(), FIELDS[each.column()]): cells[0][0] for each in chosen}
            self._table.change("Pasted", with_values(self._table.samples, values))
            return
        row = min((index.row() for index in chosen), default=0)
        column = min((index.column() for index in chosen), default=0)
        rows, left_out = pasted(self._table.samples, row, FIELDS[column], cells)
        self._table.change("Pasted", rows)
        self.told.emit(left_out)

    def copy(self) -> None:
        """Put the selected cells on the clipboard, as a spreadsheet does."""
        chosen, clipboard = self.selectedIndexes(), QGuiApplication.clipboard()
        if not chosen or clipboard is None:
            return
        columns = sorted({index.column() for index in chosen})
        lines = (
            "\t".join(self._table.text(row, column) for column in columns)
            for row in self.chosen_rows()
        )
        clipboard.setText("\n".join(lines))

    def fill_down(self) -> None:
        """Give all selected rows the values of the first, in the selected columns."""
        fields = self._chosen_fields()
        if rows := self.chosen_rows():
            self._table.change("Filled down", filled_down(self._table.samples, rows, fields))

    def merge(self) -> None:
        """Make the selected rows one sample."""
        self._table.change("Merged", merged(self._table.samples, self.chosen_rows()))

    def part(self) -> None:
        """Give each image of the selected rows a row of its own."""
        self._table.change("Split", parted(self._table.samples, self.chosen_rows()))

    def empty(self) -> None:
        """Empty the selected cells."""
        chosen = [index for index in self.selectedIndexes() if index.column() != IMAGES]
        values = {(index.row(), FIELDS[index.column()]): "" for index in chosen}
        self._table.change("Emptied", with_values(self._table.samples, values))

    def go_to(self, row: int, column: int) -> None:
        """Select a cell and scroll to it."""
        self.setCurrentIndex(self._table.index(row, column))
        self.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy, paste, fill and empty by the keys of spreadsheets."""
        control = event.modifiers() == Qt.KeyboardModifier.ControlModifier
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
        elif control and event.key() == Qt.Key.Key_D:
            self.fill_down()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.empty()
        else:
            super().keyPressEvent(event)

    def closeEditor(self, editor: QWidget, hint: QAbstractItemDelegate.EndEditHint) -> None:
        """Go on to the next row after Enter."""
        super().closeEditor(editor, hint)
        below = self.currentIndex().siblingAtRow(self.currentIndex().row() + 1)
        if hint == QAbstractItemDelegate.EndEditHint.SubmitModelCache and below.isValid():
            flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.selectionModel().setCurrentIndex(below, flags)

    def _chosen_fields(self) -> list[Field]:
        columns = {index.column() for index in self.selectedIndexes()} - {IMAGES}
        return [FIELDS[column] for column in sorted(columns)]

    def _on_double_click(self, index: QModelIndex) -> None:
        if index.column() == IMAGES:
            self.images_wanted.emit(index.row())


class _ClassEditor(QStyledItemDelegate):
    """Completes the classes that are there already, so that none is spelt in two ways."""

    def createEditor(
        self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex
    ) -> QWidget:
        editor = QLineEdit(parent)
        table = index.model()
        classes = table.classes() if isinstance(table, SampleTable) else []
        completer = QCompleter(list(classes), editor)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        editor.setCompleter(completer)
        editor.setFrame(False)
        return editor
