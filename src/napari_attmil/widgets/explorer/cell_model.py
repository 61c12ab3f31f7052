"""The cells in question as a model of Qt's views, and one selection for all of them."""

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
)
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QAbstractItemView

from napari_attmil.explore import Rows, ordered
from napari_attmil.session import CellKey, Exploration, column_title


class TableModel(QStandardItemModel):
    """Rows of a table, in any order; views ask only for what they show.

    It holds no items, only how many rows and columns there are: Qt then need not ask Python for
    that as often as there are rows, which a gallery of 100,000 cells would wait half a second for.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = pd.DataFrame()
        self._rows: Rows = np.zeros(0, dtype=np.intp)
        self._sorted_by: tuple[str, bool] | None = None
        self._columns: dict[str, Any] = {}

    @property
    def table(self) -> pd.DataFrame:
        """The whole table."""
        return self._table

    @property
    def rows(self) -> Rows:
        """Positions in the table of what is shown, in the order it is shown in."""
        return self._rows

    def setTable(self, table: pd.DataFrame, rows: Rows | None = None) -> None:
        """Show some rows of a table, in their order unless a person has chosen another."""
        self.beginResetModel()
        self._table, self._columns = table, {}
        self._rows = np.arange(len(table)) if rows is None else rows
        if self._sorted_by is not None:
            self._rows = ordered(table, self._rows, *self._sorted_by)
        with QSignalBlocker(self):  # the reset tells of it
            self.setColumnCount(len(table.columns))
            self.setRowCount(len(self._rows))
        self.endResetModel()

    def value(self, row: int, column: str) -> Any:
        """Return what a column says of a row; views ask for hundreds at each drawing."""
        if column not in self._columns:
            # Once a table: looking a column up in pandas takes longer than drawing what it says.
            self._columns[column] = self._table[column].array
        return self._columns[column][self._rows[row]]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text or alignment."""
        if role == Qt.ItemDataRole.DisplayRole:
            return in_words(self.value(index.row(), self._table.columns[index.column()]))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            is_number = self._table.dtypes.iloc[index.column()].kind in "iuf"
            side = Qt.AlignmentFlag.AlignRight if is_number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

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
    """Cells in rows: has their keys."""

    def key(self, row: int) -> CellKey:
        """Return which cell a row shows."""
        return str(self.value(row, "sample")), int(self.value(row, "cell_id"))

    def keys(self, rows: Iterable[int]) -> list[CellKey]:
        """Return which cells rows show."""
        places = self._rows[list(rows)]
        samples, cells = (self._table[name].iloc[places] for name in ("sample", "cell_id"))
        return list(zip(samples.tolist(), cells.tolist(), strict=True))

    def rows_of(self, keys: Iterable[CellKey]) -> list[int]:
        """Return the rows of cells, ascending; cells that are not shown are passed over."""
        wanted = set(keys)
        ids = self._table["cell_id"].to_numpy()[self._rows] if len(self._rows) else np.zeros(0)
        # Few cells have the right number; only their samples are compared.
        candidates = np.flatnonzero(np.isin(ids, [cell for _, cell in wanted]))
        return [row for row in candidates.tolist() if self.key(row) in wanted]


class LinkedSelection(QObject):
    """Keeps the selection of a view of cells and that of the exploration the same.

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
        self._following = False
        view.selectionModel().selectionChanged.connect(self._on_view)

    def show(self) -> None:
        """Select in the view what the exploration says, and scroll to the first of it."""
        if self._following:
            return
        rows = self._model().rows_of(self._exploration.selection)
        self._following = True
        flags = QItemSelectionModel.SelectionFlag
        self._view.selectionModel().select(
            _runs(self._model(), rows), flags.ClearAndSelect | flags.Rows
        )
        self._following = False
        if rows:
            self._view.scrollTo(self._model().index(rows[0], 0))

    def _on_view(self) -> None:
        if self._following:
            return
        rows = sorted({index.row() for index in self._view.selectionModel().selectedIndexes()})
        self._following = True
        self._exploration.select(self._model().keys(rows))
        self._following = False

    def _model(self) -> CellModel:
        model = self._view.model()
        assert isinstance(model, CellModel)
        return model


def in_words(value: Any, digits: int = 4) -> str:
    """Return a value of a table as a person reads it; nothing for an unknown one."""
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
