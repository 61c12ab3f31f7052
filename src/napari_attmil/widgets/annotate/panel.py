"""The dock widget "Annotate cells": go through the images of a study and correct their boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari.utils.notifications import show_info
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QCheckBox

from napari_attmil.core import Remedy
from napari_attmil.widgets.annotate.box_panel import BoxPanel
from napari_attmil.widgets.annotate.box_tools import BoxTools
from napari_attmil.widgets.annotate.brightness import brightness_functions
from napari_attmil.widgets.annotate.exchange_row import ExchangeRow
from napari_attmil.widgets.annotate.history_sheet import HistorySheet
from napari_attmil.widgets.annotate.key_sheet import KeySheet
from napari_attmil.widgets.annotate.look_ahead import LookAhead
from napari_attmil.widgets.annotate.review_panel import QueuePanel, ReviewBar
from napari_attmil.widgets.annotate.reviewing import Reviewing
from napari_attmil.widgets.detecting import Detecting
from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.widgets.parts import (
    ProgressRow,
    SteadyLabel,
    column,
    push_button,
    to_panel,
    yielding_column,
)
from napari_attmil.widgets.viewer import KeyBindings, key_of_event

WIDTH_PX = 380


class AnnotateWidget(DockPanel):
    """Progress, tools, and the queue of images.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    title = "Annotate cells"
    glossary_word = "reviewed"

    def _create(self) -> None:
        context = self.context
        self.reviewing = Reviewing(context, self)
        self.tools = BoxTools(context, self)
        self.look_ahead = LookAhead(context, self.reviewing, self)
        self._progress = ProgressRow(context.runner, "Cancel", "Stop; cells found so far are kept.")
        self.detecting = Detecting(context, self._progress, self)
        functions = {
            "find_in_view": self.detecting.in_view,
            **self.reviewing.functions(),
            **self.tools.functions(),
            **brightness_functions(context, self._hint),
            "keys": self.show_keys,
            "history": self.show_history,
        }
        self.bindings = KeyBindings(context.viewer, context.keys, functions, self)
        # Pressing a button moves the pointer off the boxes, so it points at none.
        buttons = {"snap": self.tools.snap_selected}
        buttons |= {"undo": context.undo, "redo": context.redo}
        self.review_bar = ReviewBar(self.reviewing, context.keys)
        self.box_panel = BoxPanel(context, functions | buttons)
        self.queue_panel = QueuePanel(self.reviewing)
        fit = push_button(
            "Train detector…",
            "Fit the detector to the images that are reviewed, so that it finds more of the rest.",
            to_panel(self, Remedy.TRAIN_DETECTOR)[1],
        )
        self.exchange = ExchangeRow(context, self.reviewing, beside=fit)
        self._ahead = QCheckBox("Detect cells ahead, image by image")
        self._ahead.setToolTip(
            "Find the cells of this image and the next three while you work. Only images without "
            "boxes are searched."
        )
        self._working_on = SteadyLabel(1, "working_on")

    def _lay_out(self) -> None:
        ahead = (self._ahead, self._working_on)
        tools = yielding_column(column(self.box_panel, self._progress, *ahead))
        parts = (self.review_bar, tools, (self.queue_panel, 1), self.exchange)
        column(*parts, within=self, margin_px=6, spacing_px=6)
        self.setMinimumWidth(WIDTH_PX - 30)

    def _connect(self) -> None:
        self._ahead.toggled.connect(self.look_ahead.set_on)
        self.look_ahead.working_on.connect(self._tell_work)
        self.reviewing.hinted.connect(self._hint)
        self.tools.hinted.connect(self._hint)
        self._tell_work("")

    def remedies(self) -> Mapping[Remedy, Callable[[], object]]:
        """Return what is done here: images are reviewed."""
        return {Remedy.REVIEW_IMAGES: self.setFocus}

    def sizeHint(self) -> QSize:
        """Return the width the panel is made for."""
        return QSize(WIDTH_PX, 800)

    def show_keys(self) -> None:
        """Open the sheet of keys."""
        KeySheet(self.context.keys, self).open()

    def _hint(self, text: str) -> None:
        """Say why a key did nothing, where it is seen: over the images, and in the panel."""
        show_info(text)
        self.box_panel.show_hint(text)

    def show_history(self) -> None:
        """Open the list of all that was done."""
        sheet = HistorySheet(self.context, self)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.show()

    def _tell_work(self, text: str) -> None:
        self._working_on.setText(text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let the keys work also while the panel has the focus."""
        if not self.bindings.run(key_of_event(event.key(), event.modifiers())):
            super().keyPressEvent(event)
