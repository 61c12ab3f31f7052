"""Step 2: find the cells and correct them."""

from __future__ import annotations

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_attmil import workflows
from napari_attmil.cells import DetectionSettings, Source
from napari_attmil.core import UserError, counted
from napari_attmil.session import SessionKey
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    Listening,
    ProgressRow,
    SettingsForm,
    hint_label,
    primary_button,
    tell_error,
)


class CellsStep(Listening, QWidget):
    """Detects cells and gives the tools that correct boxes.

    Signals
    -------
    state_changed(str, bool)
        One line that says how many cells there are, and whether there are any.
    detected()
        A detection has ended.
    """

    state_changed = Signal(str, bool)
    detected = Signal()

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._create()
        self._lay_out()
        self._connect()
        self._synchronise()

    def _create(self) -> None:
        self._detect = primary_button("Detect cells", "Find the cells in all images of the sample.")
        self._only_shown = QCheckBox("Only in the image shown")
        self._only_shown.setToolTip("Try the settings on one image before the whole sample.")
        self._form = SettingsForm(DetectionSettings)
        self._form.setValue(self._context.detection_settings)
        self._progress = ProgressRow("Cancel", "Stop; cells that were found so far are kept.")
        self._counts = hint_label(name="counts")
        self._draw = QPushButton("Draw")
        self._draw.setToolTip("Draw a missing cell: drag a box around it in the image.")
        self._select = QPushButton("Select, move")
        self._select.setToolTip("Click a box to select it; drag it or its corners to change it.")
        self._delete = QPushButton("Delete")
        self._delete.setToolTip("Delete the selected boxes (also: the Delete key).")
        self._undo = QPushButton("Undo")
        self._undo.setToolTip("Take back the last change of the boxes (Ctrl+Z).")
        self._redo = QPushButton("Redo")
        self._redo.setToolTip("Make the last change again that was taken back (Ctrl+Shift+Z).")
        self._clear = QPushButton("Start over")
        self._clear.setToolTip("Remove all boxes of this sample and forget all corrections.")
        self._annotate = QPushButton("Annotate…")
        self._annotate.setToolTip(
            "Go through the images one by one and set their boxes right, with keys for everything."
        )

    def _lay_out(self) -> None:
        tools = QGridLayout()
        tools.setSpacing(4)
        buttons = (self._draw, self._select, self._delete, self._undo, self._redo, self._clear)
        for place, button in enumerate(buttons):
            tools.addWidget(button, place // 3, place % 3)
        row = QHBoxLayout()
        row.addWidget(self._detect, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self._form)
        layout.addWidget(self._only_shown)
        layout.addLayout(row)
        layout.addWidget(self._progress)
        layout.addWidget(self._counts)
        layout.addLayout(tools)
        layout.addWidget(self._annotate)

    def _connect(self) -> None:
        context, session = self._context, self._context.session
        self._form.valueChanged.connect(self._take_settings)
        self._detect.clicked.connect(self.detect)
        self._progress.stop_clicked.connect(context.runner.stop)
        self._draw.clicked.connect(context.cells.start_drawing)
        self._select.clicked.connect(context.cells.start_selecting)
        self._delete.clicked.connect(context.cells.delete_selected)
        self._undo.clicked.connect(session.editor.undo)
        self._redo.clicked.connect(session.editor.redo)
        self._clear.clicked.connect(session.editor.clear)
        self._annotate.clicked.connect(self._open_workbench)
        context.runner.busy_changed.connect(self._synchronise)
        context.images_changed.connect(self._synchronise)
        self.listen(context.viewer.dims.events.current_step, self._synchronise)
        self.listen(session.boxes_changed, self._synchronise)
        self.listen(session.selection_changed, self._synchronise)

    def tell_state(self) -> None:
        """Emit `state_changed`."""
        self._synchronise()

    def detect(self) -> None:
        """Find the cells off the main thread."""
        context = self._context
        images, sample = context.images, context.session.sample
        if images is None or sample is None:
            return
        try:
            settings = context.detection_settings.in_pixels(sample.pixel_size_um)
        except UserError as error:
            tell_error(error)
            return
        key = context.session.key
        shown = context.cells.camera.image_index()
        places = [shown] if self._only_shown.isChecked() else list(range(len(images)))
        self._progress.begin("Loading the detector")
        context.runner.start(
            workflows.detect_cells,
            images,
            places,
            settings,
            context.device_name,
            context.detector_path,
            on_done=lambda detection: self._take_over(detection, key),
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    def _take_settings(self) -> None:
        settings = self._form.value(DetectionSettings)
        self._context.set_detection_settings(settings)

    def _open_workbench(self) -> None:
        self._context.viewer.window.add_plugin_dock_widget("napari-attmil", "Annotate")

    def _take_over(self, detection: workflows.Detection, key: SessionKey | None) -> None:
        session = self._context.session
        if not detection.images:
            return
        kept = int(np.count_nonzero(session.boxes.source != Source.MODEL))
        gone = len(session.state.deleted)
        session.editor.merge(detection.boxes, detection.images, key)
        if key == session.key and (kept or gone):
            drawn = counted(kept, "box", "boxes")
            show_info(f"Your corrections stay: {drawn} drawn or moved, {gone} deleted.")
        if not len(detection.boxes):
            show_info("No cells were found. Try a lower minimum score, or give the cell diameter.")
        self.detected.emit()

    def _synchronise(self) -> None:
        context, session = self._context, self._context.session
        ready = context.images is not None and not context.runner.busy
        self._detect.setEnabled(ready)
        self._only_shown.setVisible(context.images is None or len(context.images) > 1)
        shown, count = context.images is not None, len(session.boxes)
        self._draw.setEnabled(shown)
        self._select.setEnabled(shown and count > 0)
        self._delete.setEnabled(bool(session.selection))
        self._undo.setEnabled(bool(session.editor.undo_title))
        self._redo.setEnabled(bool(session.editor.redo_title))
        self._clear.setEnabled(session.state.is_worked_on)
        self._counts.setText(self._count_text())
        self.state_changed.emit(counted(count, "cell") if count else "none yet", count > 0)

    def _count_text(self) -> str:
        context, boxes = self._context, self._context.session.boxes
        if context.images is None and not len(boxes):
            return "Choose images first (step 1)."
        if not len(boxes):
            return "No cells yet. Press Detect cells, or draw boxes yourself."
        drawn = int(np.count_nonzero(boxes.source == Source.PERSON))
        by_hand = f", {drawn} of them by hand (bold)" if drawn else ""
        images = len(context.images) if context.images is not None else 1
        if images == 1:
            return f"{counted(len(boxes), 'cell')} in this image{by_hand}."
        return (
            f"{counted(context.cells_of_image_shown(), 'cell')} in this image, "
            f"{len(boxes)} in the sample{by_hand}."
        )
