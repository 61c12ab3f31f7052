"""Thumbnails for a gallery of any length: cut off the main thread when needed, and cached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QImage, QPixmap

from napari_attmil.cells import has_moved
from napari_attmil.core import UserError
from napari_attmil.images import LargeImage, Sample, crop_cell, limits_of
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, TaskRunner, pause_timer
from napari_attmil.workflows import Progress, Stage

CACHED = 3000
"""Thumbnails in the cache: some 100 MB at 96 px."""
WANTED_AT_MOST = 400
"""The queue drops what was scrolled past; it is asked for again when it is in sight again."""
BATCH = 24
IMAGES_DECODED = 8
HALO = (20, 24, 32)
"""White alone is invisible on bright-field images."""

Images = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True)
class Cutout:
    """Which part of which image is shown, and how large; two of one cell are equal.

    Attributes
    ----------
    sample, cell_id
        The sample's name, and the cell.
    image_index
        Of its images.
    x, y
        Centre in pixels of the image.
    side_px
        Side of the square in pixels of the image.
    size_px
        Side of the thumbnail.
    framed_px
        Side of a frame that is drawn around the centre, in pixels of the image; 0 for none. With
        one, the square is moved into the image where it would lie across its edge.
    """

    sample: str
    cell_id: int
    image_index: int
    x: float = field(compare=False)
    y: float = field(compare=False)
    side_px: float
    size_px: int
    framed_px: float = 0

    def has_moved(self, since: Cutout) -> bool:
        """Return whether the cell lies elsewhere than in an earlier cutout."""
        return bool(has_moved([[since.x, since.y]], [[self.x, self.y]])[0])

    def cut(
        self, image: npt.NDArray[Any], limits: tuple[float, float] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Return the thumbnail, (size_px, size_px) or (size_px, size_px, 3).

        `limits` are the image's, see `crop_cell`.
        """
        side, x, y = self.side_px, self.x, self.y
        if self.framed_px:
            side = min(side, *image.shape[:2])
            x, y = (
                min(max(at, side / 2), length - side / 2)
                for at, length in ((x, image.shape[1]), (y, image.shape[0]))
            )
        left, top = x - side / 2, y - side / 2
        corners = (left, top, left + side, top + side)
        picture = crop_cell(image, corners, self.size_px, context=1.0, limits=limits)
        if not self.framed_px:
            return picture
        scale = self.size_px / side
        return _framed(
            picture, (self.x - left) * scale, (self.y - top) * scale, self.framed_px * scale
        )


class ImageShelf:
    """Images of several samples, the last few decoded. Used by one thread at a time."""

    def __init__(self) -> None:
        self._opened: dict[str, Images] = {}
        self._decoded: OrderedDict[tuple[str, int], npt.NDArray[Any]] = OrderedDict()
        self._limits: dict[tuple[str, int], tuple[float, float] | None] = {}

    def image(self, cutout: Cutout, source: Images | Sample) -> npt.NDArray[Any]:
        """Return the image that a cutout is taken from."""
        place = (cutout.sample, cutout.image_index)
        if place not in self._decoded:
            if cutout.sample not in self._opened:
                self._opened[cutout.sample] = _images(source)
            image = self._opened[cutout.sample][cutout.image_index]
            # Of a scan of a whole slide, only the parts are decoded that are cut out.
            self._decoded[place] = image if isinstance(image, LargeImage) else np.asarray(image)
        self._decoded.move_to_end(place)
        while len(self._decoded) > IMAGES_DECODED:
            self._decoded.popitem(last=False)
        return self._decoded[place]

    def thumbnail(self, cutout: Cutout, source: Images | Sample) -> npt.NDArray[np.uint8]:
        """Return the thumbnail of a cutout."""
        image, place = self.image(cutout, source), (cutout.sample, cutout.image_index)
        if place not in self._limits:
            self._limits[place] = limits_of(image)
        return cutout.cut(image, self._limits[place])


class Thumbnails(Listening, QObject):
    """Returns thumbnails from a cache, and cuts those that are missing.

    Signals
    -------
    loaded()
        Some of the missing ones are ready.
    """

    loaded = Signal()

    def __init__(self, context: PanelContext, parent: QObject) -> None:
        super().__init__(parent)
        self._context = context
        self._cache: OrderedDict[Cutout, tuple[Cutout, QPixmap | None]] = OrderedDict()
        self._wanted: OrderedDict[Cutout, None] = OrderedDict()
        self._shelf = ImageShelf()
        self._runner = TaskRunner(self)
        self._timer = pause_timer(self._fetch, parent=self)
        self._runner.busy_changed.connect(self._on_busy)
        context.images_changed.connect(self.forget)

    def pixmap(self, cutout: Cutout) -> QPixmap | None:
        """Return a thumbnail, or None if it has yet to be cut; the latest request comes first."""
        if cutout in self._cache:
            self._cache.move_to_end(cutout)
            cut, pixmap = self._cache[cutout]
            if not cutout.has_moved(since=cut):
                return pixmap
        self._wanted.pop(cutout, None)
        self._wanted[cutout] = None
        while len(self._wanted) > WANTED_AT_MOST:
            self._wanted.popitem(last=False)
        if not self._timer.isActive() and not self._runner.busy:
            self._timer.start()
        return None

    def is_cut(self, cutout: Cutout) -> bool:
        """Whether it was tried to cut a thumbnail; without a pixmap its image is unreadable."""
        return cutout in self._cache and not cutout.has_moved(since=self._cache[cutout][0])

    def forget(self) -> None:
        """Empty the cache: other images are chosen."""
        self._cache.clear()
        self._wanted.clear()
        self._shelf = ImageShelf()

    def source(self, sample: str) -> Images | Sample | None:
        """Return the source of a sample's images; None if it is neither shown nor in the cohort."""
        session = self._context.session
        if session.sample is not None and session.sample.name == sample:
            return self._context.images
        cohort = session.cohort
        return next((s for s in cohort.samples if s.name == sample), None) if cohort else None

    def _fetch(self) -> None:
        batch = [self._wanted.popitem()[0] for _ in range(min(BATCH, len(self._wanted)))]
        sources = {cutout.sample: self.source(cutout.sample) for cutout in batch}
        cutouts, shelf = [cut for cut in batch if sources[cut.sample] is not None], self._shelf
        if cutouts:
            on_done = partial(self._keep, shelf=shelf)
            self._runner.start(cut_all, cutouts, sources, shelf, on_done=on_done)

    def _keep(self, cut: Mapping[Cutout, npt.NDArray[np.uint8] | None], shelf: ImageShelf) -> None:
        if shelf is not self._shelf:
            return
        for cutout, image in cut.items():
            self._cache[cutout] = cutout, None if image is None else pixmap_of(image)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        self.loaded.emit()

    def _on_busy(self, busy: bool) -> None:
        if not busy and self._wanted:
            self._timer.start()


def cut_all(
    cutouts: Sequence[Cutout],
    sources: Mapping[str, Images | Sample],
    shelf: ImageShelf,
    stop: Event,
) -> Stage[dict[Cutout, npt.NDArray[np.uint8] | None]]:
    """Cut thumbnails, those of one image together; None if the image cannot be read."""
    cut: dict[Cutout, npt.NDArray[np.uint8] | None] = {}
    for cutout in sorted(cutouts, key=lambda each: (each.sample, each.image_index)):
        yield Progress(len(cut), len(cutouts), "Cutting out cells")
        if stop.is_set():
            break
        try:
            cut[cutout] = shelf.thumbnail(cutout, sources[cutout.sample])
        except (UserError, IndexError):
            cut[cutout] = None
    return cut


def _framed(
    picture: npt.NDArray[np.uint8], x: float, y: float, side_px: float
) -> npt.NDArray[np.uint8]:
    """Return a picture in colour, with a white frame on a dark one around a place in it."""
    drawn = Image.fromarray(picture).convert("RGB")
    draw = ImageDraw.Draw(drawn)
    for width, colour in ((3, HALO), (1, (255, 255, 255))):
        half = side_px / 2 + width // 2
        draw.rectangle((x - half, y - half, x + half, y + half), outline=colour, width=width)
    return np.asarray(drawn)


def pixmap_of(image: npt.NDArray[np.uint8]) -> QPixmap:
    """Return (h, w) or (h, w, 3) uint8 as a pixmap."""
    return QPixmap.fromImage(qimage_of(image))


def qimage_of(image: npt.NDArray[np.uint8]) -> QImage:
    """Return (h, w) or (h, w, 3) uint8 as an image."""
    pixels = np.ascontiguousarray(image)
    height, width = pixels.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if pixels.ndim == 2 else QImage.Format.Format_RGB888
    # Copied: QImage does not keep the bytes alive.
    return QImage(pixels.tobytes(), width, height, pixels.strides[0], kind).copy()


def _images(source: Images | Sample) -> Images:
    from napari_attmil.images import read_images

    return read_images(source) if isinstance(source, Sample) else source
