"""Under which files and pages, or pixels, the boxes of a layer's images are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_attmil.cells.annotations import (
    FILE_NAME,
    AnnotationFile,
    boxes_beside,
    frame_of_pixels,
    is_kept_by_pixels,
    note_place,
    noted_place,
)
from napari_attmil.images import Frame, Sample, page_between_channels
from napari_attmil.widgets.parts import Listening
from napari_attmil.widgets.viewer.image_layers import (
    SAMPLE_OF_FILES,
    LayerImages,
    layer_pixel_size_um,
)
from napari_attmil.widgets.viewer.layer_axes import LayerAxes, Place

Frames = tuple[Frame, ...]
CROP_PX = 1024
"""Of images that have yet to be computed, so much of the middle tells them from others."""


class LayerPlaces(Listening):
    """Gives the images of each layer a place under which their boxes are found again.

    For a layer that was opened from a file it is the file and the page; for one that was split
    from another layer, or is a copy of it, the other one's; else it is in the user's own file,
    under a digest of the pixels.

    Parameters
    ----------
    viewer
        The napari viewer.
    sample_of
        Returns the study's sample that a layer shows, or None.
    """

    def __init__(self, viewer: Any, sample_of: Callable[[Any], Sample | None]) -> None:
        self._viewer, self._sample_of = viewer, sample_of
        self._known: dict[tuple[Any, LayerAxes, Place], Frames] = {}
        self._owners: dict[str, Any] = {}
        """Which layer, by the id, has the boxes of a file: that which was opened first."""
        self._by_pixels: dict[Frames, Frames] = {}
        """Of parts and copies of other layers."""
        self._gone: list[Any] = []
        """Layers that were removed just now, perhaps to be split."""
        self.listen(viewer.layers.events.removed, self._on_removed)
        self.listen(viewer.layers.events.inserted, self._on_inserted)

    def frames(self, images: LayerImages, layer: Any) -> Frames:
        """Return the place of each image of a layer; empty if there is none."""
        key = layer.unique_id, images.axes, images.axes.course(images.place)
        if key not in self._known:
            self._known[key] = self._find(images.of_first_planes(), layer)
        return self._known[key]

    def sample(self, images: LayerImages, layer: Any) -> Sample:
        """Return a sample that names the images of a layer: by their files, else by the layer."""
        frames = self.frames(images, layer)
        if not frames or not all(os.path.exists(frame.path) for frame in frames):
            frames = tuple(Frame(Path(layer.name), page) for page in range(len(images)))
        course = images.axes.course_in_words(images.place)
        name = f"{layer.name}, {course}" if course else layer.name
        known = layer.metadata.get(SAMPLE_OF_FILES)
        if known is not None and known.frames == frames:
            return replace(known, pixel_size_um=layer_pixel_size_um(layer))
        return Sample(name, name, None, frames, layer_pixel_size_um(layer))

    def file(self, sample: Sample, layer: Any) -> AnnotationFile:
        """Return the file that keeps the boxes of a layer's images.

        Raises
        ------
        UserError
            If it cannot be read.
        """
        path = sample.frames[0].path
        if not os.path.exists(path):
            return AnnotationFile.of_user()
        opened = getattr(layer.source, "path", None) or ""
        is_folder = SAMPLE_OF_FILES in layer.metadata and os.path.isdir(opened)
        # Earlier versions took a folder that is one image (OME-Zarr) for one of images.
        has_boxes = os.path.isfile(path / FILE_NAME)
        folder = Path(opened) if is_folder else path if has_boxes else path.parent
        return boxes_beside(folder, [sample])

    def layer_of(self, frames: Frames) -> Any:
        """Return the layer of the viewer that has, or had, images of a place; None without."""
        ids = {key[0] for key, known in self._known.items() if frames and known == frames}
        return next((each for each in self._viewer.layers if each.unique_id in ids), None)

    def course_of(self, frames: Frames, layer: Any) -> Place | None:
        """Return at which step of its courses a layer has images of a place."""
        courses = (
            key[2]
            for key, known in self._known.items()
            if key[0] == layer.unique_id and known == frames
        )
        return next(courses, None)

    def forget(self, layer: Any) -> None:
        """Find the places of a layer anew: it has other images."""
        for key in [key for key in self._known if key[0] == layer.unique_id]:
            del self._known[key]

    # --- inside -----------------------------------------------------------------------------

    def _find(self, images: LayerImages, layer: Any) -> Frames:
        sample = self._sample_of(layer)
        if sample is not None:
            return sample.frames
        listed = layer.metadata.get(SAMPLE_OF_FILES)
        if listed is not None and len(listed) == len(images):
            return tuple(listed.frames)
        path = getattr(layer.source, "path", None)
        if path and os.path.exists(path) and self._owns(layer, str(path)):
            return tuple(_frame_of_file(Path(path), images, n) for n in range(len(images)))
        by_pixels = _of_pixels(images)
        if by_pixels and is_kept_by_pixels(by_pixels):
            return by_pixels
        of_relatives = self._of_relatives(images, layer, by_pixels)
        if of_relatives:
            self._by_pixels[of_relatives] = by_pixels
        return of_relatives or tuple(map(noted_place, by_pixels))

    def note(self, frames: Frames) -> None:
        """Note by their pixels where boxes of parts or copies of another layer are kept.

        So they are found where nobody sees of which layer the images are.

        Raises
        ------
        UserError
            If it cannot be noted.
        """
        by_pixels = self._by_pixels.get(frames, ())
        if by_pixels and all(os.path.exists(frame.path) for frame in frames):
            for frame, pixels in zip(frames, by_pixels, strict=False):
                note_place(frame, pixels)
        self._by_pixels.pop(frames, None)

    def _owns(self, layer: Any, path: str) -> bool:
        """Return whether a file's boxes are this layer's, not those of another one of the file."""
        present = {each.unique_id for each in self._viewer.layers}
        if self._owners.get(path) not in present:
            self._owners[path] = layer.unique_id
        return bool(self._owners[path] == layer.unique_id)

    def _of_relatives(self, images: LayerImages, layer: Any, by_pixels: Frames) -> Frames:
        """Return the places of images of other layers that these are views or copies of."""
        parent = getattr(layer.source, "parent", None)
        relatives = [*self._gone, *self._viewer.layers, *([parent()] if parent else [])]
        for other in relatives:
            if other is layer or getattr(other, "rgb", None) != layer.rgb:
                continue
            theirs = LayerImages(other).of_first_planes()
            if parent is not None and other is parent():
                found = _copied(images, theirs, by_pixels)
            else:
                found = _viewed(images, theirs)
            if found:
                frames = self.frames(theirs, other)
                return tuple(frames[index] for index in found) if frames else ()
        return ()

    def _on_removed(self, event: Any) -> None:
        if getattr(event.value, "rgb", None) is not None:
            self._gone.append(event.value)
            # napari removes a layer that it splits, and then adds the parts.
            QTimer.singleShot(0, self._gone.clear)

    def _on_inserted(self, event: Any) -> None:
        if self._gone and getattr(event.value, "rgb", None) is not None:
            self.frames(LayerImages(event.value), event.value)


def _frame_of_file(path: Path, images: LayerImages, image_index: int) -> Frame:
    """Return which page of its file an image of a layer is: the page that a study has it under."""
    course = images.axes.course(images.place)
    if len(course) == 1:
        place = 0 if images.axes.images is None else image_index
        page = page_between_channels(path, place, course[0])
        if page is not None:
            return Frame(path, page)
    return Frame(path, images.axes.page(image_index, images.place))


def _viewed(images: LayerImages, others: LayerImages) -> list[int]:
    """Return which of other images these are, being views of the same memory; empty if none."""
    if images.sizes[0] != others.sizes[0] or not _is_viewed(images) or not _is_viewed(others):
        return []
    theirs = {_memory(others.lazily(index)): index for index in range(len(others))}
    found = [theirs.get(_memory(images.lazily(index))) for index in range(len(images))]
    known = [index for index in found if index is not None]
    # Images that share one memory, such as a repeated block, cannot be told apart.
    return known if len(set(known)) == len(images) else []


def _is_viewed(images: LayerImages) -> bool:
    """Return whether an image of them is a view, so that looking for it reads none."""
    return images.is_in_memory or hasattr(images.lazily(0), "dask")


def _memory(image: Any) -> Any:
    """Return what only views of the same pixels have in common."""
    if isinstance(image, np.ndarray):
        return image.__array_interface__["data"][0], image.shape, image.strides, image.dtype.str
    return image.name  # dask names what is computed alike


def _copied(images: LayerImages, others: LayerImages, by_pixels: Frames) -> list[int]:
    """Return which of other images these are, being a copy of them; empty if it is none.

    `by_pixels` are the places of these by their pixels, empty if they cannot be read.
    """
    if images.axes != others.axes or images.sizes != others.sizes:
        return []
    is_same = bool(by_pixels) and by_pixels == _of_pixels(others)
    return list(range(len(images))) if is_same else []


def _of_pixels(images: LayerImages) -> Frames:
    """Return places by the pixels; empty if they cannot be read."""
    try:
        if images.is_in_memory:
            own = [frame_of_pixels(np.asarray(images.lazily(i))) for i in range(len(images))]
            # Equal images, such as empty ones, are told apart by their order.
            return tuple(replace(each, page=own[:n].count(each)) for n, each in enumerate(own))
        whole = partial(frame_of_pixels, *map(_middle, _telling(images)))
        return tuple(whole(page=page) for page in range(len(images)))
    except Exception:  # Whatever an array of others raises: its boxes are not kept, which is told.
        return ()


def _telling(images: LayerImages) -> Sequence[Any]:
    """Return the first, the middle and the last of images that have yet to be computed."""
    last = len(images) - 1
    return [images.lazily(index) for index in sorted({0, last // 2, last})]


def _middle(image: Any) -> Any:
    """Compute the middle of an image."""
    top, left = (max((size - CROP_PX) // 2, 0) for size in image.shape[:2])
    return np.asarray(image[top : top + CROP_PX, left : left + CROP_PX])
