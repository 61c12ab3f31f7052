"""Boxes of images with very many cells, painted as a picture where no shapes are made of them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_attmil.cells import Boxes
from napari_attmil.core import Float32Array, Int64Array
from napari_attmil.images import LevelStack
from napari_attmil.session import Exploration, Session
from napari_attmil.widgets.parts import Listening, pause_timer
from napari_attmil.widgets.viewer.box_shapes import MOST_OF_IMAGE, edge_widths
from napari_attmil.widgets.viewer.boxes_mirror import BoxesMirror
from napari_attmil.widgets.viewer.image_layers import (
    IS_PICTURE,
    factors_of,
    lay_over,
    sizes_of_layer,
)
from napari_attmil.widgets.viewer.layer_axes import LayerAxes

LAYER_NAME: Final = "Cells from afar"
LEAST_EDGE_PX: Final = 2
"""A viewer that shows every second pixel shows all edges of a box."""
MARK_PX: Final = 14
"""A selected cell is shown at least so large."""
Pixels = npt.NDArray[np.uint32]
AFTER_MS: Final = 30
"""Several changes that come together are painted once."""


class PaintedBoxes(Listening):
    """Shows, in a layer of its own, the boxes of an image that the layer of shapes does not hold.

    napari draws some thousand shapes at most. A scan of a whole slide has a hundred thousand cells:
    they are painted at the resolution at which the viewer asks for the picture, in their colours,
    and become shapes where a person looks closely (see `Portion`).

    Parameters
    ----------
    viewer
        The napari viewer.
    session
        Its session.
    exploration
        Says when boxes, their colours or the selection are others.
    mirror
        The layer of shapes, over whose image and below which the picture lies.
    """

    def __init__(
        self, viewer: Any, session: Session, exploration: Exploration, mirror: BoxesMirror
    ) -> None:
        self._viewer, self._session = viewer, session
        self._exploration, self._mirror = exploration, mirror
        self._layer: Any = None
        self._pictures: list[PaintedImage] = []
        self._to_shapes = Listening()
        self.at_end(self._remove)
        self.at_end(self._to_shapes.stop_listening)
        self._timer = pause_timer(self._paint, AFTER_MS)
        self.at_end(self._timer.stop)
        self.listen(viewer.layers.events.removed, self._on_layer_removed)
        for signal in (exploration.colouring_changed, exploration.selection_changed, mirror.filled):
            self.listen(signal, self._paint_soon)
        self.listen(mirror.layer_changed, self._on_shapes)

    @property
    def layer(self) -> Any:
        """The picture's layer, or None."""
        return self._layer

    def _on_shapes(self, layer: Any) -> None:
        self._to_shapes.stop_listening()
        if layer is not None:
            self._to_shapes.listen(layer.events.visible, self._follow_visible)
        self._paint_soon()

    def _paint_soon(self) -> None:
        if self._layer is not None or _are_many(self._session.boxes):
            self._timer.start()

    def _follow_visible(self) -> None:
        """Hide the picture with the shapes."""
        shapes = self._mirror.layer
        if None not in (self._layer, shapes) and self._layer.visible != shapes.visible:
            self._layer.visible = shapes.visible

    def _on_layer_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = None

    def _paint(self) -> None:
        image, boxes = self._mirror.camera.image, self._session.boxes
        if image is None or self._mirror.layer is None or not _are_many(boxes):
            self._remove()
            return
        axes = self._mirror.camera.axes
        sizes = sizes_of_layer(image, axes)
        is_other = [each.size for each in self._pictures] != list(sizes)
        if self._layer is None or is_other or self._layer.data[0].shape[:-3] != _steps(axes):
            self._remove()
            self._pictures = [PaintedImage(size) for size in sizes]
            self._fill(boxes)
            self._add(image, axes)
        else:
            self._fill(boxes)
            self._layer.refresh(extent=False)
        lay_over(self._layer, image, axes, self._viewer.dims.point)
        self._follow_visible()

    def _fill(self, sample: Boxes) -> None:
        """Let the pictures show the boxes that are no shapes."""
        boxes = self._mirror.portion.others(sample)
        colours = as_pixels(self._exploration.colours(sample.index_of(boxes.cell_id)))
        widths = edge_widths(boxes, sample)
        is_selected = np.isin(boxes.cell_id, list(self._session.selection))
        for index, picture in enumerate(self._pictures):
            rows = np.flatnonzero(boxes.image_index == index)
            picture.show(boxes.xyxy[rows], colours[rows], widths[rows], is_selected[rows])

    def _add(self, image: Any, axes: LayerAxes) -> None:
        layers, selected = self._viewer.layers, set(self._viewer.layers.selection)
        factors = factors_of(max(max(each.size) for each in self._pictures))
        levels = [[each.at(factor) for each in self._pictures] for factor in factors]
        self._layer = Image(
            [_of_axes(level, axes) for level in levels],
            multiscale=True,
            rgb=True,
            name=LAYER_NAME,
            scale=image.scale,
            units=image.units,
            axis_labels=image.axis_labels,
            metadata={IS_PICTURE: True},
        )
        layers.insert(layers.index(self._mirror.layer), self._layer)
        layers.selection = selected

    def _remove(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            with suppress(ValueError):
                self._viewer.layers.remove(layer)


def _are_many(boxes: Boxes) -> bool:
    """Return whether an image has very many boxes."""
    return len(boxes) > MOST_OF_IMAGE and int(np.bincount(boxes.image_index).max()) > MOST_OF_IMAGE


def _steps(axes: LayerAxes) -> tuple[int, ...]:
    """Return the steps of the picture along the leading axes of an image layer.

    The picture is that of the planes and of the time that are shown.
    """
    return tuple(size if axis == axes.images else 1 for axis, size in enumerate(axes.sizes))


def _of_axes(level: list[PaintedLevel], axes: LayerAxes) -> Any:
    """Return the pictures of all images as one of as many axes as the image layer has."""
    steps = _steps(axes)
    if not steps:
        return level[0]
    stack = LevelStack(level)
    return stack if len(steps) == 1 else _Spread(stack, len(steps), axes.images or 0)


def as_pixels(colours: npt.ArrayLike) -> Pixels:
    """Return (n,) colours of (n, 4) RGBA, as their four bytes lie in memory."""
    return np.rint(np.asarray(colours) * 255).astype(np.uint8).reshape(-1, 4).view(np.uint32)[:, 0]


class PaintedImage:
    """The boxes of one image, and how they look.

    Parameters
    ----------
    size
        Height and width of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.version = 0
        self._xyxy = np.empty((0, 4), np.float32)
        self._colours, self._widths = np.empty(0, np.uint32), np.empty(0)
        self._is_selected = np.empty(0, bool)

    def show(
        self,
        xyxy: Float32Array,
        colours: Pixels,
        widths: npt.NDArray[np.float64],
        is_selected: npt.NDArray[np.bool_],
    ) -> None:
        """Show (n, 4) boxes in (n,) colours, with (n,) widths of edges; some are picked out."""
        self._xyxy, self._colours, self._widths = xyxy, colours, widths
        self._is_selected = is_selected
        self.version += 1

    def at(self, factor: int) -> PaintedLevel:
        """Return the picture at 1 / `factor` of the image's size, not painted yet."""
        return PaintedLevel(self, factor)

    def painted(
        self, factor: int, top: int, left: int, bottom: int, right: int
    ) -> npt.NDArray[np.uint8]:
        """Return (h, w, 4) of a part at 1 / `factor`, transparent where no edge of a box is."""
        height, width = bottom - top, right - left
        pixels = np.zeros(height * width, np.uint32)
        corner = np.array([left, top, left, top], np.float32)
        xyxy = self._xyxy / np.float32(factor) - corner
        seen = (xyxy[:, 2] > 0) & (xyxy[:, 3] > 0) & (xyxy[:, 0] < width) & (xyxy[:, 1] < height)
        rows = np.flatnonzero(seen)
        widths = np.rint(self._widths[rows] / factor).astype(np.int64)
        edges = np.maximum(widths, LEAST_EDGE_PX)
        _paint(pixels, _corners(xyxy[rows]), self._colours[rows], edges, (width, height))
        marked = rows[self._is_selected[rows]]
        if len(marked):
            corners, edges = _corners(xyxy[marked], MARK_PX), edges[self._is_selected[rows]] + 1
            _paint(pixels, corners, self._colours[marked], edges, (width, height))
        return pixels.view(np.uint8).reshape(height, width, 4)


class PaintedLevel:
    """A picture of boxes at one resolution, painted where and when it is looked at."""

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, picture: PaintedImage, factor: int) -> None:
        self._picture, self._factor = picture, factor
        height, width = (-(-side // factor) for side in picture.size)
        self.shape = (height, width, 4)
        self.size = height * width * 4
        self.chunks = (256, 256, 4)
        self._whole: tuple[int, npt.NDArray[np.uint8]] | None = None

    def __getitem__(self, place: Any) -> npt.NDArray[np.uint8]:
        rows, columns, *rest = place
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        part = (top, left, max(top, bottom), max(left, right))
        picture = self._painted(part)[:: rows.step or 1, :: columns.step or 1]
        return picture[(slice(None), slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[:, :].astype(dtype or self.dtype, copy=False)

    def _painted(self, part: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
        """Paint a part; the whole is kept, as a viewer asks for it with every part."""
        version = self._picture.version
        if part != (0, 0, *self.shape[:2]):
            return self._picture.painted(self._factor, *part)
        if self._whole is None or self._whole[0] != version:
            self._whole = version, self._picture.painted(self._factor, *part)
        return self._whole[1]


class _Spread:
    """A stack of images among further leading axes, each of one step.

    Parameters
    ----------
    stack
        (N, Y, X, 4), or a part of it.
    count
        Number of leading axes.
    images
        Which of them holds the images.
    """

    def __init__(self, stack: LevelStack, count: int, images: int) -> None:
        self._stack, self._count, self._images = stack, count, images
        before, behind = (1,) * images, (1,) * (count - images - 1)
        self.shape = (*before, stack.shape[0], *behind, *stack.shape[1:])
        self.chunks = (*before, stack.chunks[0], *behind, *stack.chunks[1:])
        self.dtype, self.ndim, self.size = stack.dtype, len(self.shape), stack.size

    def __getitem__(self, place: tuple[Any, ...]) -> Any:
        """Return a part, or the pixels where the leading axes are chosen."""
        leading, inner = place[: self._count], place[self._count :]
        part = self._stack[(leading[self._images], *inner)]
        if all(isinstance(each, slice) for each in leading):
            return _Spread(part, self._count, self._images)
        pixels = np.asarray(part)
        kept = iter(pixels.shape[:-3])
        sides = [
            next(kept) if axis == self._images else 1
            for axis, each in enumerate(leading)
            if isinstance(each, slice)
        ]
        return pixels.reshape((*sides, *pixels.shape[-3:]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._stack, dtype).reshape(self.shape)


def _corners(xyxy: Float32Array, least_px: int = 1) -> Int64Array:
    """Return (n, 4) first column and row, and last ones, of boxes that are not smaller."""
    low = np.floor(xyxy[:, :2])
    high = np.ceil(xyxy[:, 2:])
    missing = np.maximum(least_px - (high - low), 0) // 2
    low = low - missing
    return np.concatenate([low, np.maximum(high + missing, low + least_px) - 1], axis=1).astype(int)


def _paint(
    pixels: npt.NDArray[np.uint32],
    corners: Int64Array,
    colours: Pixels,
    edges: Int64Array,
    frame: tuple[int, int],
) -> None:
    """Paint the edges of boxes into the pixels of a picture of a width and height."""
    for inner in range(int(edges.max(initial=0))):
        left, top, right, bottom = corners[edges > inner].T
        left, top, right, bottom = left + inner, top + inner, right - inner, bottom - inner
        whole = (left <= right) & (top <= bottom)
        own = colours[edges > inner][whole]
        left, top, right, bottom = (each[whole] for each in (left, top, right, bottom))
        for row in (top, bottom):
            _run(pixels, row, left, right, own, frame, along_rows=True)
        for column in (left, right):
            _run(pixels, column, top + 1, bottom - 1, own, frame, along_rows=False)


def _run(
    pixels: npt.NDArray[np.uint32],
    line: Int64Array,
    first: Int64Array,
    last: Int64Array,
    colours: Pixels,
    frame: tuple[int, int],
    *,
    along_rows: bool,
) -> None:
    """Paint parts of rows, or of columns, from their first to their last pixel."""
    width, height = frame
    lines, length = (height, width) if along_rows else (width, height)
    first, last = np.maximum(first, 0), np.minimum(last, length - 1)
    inside = (line >= 0) & (line < lines) & (first <= last)
    line, first, last = line[inside], first[inside], last[inside]
    counts = last - first + 1
    ends = np.cumsum(counts)
    steps = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts - first, counts)
    lines_of = np.repeat(line, counts)
    places = lines_of * width + steps if along_rows else steps * width + lines_of
    pixels[places] = np.repeat(colours[inside], counts)
