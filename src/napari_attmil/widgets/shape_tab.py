"""Are the cells that count different? Shapes measured, compared by patient, and severity."""

from __future__ import annotations

import pandas as pd
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTableView, QVBoxLayout, QWidget

from napari_attmil.exploration import column_title
from napari_attmil.explore.morphology import FEATURES
from napari_attmil.explore.statistics import (
    compare_high_cells,
    findings_in_words,
    severity_by_sample,
)
from napari_attmil.settings import UserError
from napari_attmil.widgets import explorer_tasks
from napari_attmil.widgets.cell_model import TableModel
from napari_attmil.widgets.cells_at_hand import cells_in_scope
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer_tab import ExplorerTab
from napari_attmil.widgets.progress_row import ProgressRow
from napari_attmil.widgets.style import hint_label, narrow_combo, primary_button
from napari_attmil.widgets.workers import Progress, TaskRunner

NOT_MEASURED = (
    "Shapes are not measured yet. Once they are, boxes, gallery and map can be coloured and "
    "ordered by them too."
)


class ShapeTab(ExplorerTab):
    """Measures cells, and compares those of a high score with the others."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._create()
        self._lay_out()
        self._connect()

    def _create(self) -> None:
        self._runner = TaskRunner(self)
        self._measure = primary_button(
            "Measure shapes", "Find every cell inside its box, and measure size and form."
        )
        self._score = narrow_combo("Cells that are high in this are compared with the others.")
        self._compare = QPushButton("Compare")
        self._compare.setToolTip(
            "Compare cells of a high score with the others, patient by patient; choose the whole "
            "cohort above."
        )
        self._progress = ProgressRow("Stop", "Stop measuring; what is measured so far stays.")
        self._words = hint_label(NOT_MEASURED)
        self._effects, self._severity = TableModel(self), TableModel(self)
        self._views = [_table_view(self._effects), _table_view(self._severity)]
        self._views[0].setToolTip("1: always higher in cells that count; -1: always lower.")
        self._views[1].setToolTip("Share of a sample's cells whose contribution is above 0.")

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        for widget in (self._measure, self._score, self._compare):
            top.addWidget(widget)
        top.addWidget(self._words, 1)
        tables = QHBoxLayout()
        for view in self._views:
            tables.addWidget(view)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self._progress)
        layout.addLayout(tables, 1)

    def _connect(self) -> None:
        self._measure.clicked.connect(self.measure)
        self._compare.clicked.connect(self.compare)
        self._progress.stop_clicked.connect(self._runner.stop)
        self._runner.busy_changed.connect(self.invalidate)
        self.listen(self._context.exploration.table_changed, self.invalidate)

    def close_tab(self) -> None:
        """Stop listening and measuring."""
        super().close_tab()
        self._runner.close()

    def refresh(self) -> None:
        """Show what can be compared."""
        table = self._context.exploration.table
        scores = [n for n in map(str, table) if n == "attention" or n.startswith("contribution_")]
        if scores != [self._score.itemData(place) for place in range(self._score.count())]:
            self._score.clear()
            for score in scores:
                self._score.addItem(column_title(score), score)
        measured = bool(shape_columns(table))
        self._measure.setEnabled(len(table) > 0 and not self._runner.busy)
        self._compare.setEnabled(measured and bool(scores) and "patient" in table)
        if measured and self._words.text() == NOT_MEASURED:
            self._words.setText("Shapes are measured; press Compare.")

    def measure(self) -> None:
        """Measure the cells in scope, off the main thread."""
        samples = cells_in_scope(self._context)
        if not samples:
            return
        self._progress.begin("Measuring the cells")
        self._runner.start(
            explorer_tasks.measure_cells,
            samples,
            on_done=lambda _: None,
            on_progress=self._on_progress,
            on_end=self._progress.hide,
        )

    def compare(self) -> None:
        """Compare cells of a high score with the others, and count those that speak for a class."""
        table, score = self._context.exploration.table, self._score.currentData()
        try:
            effects = compare_high_cells(table, score, shape_columns(table))
        except UserError as error:
            self._words.setText(str(error))
            return
        self._effects.setTable(effects)
        self._words.setText(" ".join(findings_in_words(effects, column_title(score))))
        if score.startswith("contribution_"):
            self._severity.setTable(severity_by_sample(table, score, threshold=0.0))

    def _on_progress(self, progress: Progress) -> None:
        self._progress.setValue(progress)
        if progress.detail is not None:
            cells = progress.detail.cells
            self._context.exploration.add_measured(cells.key, cells.boxes, progress.detail.columns)


def shape_columns(table: pd.DataFrame) -> list[str]:
    """Return the measured shapes that a table has, whatever their unit."""
    return [name for name in map(str, table) if name.startswith(tuple(FEATURES))]


def _table_view(model: TableModel) -> QTableView:
    view = QTableView()
    view.setModel(model)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(22)
    return view
