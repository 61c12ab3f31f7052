"""What the steps of one panel share, and the session of each viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_attmil.session import Session
from napari_attmil.widgets.layers import CellsLayer
from napari_attmil.widgets.workers import TaskRunner

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


def session_of(viewer: Any) -> Session:
    """Return the session of a viewer: the same one for as long as the viewer lives."""
    # napari hands plugins a proxy that lives shorter than the viewer behind it.
    viewer = getattr(viewer, "__wrapped__", viewer)
    return _SESSIONS.setdefault(viewer, Session())


class PanelContext(QObject):
    """Viewer, session, boxes and worker of one panel.

    Signals
    -------
    images_changed()
        Other images are chosen, or those chosen have gone.
    device_changed()
        Another device is to compute.
    """

    images_changed = Signal()
    device_changed = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session = session_of(viewer)
        self.cells = CellsLayer(viewer, self.session)
        self.runner = TaskRunner(self)
        self._images: Sequence[npt.NDArray[Any]] | None = None
        self._device_name = "auto"

    @property
    def images(self) -> Sequence[npt.NDArray[Any]] | None:
        """The images of the shown sample; None if their layer has gone."""
        return self._images

    def set_images(self, images: Sequence[npt.NDArray[Any]] | None) -> None:
        """Use other images."""
        self._images = images
        self.images_changed.emit()

    @property
    def device_name(self) -> str:
        """The device that computes: "auto", "cpu", "cuda:0", ..."""
        return self._device_name

    def set_device_name(self, name: str) -> None:
        """Let another device compute."""
        self._device_name = name
        self.device_changed.emit()

    def cells_of_image_shown(self) -> int:
        """Return how many cells the image has that the viewer shows."""
        index = self.cells.current_image_index()
        return int(np.count_nonzero(self.session.boxes.image_index == index))

    def close(self) -> None:
        """End the work and stop listening."""
        self.runner.close()
        self.cells.close()
