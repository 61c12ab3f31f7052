"""Step 4: what the classifier says, and which cells decided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QLabel, QSlider, QWidget

from napari_attmil.core import CAUTION, counted
from napari_attmil.explore import cell_table, top_cells, write_cells
from napari_attmil.session import column_title
from napari_attmil.widgets.attention_mil.attention_legend import AttentionLegend
from napari_attmil.widgets.attention_mil.colour_map_button import ColourMapButton
from napari_attmil.widgets.attention_mil.frequencies_dialog import FrequenciesDialog
from napari_attmil.widgets.attention_mil.step import Step
from napari_attmil.widgets.attention_mil.top_cells import CellThumbnail, TopCells
from napari_attmil.widgets.card import offer_menu
from napari_attmil.widgets.classifying import PredictionView, classify_shown, missing_to_classify
from napari_attmil.widgets.parts import (
    STRETCH,
    TABLES,
    ProgressRow,
    as_file_name,
    ask_where_to_save,
    column,
    errors_shown,
    hint_label,
    primary_button,
    push_button,
    row,
    showing_folder,
    tell,
    warn,
    with_ending,
    wrapping_label,
)
from napari_attmil.widgets.thumbnails import Cutout, Thumbnails
from napari_attmil.workflows import write_prior

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction

STALE = "Boxes changed since: classify again."
THUMBNAIL_PX = 76
CONTEXT = 1.3
"""Side of a thumbnail as a multiple of the longer side of its box."""


class ResultStep(Step):
    """Classifies the sample and shows the attention of its cells.

    Signals
    -------
    shown()
        The result is complete, its thumbnails included.
    """

    shown = Signal()

    def _create(self) -> None:
        context = self._context
        self._thumbnails = Thumbnails(context, self)
        self._awaited: dict[Cutout, str] = {}
        """Thumbnails of top cells that are not there yet, with their tooltips."""
        self._classify = primary_button(
            "Classify sample",
            "Predict the class of the sample, and see which cells decided.",
            self.classify,
        )
        self._hint = hint_label(name="hint")
        self._progress = ProgressRow(context.runner, "Cancel", "Stop classifying; nothing changes.")
        self._stale = wrapping_label(STALE, "stale")
        self._stale.setProperty("warning", True)
        self._stale.setToolTip("Probabilities and colours belong to the boxes before the change.")
        self._prediction = PredictionView()
        self._frequencies = push_button(
            "Frequencies of the classes…",
            "Say how frequent the classes are where the sample comes from; probabilities follow.",
            self._ask_for_frequencies,
        )
        self._legend = AttentionLegend()
        self._colours = ColourMapButton()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, 99)
        self._slider.setToolTip("Fade the cells of low attention; slide right to fade more.")
        self._slider_label = QLabel()
        self._slider_label.setBuddy(self._slider)
        self._top_cells = TopCells()
        self._explore = push_button(
            "Explore cells…",
            "Open a panel below the images: colours, gallery, table and map of the cells.",
            self._open_explorer,
        )
        self._export = push_button(
            "Export cells (CSV)…",
            "Write one row for each cell: image, box, score and, once classified, its attention.",
            self._ask_where_to_export,
        )
        self._result = QWidget()

    def _lay_out(self) -> None:
        column(
            self._prediction,
            row(self._frequencies, STRETCH),
            hint_label(CAUTION),
            row(self._legend, self._colours),
            self._slider_label,
            self._slider,
            QLabel("Cells with the highest attention"),
            self._top_cells,
            within=self._result,
            margin_px=0,
        )
        above = (self._classify, self._hint, self._progress, self._stale)
        column(*above, self._result, self._explore, self._export, within=self)

    def _connect(self) -> None:
        context, session = self._context, self._context.session
        exploration = context.exploration
        self._slider.valueChanged.connect(lambda per_cent: exploration.colour(low=per_cent / 100))
        self._colours.chosen.connect(lambda name: exploration.colour(colour_map=name))
        self._top_cells.cell_clicked.connect(self._on_top_cell)
        self._top_cells.menu_wanted.connect(
            lambda cell: offer_menu(context, (session.sample.name, cell), self)
        )
        self._thumbnails.loaded.connect(self._show_top_cells)
        context.runner.busy_changed.connect(self.synchronise)
        context.images_changed.connect(self._on_prediction)
        self.listen(session.boxes_changed, self.synchronise)
        self.listen(session.prediction_changed, self._on_prediction)
        self.listen(session.classifier_changed, self.synchronise)
        self.listen(exploration.colouring_changed, self.synchronise)
        self._on_prediction()

    def classify(self) -> None:
        """Classify the shown sample off the main thread."""
        classify_shown(self._context, self._progress)

    def export(self, path: Path) -> None:
        """Write the cells of the shown sample to a CSV file."""
        session = self._context.session
        if session.sample is None:
            return
        path, state = with_ending(path, TABLES), session.state
        with errors_shown(self, "export", elsewhere=self._ask_where_to_export):
            table = cell_table(
                session.sample, state.boxes, state.prediction, state.classified, state.notes
            )
            write_cells(path, [table])
            written = f"{counted(len(session.boxes), 'cell')} written to {path}."
            tell(self, written, "export", showing_folder(path))

    def use_frequencies(self, prior: Mapping[str, float] | None) -> None:
        """Take the classes to be as frequent as given, here and when the study is opened again."""
        session = self._context.session
        with errors_shown(self, "frequencies", again=self._ask_for_frequencies):
            session.predictions.set_prior(prior)
            if session.cohort is not None:
                write_prior(session.cohort.folder, prior)

    def _ask_for_frequencies(self) -> None:
        predictions = self._context.session.predictions
        if predictions.classifier is None:
            return
        model = predictions.classifier.model
        with errors_shown(self, "frequencies"):
            if model.assumed is None:
                model.with_prior({})  # says why not
                return
            dialog = FrequenciesDialog(model.assumed, model.prior, self)
            if dialog.exec():
                self.use_frequencies(dialog.value())

    def _on_prediction(self) -> None:
        session, prediction = self._context.session, self._context.session.state.prediction
        self._awaited = {}
        self._prediction.setValue(prediction)
        # Those of another sample must not be left standing, or be pressed.
        self._top_cells.setValue(())
        sample, images = session.sample, self._context.images
        if prediction is not None and sample is not None and images is not None:
            self._await_top_cells(prediction, sample.name)
        self.synchronise()

    def _await_top_cells(self, prediction: Prediction, sample: str) -> None:
        """Ask for the thumbnails of the cells with the highest attention."""
        order, classified = top_cells(prediction.attention), self._context.session.state.classified
        boxes = classified[classified.index_of(prediction.cell_id[order])]
        centres = boxes.xyxy.reshape(-1, 2, 2).mean(axis=1)
        sides = CONTEXT * (boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]).max(axis=1)
        for rank, (cell, image) in enumerate(zip(boxes.cell_id, boxes.image_index, strict=True)):
            x, y, side = float(centres[rank, 0]), float(centres[rank, 1]), float(sides[rank])
            cutout = Cutout(sample, int(cell), int(image), x, y, side, THUMBNAIL_PX)
            self._awaited[cutout] = (
                f"Rank {rank + 1}: cell {cell} in image {image + 1}, "
                f"{prediction.attention[order[rank]]:.1%} of the attention. Click to go there."
            )
        self._show_top_cells()

    def _show_top_cells(self) -> None:
        """Show the top cells as soon as all of their thumbnails were cut."""
        pictures = {cutout: self._thumbnails.pixmap(cutout) for cutout in self._awaited}
        if not pictures or not all(map(self._thumbnails.is_cut, pictures)):
            return
        thumbnails = [
            CellThumbnail(cutout.cell_id, picture, f"{rank}", self._awaited[cutout])
            for rank, (cutout, picture) in enumerate(pictures.items(), start=1)
            if picture is not None
        ]
        unreadable = {cutout.image_index for cutout, picture in pictures.items() if not picture}
        self._awaited = {}
        self._top_cells.setValue(thumbnails)
        if unreadable:
            numbers = ", ".join(str(index + 1) for index in sorted(unreadable))
            missing = f"The thumbnails of cells in image {numbers} are missing: it cannot be read."
            warn(self, missing, "thumbnails")
        self.shown.emit()

    def _on_top_cell(self, cell: int) -> None:
        """Go to a cell, and answer why it counts."""
        sample = self._context.session.sample
        self._context.cells.show_cell(cell)
        if sample is not None:
            self._context.exploration.ask_about((sample.name, cell))

    def _open_explorer(self) -> None:
        # Through napari, as the menu does: panels do not import each other.
        self._context.viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")

    def _ask_where_to_export(self) -> None:
        sample = self._context.session.sample
        proposed = "cells.csv" if sample is None else f"{as_file_name(sample.name)}-cells.csv"
        if path := ask_where_to_save(self, "Export the cells of this sample", proposed, TABLES):
            self.export(path)

    def synchronise(self) -> None:
        """Show whether there is a result, whether it is up to date, and what can be done."""
        context, session = self._context, self._context.session
        prediction = session.state.prediction
        missing = missing_to_classify(context)
        self._classify.setEnabled(not missing and not context.runner.busy)
        self._hint.setText(missing)
        self._hint.setVisible(bool(missing))
        # During teaching, the student must not see which cells counted.
        self._result.setVisible(prediction is not None and not context.exploration.is_blind)
        self._stale.setVisible(session.state.is_stale)
        self._explore.setEnabled(hasattr(context.viewer, "window"))
        self._export.setEnabled(len(session.boxes) > 0)
        if prediction is None:
            self.state_changed.emit("none yet", False)
            return
        self._show_colouring()
        summary = f"{prediction.predicted} {max(prediction.probabilities):.0%}"
        if prediction.abstains:
            summary = f"undecided, {summary}"
        self.state_changed.emit(summary, not session.state.is_stale)

    def _show_colouring(self) -> None:
        """Show what the colours mean and how many cells are not faded."""
        exploration = self._context.exploration
        relative = exploration.relative()
        title = column_title(exploration.coloured_column)
        self._legend.setVisible(exploration.has_scale)
        self._legend.setColouring(title, exploration.colouring.colour_map)
        self._colours.setColourMap(exploration.colouring.colour_map)
        self._legend.setUnscoredShown(bool(np.isnan(relative).any()))
        has_value = np.isfinite(relative)
        shown, count = int((exploration.is_inside() & has_value).sum()), int(has_value.sum())
        which = f"the {shown} of {count} cells with the highest {title}"
        self._slider_label.setText(f"Show {which if shown < count else 'all cells'}")
        with QSignalBlocker(self._slider):
            self._slider.setValue(round(100 * exploration.colouring.low))
