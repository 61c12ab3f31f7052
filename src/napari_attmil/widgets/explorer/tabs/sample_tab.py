"""What the classifier says of the shown sample, and what it would say without some cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_attmil import workflows
from napari_attmil.core import CAUTION, UserError, counted
from napari_attmil.explore import in_words
from napari_attmil.widgets.classifying import missing_to_classify
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import RemovalPlot
from napari_attmil.widgets.parts import (
    ProbabilityBars,
    ProgressRow,
    TaskRunner,
    hint_label,
    primary_button,
    scrolling_column,
    set_warning,
    tell_error,
    wrapping_label,
)

DISTANCE = "distance_from_healthy"
NOT_CLASSIFIED = "This sample is not classified yet."


class SampleTab(ExplorerTab):
    """Probabilities with their doubt, and the same without cells that are taken away."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._removal: workflows.Removal | None = None
        self._asked_about: Any = None
        self._create()
        self._lay_out()
        self._connect()

    def _create(self) -> None:
        self._runner = TaskRunner(self)
        self._bars = ProbabilityBars()
        self._certainty = wrapping_label(name="certainty")
        self._cells = hint_label(name="cells")
        self._note = hint_label(name="note")
        self._prepare = primary_button(
            "What if cells were not there?",
            "Read the cells once more, then take some away and see the probabilities move.",
        )
        self._progress = ProgressRow("Cancel", "Stop reading the cells.")
        self._plot = RemovalPlot()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setToolTip("How many of the cells with the highest attention go.")
        self._without_label = QLabel()
        self._selected = QPushButton("Take the selected cells away")
        self._selected.setToolTip("Ask again without the cells that are selected anywhere.")
        self._without = ProbabilityBars()

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        for widget in (self._bars, self._certainty, self._cells, self._note):
            left.addWidget(widget)
        left.addWidget(hint_label(CAUTION))
        left.addStretch(1)
        first, ready = QWidget(), QWidget()
        before = QVBoxLayout(first)
        before.addWidget(self._prepare)
        before.addWidget(self._progress)
        before.addStretch(1)
        beside = QVBoxLayout()
        beside.addWidget(self._without_label)
        beside.addWidget(self._without)
        beside.addWidget(self._selected)
        beside.addStretch(1)
        curve = QVBoxLayout()
        curve.addWidget(self._plot, 1)
        curve.addWidget(self._slider)
        row = QHBoxLayout(ready)
        row.addLayout(curve, 3)
        row.addWidget(scrolling_column(beside), 2)
        self._stack = QStackedWidget()
        self._stack.addWidget(first)
        self._stack.addWidget(ready)
        layout = QHBoxLayout(self)
        layout.addWidget(scrolling_column(left), 2)
        layout.addWidget(self._stack, 5)

    def _connect(self) -> None:
        session = self._context.session
        self._prepare.clicked.connect(self.prepare)
        self._progress.stop_clicked.connect(self._runner.stop)
        self._runner.busy_changed.connect(self.invalidate)
        self._slider.valueChanged.connect(self._show_without_highest)
        self._plot.count_chosen.connect(self._slider.setValue)
        self._selected.clicked.connect(self._show_without_selected)
        self.listen(session.prediction_changed, self.invalidate)
        self.listen(session.boxes_changed, self.invalidate)
        self.listen(session.classifier_changed, self.invalidate)
        self.listen(session.selection_changed, self._on_selection)

    def refresh(self) -> None:
        """Show what the classifier says; forget the cells of another prediction."""
        session = self._context.session
        prediction = session.state.prediction
        if prediction is not self._asked_about:
            self._forget()
        for widget in (self._bars, self._cells, self._note):
            widget.setVisible(prediction is not None)
        if prediction is None:
            self._certainty.setText(NOT_CLASSIFIED)
            set_warning(self._certainty, False)
        else:
            self._show_prediction(prediction)
        missing = missing_to_classify(self._context) or (
            NOT_CLASSIFIED if prediction is None else ""
        )
        self._prepare.setEnabled(not missing and not self._runner.busy)
        self._stack.setCurrentIndex(0 if self._removal is None else 1)
        self._on_selection()

    def prepare(self) -> None:
        """Read the cells, off the main thread, then take the highest away one by one."""
        context, session = self._context, self._context.session
        prediction = session.state.prediction
        if prediction is None or session.sample is None or context.images is None:
            return
        assert session.predictions.classifier is not None
        self._asked_about = prediction
        self._progress.begin("Loading the detector")
        self._runner.start(
            workflows.prepare_removal,
            context.shown_study(),
            session.sample,
            context.images,
            session.state.classified,
            session.predictions.classifier.model,
            prediction.attention,
            context.device_name,
            on_done=lambda removal: self._take_over(removal, prediction),
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    # --- inside -----------------------------------------------------------------------------

    def _show_prediction(self, prediction: Any) -> None:
        self._bars.setValue(
            prediction.classes,
            prediction.probabilities.tolist(),
            prediction.member_probabilities.tolist(),
        )
        self._certainty.setText(in_words(prediction))
        set_warning(self._certainty, prediction.abstains)
        self._cells.setText(
            f"The attention rests on about {prediction.effective_cells:.0f} of "
            f"{counted(len(prediction.cell_id), 'cell')}."
        )
        self._note.setText(prediction.note)

    def _take_over(self, removal: workflows.Removal | None, prediction: Any) -> None:
        session = self._context.session
        if removal is None or prediction is not session.state.prediction:
            return
        self._removal = removal
        if removal.distance_from_healthy is not None:
            columns = pd.DataFrame({DISTANCE: removal.distance_from_healthy})
            self._context.exploration.add_measured(session.key, session.state.classified, columns)
        self._plot.setCurve(prediction.classes, removal.curve)
        self._slider.setRange(0, len(removal.curve.cell_id))
        self._slider.setValue(0)
        self._show_without_highest()
        self.invalidate()

    def _forget(self) -> None:
        self._removal = None
        self._plot.clear()

    def _show_without_highest(self) -> None:
        if self._removal is None:
            return
        count = self._slider.value()
        self._plot.setCount(count)
        which = counted(count, "cell that counts most", "cells that count most")
        self._without_label.setText(f"Without the {which}:" if count else "With all cells:")
        self._show_without(self._removal.curve.probabilities[count])

    def _show_without_selected(self) -> None:
        selection = self._context.session.selection
        if self._removal is None:
            return
        try:
            probabilities = self._removal.what_if.without(selection)
        except UserError as error:
            tell_error(error)
            return
        self._without_label.setText(f"Without the {counted(len(selection), 'selected cell')}:")
        self._show_without(probabilities)

    def _show_without(self, probabilities: npt.NDArray[np.float64]) -> None:
        classes = self._context.session.state.prediction.classes
        self._without.setValue(classes, probabilities.tolist())

    def _on_selection(self) -> None:
        count = len(self._context.session.selection)
        self._selected.setEnabled(count > 0 and self._removal is not None)
