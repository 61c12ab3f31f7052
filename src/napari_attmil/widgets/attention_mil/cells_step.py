"""Step 2: find the cells and correct them."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout

from napari_attmil.cells import DetectionSettings, Source
from napari_attmil.core import counted
from napari_attmil.widgets.attention_mil.step import Step
from napari_attmil.widgets.attention_mil.study_detection import DetectStudyButton
from napari_attmil.widgets.detecting import Detecting
from napari_attmil.widgets.parts import (
    STRETCH,
    ProgressRow,
    SettingsForm,
    SteadyLabel,
    column,
    primary_button,
    push_button,
    row,
    set_primary,
)
from napari_attmil.widgets.viewer import SizeCircle

UNKNOWN_DIAMETER_PX = 50.0
"""Size of the circle before anything is known of the cells."""


class CellsStep(Step):
    """Detects cells and offers the tools that correct boxes.

    Signals
    -------
    detected()
        A detection has ended.
    """

    detected = Signal()

    def _create(self) -> None:
        context, editor = self._context, self._context.session.editor
        self._circle = SizeCircle(context.viewer, context.image_choice)
        self.at_end(self._circle.stop_listening)
        self._show_circle = push_button(
            "◯",
            "Show the cell diameter as a circle over the image. Drag the circle to a cell, and a "
            "corner of it until it fits.",
        )
        self._show_circle.setCheckable(True)
        self._show_circle.setAccessibleName("Show the cell diameter as a circle")
        self._form = SettingsForm(DetectionSettings, beside={"cell_diameter_px": self._show_circle})
        self._form.setValue(context.detection_settings)
        self._only_shown = QCheckBox("Only in the image shown")
        self._only_shown.setToolTip("Try the settings on one image before the whole sample.")
        self._only_view = QCheckBox("Only in this view")
        self._only_view.setToolTip(
            "Search only what the viewer shows now, as in a large image; boxes elsewhere stay as "
            "they are."
        )
        self._detect = primary_button(
            "Detect cells", "Find the cells in all images of the sample.", self.detect
        )
        self._progress = ProgressRow(
            context.runner, "Cancel", "Stop; the cells found so far are kept."
        )
        self._detecting = Detecting(context, self._progress, self)
        self._detect_study = DetectStudyButton(context, self._progress)
        self._counts = SteadyLabel(2, "counts")
        self._draw = push_button(
            "Draw",
            "Draw a missing cell: drag a box around it in the image.",
            context.cells.start_drawing,
        )
        self._select = push_button(
            "Select, move",
            "Click a box to select it; drag it or its corners to change it.",
            context.cells.start_selecting,
        )
        self._delete = push_button(
            "Delete",
            "Delete the selected boxes (also: the Delete key).",
            context.cells.delete_selected,
        )
        self._undo = push_button("Undo", context.keys.tip("undo"), context.undo)
        self._redo = push_button("Redo", context.keys.tip("redo"), context.redo)
        self._clear = push_button(
            "Start over", "Remove all boxes and corrections of this sample.", editor.clear
        )
        self._annotate = push_button(
            "Annotate…",
            "Correct the boxes image by image, with a key for every tool.",
            self._open_workbench,
        )

    def _lay_out(self) -> None:
        tools = QGridLayout()
        tools.setSpacing(4)
        buttons = (self._draw, self._select, self._delete, self._undo, self._redo, self._clear)
        for place, button in enumerate(buttons):
            tools.addWidget(button, place // 3, place % 3)
        where = row(self._only_shown, self._only_view, STRETCH)
        above = (self._form, where, self._detect, self._detect_study, self._progress)
        column(*above, self._counts, tools, self._annotate, within=self)

    def _connect(self) -> None:
        context, session = self._context, self._context.session
        self._form.valueChanged.connect(self._take_settings)
        self._show_circle.toggled.connect(self._toggle_circle)
        self.listen(self._circle.resized, self._take_diameter)
        self.listen(self._circle.closed, self._uncheck_circle)
        self._detecting.detected.connect(self.detected)
        context.runner.busy_changed.connect(self.synchronise)
        context.images_changed.connect(self.synchronise)
        context.tell_undo_in(self._counts, self._show_undo)
        self.listen(context.viewer.dims.events.current_step, self.synchronise)
        self.listen(session.boxes_changed, self.synchronise)
        self.listen(session.selection_changed, self.synchronise)

    def detect(self) -> None:
        """Find the cells off the main thread."""
        images = self._context.images
        if images is None:
            return
        if self._only_view.isChecked():
            self._detecting.in_view()
        elif self._only_shown.isChecked():
            self._detecting.in_images([self._context.cells.camera.image_index()])
        else:
            self._detecting.in_images(list(range(len(images))))

    def _take_settings(self) -> None:
        settings = self._form.value(DetectionSettings)
        self._context.set_detection_settings(settings)
        if settings.cell_diameter_px is not None:
            self._circle.set_diameter(settings.cell_diameter_px)

    def _toggle_circle(self, is_wanted: bool) -> None:
        """Show the circle in the middle of the view, of the diameter that is given or likely."""
        if not is_wanted:
            self._circle.hide()
            return
        view = self._context.cells.camera.view_xyxy()
        if view is None:
            self._uncheck_circle()
            return
        left, top, right, bottom = view.tolist()
        self._circle.show(self._likely_diameter_px(), ((left + right) / 2, (top + bottom) / 2))

    def _likely_diameter_px(self) -> float:
        """Return the diameter that is given, else that of the boxes, else as last measured."""
        given = self._form.value(DetectionSettings).cell_diameter_px
        boxes, measured = self._context.session.state.cells, self._detecting.cell_size
        if given is not None:
            return given
        if len(boxes):
            return boxes.median_diameter_px
        return UNKNOWN_DIAMETER_PX if measured is None else measured.diameter_px

    def _take_diameter(self, diameter_px: float) -> None:
        """Let cells be sought of the size that the circle was dragged to."""
        settings = self._form.value(DetectionSettings)
        self._form.setValue(settings.replace(cell_diameter_px=round(diameter_px, 1)))

    def _uncheck_circle(self) -> None:
        self._show_circle.setChecked(False)

    def _open_workbench(self) -> None:
        self._context.viewer.window.add_plugin_dock_widget("napari-attmil", "Annotate cells")

    def _show_undo(self, text: str) -> None:
        """Say below the numbers of cells what was taken back, until something is done."""
        self._counts.setText(f"{self._count_text()}\n{text}")

    def synchronise(self) -> None:
        """Show how many cells there are, and what can be done with them."""
        context, session = self._context, self._context.session
        shown, count = context.images is not None, len(session.state.cells)
        self._detect.setEnabled(shown and not context.runner.busy)
        self._show_circle.setEnabled(shown)
        # In a study of which nothing is known yet, all images are searched first.
        is_new = session.cohort is not None and len(session.cohort) > 1
        is_new = is_new and not session.states_of_samples()
        set_primary(self._detect_study, is_new)
        set_primary(self._detect, not is_new)
        self._only_shown.setVisible(context.images is None or len(context.images) > 1)
        self._draw.setEnabled(shown)
        self._select.setEnabled(shown and count > 0)
        self._delete.setEnabled(bool(session.selection))
        self._undo.setEnabled(bool(session.editor.undo_title))
        self._redo.setEnabled(bool(session.editor.redo_title))
        self._clear.setEnabled(session.state.is_worked_on)
        self._counts.setText(self._count_text())
        self._counts.setVisible(count > 0 or not context.runner.busy)
        self.state_changed.emit(counted(count, "cell") if count else "none yet", count > 0)

    def _count_text(self) -> str:
        context, boxes = self._context, self._context.session.state.cells
        if context.images is None and not len(boxes):
            return "Open images first (step 1)."
        if not len(boxes):
            return "No cells yet. Press Detect cells, or draw boxes yourself."
        drawn = int(np.count_nonzero(boxes.source == Source.PERSON))
        by_hand = f", {drawn} of them by hand (bold)" if drawn else ""
        if context.images is None or len(context.images) == 1:
            return f"{counted(len(boxes), 'cell')} in this image{by_hand}."
        return (
            f"{counted(context.cells_of_image_shown(), 'cell')} in this image, "
            f"{len(boxes)} in the sample{by_hand}."
        )
