"""Annotation files imported into a study, sample by sample, with notes on what did not fit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.cells.annotations import Annotations
from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
    bounds,
)
from napari_attmil.cells.exchange.boxes_from_points import boxes_from_points
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.label_images import read_label_image
from napari_attmil.cells.exchange.study_boxes import (
    FrameFinder,
    MergeCounts,
    merged,
    size_of,
    why_not,
)
from napari_attmil.images import read_frame
from napari_attmil.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.cells.annotations import AnnotationFile
    from napari_attmil.images import Frame, Sample

_MISSING: Final = "are not in the study"
_AMBIGUOUS: Final = "fit several images of the study"
_MISFIT: Final = "do not fit the study's image"
POINT_SCORE: Final = 0.5
"""Score of a box that was found around a centre point."""
_Placed = dict[str, list[tuple[int, AnnotatedImage]]]
"""By the sample's name: the images that files have of it, with their positions in the sample."""


@dataclass(frozen=True)
class ImportProgress:
    """How far an import has come.

    Attributes
    ----------
    done, total
        Samples imported so far, and samples for which the files have boxes.
    """

    done: int
    total: int


@dataclass(frozen=True)
class ImportOutcome:
    """The result of an import.

    Attributes
    ----------
    counts
        How the boxes were merged.
    images
        Number of the study's images that occur in the files.
    notes
        Sentences about images that did not fit.
    """

    counts: MergeCounts
    images: int
    notes: tuple[str, ...]


def read_annotations(paths: Sequence[Path]) -> AnnotationSet:
    """Read annotation files and folders of them; image files are read as masks or label images.

    Raises
    ------
    UserError
        If one cannot be read.
    """
    masks = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    others = [path for path in paths if path not in masks]
    parts = [read_label_image(path) for path in masks]
    parts += [read_boxes(others)] if others else []
    return AnnotationSet.joined(parts)


def import_boxes(
    samples: Sequence[Sample],
    annotations: AnnotationFile,
    images: Sequence[AnnotatedImage],
    made_by: str,
) -> Generator[ImportProgress, None, ImportOutcome]:
    """Merge the images of annotation files into a study, one transaction per sample; see `merged`.

    Parameters
    ----------
    samples
        The study's samples.
    annotations
        The study's annotation file, which is changed.
    images
        The images to import, with their boxes.
    made_by
        Where the boxes come from, for the journal.

    Raises
    ------
    UserError
        If the study's annotation file cannot be read or written.
    """
    placed, notes = _place(samples, images)
    by_name = {sample.name: sample for sample in samples}
    before = annotations.read_all(samples)
    counts = [MergeCounts()]
    for done, (name, of_sample) in enumerate(placed.items(), start=1):
        now = before.get(name, Annotations())
        floor_id = now.next_id
        for index, image in of_sample:
            now, of_image = merged(now, index, image, floor_id)
            counts.append(of_image)
        annotations.write(by_name[name], now, "Import", made_by)
        yield ImportProgress(done, len(placed))
    total = MergeCounts(*map(sum, zip(*counts, strict=True)))
    return ImportOutcome(total, sum(map(len, placed.values())), notes)


def _place(
    samples: Sequence[Sample], images: Sequence[AnnotatedImage]
) -> tuple[_Placed, tuple[str, ...]]:
    """Return the images by sample and position, and sentences about those that do not fit."""
    finder = FrameFinder(samples)
    placed: _Placed = defaultdict(list)
    misfits: dict[str, list[str]] = {_MISSING: [], _AMBIGUOUS: [], _MISFIT: []}
    points = boxes = 0
    for image in images:
        places = finder.find(image)
        if len(places) != 1:
            misfits[_AMBIGUOUS if places else _MISSING].append(image.name)
            continue
        sample, index = places[0]
        if reason := why_not(image, sample.frames[index]):
            misfits[_MISFIT].append(f"{image.name} ({reason})")
            continue
        found = _in_pixels(image, sample.frames[index])
        placed[sample.name].append((index, found))
        if image.has_points:
            points, boxes = points + len(image.boxes), boxes + len(found.boxes)
    notes = [_note(reason, names) for reason, names in misfits.items() if names]
    if points:
        notes.append(f"Boxes were found around {boxes} of {points} centre points; review them.")
    return placed, tuple(notes)


def _in_pixels(image: AnnotatedImage, frame: Frame) -> AnnotatedImage:
    size = size_of(frame)
    if image.has_points:
        image = _around_points(image, read_frame(frame))
    return replace(image.in_pixels(size), size_px=size)


def _around_points(image: AnnotatedImage, pixels: npt.NDArray[Any]) -> AnnotatedImage:
    """Return an image with boxes around its centre points; points without a cell are left out.

    Nobody has looked at these boxes, so they count as the detector's, with a low score.
    """
    found = boxes_from_points(pixels, [box.xyxy[:2] for box in image.boxes])
    boxes = tuple(
        AnnotatedBox(bounds(xyxy), point.label, source=Source.MODEL, score=POINT_SCORE)
        for point, xyxy, plausible in zip(
            image.boxes, found.xyxy.tolist(), found.plausible, strict=True
        )
        if plausible
    )
    return replace(image, boxes=boxes, has_points=False)


def _note(reason: str, names: Sequence[str]) -> str:
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Images in the files that {reason} were left out: {', '.join(names[:3])}{more}."
