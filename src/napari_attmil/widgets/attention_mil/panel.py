"""The dock widget "Classify samples": images, cells, classifier, result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from qtpy.QtCore import QSize

from napari_attmil.core import Remedy
from napari_attmil.widgets.attention_mil.cells_step import CellsStep
from napari_attmil.widgets.attention_mil.classifier_step import ClassifierStep
from napari_attmil.widgets.attention_mil.images_step import ImagesStep
from napari_attmil.widgets.attention_mil.result_step import ResultStep
from napari_attmil.widgets.attention_mil.step import Step
from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.widgets.parts import (
    STRETCH,
    StepFrame,
    column,
    pause_timer,
    scrolling_column,
)

WIDTH_PX = 380
FOLLOW_SIZE_MS = 400


class AttentionMILWidget(DockPanel):
    """Four steps from images to the cells that decided.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    title = "Classify samples"
    glossary_word = "attention"

    def _create(self) -> None:
        self._shown_next = "images"
        # Qt lays the panel out little by little: for a while, every new size is followed.
        self._scroll_timer = pause_timer(self._scroll_to_next, FOLLOW_SIZE_MS, self)
        self.images_step = ImagesStep(self.context)
        self.cells_step = CellsStep(self.context)
        self.classifier_step = ClassifierStep(self.context)
        self.result_step = ResultStep(self.context)
        self._steps: dict[str, Step] = {
            "images": self.images_step,
            "cells": self.cells_step,
            "classifier": self.classifier_step,
            "result": self.result_step,
        }
        self.frames = {
            name: StepFrame(number, name.capitalize(), step)
            for number, (name, step) in enumerate(self._steps.items(), start=1)
        }

    def _lay_out(self) -> None:
        steps = column(*self.frames.values(), STRETCH, margin_px=6, spacing_px=6)
        self._scroll = scrolling_column(steps)
        column(self._scroll, within=self, margin_px=0)
        self.setMinimumWidth(WIDTH_PX - 30)

    def _connect(self) -> None:
        for name, step in self._steps.items():
            step.state_changed.connect(self.frames[name].setState)
            self.frames[name].asked.connect(partial(self.show_step, name))
        self.frames["classifier"].opened.connect(self.classifier_step.on_opened)
        self.cells_step.detected.connect(self._on_detected)
        self.classifier_step.ready.connect(lambda: self.show_step("result"))
        self.classifier_step.started.connect(lambda: self.show_step("classifier"))
        self.result_step.shown.connect(lambda: self.show_step("result"))
        self.listen(self.context.session.prediction_changed, self._on_prediction)
        self._scroll.verticalScrollBar().rangeChanged.connect(self._on_range_changed)
        for step in self._steps.values():
            step.synchronise()
        self.frames["images"].setOpen(True)
        self.frames["cells"].setOpen(True)

    def remedies(self) -> Mapping[Remedy, Callable[[], object]]:
        """Return what can be done in the four steps."""
        return {
            Remedy.OPEN_IMAGES: self.open_bar.show_menu,
            Remedy.GIVE_CLASSES: self._give_classes,
            Remedy.DETECT_CELLS: lambda: self.show_step("cells"),
            Remedy.TRAIN_CLASSIFIER: lambda: self.show_step("classifier"),
            Remedy.LOAD_MODEL: self.classifier_step.ask_for_model,
            Remedy.CLASSIFY: lambda: self.show_step("result"),
            Remedy.USE_CPU: self._use_cpu,
        }

    def sizeHint(self) -> QSize:
        """Return the width the panel is made for."""
        return QSize(WIDTH_PX, 700)

    def _give_classes(self) -> None:
        self.show_step("classifier")
        self.classifier_step.samples.open()

    def _use_cpu(self) -> None:
        self.show_step("classifier")
        self.classifier_step.use_cpu()

    def _on_detected(self) -> None:
        has_classifier = self.context.session.predictions.classifier is not None
        self.show_step("result" if has_classifier else "classifier")

    def _on_prediction(self) -> None:
        if self.context.session.state.prediction is not None:
            self.frames["images"].setOpen(False)
            self.frames["classifier"].setOpen(False)
            self.show_step("result")

    def show_step(self, name: str) -> None:
        """Unfold a step ("images", "cells", "classifier" or "result") and scroll to it."""
        self.frames[name].setOpen(True)
        self._shown_next = name
        self._scroll_timer.start()

    def _on_range_changed(self) -> None:
        if self._scroll_timer.isActive():
            self._scroll_to_next()

    def _scroll_to_next(self) -> None:
        """Show as much of a step as there is room for, its heading in any case."""
        frame = self.frames[self._shown_next]
        bar = self._scroll.verticalScrollBar()
        hidden_below = frame.geometry().bottom() + 6 - self._scroll.viewport().height()
        if hidden_below > bar.value():
            bar.setValue(min(hidden_below, frame.y() - 6))
