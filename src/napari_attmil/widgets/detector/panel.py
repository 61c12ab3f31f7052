"""The dock widget "Train detector": fit it to the reviewed images, look at what changed, decide."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from napari.utils.notifications import show_info
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_attmil import workflows
from napari_attmil.cells import FinetuneSettings
from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.cells.finetuning import (
    FEWEST_IMAGES,
    DetectorModel,
    accept_candidate,
    candidate,
    discard_candidate,
)
from napari_attmil.core import UserError, counted
from napari_attmil.widgets.detector.detector_list import DetectorList
from napari_attmil.widgets.detector.difference_layers import DifferenceLayers
from napari_attmil.widgets.detector.reviewed_list import ReviewedList
from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.widgets.parts import (
    LossCurve,
    ProgressRow,
    SettingsForm,
    TaskRunner,
    hint_label,
    primary_button,
    scrolling_column,
    set_primary,
    tell_error,
    wrapping_label,
)
from napari_attmil.widgets.viewer import Place
from napari_attmil.workflows import Progress

CURVES = {"loss": ("loss", "#D55E00"), "ap": ("AP on held-out images", "#0072B2")}
CURVE_TIP = (
    "The loss on the images that are learnt from should go down; the average precision (AP) on "
    "the held-out ones should go up."
)
NO_COHORT = "Open a cohort in the panel Attention MIL; the detector is fitted to a study's images."


class DetectorPanel(DockPanel):
    """Fits the detector to the cohort's reviewed images.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self._comparer = TaskRunner(self)
        self._differences = DifferenceLayers(self.context)
        self.at_end(self._differences.clear)
        self._next_held_out = 0
        self._note = ""
        self._create()
        self._lay_out()
        self._connect()
        self._synchronise()

    def _create(self) -> None:
        self._hint = hint_label(name="hint")
        self._images = ReviewedList()
        self._form = SettingsForm(FinetuneSettings)
        self._train = primary_button(
            "Train on the ticked images",
            "Fit the detector in use to the ticked images; some are held out to measure with.",
        )
        self._progress = ProgressRow("Stop", "Stop; the best detector so far is kept.")
        self._curve = LossCurve(CURVES, ("step", "loss, AP"), CURVE_TIP)
        self._outcome = wrapping_label(name="outcome")
        self._compare = QPushButton("Show what changed")
        self._compare.setToolTip(
            "Show a held-out image with the cells that only the new detector finds (pink) and "
            "that only the old one found (red); press again for the next image."
        )
        self._accept = QPushButton("Accept")
        self._accept.setToolTip("Use the new detector for this study from now on.")
        self._discard = QPushButton("Discard")
        self._discard.setToolTip("Throw the new detector away; the one in use stays.")
        self._decision = QWidget()
        self._list = DetectorList()

    def _lay_out(self) -> None:
        row = QHBoxLayout(self._decision)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self._compare, self._accept, self._discard):
            row.addWidget(button)
        above: tuple[QWidget, ...] = (self._hint, self._images, self._form)
        above += (self._train, self._progress)
        below: tuple[QWidget, ...] = (self._curve, self._outcome, self._decision)
        column = QVBoxLayout()
        for widget in (*above, *below, QLabel("Detectors of this study"), self._list):
            column.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # What appears while it trains must not make the window higher than the screen.
        layout.addWidget(scrolling_column(column))

    def _connect(self) -> None:
        context, session = self.context, self.context.session
        self._train.clicked.connect(self.train)
        self._progress.stop_clicked.connect(context.runner.stop)
        self._compare.clicked.connect(self.compare)
        self._accept.clicked.connect(self.accept)
        self._discard.clicked.connect(self.discard)
        self._images.changed.connect(self._enable)
        self._list.chosen.connect(self._show_models)
        context.runner.busy_changed.connect(self._synchronise)
        self._comparer.busy_changed.connect(self._synchronise)
        self.listen(session.cohort_changed, self._synchronise)
        self.listen(session.reviewed_changed, self._synchronise)

    def sizeHint(self) -> QSize:
        """Return the size the panel is made for."""
        return QSize(380, 640)

    # --- what a person asks for -------------------------------------------------------------

    def train(self) -> None:
        """Fit the detector off the main thread."""
        context = self.context
        study = context.cohort_study()
        if study is None:
            return
        try:
            settings = self._form.value(FinetuneSettings)
        except UserError as error:
            tell_error(error)
            return
        self._note = ""
        self._differences.clear()
        self._curve.clear()
        self._progress.begin("Reading the reviewed images")
        context.runner.start(
            workflows.finetune_study,
            study,
            settings,
            context.device_name,
            None,
            self._images.unticked(),
            on_done=self._on_trained,
            on_progress=self._on_progress,
            on_end=self._progress.hide,
        )

    def compare(self) -> None:
        """Show the next held-out image, and what the two detectors find differently in it."""
        context, new = self.context, self._candidate()
        places = [] if new is None else self._held_out_places(new)
        if new is None or not places:
            return
        sample, index = places[self._next_held_out % len(places)]
        self._next_held_out += 1
        is_shown = context.image_choice.show_sample(sample, index)
        shown = context.session.sample
        if not is_shown or context.images is None or shown is None:
            return
        try:
            settings = context.detection_settings.in_pixels(shown.pixel_size_um)
        except UserError as error:
            tell_error(error)
            return
        self._comparer.start(
            workflows.compare_detectors,
            context.images[index],
            context.detector_path,
            new.path,
            settings,
            context.device_name,
            on_done=lambda found: self._show_differences(found, index),
        )

    def accept(self) -> None:
        """Use the new detector from now on."""
        if self._decide(accept_candidate):
            show_info(
                "The new detector is in use for this study. Detect cells again to see it work."
            )

    def discard(self) -> None:
        """Throw the new detector away."""
        self._decide(discard_candidate)

    # --- inside -----------------------------------------------------------------------------

    def _decide(self, decision: Any) -> bool:
        """Accept or discard the new detector; return whether that worked."""
        cohort, worked = self.context.session.cohort, True
        if cohort is None:
            return False
        try:
            decision(cohort.folder)
        except UserError as error:
            tell_error(error)
            worked = False
        self._differences.clear()
        self._synchronise()
        return worked

    def _on_progress(self, progress: Progress) -> None:
        self._progress.setValue(progress)
        self._note = progress.note or self._note
        step = progress.detail
        if step is not None and math.isfinite(step.loss):
            ap = None if step.score is None else step.score.ap
            self._curve.add("detector", SimpleNamespace(done=step.done, loss=step.loss, ap=ap))

    def _on_trained(self, _: object) -> None:
        self._next_held_out = 0
        note = self._note
        if note:
            show_info(note)
        self._synchronise()

    def _show_differences(self, found: workflows.Differences, index: int) -> None:
        self._differences.show(found, index)
        self._outcome.setText(
            f"{counted(len(found.found), 'cell')} found now (pink), {len(found.lost)} lost now "
            f"(red), {found.same} found by both."
        )

    def _candidate(self) -> DetectorModel | None:
        cohort = self.context.session.cohort
        return None if cohort is None else candidate(cohort.folder)

    def _held_out_places(self, model: DetectorModel) -> list[tuple[str, int]]:
        """Return sample and image of each held-out image that is still in the cohort."""
        from napari_attmil.cells.finetuning import image_name

        cohort = self.context.session.cohort
        samples = () if cohort is None else cohort.samples
        folder = Path() if cohort is None else cohort.folder
        return [
            (sample.name, index)
            for sample in samples
            for index, frame in enumerate(sample.frames)
            if image_name(frame, folder) in model.held_out
        ]

    def _synchronise(self) -> None:
        cohort, busy = self.context.session.cohort, self.context.runner.busy
        reviewed, images = self._list_reviewed()
        new = self._candidate()
        self._hint.setText(NO_COHORT if cohort is None else _advice(reviewed, images))
        self._enable()
        set_primary(self._train, new is None)
        self._decision.setVisible(new is not None and not busy)
        self._outcome.setText(self._note if new is None else _describe(new))
        self._outcome.setVisible(bool(self._outcome.text()) and not busy)
        self._compare.setEnabled(not self._comparer.busy)
        if new is not None:
            self._compare.setVisible(bool(new.held_out))
        self._show_models()

    def _enable(self) -> None:
        self._train.setEnabled(self._images.count() > 0 and not self.context.runner.busy)

    def _show_models(self) -> None:
        cohort = self.context.session.cohort
        self._list.setProject(None if cohort is None else cohort.folder)

    def _list_reviewed(self) -> tuple[int, int]:
        """List the cohort's reviewed images; return how many they are, and how many of all."""
        cohort = self.context.session.cohort
        titles: dict[Place, str] = {}
        count = 0
        if cohort is not None:
            try:
                table = AnnotationFile.beside(cohort.folder).summaries(cohort.samples)
            except UserError as error:
                tell_error(error)
            else:
                titles, count = _titles(table[table["reviewed"]]), len(table)
        self._images.setImages(titles)
        return len(titles), count


def _titles(table: pd.DataFrame) -> dict[Place, str]:
    """Return what each image of a table of images is called."""
    columns = (table[name] for name in ("sample", "image_index", "path"))
    return {
        (sample, int(index)): f"{sample}, {Path(path).name}"
        for sample, index, path in zip(*columns, strict=True)
    }


def _advice(reviewed: int, images: int) -> str:
    """Return how many images are reviewed, and whether that is enough."""
    state = f"{reviewed} of {counted(images, 'image')} reviewed."
    if not reviewed:
        return (
            f"{state} Correct the boxes of some images and mark them as reviewed, best about ten."
        )
    if reviewed < FEWEST_IMAGES:
        return f"{state} From {FEWEST_IMAGES} on, some are held out and tell how good it is."
    return f"{state} One in five is held out, always the same, and tells how good it is."


def _describe(model: DetectorModel) -> str:
    if not model.scores:
        return "A new detector is there. It was not measured: too few images were reviewed."
    held_out = counted(len(model.held_out), "held-out image")
    return f"A new detector is there: {model.scores} on {held_out}. Accept it?"
