"""The dock widget "Train detector": train on reviewed images, see what changed, accept or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QLabel, QWidget

from napari_attmil import workflows
from napari_attmil.cells import FinetuneSettings
from napari_attmil.cells.finetuning import (
    DetectorModel,
    accept_candidate,
    candidate,
    keep_candidate,
    outcomes_in_words,
    training_folder,
)
from napari_attmil.core import Remedy, counted
from napari_attmil.images import name_in_study
from napari_attmil.widgets.detector.detector_list import DetectorList
from napari_attmil.widgets.detector.review_check import ReviewCheck
from napari_attmil.widgets.detector.reviewed_list import ReviewedList
from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.widgets.parts import (
    LossCurve,
    ProgressRow,
    SettingsForm,
    TaskRunner,
    column,
    errors_shown,
    hint_label,
    pause_timer,
    primary_button,
    push_button,
    row,
    scrolling_column,
    set_primary,
    tell,
    to_panel,
    untell,
    warn,
    wrapping_label,
)
from napari_attmil.widgets.viewer import OverlayBoxes
from napari_attmil.workflows import Progress

CURVES = {"loss": ("loss", "#D55E00"), "ap": ("precision on held-out images", "#0072B2")}
PRECISION_TIP = (
    "Precision on held-out images: average precision (AP) over overlaps of box and cell from 0.5 "
    "to 0.95. 1 means that all cells are found, closely, with no box where none is."
)
CURVE_TIP = (
    "The loss on the training images should go down, the precision on held-out images up. "
    f"{PRECISION_TIP}"
)
USE_IT = "Use it"
NO_COHORT = "Open images first; the detector is trained on them."


class DetectorPanel(DockPanel):
    """Trains the detector on the reviewed images of a study.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    title = "Train detector"
    glossary_word = "hold-out"

    def _create(self) -> None:
        self._comparer = TaskRunner(self)
        self._differences = OverlayBoxes(self.context.viewer, self.context.image_choice)
        self.at_end(self._differences.clear)
        self._next_held_out = 0
        self._note = ""
        self._hint = hint_label(name="hint")
        self._annotate = push_button(
            "Annotate…",
            "Correct and review more images.",
            to_panel(self, Remedy.REVIEW_IMAGES)[1],
        )
        self._images = ReviewedList()
        self._check = ReviewCheck(self.context)
        self._form = SettingsForm(FinetuneSettings)
        self._train = primary_button(
            "Train on the ticked images",
            "Train the detector in use on the ticked images, and test it on those ticked as test.",
            self.train,
        )
        self._progress = ProgressRow(
            self.context.runner, "Stop", "Stop; the best detector so far is kept."
        )
        self._curve = LossCurve(CURVES, ("step", "loss, precision"), CURVE_TIP)
        self._outcome = wrapping_label(name="outcome")
        self._outcome.setToolTip(PRECISION_TIP)
        self._compare = push_button(
            "Show what changed",
            "Show a test image with the cells that only the new detector finds (pink) and that "
            "only the old one finds (red); press again for the next image.",
            self.compare,
        )
        self._accept = push_button(
            USE_IT, "Use the new detector for this study from now on.", self.accept
        )
        self._later = push_button(
            "Not now",
            "The detector in use stays; the new one is kept in the list below.",
            self.put_aside,
        )
        self._decision = QWidget()
        row(self._compare, self._accept, self._later, within=self._decision, margin_px=0)
        self._list = DetectorList()

    def _lay_out(self) -> None:
        images = (row((self._hint, 1), self._annotate), self._images, self._check)
        training = (*images, self._form, self._train, self._progress)
        outcome = (self._curve, self._outcome, self._decision)
        detectors = (QLabel("Detectors of this study"), self._list)
        # What appears during the training must not make the window higher than the screen.
        self._area = scrolling_column(column(*training, *outcome, *detectors))
        column(self._area, within=self, margin_px=0)
        show = partial(self._area.ensureWidgetVisible, self._decision)
        self._decision_timer = pause_timer(show, parent=self)

    def _connect(self) -> None:
        context, session = self.context, self.context.session
        self._images.changed.connect(self._on_ticked)
        self._images.test_chosen.connect(self._check.choose_test)
        self._check.checked.connect(self._images.setChecked)
        self._list.chosen.connect(self._synchronise)
        context.runner.busy_changed.connect(self._synchronise)
        self._comparer.busy_changed.connect(self._synchronise)
        self.listen(session.cohort_changed, self._synchronise)
        self.listen(session.reviewed_changed, self._synchronise)
        self._synchronise()

    def remedies(self) -> Mapping[Remedy, Callable[[], object]]:
        """Return what is done here: a detector is trained."""
        return {Remedy.TRAIN_DETECTOR: self._train.setFocus}

    def sizeHint(self) -> QSize:
        """Return the preferred size of the panel."""
        return QSize(380, 640)

    def train(self) -> None:
        """Train the detector off the main thread."""
        context = self.context
        study = context.cohort_study()
        if study is None:
            return
        with errors_shown(self, "train"):
            settings = self._form.value(FinetuneSettings)
            self._note = ""
            self._clear_layers()
            self._curve.clear()
            self._progress.start(
                "Reading the reviewed images",
                workflows.finetune_study,
                study,
                settings,
                context.device_name,
                None,
                self._images.unticked(),
                on_done=self._on_trained,
                on_progress=self._on_progress,
                again=self.train,
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
        with errors_shown(self, "compare"):
            self._comparer.start(
                workflows.compare_detectors,
                context.images[index],
                context.detector_path,
                new.path,
                context.detection_settings.in_pixels(shown.pixel_size_um),
                context.device_name,
                on_done=lambda found: self._show_differences(found, index),
            )

    def accept(self) -> None:
        """Use the new detector from now on."""
        if self._decide(accept_candidate):
            accepted = "The new detector is now used for this study. Detect cells again to see it."
            tell(self, accepted, "decide", to_panel(self, Remedy.DETECT_CELLS))

    def put_aside(self) -> None:
        """Keep the new detector in the list, without using it."""
        self._decide(lambda folder: keep_candidate(training_folder(folder)))

    # --- inside -----------------------------------------------------------------------------

    def _decide(self, decision: Callable[[Path], object]) -> bool:
        """Accept the new detector or put it aside; return whether that worked."""
        cohort, has_worked = self.context.session.cohort, False
        if cohort is None:
            return False
        with errors_shown(self, "decide"):
            decision(cohort.folder)
            has_worked, self._note = True, ""
            untell(self, "train")
        self._clear_layers()
        self._synchronise()
        return has_worked

    def _clear_layers(self) -> None:
        self._differences.clear()
        self._check.clear_layers()

    def _on_ticked(self) -> None:
        self._enable()
        self._check.refresh(self._images.unticked())

    def _on_progress(self, progress: Progress) -> None:
        self._note = progress.note or self._note
        step = progress.detail
        if step is None:
            return
        if step.before is not None and not self._curve.value()["ap"]:
            baseline = SimpleNamespace(done=0, loss=None, ap=step.before.ap)
            self._curve.add("detector", baseline)
        if math.isfinite(step.loss):
            ap = None if step.score is None else step.score.ap
            self._curve.add("detector", SimpleNamespace(done=step.done, loss=step.loss, ap=ap))

    def _on_trained(self, _: object) -> None:
        self._next_held_out = 0
        self._synchronise()
        new = self._candidate()
        if new is not None and new.is_better is False:
            warn(self, self._note, "train")
        elif self._note:
            tell(self, self._note, "train")
        self._decision_timer.start()  # once it is laid out

    def _show_differences(self, found: workflows.Differences, index: int) -> None:
        self._differences.show({"Found now": found.found, "Lost now": found.lost}, index)
        new = self._candidate()
        self._outcome.setText(
            f"{'' if new is None else _describe(new)}\nIn this image: "
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
        refused = new is not None and new.is_better is False
        self._accept.setText("Use it anyway" if refused else USE_IT)
        set_primary(self._accept, not refused)
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
        """List the reviewed images of the cohort; return their number, and that of all images."""
        session = self.context.session
        cohort, states = session.cohort, session.states_of_samples()
        samples = () if cohort is None else cohort.samples
        titles = {
            (sample.name, index): name_in_study(sample.name, sample.frames[index].path.name)
            for sample in samples
            if sample.name in states
            for index in sorted(states[sample.name].reviewed)
        }
        self._images.setImages(titles)
        return len(titles), sum(len(sample) for sample in samples)


def _advice(reviewed: int, images: int) -> str:
    """Return in words how many images are reviewed, and what to do if none is."""
    state = f"{reviewed} of {counted(images, 'image')} reviewed."
    if reviewed:
        return state
    return f"{state} Correct the boxes of some images, ideally ten, and mark them as reviewed."


def _describe(model: DetectorModel) -> str:
    """Say how good a new detector is, before and after, and what became of each look."""
    if model.is_better is None:
        return "A new detector is ready. It could not be tested: too few images were reviewed."
    held_out = counted(len(model.held_out), "held-out image")
    verdict = "is better" if model.is_better else "is not clearly better"
    first = f"The new detector {verdict}: precision {model.scores} on {held_out}."
    return "\n".join([first, *(f"• {line}" for line in outcomes_in_words(model.looks))])
