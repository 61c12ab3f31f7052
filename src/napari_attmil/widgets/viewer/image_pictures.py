"""Small pictures of whole images, read off the main thread when they are first looked at."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from threading import Event

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QImage, QPixmap

from napari_attmil.core import UserError
from napari_attmil.images import Sample, shrink
from napari_attmil.widgets.parts import Listening, TaskRunner, pause_timer
from napari_attmil.workflows import Progress, Stage

WIDTH_PX, HEIGHT_PX = 64, 48
KEPT = 1000
BATCH = 16
"""So many are read before others that are looked at meanwhile have their turn."""

Place = tuple[str, int]


class ImagePictures(Listening, QObject):
    """Pictures by place; asking for one that is missing has it read.

    Signals
    -------
    ready(place)
        A picture has come.
    """

    ready = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures: OrderedDict[Place, QPixmap] = OrderedDict()
        self._wanted: OrderedDict[Place, Sample] = OrderedDict()
        self._study = 0
        self._runner = TaskRunner(self)
        self._timer = pause_timer(self._read_next, parent=self)

    def picture(self, sample: Sample, image_index: int) -> QPixmap | None:
        """Return an image's picture, or None and have it read."""
        place = (sample.name, image_index)
        if place in self._pictures:
            self._pictures.move_to_end(place)
            return self._pictures[place]
        self._wanted[place] = sample
        self._wanted.move_to_end(place)
        self._timer.start()
        return None

    def clear(self) -> None:
        """Forget all pictures: another study is open."""
        self._runner.stop()
        self._study += 1
        self._pictures.clear()
        self._wanted.clear()

    def _read_next(self) -> None:
        if self._runner.busy or not self._wanted:
            return
        # What was asked for last is what is looked at now.
        batch = [self._wanted.popitem() for _ in range(min(BATCH, len(self._wanted)))]
        self._runner.start(
            read_pictures,
            [(sample, place[1]) for place, sample in batch],
            on_done=lambda _: self._timer.start(),
            on_progress=partial(self._keep, self._study),
        )

    def _keep(self, study: int, progress: Progress) -> None:
        if study != self._study:
            return
        place, picture = progress.detail
        self._pictures[place] = _pixmap(picture)
        while len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)
        self.ready.emit(place)


def read_pictures(wanted: list[tuple[Sample, int]], stop: Event) -> Stage[None]:
    """Read images and make them small; one that cannot be read becomes grey."""
    from napari_attmil.images import read_images

    for done, (sample, index) in enumerate(wanted, start=1):
        if stop.is_set():
            return
        try:
            small = shrink(read_images(sample)[index], HEIGHT_PX, WIDTH_PX)
        except UserError:
            small = np.full((HEIGHT_PX, WIDTH_PX, 3), 128, dtype=np.uint8)
        yield Progress(done, len(wanted), "", ((sample.name, index), small))


def _pixmap(picture: npt.NDArray[np.uint8]) -> QPixmap:
    picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image).scaled(WIDTH_PX, HEIGHT_PX, Qt.AspectRatioMode.KeepAspectRatio)
