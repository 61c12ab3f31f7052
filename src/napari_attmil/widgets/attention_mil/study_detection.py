"""The button that finds the cells in all images of the study."""

from __future__ import annotations

import uuid

from qtpy.QtWidgets import QPushButton

from napari_attmil import workflows
from napari_attmil.core import counted
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, ProgressRow, errors_shown, tell, warn
from napari_attmil.workflows import Progress

TOPIC = "detect study"


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
        self._notes: list[str] = []
        self._cells = 0
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
        self._notes, self._cells = [], 0
        states = session.states_of_samples()
        keys = {sample.name: session.key_of(sample.name) for sample in session.cohort.samples}
        step = uuid.uuid4().hex

        def take(progress: Progress) -> None:
            self._notes += [progress.note] if progress.note else []
            if progress.detail is not None:
                name, found = progress.detail
                self._cells += len(found.boxes)
                if found.images:
                    session.editor.merge(found.boxes, found.images, keys[name], step)

        with errors_shown(self, TOPIC):
            self._progress.start(
                "Loading the detector",
                workflows.detect_study,
                session.cohort.samples,
                {name: state.reviewed for name, state in states.items()},
                context.detection_settings,
                context.device_name,
                context.detector_path,
                on_done=lambda _: self._tell_end(),
                on_progress=take,
                again=self.detect,
            )

    def _tell_end(self) -> None:
        if self._notes:
            count = counted(len(self._notes), "sample was", "samples were")
            warn(self, f"{count} left out. {self._notes[0]}", TOPIC)
        else:
            tell(self, f"{counted(self._cells, 'cell')} found in the study.", TOPIC)

    def _synchronise(self) -> None:
        session = self._context.session
        cohort = session.cohort if session.shows_cohort else None
        self.setVisible(cohort is not None and len(cohort) > 1)
        self.setEnabled(not self._context.runner.busy)
        images = sum(map(len, cohort.samples)) if cohort is not None else 0
        self.setText(f"Detect in all {images} images of the study")
