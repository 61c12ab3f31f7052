"""Detection of cells in some images of a stack, or in a part of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from napari_attmil.core import UserError, counted
from napari_attmil.images import LargeImage
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until
from napari_attmil.workflows.study import loaded_detector

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from napari_attmil.cells import Boxes, DetectionSettings
    from napari_attmil.cells.detection import (
        CellSize,
        DetectionPlan,
        DetectionProgress,
        Detector,
    )
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Sample

Images = Sequence[npt.NDArray[Any]]
PLANNED_PX: Final = 200_000_000
"""Before more pixels are searched, it is said how long that takes."""
VIEW_MARGIN_DIAMETERS: Final = 1.6
"""So far around a view is searched too, so that cells at its rim are seen whole."""


@dataclass(frozen=True, eq=False)
class Detection:
    """The detected cells.

    Attributes
    ----------
    boxes
        The cells of all images that were searched.
    images
        Those images; not all if stopped early.
    within
        Of images that were searched only in part: (k, 4) x_min, y_min, x_max, y_max of the parts.
    cell_size
        The cell size that set the working scale, of several the least sure; None without images.
    """

    boxes: Boxes
    images: tuple[int, ...]
    within: Mapping[int, Float32Array] = field(default_factory=dict)
    cell_size: CellSize | None = None


def detect_cells(
    images: Images,
    places: Sequence[int],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
    view: Float32Array | None = None,
    sizes: Sequence[CellSize] | None = None,
    stop: Event = NEVER,
) -> Stage[Detection]:
    """Detect the cells in some images of a stack; stopped early, return those found so far.

    The `detail` of a step holds the cells of an image, or of a part of a large one, as a
    `cells.detection.DetectionProgress`. A `note` says that the cell size is a guess, or that
    images are left out because the view lies outside of them.

    Parameters
    ----------
    images
        (Y, X) or (Y, X, 3) each; read one after the other.
    places
        Indices of the images to search.
    settings
        With any diameter in pixels; see `DetectionSettings.in_pixels`.
    device_name
        As for `choose_device`.
    weights
        Model file of the detector; None for the shipped one.
    view
        (4,) x_min, y_min, x_max, y_max in pixels of the only part to search; all if None.
    sizes
        The cell sizes of a plan for the same search; measured if None.
    stop
        Set to end early.

    Raises
    ------
    UserError
        If the view lies outside of all images.
    """
    places, note = _with_view(images, places, view)
    yield Progress(0, 0, "Loading the detector", note="" if sizes is not None else note)
    detector = loaded_detector(device_name, weights)
    chosen: Images = _Chosen(images, places)
    yield Progress(0, 0, f"Reading {'an image' if len(places) == 1 else 'the first image'}")
    if sizes is None:
        sizes = yield from until(detector.cell_sizes(chosen, settings), stop)
    if sizes is None:
        return _FoundSoFar(places, []).detection(None)
    cell_size = least_sure(sizes)
    if note := guess_in_words(cell_size):
        yield Progress(0, 0, "Measured the size of the cells", note=note)
    diameters, seen = [size.diameter_px for size in sizes], None
    if view is not None:
        seen = _View.of(view, VIEW_MARGIN_DIAMETERS * max(diameters))
        chosen = _Cut(chosen, seen)
    found = _FoundSoFar(places, _part_counts(detector, chosen, diameters))
    for step in _steps(detector, chosen, settings, sizes):
        found.add(seen.placed(step) if seen is not None else step)
        yield found.progress()
        if stop.is_set():
            break
    return replace(found.detection(seen), cell_size=cell_size)


def least_sure(sizes: Iterable[CellSize]) -> CellSize | None:
    """Return the one of several images' cell sizes that is told of; None without images."""
    return min(sizes, key=attrgetter("confidence"), default=None)


def guess_in_words(size: CellSize | None) -> str:
    """Return what to tell of a cell size that is not sure; empty if it is."""
    if size is None or size.is_sure:
        return ""
    return (
        f"The cell size is a guess ({size.diameter_px:.0f} px): drag the circle beside Cell "
        "diameter to fit a cell, or give the diameter (--cell-diameter)."
    )


def plan_cells(
    images: Images,
    places: Sequence[int],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
    view: Float32Array | None = None,
    stop: Event = NEVER,
) -> Stage[DetectionPlan | None]:
    """Judge by a few parts what `detect_cells` would find, take and need; stopped early, None.

    Parameters and mistakes are those of `detect_cells`.
    """
    from napari_attmil.cells.detection import plan_detection

    places, note = _with_view(images, places, view)
    yield Progress(0, 0, "Loading the detector", note=note)
    detector = loaded_detector(device_name, weights)
    chosen: Images = _Chosen(images, places)
    sizes = yield from until(detector.cell_sizes(chosen, settings), stop)
    if sizes is None or stop.is_set():
        return None
    diameters = [size.diameter_px for size in sizes]
    if view is not None:
        chosen = _Cut(chosen, _View.of(view, VIEW_MARGIN_DIAMETERS * max(diameters)))
    plan = yield from until(plan_detection(detector, chosen, settings, diameters), stop)
    return None if plan is None else replace(plan, cell_sizes=tuple(sizes))


def is_worth_a_plan(images: Images, view: Float32Array | None = None) -> bool:
    """Return whether a search of images, or of a part of one, takes so long that one asks first."""
    if view is not None:
        return float(np.prod(view[2:] - view[:2])) > PLANNED_PX
    sizes = getattr(images, "sizes", None) or []
    return any(height * width > PLANNED_PX for height, width in sizes)


def region_of(text: str) -> Float32Array:
    """Return (4,) x_min, y_min, x_max, y_max of "x0,y0,x1,y1", in pixels.

    Raises
    ------
    UserError
        If it is no rectangle.
    """
    try:
        corners = np.array([float(part) for part in text.split(",")], dtype=np.float32)
    except ValueError:
        corners = np.empty(0, np.float32)
    if len(corners) != 4 or not np.isfinite(corners).all() or corners.min() < 0:
        raise UserError(
            f"The region {text!r} is not known; give four numbers of pixels as x0,y0,x1,y1."
        )
    return check_region(corners)


def check_region(region: npt.ArrayLike) -> Float32Array:
    """Return a region as (4,) float32.

    Raises
    ------
    UserError
        If it is empty, or not finite.
    """
    with np.errstate(over="ignore"):
        corners = np.asarray(region, dtype=np.float32)
    if np.isinf(corners).any():
        raise UserError(
            f"The region {np.ravel(corners).tolist()} has no end; give x0,y0,x1,y1 as finite "
            "numbers of pixels, such as the image's width and height."
        )
    if corners.shape != (4,) or not np.all(corners[2:] > corners[:2]):
        raise UserError(
            f"The region {np.ravel(corners).tolist()} is empty; give x0,y0,x1,y1 with x1 > x0 and "
            "y1 > y0, in pixels."
        )
    return corners


def samples_with_region(samples: Sequence[Sample], region: Float32Array) -> Stage[list[Sample]]:
    """Return the samples with an image that a region is part of; a `note` names the others.

    Raises
    ------
    UserError
        If there are none.
    """
    from napari_attmil.images import read_images

    yield Progress(0, 0, "Reading the sizes of the images")
    sizes = [read_images(sample).sizes for sample in samples]
    inside = [any(_is_in(region, size) for size in own) for own in sizes]
    if not any(inside):
        raise _outside(region, [size for own in sizes for size in own])
    others = [sample.name for sample, is_in in zip(samples, inside, strict=True) if not is_in]
    if others:
        note = f"Left out, as the region lies outside of their images: {', '.join(others)}"
        yield Progress(0, 0, "", note=note)
    return [sample for sample, is_in in zip(samples, inside, strict=True) if is_in]


def _with_view(
    images: Images, places: Sequence[int], view: Float32Array | None
) -> tuple[Sequence[int], str]:
    """Return those images that a view is part of, and a sentence about the others, if any.

    Raises
    ------
    UserError
        If there are none.
    """
    if view is None or not len(places):
        return places, ""
    known = getattr(images, "sizes", None)
    sizes = [images[place].shape[:2] if known is None else known[place] for place in places]
    inside = [place for place, size in zip(places, sizes, strict=True) if _is_in(view, size)]
    if not inside:
        raise _outside(view, sizes)
    left_out = len(places) - len(inside)
    if not left_out:
        return places, ""
    return inside, f"Left out, as the region lies outside: {left_out} of {len(places)} images."


def _is_in(region: Float32Array, size: Sequence[int]) -> bool:
    """Return whether a part of a region lies in an image of a height and width."""
    height, width = size
    return bool(region[0] < width and region[1] < height and region[2] > 0 and region[3] > 0)


def _outside(region: Float32Array, sizes: Sequence[Sequence[int]]) -> UserError:
    corners = ",".join(f"{corner:.10g}" for corner in region)
    height, width = max(sizes, key=lambda size: size[0] * size[1])
    images = "the image, which" if len(sizes) == 1 else f"all {len(sizes)} images; the largest"
    return UserError(
        f"The region {corners} lies outside of {images} is {width} px wide and {height} px high; "
        "give x0,y0,x1,y1 within it, in pixels from its upper left corner."
    )


def _steps(
    detector: Detector, images: Images, settings: DetectionSettings, sizes: Sequence[CellSize]
) -> Iterator[DetectionProgress]:
    return detector.detect_parts(images, settings, sizes) if len(images) else iter(())


def _part_counts(detector: Detector, images: Images, diameters: Sequence[float]) -> list[int]:
    """Return in how many parts each image is searched, as far as that is known unread."""
    sizes = getattr(images, "sizes", None) or [(1, 1)] * len(images)
    return [
        detector.part_count(size, diameter) for size, diameter in zip(sizes, diameters, strict=True)
    ]


class _FoundSoFar:
    """The steps of a detection: finished images, and the parts of the one under way.

    Parameters
    ----------
    places
        Indices of the images that are searched.
    part_counts
        In how many parts each of them is.
    """

    def __init__(self, places: Sequence[int], part_counts: list[int]) -> None:
        self._places, self._part_counts = places, part_counts
        self._images: list[DetectionProgress] = []
        self._parts: list[DetectionProgress] = []

    def add(self, step: DetectionProgress) -> None:
        """Take in the cells of an image, or of a part of one."""
        self._part_counts[step.image_index] = step.parts
        step = replace(step, image_index=self._places[step.image_index])
        if step.searched is not None:
            self._parts.append(step)
        else:
            self._images.append(step)
            self._parts = []

    def progress(self) -> Progress:
        """Say how far it is."""
        last, finished = [*self._images, *self._parts][-1], len(self._images)
        cells = counted(sum(len(step.score) for step in (*self._images, *self._parts)), "cell")
        text = f"{cells} in {finished} of {counted(last.total, 'image')}"
        if self._parts:
            image = f" of image {finished + 1} of {last.total}" if last.total > 1 else ""
            text = f"{cells} so far, part {last.part} of {last.parts}{image}"
        done = sum(self._part_counts[:finished]) + len(self._parts)
        return Progress(done, sum(self._part_counts), text, last)

    def detection(self, view: _View | None) -> Detection:
        """Return all that was found, also in the searched parts of an image not finished."""
        from napari_attmil.cells.detection import boxes_of_frames

        within = {}
        if self._parts:
            rectangles = [part.searched for part in self._parts]
            within[self._parts[0].image_index] = np.array(rectangles, dtype=np.float32)
        if view is not None:
            within |= {image.image_index: view.inside[np.newaxis] for image in self._images}
        steps = [*self._images, *self._parts]
        images = tuple(dict.fromkeys(step.image_index for step in steps))
        return Detection(boxes_of_frames(steps), images, within)


@dataclass(frozen=True, eq=False)
class _View:
    """A part of an image, and the larger part that is searched for it.

    Attributes
    ----------
    inside
        (4,) x_min, y_min, x_max, y_max in whole pixels.
    window
        top, left, bottom, right of what is searched.
    """

    inside: Float32Array
    window: tuple[int, int, int, int]

    @classmethod
    def of(cls, view: Float32Array, margin_px: float) -> Self:
        left, top, right, bottom = np.concatenate([np.floor(view[:2]), np.ceil(view[2:])])
        around = (top - margin_px, left - margin_px, bottom + margin_px, right + margin_px)
        window = tuple(max(0, round(float(side))) for side in around)
        inside = np.array([left, top, right, bottom], dtype=np.float32)
        return cls(inside, (window[0], window[1], window[2], window[3]))

    def placed(self, step: DetectionProgress) -> DetectionProgress:
        """Return a step in pixels of the whole image, with the cells inside of the view only."""
        offset = np.array([self.window[1], self.window[0]] * 2, dtype=np.float32)
        xyxy = step.xyxy + offset
        centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
        low, high = self.inside[:2], self.inside[2:]
        inside = np.all((centre >= low) & (centre < high), axis=1)
        searched = step.searched
        if searched is not None:
            low, high = np.maximum(searched[:2] + offset[:2], low), searched[2:] + offset[:2]
            searched = np.concatenate([low, np.maximum(low, np.minimum(high, self.inside[2:]))])
        return replace(step, xyxy=xyxy[inside], score=step.score[inside], searched=searched)


class _Chosen(Sequence[npt.NDArray[Any]]):
    """Some images of a stack, read lazily; the one read last is kept, as it is read again."""

    def __init__(self, images: Images, places: Sequence[int]) -> None:
        self._images, self._places = images, places
        self._last: tuple[int, Any] = (-1, None)

    @property
    def sizes(self) -> list[tuple[int, int]] | None:
        """Height and width of each image, None if they are not known without reading it."""
        sizes = getattr(self._images, "sizes", None)
        return None if sizes is None else [sizes[index] for index in self._places]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._images[index] for index in self._places[place]]
        if self._last[0] != place:
            self._last = (-1, None)  # Two large images need not be in memory together.
            self._last = (place, self._images[self._places[place]])
        return self._last[1]


class _Cut(Sequence[npt.NDArray[Any]]):
    """The part of each image that is searched for a view."""

    def __init__(self, images: Images, view: _View) -> None:
        self._images, self._view = images, view

    @property
    def sizes(self) -> list[tuple[int, int]] | None:
        """Height and width of each part, None if the images' are not known."""
        sizes = getattr(self._images, "sizes", None)
        top, left, bottom, right = self._view.window
        return sizes and [
            (max(min(height, bottom) - top, 1), max(min(width, right) - left, 1))
            for height, width in sizes
        ]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        top, left, bottom, right = self._view.window
        image = self._images[place]
        if isinstance(image, LargeImage):
            return image.cut(top, left, bottom, right)
        return image[top:bottom, left:right]
