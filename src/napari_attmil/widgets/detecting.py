"""Detection of cells in the shown sample, for any panel: progress, first boxes, result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_attmil import workflows
from napari_attmil.cells import Source
from napari_attmil.core import Float32Array, Progress, counted
from napari_attmil.session import SessionKey
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, ProgressRow, errors_shown, tell, warn
from napari_attmil.widgets.viewer import FoundSoFar, OverlayBoxes

if TYPE_CHECKING:
    from napari_attmil.cells.detection import CellSize, DetectionPlan

TOPIC, SIZE_TOPIC = "detect", "cell size"
NO_CELLS = "No cells were found. Try a lower minimum score, or give the cell diameter."
OR_A_PART = "To search a part first, zoom to it and tick 'Only in this view'."
NO_VIEW = "The viewer shows no part of the image. Press Home in the viewer, and search again."


class Detecting(Listening, QObject):
    """Finds cells for one panel.

    Parameters
    ----------
    context
        The panel's.
    progress
        Shows how far it is; what there is to tell is told in its panel.

    Signals
    -------
    detected()
        A detection has ended.
    """

    detected = Signal()

    def __init__(
        self, context: PanelContext, progress: ProgressRow, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._context, self._progress = context, progress
        self.cell_size: CellSize | None = None
        """That of the last detection, as it was measured or given."""
        self._so_far = FoundSoFar(OverlayBoxes(context.viewer, context.image_choice))
        self.at_end(self._so_far.clear)

    def in_view(self) -> None:
        """Find the cells of what the viewer shows; boxes elsewhere stay as they are."""
        camera, images = self._context.cells.camera, self._context.images
        if images is None:
            return
        index = camera.image_index()
        view = camera.view_xyxy(getattr(images, "sizes", {index: None})[index])
        if view is None:
            warn(self._progress, NO_VIEW, TOPIC)
        else:
            self.in_images([index], view)

    def in_images(self, places: Sequence[int], view: Float32Array | None = None) -> None:
        """Find the cells of some images, or of a part of one, off the main thread.

        Before a whole slide is searched, the person is told what that takes, and decides.
        """
        images = self._context.images
        if images is not None and workflows.is_worth_a_plan(images, view):
            self._plan(places, view)
        else:
            self._search(places, view)

    def _plan(self, places: Sequence[int], view: Float32Array | None) -> None:
        def tell_plan(plan: DetectionPlan | None) -> None:
            if plan is not None:
                search = ("Search now", lambda: self._search(places, view))
                tell(self._progress, f"{plan.text} {OR_A_PART}", TOPIC, search)

        self._start(workflows.plan_cells, places, view, tell_plan)

    def _search(self, places: Sequence[int], view: Float32Array | None) -> None:
        key = self._context.session.key
        self._start(
            workflows.detect_cells,
            places,
            view,
            lambda detection: self._take_over(detection, key),
            lambda step: self._show(step, key),
        )

    def _start(
        self,
        stage: Callable[..., workflows.Stage[Any]],
        places: Sequence[int],
        view: Float32Array | None,
        on_done: Callable[[Any], None],
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        context = self._context
        images, sample = context.images, context.session.sample
        if images is None or sample is None:
            return
        self._so_far.clear()
        with errors_shown(self._progress, TOPIC):
            self._progress.start(
                "Loading the detector",
                stage,
                images,
                places,
                context.detection_settings.in_pixels(sample.pixel_size_um),
                context.device_name,
                context.detector_path,
                *(() if view is None else (view,)),
                on_done=on_done,
                on_progress=on_progress,
                again=lambda: self.in_images(places, view),
            )

    def _show(self, progress: Progress, key: SessionKey | None) -> None:
        """Show the cells of an image, or of a part of one, in advance."""
        step: Any = progress.detail
        is_new = step is not None and (step.searched is not None or step.parts == 1)
        if is_new and key == self._context.session.key:
            self._so_far.add(step.xyxy, step.image_index)

    def _take_over(self, detection: workflows.Detection, key: SessionKey | None) -> None:
        session = self._context.session
        self._so_far.clear()
        if not detection.images:
            return
        corrected = int(np.count_nonzero(session.boxes.source != Source.MODEL))
        deleted = len(session.state.deleted)
        session.editor.merge(detection.boxes, detection.images, key, within=detection.within)
        if key == session.key and (corrected or deleted):
            boxes = counted(corrected, "box", "boxes")
            kept = f"Your corrections stay: {boxes} drawn or moved, {deleted} deleted."
            tell(self._progress, kept, TOPIC)
        size = self.cell_size = detection.cell_size
        if not len(detection.boxes):
            warn(self._progress, NO_CELLS, TOPIC)
        elif guess := workflows.guess_in_words(size):
            warn(self._progress, guess, SIZE_TOPIC)
        self.detected.emit()
