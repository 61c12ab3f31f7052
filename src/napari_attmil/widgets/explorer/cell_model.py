"""The cells in scope as a model for Qt's views, and one selection for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QSignalBlocker,
    Qt,
    Signal,
)
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QAbstractItemView

from napari_attmil.explore import Rows, ordered
from napari_attmil.session import CellKey, Exploration, column_title


class TableModel(QStandardItemModel):
    """Rows of a table, in any order; views ask only for what they show.

    It holds no items, only the number of rows and columns. Qt then does not ask Python for them
    once a row, which would take half a second for a gallery of 100,000 cells.

    Attributes
    ----------
    editable
        Columns whose values a person may write.

    Signals
    -------
    edited(row, column, text)
        A person has written another value; whoever keeps it changes the table.
    """

    edited = Signal(int, str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = pd.DataFrame()
        self._rows: Rows = np.zeros(0, dtype=np.intp)
        self._sorted_by: tuple[str, bool] | None = None
        self._columns: dict[str, Any] = {}
        self.editable: frozenset[str] = frozenset()

    @property
    def table(self) -> pd.DataFrame:
        """The whole table."""
        return self._table

    @property
    def rows(self) -> Rows:
        """Positions in the table of what is shown, in the order it is shown in."""
        return self._rows

    def setTable(self, table: pd.DataFrame, rows: Rows | None = None) -> None:
        """Show some rows of a table, in their order unless the user has sorted them."""
        self.beginResetModel()
        self._table, self._columns = table, {}
        self._rows = np.arange(len(table)) if rows is None else rows
        if self._sorted_by is not None:
            self._rows = ordered(table, self._rows, *self._sorted_by)
        with QSignalBlocker(self):  # the reset announces it
            self.setColumnCount(len(table.columns))
            self.setRowCount(len(self._rows))
        self.endResetModel()

    def value(self, row: int, column: str) -> Any:
        """Return the value of a row in a column; views ask for hundreds at each drawing."""
        if column not in self._columns:
            # Once for each table: a look-up in pandas takes longer than drawing the value.
            self._columns[column] = self._table[column].array
        return self._columns[column][self._rows[row]]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text or alignment."""
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return in_words(self.value(index.row(), self._table.columns[index.column()]))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            is_number = self._table.dtypes.iloc[index.column()].kind in "iuf"
            side = Qt.AlignmentFlag.AlignRight if is_number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell of the table."""
        flags = super().flags(index) & ~Qt.ItemFlag.ItemIsEditable
        is_own = str(self._table.columns[index.column()]) in self.editable
        return flags | Qt.ItemFlag.ItemIsEditable if is_own else flags

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Let whoever keeps the values know that a person has written another one."""
        if role != Qt.ItemDataRole.EditRole or str(value) == self.data(index):
            return False
        self.edited.emit(index.row(), str(self._table.columns[index.column()]), str(value))
        return True

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return a column's title, or a row's number."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if orientation == Qt.Orientation.Vertical:
            return str(section + 1)
        return column_title(str(self._table.columns[section]))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.DescendingOrder) -> None:
        """Order the rows by a column."""
        if 0 <= column < len(self._table.columns):
            descending = order == Qt.SortOrder.DescendingOrder
            self._sorted_by = (str(self._table.columns[column]), descending)
            self.setTable(self._table, np.sort(self._rows))


class CellModel(TableModel):
    """A table whose rows are cells."""

    def key(self, row: int) -> CellKey:
        """Return which cell a row shows."""
        return str(self.value(row, "sample")), int(self.value(row, "cell_id"))

    def keys(self, rows: Iterable[int]) -> list[CellKey]:
        """Return which cells rows show."""
        places = self._rows[list(rows)]
        samples, cells = (self._table[name].iloc[places] for name in ("sample", "cell_id"))
        return list(zip(samples.tolist(), cells.tolist(), strict=True))

    def rows_of(self, keys: Iterable[CellKey]) -> list[int]:
        """Return the rows of cells, ascending; cells that are not shown are left out."""
        wanted = set(keys)
        ids = self._table["cell_id"].to_numpy()[self._rows] if len(self._rows) else np.zeros(0)
        # Few cells have the right number; only their samples are compared.
        candidates = np.flatnonzero(np.isin(ids, [cell for _, cell in wanted]))
        return [row for row in candidates.tolist() if self.key(row) in wanted]


class LinkedSelection(QObject):
    """Keeps the selection of a view of cells equal to that of the exploration.

    Parameters
    ----------
    view
        Shows a `CellModel`.
    exploration
        What the viewer looks at.
    """

    def __init__(self, view: QAbstractItemView, exploration: Exploration) -> None:
        super().__init__(view)
        self._view, self._exploration = view, exploration
        self._is_following = False
        view.selectionModel().selectionChanged.connect(self._on_view)

    def show(self) -> None:
        """Select in the view what is selected in the exploration, and scroll to the first cell."""
        if self._is_following:
            return
        model, flags = self._model(), QItemSelectionModel.SelectionFlag
        rows = model.rows_of(self._exploration.selection)
        self._is_following = True
        self._view.selectionModel().select(_runs(model, rows), flags.ClearAndSelect | flags.Rows)
        self._is_following = False
        if rows:
            self._view.scrollTo(model.index(rows[0], 0))

    def _on_view(self) -> None:
        if self._is_following:
            return
        rows = sorted({index.row() for index in self._view.selectionModel().selectedIndexes()})
        self._is_following = True
        self._exploration.select(self._model().keys(rows))
        self._is_following = False

    def _model(self) -> CellModel:
        model = self._view.model()
        assert isinstance(model, CellModel)
        return model


def in_words(value: Any, digits: int = 4) -> str:
    """Return a value of a table as text; empty for a missing number."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.{digits}g}"
    return str(value)


def _runs(model: CellModel, rows: list[int]) -> QItemSelection:
    """Return a selection of rows; neighbours are one range, as Qt is slow with many."""
    selection, last = QItemSelection(), model.columnCount() - 1
    if not rows:
        return selection
    breaks = np.flatnonzero(np.diff(rows) > 1) + 1
    for run in np.split(np.array(rows), breaks):
        selection.select(model.index(int(run[0]), 0), model.index(int(run[-1]), last))
    return selection
