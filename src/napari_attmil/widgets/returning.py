"""A study as it was left: the image that was shown, the panels, the classifier and its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject

from napari_attmil import workflows
from napari_attmil.images import Cohort
from napari_attmil.session import LoadedClassifier, Session
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import Listening, TaskRunner, pause_timer
from napari_attmil.widgets.viewer import CellsLayer, ImageChoice
from napari_attmil.workflows import Results, StudyState

NOTE_AFTER_MS = 1000
LAID_OUT_MS = 300


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
        self._written: Results = {}
        """What the file of results holds, so that turning a page does not write it again."""
        self._runner, self._writer = TaskRunner(self), TaskRunner(self)
        self._timer = pause_timer(self._note, NOTE_AFTER_MS, self)
        self._size = (0, 0)
        self._size_timer = pause_timer(self._give_size_back, LAID_OUT_MS, self)
        self.at_end(self._note_last)
        for change in (
            session.sample_changed,
            session.classifier_changed,
            session.prediction_changed,
            viewer.dims.events.current_step,
        ):
            self.listen(change, self.note_soon)

    def note_soon(self) -> None:
        """Note in a pause how the study is left."""
        if self._session.cohort is not None:
            self._timer.start()

    def bring_back(self, cohort: Cohort, device_name: str) -> None:
        """Show a study that was just opened as it was left."""
        self._session.predictions.set_prior(workflows.read_prior(cohort.folder))
        state = workflows.read_state(cohort.folder)
        self._panels = self._panels or state.panels
        if state.sample in {sample.name for sample in cohort.samples}:
            self._choice.show_sample(state.sample, state.image_index)
        if hasattr(self._viewer, "window"):
            self._bring_back_panels(state.panels)
        path = Path(state.classifier)
        if state.classifier and path.is_file() and self._session.predictions.classifier is None:
            self._runner.start(
                tasks.load_with_results,
                path,
                device_name,
                cohort.folder,
                on_done=lambda found: self._use(found[0], found[1], cohort),
            )

    # --- inside -----------------------------------------------------------------------------

    def _bring_back_panels(self, names: Sequence[str]) -> None:
        self._size = self._viewer.window.geometry()[2:]
        for name in names:
            if name not in self._open_panels():
                with suppress(KeyError):  # A panel of another version.
                    self._viewer.window.add_plugin_dock_widget("napari-attmil", name)
        self._size_timer.start()

    def _give_size_back(self) -> None:
        """Undo that Qt enlarged the window until its docks had found their places."""
        with suppress(AttributeError, RuntimeError):  # napari's window may have closed.
            if self._viewer.window.geometry()[2:] != self._size:
                self._viewer.window.resize(*self._size)

    def _use(self, loaded: LoadedClassifier, results: Results, cohort: Cohort) -> None:
        session = self._session
        if session.cohort is not cohort or session.predictions.classifier is not None:
            return
        session.predictions.use(loaded)
        names = {sample.name for sample in cohort.samples}
        for name, (prediction, boxes) in results.items():
            if name in names:
                session.predictions.set(prediction, boxes, session.key_of(name))
        self._written = self._results()

    def _note(self) -> None:
        self._panels = self._open_panels()
        self._write()

    def _note_last(self) -> None:
        self._timer.stop()
        self._write(is_last=True)

    def _write(self, is_last: bool = False) -> None:
        session = self._session
        cohort, classifier = session.cohort, session.predictions.classifier
        if cohort is None or not session.shows_cohort or session.sample is None:
            return
        if classifier is None:  # That of last time may still be loading.
            path = workflows.read_state(cohort.folder).classifier
        else:
            path = str(classifier.path or "")
        shown, image = session.sample.name, self._cells.camera.image_index()
        workflows.write_state(cohort.folder, StudyState(shown, image, self._panels, path))
        results = self._results()
        if results and Path(path).is_file() and not _are_same(results, self._written):
            self._keep(cohort.folder, Path(path), results, is_last)

    def _keep(self, folder: Path, classifier: Path, results: Results, is_last: bool) -> None:
        if is_last:
            workflows.write_results(folder, classifier, results)
        elif self._writer.busy:
            self.note_soon()
        else:
            self._writer.start(
                tasks.keep_results, folder, classifier, results, on_done=self._note_written
            )

    def _note_written(self, results: Results) -> None:
        self._written = results

    def _results(self) -> Results:
        states = self._session.states_of_samples()
        return {
            name: (state.prediction, state.classified)
            for name, state in states.items()
            if state.prediction is not None
        }


def _are_same(first: Results, second: Results) -> bool:
    """Tell whether two sets of results are of the very same predictions."""
    return first.keys() == second.keys() and all(
        prediction is second[name][0] and boxes is second[name][1]
        for name, (prediction, boxes) in first.items()
    )
