"""The prediction for the shown sample, and what it would be without some of the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSlider, QStackedWidget, QWidget

from napari_attmil import workflows
from napari_attmil.core import CAUTION, counted
from napari_attmil.widgets.classifying import PredictionView, missing_to_classify
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import RemovalPlot
from napari_attmil.widgets.parts import (
    STRETCH,
    ProbabilityBars,
    ProgressRow,
    TaskRunner,
    column,
    errors_shown,
    hint_label,
    primary_button,
    push_button,
    row,
    scrolling_column,
)

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction

DISTANCE = "distance_from_healthy"


class SampleTab(ExplorerTab):
    """Class probabilities and their certainty, and the same without some of the cells."""

    def _create(self) -> None:
        self._removal: workflows.Removal | None = None
        self._asked_about: Prediction | None = None
        self._runner = TaskRunner(self)
        self._prediction = PredictionView()
        self._cells = hint_label(name="cells")
        self._prepare = primary_button(
            "What if cells were not there?",
            "Read the cells once more, then remove some and see the probabilities change.",
            self.prepare,
        )
        self._progress = ProgressRow(self._runner, "Cancel", "Stop reading the cells.")
        self._plot = RemovalPlot()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setToolTip("How many of the cells with the highest attention are removed.")
        self._without_label = QLabel()
        self._without = ProbabilityBars()
        self._selected = push_button(
            "Remove the selected cells",
            "Predict again without the cells that are selected in any view.",
            self._show_without_selected,
        )

    def _lay_out(self) -> None:
        first, ready = QWidget(), QWidget()
        column(self._prepare, self._progress, STRETCH, within=first)
        beside = column(self._without_label, self._without, self._selected, STRETCH)
        curve = column((self._plot, 1), self._slider)
        row((curve, 3), (scrolling_column(beside), 2), within=ready)
        self._stack = QStackedWidget()
        self._stack.addWidget(first)
        self._stack.addWidget(ready)
        left = column(self._prediction, self._cells, hint_label(CAUTION), STRETCH)
        row((scrolling_column(left), 2), (self._stack, 5), within=self)

    def _connect(self) -> None:
        session = self._context.session
        self._runner.busy_changed.connect(self.invalidate)
        self._slider.valueChanged.connect(self._show_without_highest)
        self._plot.count_chosen.connect(self._slider.setValue)
        self.listen(session.prediction_changed, self.invalidate)
        self.listen(session.boxes_changed, self.invalidate)
        self.listen(session.classifier_changed, self.invalidate)
        self.listen(session.selection_changed, self._on_selection)

    def refresh(self) -> None:
        """Show the prediction; forget the cells of an earlier one."""
        prediction = self._context.session.state.prediction
        if prediction is not self._asked_about:
            self._removal = None
            self._plot.clear()
        self._prediction.setValue(prediction)
        self._cells.setVisible(prediction is not None)
        if prediction is not None:
            self._cells.setText(
                f"The attention rests on about {prediction.effective_cells:.0f} of "
                f"{counted(len(prediction.cell_id), 'cell')}."
            )
        missing = missing_to_classify(self._context) or prediction is None
        self._prepare.setEnabled(not missing and not self._runner.busy)
        self._stack.setCurrentIndex(0 if self._removal is None else 1)
        self._on_selection()

    def prepare(self) -> None:
        """Read the cells off the main thread, and remove those of high attention one by one."""
        context, session = self._context, self._context.session
        prediction = session.state.prediction
        if prediction is None or session.sample is None or context.images is None:
            return
        assert session.predictions.classifier is not None
        self._asked_about = prediction
        self._progress.start(
            "Loading the detector",
            workflows.prepare_removal,
            context.shown_study(),
            workflows.CellsAtHand(session.sample, session.state.classified, context.images),
            session.predictions.classifier.model,
            prediction.attention,
            context.device_name,
            on_done=lambda removal: self._take_over(removal, prediction),
        )

    # --- inside -----------------------------------------------------------------------------

    def _take_over(self, removal: workflows.Removal | None, prediction: Prediction) -> None:
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
        with errors_shown(self, "without"):
            self._show_without(self._removal.what_if.without(selection))
            self._without_label.setText(f"Without the {counted(len(selection), 'selected cell')}:")

    def _show_without(self, probabilities: npt.NDArray[np.float64]) -> None:
        classes = self._context.session.state.prediction.classes
        self._without.setValue(classes, probabilities.tolist())

    def _on_selection(self) -> None:
        count = len(self._context.session.selection)
        self._selected.setEnabled(count > 0 and self._removal is not None)
