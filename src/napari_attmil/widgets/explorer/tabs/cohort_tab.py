"""All samples of the cohort: their predictions, and which of them are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from qtpy.QtCore import QModelIndex, QPoint, Qt
from qtpy.QtWidgets import QAbstractItemView, QMenu, QSplitter, QStackedWidget

from napari_attmil import workflows
from napari_attmil.cells.annotations import SAMPLE
from napari_attmil.core import CAUTION
from napari_attmil.explore import (
    CurveKind,
    class_curves_of,
    class_curves_plot,
    confusion,
    confusion_in_words,
    curve_points,
    note_columns,
    sample_table,
)
from napari_attmil.session import UNTOUCHED, WHOLE_COHORT, LoadedClassifier, SessionKey
from napari_attmil.widgets.explorer.cell_model import TableModel
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab, table_view
from napari_attmil.widgets.explorer.views import FigureView, PatientStrips
from napari_attmil.widgets.notes_menu import add_note_actions
from napari_attmil.widgets.parts import (
    STRETCH,
    ConfusionView,
    ProgressRow,
    TaskRunner,
    ask_where_to_save,
    column,
    elastic,
    hint_label,
    narrow_combo,
    primary_button,
    push_button,
    row,
    scrolling,
    showing_folder,
    tell,
    with_ending,
)
from napari_attmil.workflows import Progress

REPORTS = "Page (*.html *.htm);;Document (*.pdf)"
BESIDE_BARS_PX = 24
"""For the scroll bar beside the bars of patients."""
WIDEST_BARS_PX = 280
"""The width of the patients' bars in a narrow window; wider ones scroll."""
NO_COHORT = "Open images of several samples first."
NO_CLASSIFIER = "Load or train a classifier first: step 3 of the panel “Classify samples”."


class CohortTab(ExplorerTab):
    """Table, confusion matrix and bars of all samples; a click opens one."""

    def _create(self) -> None:
        self._runner = TaskRunner(self)
        self._classify = primary_button(
            "Classify all samples",
            "Classify every sample that is new or whose boxes changed; samples without a detection "
            "are searched for cells first, with the usual settings.",
            self.classify,
        )
        self._hint = hint_label(name="hint")
        self._progress = ProgressRow(
            self._runner, "Stop", "Stop; samples classified so far stay classified."
        )
        self._model = TableModel(self)
        self._view = table_view(
            self._model,
            "Double-click a sample to open it; click a heading to sort; a right click offers tags "
            "and notes.",
        )
        self._report = push_button(
            "Write report…",
            "Write images, boxes, deciding cells and doubts of all classified samples into one "
            "file: a page for the browser (HTML) or a document (PDF).",
            self._ask_where_to_report,
        )
        self._confusion = ConfusionView(
            "Rows: the samples' own classes; columns: the predicted ones. Click a number to select "
            "its samples in the list."
        )
        self._strips = PatientStrips()
        self._bars = scrolling(self._strips)
        self._curves: dict[CurveKind, FigureView] = {
            "roc": FigureView("roc", "Each class against the rest."),
            "precision_recall": FigureView("precision-recall", "Each class against the rest."),
        }
        self._stack = QStackedWidget()
        summaries = ("Confusions", "ROC curves", "Precision and recall")
        self._summary = narrow_combo(
            "How the samples as a whole are summed up, at the right.",
            {title: place for place, title in enumerate(summaries)},
        )

    def _lay_out(self) -> None:
        for view in (self._confusion, *self._curves.values()):
            self._stack.addWidget(view)
        views = elastic(QSplitter())
        views.setChildrenCollapsible(False)
        for place, part in enumerate((self._view, self._bars, self._stack)):
            views.addWidget(part)
            views.setStretchFactor(place, 3 if part is self._view else 2)
        top = row(self._classify, self._report, STRETCH, self._summary)
        column(top, self._hint, self._progress, (views, 1), within=self)

    def _connect(self) -> None:
        session = self._context.session
        self._runner.busy_changed.connect(self.invalidate)
        self._summary.currentIndexChanged.connect(self._stack.setCurrentIndex)
        self._view.doubleClicked.connect(self._on_double_click)
        self._view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._view.customContextMenuRequested.connect(self._open_menu)
        self._strips.sample_clicked.connect(self._context.image_choice.show_sample)
        self._confusion.cell_clicked.connect(self._select_samples)
        self.listen(self._context.exploration.table_changed, self.invalidate)
        self.listen(session.classifier_changed, self.invalidate)

    def refresh(self) -> None:
        """Show the results of all samples."""
        session = self._context.session
        samples = () if session.cohort is None else session.cohort.samples
        states = session.states_of_samples()
        pairs = [(sample, states.get(sample.name, UNTOUCHED)) for sample in samples]
        table = sample_table([(s, len(state.cells), state.prediction) for s, state in pairs])
        noted = [state.notes.get(SAMPLE) for _, state in pairs]
        if any(noted):
            table = table.assign(**note_columns(noted, table.columns))
        self._model.setTable(table)
        self._confusion.setValue(confusion(table))
        self._strips.setValue(table)
        wanted = self._strips.sizeHint().width() + BESIDE_BARS_PX
        self._bars.setMinimumWidth(min(wanted, WIDEST_BARS_PX))
        self._show_curves(table)
        self._show_hint({s.prediction.note for _, s in pairs if s.prediction is not None})

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
        classifier = session.predictions.classifier
        keys = {sample.name: session.key_of(sample.name) for sample in wanted}
        self._progress.start(
            "Loading the detector",
            self._context.shared(workflows.classify_study),
            replace(study, cohort=replace(study.cohort, samples=tuple(wanted))),
            classifier.model,
            self._context.detection_settings,
            self._context.device_name,
            on_done=lambda _: self._context.exploration.set_scope(WHOLE_COHORT),
            on_progress=lambda progress: self._on_progress(progress, classifier, keys),
            again=self.classify,
        )

    def report(self, path: Path) -> None:
        """Write a page about all classified samples, off the main thread."""
        from napari_attmil.explore.report import Finding

        session = self._context.session
        if session.cohort is None or session.predictions.classifier is None:
            return
        states = session.states_of_samples()
        findings = [
            Finding(sample, state.cells, state.prediction, state.classified)
            for sample in session.cohort.samples
            if (state := states.get(sample.name, UNTOUCHED)).prediction is not None
        ]
        self._progress.start(
            "Writing the report",
            workflows.report_samples,
            with_ending(path, REPORTS),
            findings,
            session.predictions.classifier.model,
            session.predictions.classifier.name,
            on_done=self._on_report,
            elsewhere=self._ask_where_to_report,
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
        self, progress: Progress, classifier: LoadedClassifier, keys: Mapping[str, SessionKey]
    ) -> None:
        done, session = progress.detail, self._context.session
        if done is None or not session.predictions.is_in_use(classifier):
            return
        key = keys[done.sample.name]
        if not session.records.is_searched(key):
            session.editor.merge(done.boxes, key=key, automatic=True)
        session.predictions.set(done.prediction, done.boxes, key)
        self._context.exploration.forget_tables()

    def _show_hint(self, notes: set[str]) -> None:
        session = self._context.session
        missing = "" if session.predictions.classifier is not None else NO_CLASSIFIER
        missing = missing if session.cohort is not None else NO_COHORT
        self._classify.setEnabled(not missing and not self._runner.busy)
        self._report.setEnabled(bool(notes) and not self._runner.busy)
        summary = confusion_in_words(self._model.table)
        self._hint.setText(missing or " ".join(filter(None, [summary, CAUTION, *sorted(notes)])))

    def _on_report(self, written: Path | None) -> None:
        if written is not None:
            tell(self, f"The report was written to {written}.", "report", showing_folder(written))

    def _ask_where_to_report(self) -> None:
        if path := ask_where_to_save(self, "Write a report", "report.html", REPORTS):
            self.report(path)

    def _on_double_click(self, index: QModelIndex) -> None:
        sample = self._model.table["sample"].iat[self._model.rows[index.row()]]
        self._context.image_choice.show_sample(str(sample))

    def _open_menu(self, place: QPoint) -> None:
        """Offer what can be noted about the selected samples."""
        session, rows = self._context.session, self._view.selectionModel().selectedRows()
        names = [self._model.value(index.row(), "sample") for index in rows]
        if names:
            menu = QMenu(self)
            menu.aboutToHide.connect(menu.deleteLater)
            noted = {session.key_of(str(name)): [SAMPLE] for name in names}
            add_note_actions(menu, session, noted, self)
            menu.popup(self._view.viewport().mapToGlobal(place))

    def _select_samples(self, name: str, named: str) -> None:
        """Select the samples behind a number of the confusion matrix."""
        table = self._model.table.iloc[self._model.rows]
        wanted = (table["class"] == name) & (table["predicted"] == named)
        self._view.clearSelection()
        self._view.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        for place in np.flatnonzero(wanted):
            self._view.selectRow(int(place))
        self._view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
