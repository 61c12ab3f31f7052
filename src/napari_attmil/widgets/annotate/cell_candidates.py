"""Candidates for cells in the image shown, detected only when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from qtpy.QtCore import QObject

from napari_attmil import workflows
from napari_attmil.cells import Boxes
from napari_attmil.cells.detection import unsure_detection_settings
from napari_attmil.core import UserError
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, TaskRunner, pause_timer

KEPT_IMAGES = 16
PAUSE_MS = 150
"""An image that is shown only briefly is not searched."""


class CellCandidates(Listening, QObject):
    """Caches the candidates of the images shown last; nothing is searched before `prepare`.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._runner = TaskRunner(self)
        self._found: OrderedDict[Hashable, Boxes] = OrderedDict()
        self._is_wanted = False
        self._timer = pause_timer(self._search, PAUSE_MS, self)
        context.images_changed.connect(self._soon)
        self.listen(context.viewer.dims.events.current_step, self._soon)

    def of_image_shown(self) -> Boxes:
        """Return the candidates of the image shown; none while the search runs."""
        self.prepare()
        return self._found.get(self._what(), Boxes.empty())

    def prepare(self) -> None:
        """Search this image, and from now on every image that stays in view."""
        self._is_wanted = True
        self._search()

    def _soon(self) -> None:
        if self._is_wanted:
            self._timer.start()

    def _what(self) -> Hashable:
        """Return everything that the candidates depend on."""
        context = self._context
        image = context.session.key, context.cells.camera.image_index()
        return image, context.detector_path, context.detection_settings

    def _search(self) -> None:
        what, images = self._what(), self._context.images
        sample = self._context.session.sample
        if images is None or sample is None or what in self._found:
            return
        if self._runner.busy:
            self._soon()
            return
        try:
            settings = unsure_detection_settings(self._context.detection_settings)
            settings = settings.in_pixels(sample.pixel_size_um)
        except UserError:
            return  # Detect cells shows this error; boxes can be drawn without candidates.
        self._runner.start(
            workflows.detect_cells,
            images,
            [self._context.cells.camera.image_index()],
            settings,
            self._context.device_name,
            self._context.detector_path,
            on_done=lambda detection: self._keep(what, detection.boxes),
        )

    def _keep(self, what: Hashable, candidates: Boxes) -> None:
        self._found[what] = candidates
        if len(self._found) > KEPT_IMAGES:
            self._found.popitem(last=False)
