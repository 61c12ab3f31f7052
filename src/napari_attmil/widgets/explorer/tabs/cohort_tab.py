"""All samples of the cohort: what was said of them, and where it was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from napari.utils.notifications import show_info
from qtpy.QtCore import QModelIndex
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_attmil import workflows
from napari_attmil.core import CAUTION
from napari_attmil.explore import (
    CurveKind,
    class_curves_of,
    class_curves_plot,
    confusion,
    confusion_in_words,
    curve_points,
    sample_table,
)
from napari_attmil.session import UNTOUCHED, WHOLE_COHORT, SessionKey
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.cell_model import TableModel
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import ConfusionView, FigureView, PatientStrips
from napari_attmil.widgets.parts import (
    ProgressRow,
    TaskRunner,
    ask_where_to_save,
    hint_label,
    narrow_combo,
    primary_button,
    scrolling,
    with_ending,
)
from napari_attmil.workflows import Progress

REPORTS = "Page (*.html *.htm);;Document (*.pdf)"
BESIDE_BARS_PX = 24
"""For the scroll bar beside the bars of patients."""
WIDEST_BARS_PX = 280
"""What the bars of patients take of a narrow window; more of them scroll."""
NO_COHORT = "Open a cohort first: step 1 of the panel Attention MIL."
NO_CLASSIFIER = "Load or train a classifier first: step 3 of the panel Attention MIL."


class CohortTab(ExplorerTab):
    """Table, confusion matrix and bars of all samples; a click opens one."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._create()
        self._lay_out()
        self._connect()

    def _create(self) -> None:
        self._runner = TaskRunner(self)
        self._classify = primary_button(
            "Classify all samples",
            "Classify every sample that is not yet, or whose boxes changed; samples that were "
            "not searched for cells are, with the usual settings.",
        )
        self._hint = hint_label(name="hint")
        self._progress = ProgressRow("Stop", "Stop; what is classified so far stays.")
        self._model = TableModel(self)
        self._view = QTableView()
        self._view.setModel(self._model)
        self._view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._view.setSortingEnabled(True)
        self._view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._view.verticalHeader().hide()
        self._view.verticalHeader().setDefaultSectionSize(22)
        self._view.setToolTip("Double-click a sample to open it; click a heading to sort.")
        self._report = QPushButton("Write report…")
        self._report.setToolTip(
            "Write images, boxes, deciding cells and doubts of all classified samples into one "
            "file: a page for the browser (HTML) or a document (PDF)."
        )
        self._confusion = ConfusionView()
        self._strips = PatientStrips()
        self._bars = scrolling(self._strips)
        self._curves: dict[CurveKind, FigureView] = {
            "roc": FigureView("roc", "Each class against the rest."),
            "precision_recall": FigureView("precision-recall", "Each class against the rest."),
        }
        self._summary = narrow_combo("How the samples as a whole are summed up, at the right.")
        self._summary.addItems(["Confusions", "ROC curves", "Precision and recall"])
        self._stack = QStackedWidget()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self._classify)
        top.addWidget(self._report)
        top.addStretch(1)
        top.addWidget(self._summary)
        for view in (self._confusion, *self._curves.values()):
            self._stack.addWidget(view)
        views = QSplitter()
        views.setChildrenCollapsible(False)
        # Below text that wraps, a scrolling tab would be as high as a table likes to be.
        views.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        for place, (view, stretch) in enumerate(
            ((self._view, 3), (self._bars, 2), (self._stack, 2))
        ):
            views.addWidget(view)
            views.setStretchFactor(place, stretch)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self._hint)
        layout.addWidget(self._progress)
        layout.addWidget(views, 1)

    def _connect(self) -> None:
        session = self._context.session
        self._classify.clicked.connect(self.classify)
        self._progress.stop_clicked.connect(self._runner.stop)
        self._runner.busy_changed.connect(self.invalidate)
        self._report.clicked.connect(self._ask_where_to_report)
        self._summary.currentIndexChanged.connect(self._stack.setCurrentIndex)
        self._view.doubleClicked.connect(self._on_double_click)
        self._strips.sample_clicked.connect(self._context.image_choice.show_sample)
        self._confusion.cell_clicked.connect(self._select_samples)
        self.listen(self._context.exploration.table_changed, self.invalidate)
        self.listen(session.classifier_changed, self.invalidate)

    def refresh(self) -> None:
        """Show what is known of all samples."""
        session = self._context.session
        samples = () if session.cohort is None else session.cohort.samples
        states = session.states_of_samples()
        known = [(sample, states.get(sample.name, UNTOUCHED)) for sample in samples]
        table = sample_table([(s, len(state.boxes), state.prediction) for s, state in known])
        self._model.setTable(table)
        self._confusion.setValue(confusion(table))
        self._strips.setValue(table)
        wanted = self._strips.sizeHint().width() + BESIDE_BARS_PX
        self._bars.setMinimumWidth(min(wanted, WIDEST_BARS_PX))
        self._show_curves(table)
        self._show_hint({s.prediction.note for _, s in known if s.prediction is not None})

    def classify(self) -> None:
        """Classify the samples that need it, off the main thread."""
        session = self._context.session
        study = self._context.cohort_study()
        if study is None or session.predictions.classifier is None:
            return
        states = session.states_of_samples()
        wanted = [
            sample
            for sample in study.cohort.samples
            if (state := states.get(sample.name, UNTOUCHED)).prediction is None or state.is_stale
        ]
        self._progress.begin("Loading the detector")
        classifier = session.predictions.classifier
        keys = {sample.name: session.key_of(sample.name) for sample in wanted}
        self._runner.start(
            workflows.classify_study,
            replace(study, cohort=replace(study.cohort, samples=tuple(wanted))),
            classifier.model,
            self._context.detection_settings,
            self._context.device_name,
            on_done=lambda _: self._context.exploration.set_scope(WHOLE_COHORT),
            on_progress=lambda progress: self._on_progress(progress, classifier, keys),
            on_end=self._progress.hide,
        )

    def report(self, path: Path) -> None:
        """Write a page about all classified samples, off the main thread."""
        from napari_attmil.explore.report import Finding

        session = self._context.session
        if session.cohort is None or session.predictions.classifier is None:
            return
        states = session.states_of_samples()
        findings = [
            Finding(sample, state.boxes, state.prediction, state.classified)
            for sample in session.cohort.samples
            if (state := states.get(sample.name, UNTOUCHED)).prediction is not None
        ]
        self._progress.begin("Writing the report")
        self._runner.start(
            workflows.report_samples,
            with_ending(path, REPORTS),
            findings,
            session.predictions.classifier.model,
            session.predictions.classifier.name,
            on_done=lambda done: show_info(f"The report was written to {done}.") if done else None,
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    # --- inside -----------------------------------------------------------------------------

    def _show_curves(self, table: pd.DataFrame) -> None:
        curves = class_curves_of(table)
        for kind, view in self._curves.items():
            if curves:
                view.setDrawing(class_curves_plot(curves, kind), curve_points(curves))
            else:
                view.clear()

    def _on_progress(
        self, progress: Progress, classifier: object, keys: Mapping[str, SessionKey]
    ) -> None:
        self._progress.setValue(progress)
        done, session = progress.detail, self._context.session
        if done is None or session.predictions.classifier is not classifier:
            return
        key = keys[done.sample.name]
        if not session.records.is_searched(key):
            session.editor.merge(done.boxes, key=key)
        session.predictions.set(done.prediction, done.boxes, key)
        self._context.exploration.forget_tables()

    def _show_hint(self, notes: set[str]) -> None:
        session = self._context.session
        missing = NO_COHORT if session.cohort is None else ""
        missing = missing or (NO_CLASSIFIER if session.predictions.classifier is None else "")
        self._classify.setEnabled(not missing and not self._runner.busy)
        self._report.setEnabled(bool(notes) and not self._runner.busy)
        told = confusion_in_words(self._model.table)
        self._hint.setText(missing or " ".join(filter(None, [told, CAUTION, *sorted(notes)])))

    def _ask_where_to_report(self) -> None:
        path = ask_where_to_save(self, "Write a report", "report.html", REPORTS)
        if path is not None:
            self.report(path)

    def _on_double_click(self, index: QModelIndex) -> None:
        sample = self._model.table["sample"].iat[self._model.rows[index.row()]]
        self._context.image_choice.show_sample(str(sample))

    def _select_samples(self, name: str, named: str) -> None:
        """Select the samples behind a number of the confusion matrix."""
        table = self._model.table.iloc[self._model.rows]
        wanted = (table["class"] == name) & (table["predicted"] == named)
        self._view.clearSelection()
        self._view.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        for row in np.flatnonzero(wanted):
            self._view.selectRow(int(row))
        self._view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
