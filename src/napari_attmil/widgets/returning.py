"""A study as it was left: the image that was shown, the panels, the classifier and its results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject

from napari_attmil import workflows
from napari_attmil.images import Cohort
from napari_attmil.session import LoadedClassifier, Session
from napari_attmil.widgets.parts import Listening, TaskRunner, pause_timer
from napari_attmil.widgets.viewer import CellsLayer, ImageChoice
from napari_attmil.workflows import StudyState

NOTE_AFTER_MS = 1000


class Returning(Listening, QObject):
    """Notes how the open study is left, and brings that back when it is opened again.

    Parameters
    ----------
    viewer, session, choice, cells
        The viewer's.
    open_panels
        Returns the names of the viewer's open panels.
    """

    def __init__(
        self,
        viewer: Any,
        session: Session,
        choice: ImageChoice,
        cells: CellsLayer,
        open_panels: Callable[[], tuple[str, ...]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._choice = viewer, session, choice
        self._cells, self._open_panels = cells, open_panels
        self._panels: tuple[str, ...] = ()
        """When they were last noted: as the window closes, they go one by one."""
        self._has_new_results = False
        self._runner = TaskRunner(self)
        self._timer = pause_timer(self._note, NOTE_AFTER_MS, self)
        self.at_end(self._note_last)
        for change in (session.sample_changed, session.classifier_changed):
            self.listen(change, self.note_soon)
        self.listen(viewer.dims.events.current_step, self.note_soon)
        self.listen(session.prediction_changed, self._on_prediction)

    def note_soon(self) -> None:
        """Note in a pause how the study is left."""
        if self._session.cohort is not None:
            self._timer.start()

    def bring_back(self, cohort: Cohort, device_name: str) -> None:
        """Show a study that was just opened as it was left."""
        state = workflows.read_state(cohort.folder)
        if state.sample in {sample.name for sample in cohort.samples}:
            self._choice.show_sample(state.sample, state.image_index)
        if hasattr(self._viewer, "window"):
            for name in state.panels:
                if name not in self._open_panels():
                    with suppress(KeyError):  # A panel of another version.
                        self._viewer.window.add_plugin_dock_widget("napari-attmil", name)
        path = Path(state.classifier)
        if state.classifier and path.is_file() and self._session.predictions.classifier is None:
            self._runner.start(
                workflows.load_classifier,
                path,
                device_name,
                on_done=lambda loaded: self._use(loaded, path, cohort),
            )

    # --- inside -----------------------------------------------------------------------------

    def _use(self, loaded: LoadedClassifier, path: Path, cohort: Cohort) -> None:
        session = self._session
        if session.cohort is not cohort or session.predictions.classifier is not None:
            return
        session.predictions.use(loaded)
        names = {sample.name for sample in cohort.samples}
        for name, (prediction, boxes) in workflows.read_results(cohort.folder, path).items():
            if name in names:
                session.predictions.set(prediction, boxes, session.key_of(name))
        self._has_new_results = False

    def _on_prediction(self) -> None:
        self._has_new_results = True
        self.note_soon()

    def _note(self) -> None:
        self._panels = self._open_panels()
        self._write()

    def _note_last(self) -> None:
        if self._timer.isActive() or self._has_new_results:
            self._timer.stop()
            self._write()

    def _write(self) -> None:
        session = self._session
        cohort, classifier = session.cohort, session.predictions.classifier
        if cohort is None or not session.shows_cohort or session.sample is None:
            return
        path = None if classifier is None else classifier.path
        shown, image = session.sample.name, self._cells.camera.image_index()
        state = StudyState(shown, image, self._panels, "" if path is None else str(path))
        workflows.write_state(cohort.folder, state)
        if self._has_new_results and path is not None and path.is_file():
            results = {}
            for name, of_sample in session.states_of_samples().items():
                if of_sample.prediction is not None:
                    results[name] = of_sample.prediction, of_sample.classified
            workflows.write_results(cohort.folder, path, results)
            self._has_new_results = False
