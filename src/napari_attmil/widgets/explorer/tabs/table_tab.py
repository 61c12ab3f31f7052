"""Every cell as a row of numbers."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_info
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.core import UserError, counted
from napari_attmil.explore import write_cells
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.cell_model import CellModel, LinkedSelection
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import fly_to
from napari_attmil.widgets.parts import (
    TABLES,
    ask_where_to_save,
    hint_label,
    tell_error,
    with_ending,
)


class TableTab(ExplorerTab):
    """Shows, sorts and exports the table of the cells in question."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._create()
        self._lay_out()
        self._connect()

    def _create(self) -> None:
        self._model = CellModel(self)
        self._view = QTableView()
        self._view.setModel(self._model)
        self._view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._view.verticalHeader().hide()
        self._view.verticalHeader().setDefaultSectionSize(22)
        self._view.setToolTip("Click a heading to sort; double-click a row to go to its cell.")
        self._view.setSortingEnabled(True)
        self._view.horizontalHeader().setResizeContentsPrecision(0)  # of what is seen only
        self._view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.DescendingOrder)
        self._selection = LinkedSelection(self._view, self._context.exploration)
        self._export = QPushButton("Export table…")
        self._export.setToolTip(
            "Write the rows shown as CSV, or as Parquet where the extra parquet is installed."
        )

    def _lay_out(self) -> None:
        below = QHBoxLayout()
        below.addWidget(hint_label("Double-click a row to go to its cell."), 1)
        below.addWidget(self._export)
        layout = QVBoxLayout(self)
        layout.addWidget(self._view, 1)
        layout.addLayout(below)

    def _connect(self) -> None:
        exploration = self._context.exploration
        self._view.doubleClicked.connect(self._on_double_click)
        self._export.clicked.connect(self._ask_where_to_export)
        self.listen(exploration.table_changed, self.invalidate)
        self.listen(exploration.selection_changed, self._on_selection)

    def refresh(self) -> None:
        """Show the cells in question."""
        exploration = self._context.exploration
        self._model.setTable(exploration.table, exploration.rows)
        self._export.setEnabled(bool(len(self._model.rows)))
        self._view.resizeColumnsToContents()
        self._selection.show()

    def export(self, path: Path) -> None:
        """Write the rows shown, in their order."""
        path = with_ending(path, TABLES)
        try:
            write_cells(path, [self._model.table.iloc[self._model.rows]])
        except UserError as error:
            tell_error(error)
            return
        show_info(f"{counted(len(self._model.rows), 'cell')} written to {path}.")

    def _on_selection(self) -> None:
        if self.isVisible() and not self.is_stale:
            self._selection.show()

    def _on_double_click(self, index: QModelIndex) -> None:
        fly_to(self._context, self._model.key(index.row()))

    def _ask_where_to_export(self) -> None:
        path = ask_where_to_save(self, "Export the cells shown", "cells.csv", TABLES)
        if path is not None:
            self.export(path)
