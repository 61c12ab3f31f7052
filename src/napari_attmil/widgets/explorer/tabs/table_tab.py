"""Every cell as a row of numbers."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView

from napari_attmil.core import counted
from napari_attmil.explore import NOTE, TAG_SEPARATOR, TAGS, write_cells
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
        view = table_view(
            model,
            "Click a heading to sort; double-click a row to go to its cell. F2 edits tags, notes "
            "and columns of your own; a right click offers them for all selected cells.",
        )
        view.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        model.edited.connect(self._on_edited)
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
        exploration, columns = self._context.exploration, self._context.session.notes.columns()
        own = [(f"{name} (own)", name) for name in columns]
        self._own = {t if t in exploration.table else name: name for t, name in own}
        self._model.editable = frozenset({TAGS, NOTE, *self._own})
        self._model.setTable(exploration.table, exploration.rows)
        self._export.setEnabled(bool(len(self._model.rows)))
        self._table.resizeColumnsToContents()
        self._selection.show()

    def _on_edited(self, row: int, column_name: str, text: str) -> None:
        """Keep what a person has written into the table."""
        session = self._context.session
        cells = self._context.exploration.by_sample([self._model.key(row)])
        with errors_shown(self, "note"):
            if column_name == TAGS:
                session.notes.set_tags(cells, filter(str.strip, text.split(TAG_SEPARATOR.strip())))
            elif column_name == NOTE:
                session.notes.write(cells, text)
            else:
                session.notes.set_value(cells, self._own[column_name], text)

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
