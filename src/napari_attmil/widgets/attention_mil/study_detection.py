"""The button that finds the cells in all images of the study."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from qtpy.QtWidgets import QPushButton

from napari_attmil import workflows
from napari_attmil.core import counted
from napari_attmil.session import SessionKey
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, ProgressRow, errors_shown, tell, warn
from napari_attmil.workflows import Progress

TOPIC = "detect study"


@dataclass
class _Found:
    """What a detection in all images has found so far.

    Attributes
    ----------
    images
        How many images are to be searched.
    searched
        How many of them were searched to their end, and their cells taken over.
    cells
        The cells that were taken over.
    dropped
        Those that were not, since their study had been closed meanwhile.
    notes
        Why samples were left out.
    """

    images: int = 0
    searched: int = 0
    cells: int = 0
    dropped: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether no sample was left out, and no cell."""
        return not self.notes and not self.dropped

    def add(self, detection: workflows.Detection, is_merged: bool) -> None:
        """Count the cells of a sample."""
        if is_merged:
            self.cells += len(detection.boxes)
            self.searched += len(detection.images) - len(detection.within)
        else:
            self.dropped += len(detection.boxes)

    def in_words(self, is_finished: bool) -> str:
        """Return what a person should know at the end."""
        cells = counted(self.cells, "cell")
        told = [f"{cells} found in the study."]
        if not is_finished:
            told = [f"Stopped: {cells} found in {self.searched} of {self.images} images."]
        if self.dropped:
            lost = counted(self.dropped, "cell was", "cells were")
            told.append(
                f"{lost} not taken over, since the study was closed meanwhile; detect again."
            )
        if self.notes:
            count = counted(len(self.notes), "sample was", "samples were")
            told.append(f"{count} left out. {self.notes[0]}")
        return " ".join(told)


class DetectStudyButton(Listening, QPushButton):
    """Searches every image that nobody has reviewed; hidden unless there are several samples.

    Parameters
    ----------
    context
        The panel's.
    progress
        Shows how far it is.
    """

    def __init__(self, context: PanelContext, progress: ProgressRow) -> None:
        super().__init__()
        self._context, self._progress = context, progress
        self._found = _Found()
        self.setToolTip(
            "Find the cells in all images of the study. Reviewed images and your corrections stay "
            "as they are."
        )
        self.clicked.connect(self.detect)
        context.runner.busy_changed.connect(self._synchronise)
        self.listen(context.session.cohort_changed, self._synchronise)
        self.listen(context.session.sample_changed, self._synchronise)
        self._synchronise()

    def detect(self) -> None:
        """Find the cells off the main thread, and show those of each sample as they come."""
        context, session = self._context, self._context.session
        if session.cohort is None:
            return
        found = self._found = _Found()
        states = session.states_of_samples()
        keys = {sample.name: session.key_of(sample.name) for sample in session.cohort.samples}
        step = uuid.uuid4().hex

        def take(progress: Progress) -> None:
            found.images = progress.total
            found.notes += [progress.note] if progress.note else []
            if progress.detail is not None:
                name, detection = progress.detail
                found.add(detection, self._merge(detection, keys[name], step))

        with errors_shown(self, TOPIC):
            self._progress.start(
                "Loading the detector",
                context.shared(workflows.detect_study),
                session.cohort.samples,
                {name: state.reviewed for name, state in states.items()},
                context.detection_settings,
                context.device_name,
                context.detector_path,
                on_done=self._tell_end,
                on_progress=take,
                again=self.detect,
            )

    def _merge(self, detection: workflows.Detection, key: SessionKey, step: str) -> bool:
        """Take over the cells of a sample; return whether its study is still open."""
        boxes, images, within = detection.boxes, detection.images, detection.within
        editor = self._context.session.editor
        return not images or editor.merge(boxes, images, key, step, within=within)

    def _tell_end(self, is_finished: bool) -> None:
        told = self._found.in_words(is_finished)
        (tell if is_finished and self._found.is_whole else warn)(self, told, TOPIC)

    def _synchronise(self) -> None:
        session = self._context.session
        cohort = session.cohort if session.shows_cohort else None
        self.setVisible(cohort is not None and len(cohort) > 1)
        self.setEnabled(not self._context.runner.busy)
        images = sum(map(len, cohort.samples)) if cohort is not None else 0
        self.setText(f"Detect in all {images} images of the study")
