"""Step 4: what the classifier says, and which cells decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_info
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.core import CAUTION, UserError, counted
from napari_attmil.explore import cell_table, in_words, top_cells, write_cells
from napari_attmil.session import column_title
from napari_attmil.widgets import tasks
from napari_attmil.widgets.attention_mil.attention_legend import AttentionLegend
from napari_attmil.widgets.attention_mil.colour_map_button import ColourMapButton
from napari_attmil.widgets.attention_mil.top_cells import CellThumbnail, TopCells
from napari_attmil.widgets.classifying import classify_shown, missing_to_classify
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    TABLES,
    Listening,
    ProbabilityBars,
    ProgressRow,
    TaskRunner,
    as_file_name,
    ask_where_to_save,
    hint_label,
    primary_button,
    set_warning,
    tell_error,
    with_ending,
    wrapping_label,
)

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction
    from napari_attmil.explore import ColourMap

STALE = "Boxes changed since: classify again."


class ResultStep(Listening, QWidget):
    """Classifies the sample and shows the attention of its cells.

    Signals
    -------
    state_changed(str, bool)
        One line that says the result, and whether there is one.
    shown()
        The result is complete, its thumbnails included.
    """

    state_changed = Signal(str, bool)
    shown = Signal()

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        # Thumbnails are cut beside whatever else runs.
        self._cutter = TaskRunner(self)
        self._top: tuple[npt.NDArray[np.intp], Any] | None = None
        self._create()
        self._lay_out()
        self._connect()
        self._on_prediction()

    def _create(self) -> None:
        self._classify = primary_button(
            "Classify sample", "Say which class the sample belongs to, and which cells decided."
        )
        self._hint = hint_label(name="hint")
        self._progress = ProgressRow("Cancel", "Stop classifying; nothing changes.")
        self._stale = wrapping_label(STALE, "stale")
        self._stale.setProperty("warning", True)
        self._stale.setToolTip("Probabilities and colours belong to the boxes as they were.")
        self._bars = ProbabilityBars()
        self._certainty = wrapping_label(name="certainty")
        self._note = hint_label(name="note")
        self._caution = hint_label(CAUTION)
        self._legend = AttentionLegend()
        self._colours = ColourMapButton()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, 99)
        self._slider.setToolTip("Fade the cells of low attention; slide right to keep fewer.")
        self._slider_label = QLabel()
        self._slider_label.setBuddy(self._slider)
        self._top_label = QLabel("Cells that counted most")
        self._top_cells = TopCells()
        self._explore = QPushButton("Explore cells…")
        self._explore.setToolTip(
            "Open a panel below the images: colours, gallery, table and map of the cells."
        )
        self._export = QPushButton("Export cells (CSV)…")
        self._export.setToolTip(
            "Write one row a cell: image, box, score and, once classified, its attention."
        )
        self._result = QWidget()

    def _lay_out(self) -> None:
        inner = QVBoxLayout(self._result)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._bars)
        inner.addWidget(self._certainty)
        inner.addWidget(self._note)
        inner.addWidget(self._caution)
        legend = QHBoxLayout()
        legend.addWidget(self._legend)
        legend.addWidget(self._colours)
        inner.addLayout(legend)
        inner.addWidget(self._slider_label)
        inner.addWidget(self._slider)
        inner.addWidget(self._top_label)
        inner.addWidget(self._top_cells)
        layout = QVBoxLayout(self)
        layout.addWidget(self._classify)
        layout.addWidget(self._hint)
        layout.addWidget(self._progress)
        layout.addWidget(self._stale)
        layout.addWidget(self._result)
        layout.addWidget(self._explore)
        layout.addWidget(self._export)

    def _connect(self) -> None:
        context, session = self._context, self._context.session
        self._classify.clicked.connect(self.classify)
        self._progress.stop_clicked.connect(context.runner.stop)
        self._slider.valueChanged.connect(self._on_slider)
        self._colours.chosen.connect(self._on_colour_map)
        self._top_cells.cell_clicked.connect(context.cells.show_cell)
        self._explore.clicked.connect(self._open_explorer)
        self._export.clicked.connect(self._ask_where_to_export)
        self._cutter.busy_changed.connect(self._cut_if_wanted)
        context.runner.busy_changed.connect(self._synchronise)
        context.images_changed.connect(self._on_prediction)
        self.listen(session.boxes_changed, self._synchronise)
        self.listen(session.prediction_changed, self._on_prediction)
        self.listen(session.classifier_changed, self._synchronise)
        self.listen(context.exploration.colouring_changed, self._synchronise)

    def tell_state(self) -> None:
        """Emit `state_changed`."""
        self._synchronise()

    def classify(self) -> None:
        """Classify the shown sample off the main thread."""
        classify_shown(self._context, self._progress)

    def export(self, path: Path) -> None:
        """Write the cells of the shown sample to a CSV file."""
        session = self._context.session
        if session.sample is None:
            return
        path = with_ending(path, TABLES)
        try:
            state = session.state
            table = cell_table(session.sample, state.boxes, state.prediction, state.classified)
            write_cells(path, [table])
        except UserError as error:
            tell_error(error)
            return
        show_info(f"{counted(len(session.boxes), 'cell')} written to {path}.")

    def _on_prediction(self) -> None:
        prediction = self._context.session.state.prediction
        if prediction is not None:
            self._show_certainty(prediction)
        self._cut_thumbnails()
        self._synchronise()

    def _show_certainty(self, prediction: Prediction) -> None:
        """Show how probable the classes are, and how far that can be relied on."""
        alone = prediction.member_probabilities.tolist()
        self._bars.setValue(prediction.classes, prediction.probabilities.tolist(), alone)
        self._certainty.setText(in_words(prediction))
        self._certainty.setVisible(bool(in_words(prediction)))
        set_warning(self._certainty, prediction.abstains)
        self._note.setText(prediction.note)
        self._note.setVisible(bool(prediction.note))

    # --- the top cells ----------------------------------------------------------------------

    def _cut_thumbnails(self) -> None:
        """Cut out the cells of the highest attention off the main thread."""
        state, images = self._context.session.state, self._context.images
        prediction = state.prediction
        if prediction is None or images is None:
            self._top = None
            self._top_cells.setValue(())
            return
        order = top_cells(prediction.attention)
        ids = prediction.cell_id[order]
        boxes = state.classified[state.classified.index_of(ids)]
        self._top = (order, (images, boxes, prediction))
        self._cutter.stop()
        self._cut_if_wanted(self._cutter.busy)

    def _cut_if_wanted(self, busy: bool) -> None:
        if busy or self._top is None:
            return
        (order, (images, boxes, prediction)), self._top = self._top, None
        self._cutter.start(
            tasks.cut_thumbnails,
            images,
            boxes,
            on_done=lambda cut: self._show_thumbnails(cut, order, boxes, prediction),
        )

    def _show_thumbnails(
        self, cut: list[Any], order: npt.NDArray[np.intp], boxes: Any, prediction: Any
    ) -> None:
        if prediction is not self._context.session.state.prediction or len(cut) < len(boxes):
            return
        self._top_cells.setValue(
            [
                CellThumbnail(
                    int(boxes.cell_id[rank]),
                    image,
                    f"{rank + 1}",
                    f"Rank {rank + 1}: cell {boxes.cell_id[rank]} in image "
                    f"{boxes.image_index[rank] + 1}, {prediction.attention[order[rank]]:.1%} of "
                    "the attention. Click to go there.",
                )
                for rank, image in enumerate(cut)
            ]
        )
        self.shown.emit()

    # --- the rest ---------------------------------------------------------------------------

    def _on_colour_map(self, colour_map: ColourMap) -> None:
        self._context.exploration.colour(colour_map=colour_map)

    def _on_slider(self, per_cent: int) -> None:
        self._context.exploration.colour(low=per_cent / 100)

    def _open_explorer(self) -> None:
        # Through napari, as the menu does: panels do not know each other.
        self._context.viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")

    def _ask_where_to_export(self) -> None:
        sample = self._context.session.sample
        named = "" if sample is None else f"{as_file_name(sample.name)}-"
        proposed = f"{named}cells.csv"
        path = ask_where_to_save(self, "Export the cells of this sample", proposed, TABLES)
        if path is not None:
            self.export(path)

    def _synchronise(self) -> None:
        context, session = self._context, self._context.session
        prediction = session.state.prediction
        missing = missing_to_classify(context)
        self._classify.setEnabled(not missing and not context.runner.busy)
        self._hint.setText(missing)
        self._hint.setVisible(bool(missing))
        # In teaching the student must not see which cells counted, before or between answers.
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
        """Say what the colours mean and how many cells are not faded."""
        exploration = self._context.exploration
        relative = exploration.relative()
        title = column_title(exploration.coloured_column)
        self._legend.setColouring(title, exploration.colouring.colour_map)
        self._colours.setColourMap(exploration.colouring.colour_map)
        self._legend.setUnscoredShown(bool(np.isnan(relative).any()))
        known = np.isfinite(relative)
        shown = int(np.count_nonzero(exploration.is_inside() & known))
        everything = shown == np.count_nonzero(known)
        self._slider_label.setText(
            "Show all cells"
            if everything
            else f"Show the {shown} of {known.sum()} cells with the highest {title}"
        )
        with QSignalBlocker(self._slider):
            self._slider.setValue(round(100 * exploration.colouring.low))
