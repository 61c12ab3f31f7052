"""One front door: whatever images a person opens in any panel become the study of the viewer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_attmil import workflows
from napari_attmil.cells.annotations import FILE_NAME
from napari_attmil.core import UserError, counted
from napari_attmil.images import Cohort, PlaneChoice
from napari_attmil.session import Session
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import (
    Listening,
    MessageBoard,
    TaskRunner,
    pause_timer,
    tell,
    tell_error,
    untell,
    warn,
)
from napari_attmil.widgets.viewer import SAMPLE_OF_FILES, ImageChoice
from napari_attmil.workflows import Progress

TOPIC = "opening"
BOXES = "where boxes are kept"
TOGETHER_MS = 200
"""Layers that come so soon after one another were dropped or opened together."""


class Opening(Listening, QObject):
    """Opens studies off the main thread, from files, folders or layers of the viewer.

    Files and folders that are dropped on napari become layers, one above the other. While there is
    a panel, several that came together are made a study instead.

    Parameters
    ----------
    viewer, session, choice
        The viewer's.
    message_board
        Where mistakes are told.

    Signals
    -------
    changed()
        Something is being opened, or no longer is; or `text` is another.
    opened(Cohort)
        A study is open now.
    """

    changed = Signal()
    opened = Signal(object)

    def __init__(
        self,
        viewer: Any,
        session: Session,
        choice: ImageChoice,
        message_board: MessageBoard,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._choice = viewer, session, choice
        self.message_board = message_board
        self.text = ""
        """What is being done; empty if nothing is."""
        self._runner = TaskRunner(self)
        self._new: list[Any] = []
        self._paths: tuple[Path, ...] = ()
        """Of the open study, as the list of recent ones has them."""
        self._timer = pause_timer(self._gather, TOGETHER_MS, self)
        self._runner.busy_changed.connect(self._on_busy)
        self.listen(viewer.layers.events.inserted, self._on_layer)

    @property
    def busy(self) -> bool:
        """Whether something is being opened."""
        return self._runner.busy

    def stop(self) -> None:
        """Give up what is being opened."""
        self._runner.stop()

    def open(self, paths: Sequence[Path], layers: Sequence[Any] = ()) -> None:
        """Open files and folders as one study, which takes the place of `layers`."""
        self._start(
            "Looking for images",
            tasks.open_study,
            paths if len(paths) > 1 else paths[0],
            paths,
            layers,
        )

    def choose_planes(self, planes: PlaneChoice) -> None:
        """Open the study again with other planes, time points or another channel."""
        cohort = self._session.cohort
        if cohort is None or self.busy:
            return
        files = dict.fromkeys(f.path for sample in cohort.samples for f in sample.frames)
        paths = self._paths or ((cohort.table,) if cohort.table is not None else tuple(files))
        untell(self, TOPIC)
        self._runner.start(
            tasks.open_with_planes,
            paths if len(paths) > 1 else paths[0],
            planes,
            on_done=lambda opened: self._use(opened, self._paths, ()),
            on_progress=self._show,
        )
        self._show(Progress(0, 0, "Looking for the planes"))

    def open_simulated(self) -> None:
        """Draw a few images of simulated samples and open them."""
        self._start(
            "Drawing images", tasks.simulate_cohort, workflows.own_folder("simulated cohort")
        )

    def open_layers(self, layers: Sequence[Any]) -> None:
        """Make a study of image layers that were opened from files."""
        paths = [path for layer in layers for path in paths_of(layer)]
        without = [layer.name for layer in layers if not paths_of(layer)]
        if without:
            error = UserError(
                f"The layer '{without[0]}' has no file, so its boxes could not be kept; save it "
                "(File > Save Selected Layers) and open the file, or choose other layers."
            )
            tell_error(self, error, TOPIC)
        else:
            self.open(list(dict.fromkeys(paths)), layers)

    def layers_with_files(self, selected: bool) -> list[Any]:
        """Return the image layers of the viewer, or those selected, that are no study's."""
        chosen = self._viewer.layers.selection if selected else self._viewer.layers
        return [
            layer
            for layer in self._viewer.layers
            if layer in chosen and isinstance(layer, Image) and paths_of(layer)
        ]

    def note_table(self, table: Path, cohort: Cohort) -> None:
        """Let the entry of the open study among the recent ones open it with a table just saved."""
        if self._paths != (table.parent,):  # A folder is opened with the table in it.
            workflows.forget_recent(
                [s for s in workflows.recent_studies() if s.paths == self._paths]
            )
            self._paths = (table,)
        workflows.note_recent(self._paths, describe_study(cohort))

    # --- inside -----------------------------------------------------------------------------

    def _start(
        self,
        text: str,
        task: Any,
        argument: Any,
        paths: Sequence[Path] = (),
        layers: Sequence[Any] = (),
    ) -> None:
        if self.busy:
            return
        untell(self, TOPIC)
        self._runner.start(
            task,
            argument,
            on_done=lambda opened: self._use(opened, paths, layers),
            on_progress=self._show,
        )
        self._show(Progress(0, 0, text))

    def _use(
        self, study: tasks.OpenedStudy | None, paths: Sequence[Path], layers: Sequence[Any]
    ) -> None:
        if study is None or not self._choice.use_cohort(*study):
            return
        cohort = study.cohort
        gone = [layer for layer in layers if layer in self._viewer.layers]
        for layer in gone:
            self._viewer.layers.remove(layer)
        if gone and self._choice.chosen is not None:
            self._choice.chosen.name = cohort.samples[0].name  # one of those may have had it
        self._choice.bring_to_light()
        self._paths = tuple(Path(os.path.abspath(path)) for path in paths)
        if paths:
            workflows.note_recent(paths, describe_study(cohort))
        self.opened.emit(cohort)
        about_boxes = [note for note in cohort.notes if FILE_NAME in note]
        if about_boxes:  # stays until it is closed, in every panel
            warn(self, " ".join(about_boxes), BOXES)
        if len(gone) > 1:
            tell(
                self,
                f"{counted(len(gone), 'layer')} lay above one another; they are one study now.",
                TOPIC,
                ("Show them as layers too", lambda: self._give_back(gone)),
            )

    def _give_back(self, layers: Sequence[Any]) -> None:
        for layer in layers:
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)
        self._new = []

    def _show(self, progress: Progress) -> None:
        self.text = progress.text
        self.changed.emit()

    def _on_busy(self, busy: bool) -> None:
        if not busy:
            self.text = ""
        self.changed.emit()

    def _on_layer(self, event: Any) -> None:
        layer = event.value
        was_opened = getattr(layer.source, "reader_plugin", None) is not None
        if isinstance(layer, Image) and was_opened and paths_of(layer):
            self._new.append(layer)
            self._timer.start()

    def _gather(self) -> None:
        """Make a study of images that were dropped together, or of a folder that was."""
        if self.busy:
            self._timer.start()
            return
        new, self._new = [layer for layer in self._new if layer in self._viewer.layers], []
        is_folder = any(SAMPLE_OF_FILES in layer.metadata for layer in new)
        if is_folder or (len(new) > 1 and all(layer.ndim == 2 for layer in new)):
            self.open_layers(new)


def paths_of(layer: Any) -> list[Path]:
    """Return the files or the folder that an image layer was opened from."""
    if SAMPLE_OF_FILES in layer.metadata:
        source = getattr(layer.source, "path", None)
        if source and Path(source).is_dir():
            return [Path(source)]
        return list(dict.fromkeys(frame.path for frame in layer.metadata[SAMPLE_OF_FILES].frames))
    source = getattr(layer.source, "path", None)
    return [Path(source)] if source and Path(source).is_file() else []


def describe_study(cohort: Cohort) -> str:
    """Return what is open: "18 images in smears"; with its samples where it has classes."""
    images = counted(sum(map(len, cohort.samples)), "image")
    if not cohort.classes:
        return f"{images} in {cohort.folder.name}"
    return f"{images} of {counted(len(cohort), 'sample')} in {cohort.folder.name}"
