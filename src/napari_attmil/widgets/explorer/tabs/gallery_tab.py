"""Cells side by side, in any order."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_attmil.explore import Rows, highest_of_each, ordered
from napari_attmil.reports import gallery_scale
from napari_attmil.session import column_title, numeric_columns
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.cell_model import CellModel, LinkedSelection
from napari_attmil.widgets.explorer.column_combo import ColumnCombo
from napari_attmil.widgets.explorer.gallery_export import ask_and_export
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import GalleryLook, GalleryView, fly_to
from napari_attmil.widgets.explorer.wrapping import together, wrapping_row
from napari_attmil.widgets.parts import TaskRunner, hint_label, narrow_combo
from napari_attmil.widgets.thumbnails import Thumbnails

SIZES = {"small": 56, "medium": 96, "large": 160}
SHOWN = {"all cells": "", "8 highest of each class": "class", "8 highest of each sample": "sample"}


class GalleryTab(ExplorerTab):
    """Thumbnails of the cells in question; click selects, double click goes there."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._create()
        self._lay_out()
        self._connect()

    def _create(self) -> None:
        self._thumbnails = Thumbnails(self._context, self)
        self._model = CellModel(self)
        self._view = GalleryView(self._model, self._thumbnails)
        self._selection = LinkedSelection(self._view, self._context.exploration)
        self._exporter = TaskRunner(self)
        self._shown = narrow_combo(
            "Every cell, or only the highest eight of each class or sample, as in Fig. 5 of the "
            "paper; choose the whole cohort above to compare classes."
        )
        for text, group in SHOWN.items():
            self._shown.addItem(text, group)
        self._column = ColumnCombo("What the cells are ordered by; it stands below each.")
        self._order = narrow_combo("Which end the cells begin with.")
        self._order.addItem("highest first", True)
        self._order.addItem("lowest first", False)
        for combo in (self._shown, self._column):
            combo.setMinimumContentsLength(14)
        self._size = narrow_combo("How large the thumbnails are.")
        for text, size_px in SIZES.items():
            self._size.addItem(text, size_px)
        self._size.setCurrentIndex(1)
        self._margin = QDoubleSpinBox()
        self._margin.setRange(1.0, 4.0)
        self._margin.setSingleStep(0.1)
        self._margin.setValue(1.3)
        self._margin.setToolTip("How much of the surroundings is shown: 1 is the cell alone.")
        self._bar = hint_label(name="bar")
        self._bar.setWordWrap(False)
        self._export = QPushButton("Export figure…")
        self._export.setToolTip(
            "Save the selected cells, or the first ones if fewer than two are selected, as PNG, "
            "SVG or PDF with scale bar and caption."
        )

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(
            wrapping_row(
                together(QLabel("Show"), self._shown),
                together(QLabel("by"), self._column, self._order),
                together(QLabel("Size"), self._size),
                together(QLabel("Margin"), self._margin),
                together(self._bar, self._export),
            )
        )
        layout.addWidget(self._view, 1)

    def _connect(self) -> None:
        exploration = self._context.exploration
        for combo in (self._shown, self._column, self._order, self._size):
            combo.activated.connect(self.invalidate)
        self._margin.valueChanged.connect(self.invalidate)
        self._view.doubleClicked.connect(self._on_double_click)
        self._export.clicked.connect(self._on_export)
        self.listen(exploration.table_changed, self.invalidate)
        self.listen(exploration.selection_changed, self._on_selection)

    def refresh(self) -> None:
        """Show the cells in question, in the order that is chosen."""
        exploration = self._context.exploration
        self._fill_columns()
        self._model.setTable(exploration.table, self._rows())
        scale = gallery_scale(exploration.table, exploration.samples, self._margin.value())
        column, group = self._column.currentData() or "", self._shown.currentData()
        self._view.setLook(
            GalleryLook(scale, self._size.currentData(), column, group, self._title())
        )
        self._bar.setText(f"bar: {scale.bar_text}")
        self._export.setEnabled(bool(len(self._model.rows)))
        self._selection.show()

    def _rows(self) -> Rows:
        exploration = self._context.exploration
        table, rows = exploration.table, exploration.rows
        column, group = self._column.currentData() or "", self._shown.currentData()
        if group:
            return highest_of_each(table, rows, column, group)
        return ordered(table, rows, column, self._order.currentData())

    def _title(self) -> str:
        """Return what the cells are, as a figure's caption says it."""
        whose = self._context.exploration.scope_in_words
        by = column_title(self._column.currentData() or "")
        if self._shown.currentData():
            return f"Cells of {whose}: the {self._shown.currentText()} by {by}"
        return f"Cells of {whose}, ordered by {by}, {self._order.currentText()}"

    def _fill_columns(self) -> None:
        self._column.setColumns(numeric_columns(self._context.exploration.table))

    def _on_selection(self) -> None:
        if self.isVisible() and not self.is_stale:
            self._selection.show()

    def _on_double_click(self, index: QModelIndex) -> None:
        fly_to(self._context, self._model.key(index.row()))

    def _on_export(self) -> None:
        ask_and_export(self, self._exporter, self._view, self._thumbnails)
