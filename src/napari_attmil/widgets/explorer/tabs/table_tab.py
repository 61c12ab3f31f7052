"""Every cell as a row of numbers."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView

from napari_attmil.core import counted
from napari_attmil.explore import write_cells
from napari_attmil.widgets.explorer.cell_model import CellModel
from napari_attmil.widgets.explorer.tabs.explorer_tab import CellsTab, table_view
from napari_attmil.widgets.parts import (
    TABLES,
    ask_where_to_save,
    column,
    errors_shown,
    hint_label,
    push_button,
    row,
    showing_folder,
    tell,
    with_ending,
)


class TableTab(CellsTab):
    """Shows, sorts and exports the table of the cells in scope."""

    def _create(self) -> None:
        model = CellModel(self)
        view = table_view(model, "Click a heading to sort; double-click a row to go to its cell.")
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.horizontalHeader().setResizeContentsPrecision(0)  # only the rows in sight
        view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.DescendingOrder)
        self._table = view
        self._show_in(view, model)
        self._export = push_button(
            "Export table…",
            "Write the rows shown as CSV, or as Parquet where the extra parquet is installed.",
            self._ask_where_to_export,
        )

    def _lay_out(self) -> None:
        hint = hint_label("Double-click a row to go to its cell.")
        column((self._table, 1), row((hint, 1), self._export), within=self)

    def refresh(self) -> None:
        """Show the cells in scope."""
        exploration = self._context.exploration
        self._model.setTable(exploration.table, exploration.rows)
        self._export.setEnabled(bool(len(self._model.rows)))
        self._table.resizeColumnsToContents()
        self._selection.show()

    def export(self, path: Path) -> None:
        """Write the rows shown, in their order."""
        path = with_ending(path, TABLES)
        with errors_shown(self, "export", elsewhere=self._ask_where_to_export):
            write_cells(path, [self._model.table.iloc[self._model.rows]])
            written = f"{counted(len(self._model.rows), 'cell')} written to {path}."
            tell(self, written, "export", showing_folder(path))

    def _ask_where_to_export(self) -> None:
        if path := ask_where_to_save(self, "Export the cells shown", "cells.csv", TABLES):
            self.export(path)
