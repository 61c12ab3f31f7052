"""Files of boxes merged into a project, sample by sample; what did not fit is told."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.cells.annotations import Annotations
from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.boxes_from_points import boxes_from_points
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.label_images import read_label_image
from napari_attmil.cells.exchange.listing import ListedBox, ListedImage, Listing
from napari_attmil.cells.exchange.project_boxes import (
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
    from napari_attmil.images import Sample

POINT_SCORE: Final = 0.5
"""Of a box that was found around a centre point."""
_Placed = list[tuple[int, ListedImage]]


@dataclass(frozen=True)
class ImportProgress:
    """How far an import has come.

    Attributes
    ----------
    done, total
        Samples that were merged, and samples that the files have boxes of.
    """

    done: int
    total: int


@dataclass(frozen=True)
class ImportOutcome:
    """What an import has brought.

    Attributes
    ----------
    counts
        What became of the boxes.
    images
        Images of the study that the files list.
    notes
        Sentences about images that did not fit.
    """

    counts: MergeCounts
    images: int
    notes: tuple[str, ...]


def read_annotations(paths: Sequence[Path]) -> Listing:
    """Return what files and folders list; image files are taken as masks or label images.

    Raises
    ------
    UserError
        If one cannot be read.
    """
    masks = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    others = [path for path in paths if path not in masks]
    parts = [read_label_image(path) for path in masks]
    parts += [read_boxes(others)] if others else []
    return Listing(
        ", ".join(dict.fromkeys(part.format_name for part in parts)),
        tuple(image for part in parts for image in part.images),
        tuple(note for part in parts for note in part.notes),
    )


def import_boxes(
    samples: Sequence[Sample],
    annotations: AnnotationFile,
    images: Sequence[ListedImage],
    made_by: str,
) -> Generator[ImportProgress, None, ImportOutcome]:
    """Merge listed images into a project, one transaction a sample; see `exchange.merged`.

    Parameters
    ----------
    samples
        The project's samples.
    annotations
        Where its boxes are kept.
    images
        What the files list.
    made_by
        Whence they come, for the journal.

    Raises
    ------
    UserError
        If the project's file cannot be read or written.
    """
    placed, notes = _place(samples, images)
    known = {sample.name: sample for sample in samples}
    kept = annotations.read_all(samples)
    counts = MergeCounts()
    found = sum(len(each) for each in placed.values())
    for done, (name, listed) in enumerate(placed.items(), start=1):
        now = kept.get(name, Annotations())
        floor_id = now.next_id
        for index, image in listed:
            now, more = merged(now, index, image, floor_id)
            counts += more
        annotations.write(known[name], now, "Import", made_by)
        yield ImportProgress(done, len(placed))
    return ImportOutcome(counts, found, notes)


def _place(
    samples: Sequence[Sample], images: Sequence[ListedImage]
) -> tuple[dict[str, _Placed], tuple[str, ...]]:
    """Return the listed images by sample and position, and what is to be said of the others."""
    finder = FrameFinder(samples)
    placed: dict[str, _Placed] = defaultdict(list)
    missing, unclear, misfit, lost, points = [], [], [], 0, 0
    for image in images:
        places = finder.find(image)
        if not places:
            missing.append(image.name)
        elif len(places) > 1:
            unclear.append(image.name)
        else:
            sample, index = places[0]
            reason = why_not(image, sample.frames[index])
            if reason:
                misfit.append(f"{image.name} ({reason})")
            else:
                found = _in_pixels(image, sample, index)
                placed[sample.name].append((index, found))
                points += len(image.boxes) if image.has_points else 0
                lost += len(image.boxes) - len(found.boxes)
    notes = [
        _note("are not in the project and were left out", missing),
        _note("fit several images of the project and were left out", unclear),
        _note("do not fit their image and were left out", misfit),
        f"Boxes were found around {points - lost} of {points} centre points; review them."
        if points
        else "",
    ]
    return dict(placed), tuple(note for note in notes if note)


def _in_pixels(image: ListedImage, sample: Sample, index: int) -> ListedImage:
    frame = sample.frames[index]
    size = size_of(frame)
    if image.has_points:
        image = _around_points(image, read_frame(frame))
    return replace(image.in_pixels(size), size_px=size)


def _around_points(image: ListedImage, pixels: npt.NDArray[Any]) -> ListedImage:
    """Return an image with the boxes of its centre points; those that no cell fits are left out.

    They count as the detector's, and as doubtful: nobody has looked at them.
    """
    centres = np.array([box.xyxy[:2] for box in image.boxes])
    found = boxes_from_points(pixels, centres)
    corners = found.xyxy[found.plausible].astype(np.float64).tolist()
    labels = itertools.compress((box.label for box in image.boxes), found.plausible)
    boxes = tuple(
        ListedBox((x0, y0, x1, y1), label, source=Source.MODEL, score=POINT_SCORE)
        for (x0, y0, x1, y1), label in zip(corners, labels, strict=True)
    )
    return replace(image, boxes=boxes, has_points=False)


def _note(trouble: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Listed images that {trouble}: {', '.join(names[:3])}{more}."
