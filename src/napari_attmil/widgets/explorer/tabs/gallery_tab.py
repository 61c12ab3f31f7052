"""Cells side by side, in any order."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox, QLabel

from napari_attmil.explore import Rows, highest_of_each, ordered
from napari_attmil.reports import gallery_scale
from napari_attmil.session import column_title, numeric_columns
from napari_attmil.widgets.explorer.cell_model import CellModel
from napari_attmil.widgets.explorer.column_combo import ColumnCombo
from napari_attmil.widgets.explorer.gallery_export import ask_and_export
from napari_attmil.widgets.explorer.tabs.explorer_tab import CellsTab
from napari_attmil.widgets.explorer.views import GalleryLook, GalleryView
from napari_attmil.widgets.explorer.wrapping import together, wrapping_row
from napari_attmil.widgets.parts import (
    TaskRunner,
    column,
    elastic,
    hint_label,
    narrow_combo,
    push_button,
)
from napari_attmil.widgets.thumbnails import Thumbnails

SIZES = {"small": 56, "medium": 96, "large": 160}
SHOWN = {"all cells": "", "8 highest of each class": "class", "8 highest of each sample": "sample"}


class GalleryTab(CellsTab):
    """Thumbnails of the cells in scope; click selects, double click goes there."""

    def _create(self) -> None:
        self._thumbnails = Thumbnails(self._context, self)
        model = CellModel(self)
        self._gallery = elastic(GalleryView(model, self._thumbnails))
        self._show_in(self._gallery, model)
        self._exporter = TaskRunner(self)
        self._shown = narrow_combo(
            "Every cell, or only the highest eight of each class or sample, as in Fig. 5 of the "
            "paper; choose all samples above to compare classes.",
            SHOWN,
        )
        self._column = ColumnCombo("The value that cells are ordered by; it stands below each.")
        self._order = narrow_combo(
            "Which end the cells begin with.", {"highest first": True, "lowest first": False}
        )
        for combo in (self._shown, self._column):
            combo.setMinimumContentsLength(14)
        self._size = narrow_combo("How large the thumbnails are.", SIZES)
        self._size.setCurrentIndex(1)
        self._margin = QDoubleSpinBox()
        self._margin.setRange(1.0, 4.0)
        self._margin.setSingleStep(0.1)
        self._margin.setValue(1.3)
        self._margin.setToolTip("How much of the surroundings is shown: 1 is the cell alone.")
        self._bar = hint_label(name="bar")
        self._bar.setWordWrap(False)
        self._export = push_button(
            "Export figure…",
            "Save the selected cells, or the first ones if fewer than two are selected, as PNG, "
            "SVG or PDF with scale bar and caption.",
            lambda: ask_and_export(self, self._exporter, self._gallery, self._thumbnails),
        )

    def _lay_out(self) -> None:
        controls = wrapping_row(
            together(QLabel("Show"), self._shown),
            together(QLabel("by"), self._column, self._order),
            together(QLabel("Size"), self._size),
            together(QLabel("Margin"), self._margin),
            together(self._bar, self._export),
        )
        column(controls, (self._gallery, 1), within=self)

    def _connect(self) -> None:
        for combo in (self._shown, self._column, self._order, self._size):
            combo.activated.connect(self.invalidate)
        self._margin.valueChanged.connect(self.invalidate)

    def refresh(self) -> None:
        """Show the cells in scope, in the chosen order."""
        exploration = self._context.exploration
        self._column.setColumns(numeric_columns(exploration.table))
        self._model.setTable(exploration.table, self._rows())
        scale = gallery_scale(exploration.table, exploration.samples, self._margin.value())
        by, group = self._column.currentData() or "", self._shown.currentData()
        size_px, is_mixed = self._size.currentData(), bool(exploration.scope)
        look = GalleryLook(scale, size_px, by, group, self._title(), names_samples=is_mixed)
        self._gallery.setLook(look)
        self._bar.setText(f"bar: {scale.bar_text}")
        self._export.setEnabled(bool(len(self._model.rows)))
        self._selection.show()

    def _rows(self) -> Rows:
        exploration = self._context.exploration
        table, rows = exploration.table, exploration.rows
        by, group = self._column.currentData() or "", self._shown.currentData()
        if group:
            return highest_of_each(table, rows, by, group)
        return ordered(table, rows, by, self._order.currentData())

    def _title(self) -> str:
        """Return what the cells are, for the caption of a figure."""
        whose = self._context.exploration.scope_in_words
        by = column_title(self._column.currentData() or "")
        if self._shown.currentData():
            return f"Cells of {whose}: the {self._shown.currentText()} by {by}"
        return f"Cells of {whose}, ordered by {by}, {self._order.currentText()}"
