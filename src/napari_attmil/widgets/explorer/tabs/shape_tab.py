"""Shapes of the cells, compared by patient, and the severity of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_attmil import workflows
from napari_attmil.core import UserError
from napari_attmil.explore import CONTRIBUTION
from napari_attmil.explore.shapes import (
    compare_high_cells,
    findings_in_short,
    findings_in_words,
    healthy_cells,
    severity_by_sample,
    severity_threshold,
    shape_columns,
)
from napari_attmil.session import WHOLE_COHORT, column_title
from napari_attmil.widgets.explorer.cells_at_hand import cells_in_scope
from napari_attmil.widgets.explorer.column_combo import ColumnCombo
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import FigureView
from napari_attmil.widgets.parts import (
    ProgressRow,
    TaskRunner,
    column,
    hint_label,
    plain_tip,
    primary_button,
    push_button,
    row,
)
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    import pandas as pd

NOT_MEASURED = (
    "Shapes are not measured yet. Once they are, boxes, gallery and map can be coloured and "
    "ordered by them."
)
NO_PATIENTS = "Patients are compared: open samples of several patients, and choose a class above."
ALL_CLASSES = "All classes together; choose one above to compare its cells alone."
SEVERITY_TIP = "One dot for each sample, with its 95 % interval; one line for each patient."
EFFECTS_TIP = (
    "Effects with their 95 % intervals; filled where significant. Bars: the effects in healthy "
    "samples, once these are classified and measured too."
)


class ShapeTab(ExplorerTab):
    """Measures cells, and compares those of a high score with the others."""

    def _create(self) -> None:
        self._runner = TaskRunner(self)
        self._measure = primary_button(
            "Measure shapes",
            "Find the outline of every cell in its box, and measure size and form.",
            self.measure,
        )
        self._score = ColumnCombo("Cells that are high in this are compared with the others.")
        self._score.setMinimumContentsLength(22)
        self._compare = push_button(
            "Compare",
            "Compare the tenth of cells with the highest score with the others, patient by "
            "patient; with a contribution, also count the cells that speak for its class.",
            self.compare,
        )
        self._progress = ProgressRow(self._runner, "Stop", "Stop; cells measured so far are kept.")
        self._words = hint_label(NOT_MEASURED, "words")
        self._effects = FigureView("effects", EFFECTS_TIP)
        self._severity = FigureView("severity", SEVERITY_TIP)

    def _lay_out(self) -> None:
        top = row(self._measure, self._score, self._compare, (self._words, 1))
        figures = row((self._effects, 1), (self._severity, 1))
        column(top, self._progress, (figures, 1), within=self)

    def _connect(self) -> None:
        self._runner.busy_changed.connect(self.invalidate)
        self.listen(self._context.exploration.table_changed, self.invalidate)

    def refresh(self) -> None:
        """Show what can be compared; earlier comparisons were of other cells."""
        table = self._context.exploration.table
        scores = [name for name in map(str, table) if name.startswith(("attention", CONTRIBUTION))]
        self._score.setColumns(scores)
        is_measured, has_patients = bool(shape_columns(table)), "patient" in table
        self._measure.setEnabled(len(table) > 0 and not self._runner.busy)
        self._compare.setEnabled(is_measured and has_patients and self._score.count() > 0)
        missing = "" if has_patients else NO_PATIENTS
        missing = missing if is_measured else NOT_MEASURED
        self._words.setText(missing or "Shapes are measured; press Compare.")
        self._words.setToolTip("")
        self._effects.clear()
        self._severity.clear()

    def measure(self) -> None:
        """Measure the cells in scope, off the main thread."""
        samples = cells_in_scope(self._context)
        if not samples:
            return
        cohort = self._context.session.cohort
        self._progress.start(
            "Measuring the cells",
            workflows.measure_cells,
            samples,
            () if cohort is None else cohort.samples,
            on_done=lambda _: None,
            on_progress=self._add_measured,
        )

    def compare(self) -> None:
        """Compare cells of a high score with the others, and count those typical of a class."""
        from napari_attmil.explore import forest_plot

        table, score = self._context.exploration.table, self._score.currentData()
        title = column_title(score)
        try:
            effects = compare_high_cells(table, score, shape_columns(table), self._healthy(score))
        except UserError as error:
            self._words.setText(str(error))
            return
        mixed = [ALL_CLASSES] if self._context.exploration.scope == WHOLE_COHORT else []
        self._effects.setDrawing(forest_plot(effects, title), effects)
        if score.startswith(CONTRIBUTION):
            self._count_cells(score)
        else:
            self._severity.clear()
        self._words.setText(" ".join([findings_in_short(effects, title), *mixed]))
        self._words.setToolTip("\n".join(findings_in_words(effects, title)))

    def _healthy(self, score: str) -> pd.DataFrame | None:
        """Return the measured cells of healthy samples, the reference for those of a class."""
        exploration = self._context.exploration
        table = exploration.cohort_table()
        if exploration.scope in ("", WHOLE_COHORT) or "class" not in table:
            return None
        is_measured = table[shape_columns(table)].notna().any(axis=1)
        healthy = exploration.healthy_class
        return healthy_cells(table[is_measured], exploration.scope, score, healthy)

    def _count_cells(self, score: str) -> None:
        """Show the severity of the samples in scope."""
        from napari_attmil.explore import severity_plot

        exploration = self._context.exploration
        cells, healthy = exploration.cohort_table(), exploration.healthy_class
        threshold, words = severity_threshold(cells, score, healthy)
        severity = severity_by_sample(exploration.table, score, threshold)
        name = score.removeprefix(CONTRIBUTION)
        self._severity.setDrawing(severity_plot(severity, name), severity)
        self._severity.setToolTip(plain_tip(f"Share of a sample's cells {words}. {SEVERITY_TIP}"))

    def _add_measured(self, progress: Progress) -> None:
        if progress.detail is not None:
            cells = progress.detail.cells
            self._context.exploration.add_measured(cells.key, cells.boxes, progress.detail.columns)
