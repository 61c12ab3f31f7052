"""Files of boxes merged into a project, sample by sample; what did not fit is told."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_attmil.cells.edits import Annotations
from napari_attmil.cells.exchange import FrameFinder, MergeCounts, merged, size_of, why_not
from napari_attmil.cells.formats import read_boxes
from napari_attmil.cells.label_images import read_label_image
from napari_attmil.cells.listing import ListedImage, Listing
from napari_attmil.images.decoding import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_attmil.cells.project import AnnotationFile
    from napari_attmil.images.cohort import Sample

_Placed = list[tuple[int, ListedImage]]


@dataclass(frozen=True)
class ImportProgress:
    """How far an import has come.

    Attributes
    ----------
    done, total
        Samples that were merged, and samples that the files have boxes of.
    counts
        What became of the boxes so far.
    images
        Images of the project that the files list.
    notes
        Sentences about images that did not fit, complete from the first step on.
    """

    done: int
    total: int
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
) -> Iterator[ImportProgress]:
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
    yield ImportProgress(0, len(placed), counts, found, notes)
    for done, (name, listed) in enumerate(placed.items(), start=1):
        now = kept.get(name, Annotations())
        floor_id = now.next_id
        for index, image in listed:
            now, more = merged(now, index, image, floor_id)
            counts += more
        annotations.write(known[name], now, "Import", made_by)
        yield ImportProgress(done, len(placed), counts, found, notes)


def _place(
    samples: Sequence[Sample], images: Sequence[ListedImage]
) -> tuple[dict[str, _Placed], tuple[str, ...]]:
    """Return the listed images by sample and position, and what is to be said of the others."""
    finder = FrameFinder(samples)
    placed: dict[str, _Placed] = defaultdict(list)
    missing, unclear, misfit = [], [], []
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
                placed[sample.name].append((index, _in_pixels(image, sample, index)))
    notes = [
        _note("are not in the project and were left out", missing),
        _note("fit several images of the project and were left out", unclear),
        _note("do not fit their image and were left out", misfit),
    ]
    return dict(placed), tuple(note for note in notes if note)


def _in_pixels(image: ListedImage, sample: Sample, index: int) -> ListedImage:
    size = size_of(sample.frames[index])
    return replace(image.in_pixels(size), size_px=size)


def _note(trouble: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Listed images that {trouble}: {', '.join(names[:3])}{more}."
