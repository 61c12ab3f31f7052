"""Detection of cells in some images of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from napari_attmil.workflows.steps import NEVER, Progress, Stage
from napari_attmil.workflows.study import loaded_detector

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from napari_attmil.cells import Boxes, DetectionSettings
    from napari_attmil.cells.detection import DetectionProgress

Images = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Detection:
    """The detected cells and the images that were searched; not all images if stopped early."""

    boxes: Boxes
    images: tuple[int, ...]


def detect_cells(
    images: Images,
    places: Sequence[int],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
    stop: Event = NEVER,
) -> Stage[Detection]:
    """Detect the cells in some images of a stack; stopped early, return those found so far.

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
    stop
        Set to end early.
    """
    yield Progress(0, len(places), "Loading the detector")
    from napari_attmil.cells.detection import boxes_of_frames

    detector = loaded_detector(device_name, weights)
    yield Progress(0, len(places), "Measuring the cells")
    found: list[DetectionProgress] = []
    cells = 0
    for step in detector.detect_frames(_Chosen(images, places), settings):
        found.append(replace(step, image_index=places[step.image_index]))
        cells += len(step.score)
        text = f"{cells} cells in {step.done} of {step.total} images"
        yield Progress(step.done, step.total, text)
        if stop.is_set():
            break
    return Detection(boxes_of_frames(found), tuple(places[: len(found)]))


class _Chosen(Sequence[npt.NDArray[Any]]):
    """Some images of a stack, read lazily."""

    def __init__(self, images: Images, places: Sequence[int]) -> None:
        self._images, self._places = images, places

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
        return self._images[self._places[place]]
