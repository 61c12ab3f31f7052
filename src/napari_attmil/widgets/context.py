"""What all panels of one viewer share, what each has for itself, and the viewer's session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.finetuning import detector_in_use
from napari_attmil.core import Remedy, Workers
from napari_attmil.images import Cohort
from napari_attmil.session import CellKey, Exploration, Move, Session
from napari_attmil.widgets.opening import Opening
from napari_attmil.widgets.parts import (
    Listening,
    MessageBoard,
    TaskRunner,
    stop_listening_within,
    untell,
    warn,
)
from napari_attmil.widgets.returning import Returning
from napari_attmil.widgets.viewer import (
    CellsLayer,
    ImageChoice,
    Keeping,
    KeyBindings,
    KeyRegistry,
    MemoryOnly,
    make_canvas_current,
)
from napari_attmil.workflows import Stage, Study, on_cluster

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
_EXPLORATIONS: WeakKeyDictionary[Any, Exploration] = WeakKeyDictionary()
_WORKSPACES: dict[int, Workspace] = {}
"""By the id of the viewer, for as long as it has a panel."""
HOMES = {
    Remedy.OPEN_IMAGES: "Classify samples",
    Remedy.GIVE_CLASSES: "Classify samples",
    Remedy.DETECT_CELLS: "Classify samples",
    Remedy.TRAIN_CLASSIFIER: "Classify samples",
    Remedy.LOAD_MODEL: "Classify samples",
    Remedy.CLASSIFY: "Classify samples",
    Remedy.USE_CPU: "Classify samples",
    Remedy.REVIEW_IMAGES: "Annotate cells",
    Remedy.TRAIN_DETECTOR: "Train detector",
}
"""The panel that carries out a remedy; the others are where the mistake was made."""


UndoLine: TypeAlias = tuple[QWidget, Callable[[str], None]]
"""A part of a panel, and what shows a text in it."""


def session_of(viewer: Any) -> Session:
    """Return the session of a viewer: the same one for as long as the viewer lives."""
    return _SESSIONS.setdefault(_behind_proxy(viewer), Session())


def exploration_of(viewer: Any) -> Exploration:
    """Return what a viewer looks at: the same one for as long as the viewer lives."""
    known = _EXPLORATIONS.get(_behind_proxy(viewer))
    return known or _EXPLORATIONS.setdefault(_behind_proxy(viewer), Exploration(session_of(viewer)))


class Workspace(Listening, QObject):
    """Session, boxes and images of one viewer, shared by its panels while there are any.

    Signals
    -------
    remedy_wanted(Remedy)
        The panel that can carry it out is open and should.
    """

    remedy_wanted = Signal(object)

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self.session = session_of(viewer)
        self.message_board = MessageBoard(self)
        """What all panels show; each has a board of its own beside it."""
        self.message_board.remedy_wanted.connect(self.carry_out)
        self.listen(self.session.cohort_changed, self.message_board.clear_all)
        self.keeping = Keeping(self.session, self)
        self.listen(viewer.layers.events.removing, make_canvas_current)
        self.exploration = exploration_of(viewer)
        self.cells = CellsLayer(viewer, self.session, self.exploration)
        self.at_end(self.cells.stop_listening)
        self.listen(self.cells.edits.refused, self._tell_refusal)
        self.memory_only = MemoryOnly(self.session, self.cells, self)
        self.image_choice = ImageChoice(viewer, self.session, self.cells, self)
        self.opening = Opening(viewer, self.session, self.image_choice, self.message_board, self)
        self.open_panels: list[str] = []
        """Names of the panels."""
        self.returning = Returning(
            viewer,
            self.session,
            self.image_choice,
            self.cells,
            lambda: tuple(dict.fromkeys(self.open_panels)),
            self,
        )
        self.opening.opened.connect(self._bring_back)
        self.device_name = "auto"
        self.workers: Workers | None = None
        self.cluster = ""
        self.detection = DetectionSettings()
        self.keys = KeyRegistry.of_user(self)
        functions = {"undo": self.undo, "redo": self.redo}
        self.bindings = KeyBindings(viewer, self.keys, functions, self)
        self.listen(self.session.history.moved, self._show_move)
        self.undo_lines: list[UndoLine] = []
        """Where undo and redo say what they did."""

    def _bring_back(self, cohort: Cohort) -> None:
        self.returning.bring_back(cohort, self.device_name)

    def _tell_refusal(self, text: str) -> None:
        is_turned = not self.cells.camera.shows_images
        warn(self, text, "drawing", *([("Turn back", self._turn_back)] if is_turned else []))

    def _turn_back(self) -> None:
        self.cells.camera.show_images()
        untell(self, "drawing")

    def carry_out(self, remedy: Remedy) -> None:
        """Let the panel that has a remedy carry it out; it is opened if need be."""
        if hasattr(self.viewer, "window"):
            self.viewer.window.add_plugin_dock_widget("napari-attmil", HOMES[remedy])
        self.remedy_wanted.emit(remedy)

    @classmethod
    def enter(cls, viewer: Any, panel: str) -> Workspace:
        """Return the workspace of a viewer for one more panel, which will `leave` it.

        `panel` is its name.
        """
        key = id(_behind_proxy(viewer))
        if key not in _WORKSPACES:
            _WORKSPACES[key] = cls(viewer)
        workspace = _WORKSPACES[key]
        workspace.open_panels.append(panel)
        workspace.returning.note_soon()
        return workspace

    def undo(self) -> None:
        """Take back the last thing that this person did, and go there."""
        if not self.session.editor.undo_title:
            self._tell_undo("There is nothing to take back.")
        self.session.editor.undo()

    def redo(self) -> None:
        """Make again what was taken back last, and go there."""
        if not self.session.editor.redo_title:
            self._tell_undo("Nothing was taken back that could be made again.")
        self.session.editor.redo()

    def _show_move(self, move: Move) -> None:
        """Show the image where undo or redo changed something, and say what."""
        self.image_choice.show_key(move.key, move.image_index)
        self._tell_undo(move.text)

    def _tell_undo(self, text: str) -> None:
        """Say what undo did in the panels that have a line for it, else over the images."""
        for _, show in self.undo_lines:
            show(text)
        # Qt counts a panel behind another tab as visible.
        if all(part.visibleRegion().isEmpty() for part, _ in self.undo_lines):
            show_info(text)

    def leave(self, panel: str) -> None:
        """Let the workspace go; after its last panel the viewer is as if it had never been."""
        self.open_panels.remove(panel)
        self.returning.note_soon()
        if self.open_panels:
            return
        del _WORKSPACES[id(_behind_proxy(self.viewer))]
        stop_listening_within(self)


class PanelContext(Listening, QObject):
    """One panel's way to what its viewer's panels share, and its own worker.

    Signals
    -------
    images_changed()
        Other images are chosen, or those chosen have gone.
    remedy_wanted(Remedy)
        The panel that can carry it out should.
    """

    images_changed = Signal()
    remedy_wanted = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None, panel: str = "") -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._workspace = Workspace.enter(viewer, panel)
        self.at_end(self._workspace.leave, panel)
        self.session = self._workspace.session
        self.exploration = self._workspace.exploration
        self.cells = self._workspace.cells
        self.image_choice = self._workspace.image_choice
        self.opening = self._workspace.opening
        self.keys = self._workspace.keys
        self.undo, self.redo = self._workspace.undo, self._workspace.redo
        self.bindings = self._workspace.bindings
        self.message_board = MessageBoard(self)
        """What this panel tells."""
        self.message_board.remedy_wanted.connect(self._workspace.carry_out)
        self.listen(self.session.cohort_changed, self.message_board.clear_all)
        self.listen(self._workspace.remedy_wanted, self.remedy_wanted.emit)
        self.runner = TaskRunner(self)
        self.listen(self.image_choice.images_changed, self.images_changed.emit)

    def tell_undo_in(self, part: QWidget, show: Callable[[str], None]) -> None:
        """Let a part of the panel show what undo and redo did; it keeps room for the line."""
        line = (part, show)
        self._workspace.undo_lines.append(line)
        self.at_end(self._workspace.undo_lines.remove, line)

    @property
    def shared_board(self) -> MessageBoard:
        """What all panels of the viewer show."""
        return self._workspace.message_board

    @property
    def images(self) -> Sequence[npt.NDArray[Any]] | None:
        """The images of the shown sample; None if their layer has gone."""
        return self.image_choice.images

    @property
    def device_name(self) -> str:
        """The device that computes: "auto", "cpu", "cuda:0", ..."""
        return self._workspace.device_name

    def set_device_name(self, name: str) -> None:
        """Let another device compute."""
        self._workspace.device_name = name

    def shared(self, stage: Callable[..., Stage[Any]]) -> Callable[..., Stage[Any]]:
        """Return a stage of a study with the workers that were chosen as its `workers`, if any."""
        cluster, cohort = self._workspace.cluster, self.session.cohort
        if cluster:
            assert cohort is not None  # it is a stage of a study
            return partial(on_cluster, cluster, cohort.folder, self.device_name, stage)
        workers = self._workspace.workers
        return stage if workers is None else partial(stage, workers=workers)

    @property
    def workers(self) -> tuple[Workers | None, str]:
        """Who shares long work, as `set_workers` was told."""
        return self._workspace.workers, self._workspace.cluster

    def set_workers(self, workers: Workers | None, cluster: str = "") -> None:
        """Let others share long work: so many processes, or the workers at a scheduler's address.

        None is for as many processes as pay.
        """
        self._workspace.workers, self._workspace.cluster = workers, cluster

    @property
    def detection_settings(self) -> DetectionSettings:
        """How cells are found, whichever panel asks; the person sets it in step 2."""
        return self._workspace.detection

    def set_detection_settings(self, settings: DetectionSettings) -> None:
        """Let cells be found in another way."""
        self._workspace.detection = settings

    @property
    def study_folder(self) -> Path | None:
        """The folder of the open study, where dialogs start."""
        cohort = self.session.cohort
        return None if cohort is None else cohort.folder

    def cohort_study(self) -> Study | None:
        """Return the open cohort with the boxes as they are in this session; None without one."""
        cohort = self.session.cohort
        if cohort is None:
            return None
        return Study.of(cohort, annotations=self.session.states_of_samples())

    def shown_study(self) -> Study:
        """Return the study that the shown sample is part of, or that sample alone."""
        study = self.cohort_study() if self.session.shows_cohort else None
        if study is not None:
            return study
        sample = self.session.sample
        return Study.without_folder([] if sample is None else [sample])

    @property
    def detector_path(self) -> Path | None:
        """Model file of the detector in use on the open cohort; None for the shipped one."""
        cohort = self.session.cohort
        return None if cohort is None else detector_in_use(cohort.folder)

    def go_to_cell(self, key: CellKey) -> None:
        """Show a cell's sample and image, centre on it, and select it."""
        sample, cell_id = key
        shown = self.session.sample
        if shown is None or shown.name != sample:
            self.image_choice.show_sample(sample)
        shown = self.session.sample
        if shown is not None and shown.name == sample:
            self.cells.show_cell(cell_id)

    def cells_of_image_shown(self) -> int:
        """Return how many cells the image has that the viewer shows."""
        index = self.cells.camera.image_index()
        return int(np.count_nonzero(self.session.state.cells.image_index == index))


def _behind_proxy(viewer: Any) -> Any:
    """Return the viewer itself: napari hands plugins a proxy that lives shorter."""
    return getattr(viewer, "__wrapped__", viewer)
