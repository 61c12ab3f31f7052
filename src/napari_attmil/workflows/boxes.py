"""A study's boxes as a whole: what waits for review, what is odd, two people's work joined."""

from __future__ import annotations

import csv
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.cells.annotations import FILE_NAME, kept_boxes
from napari_attmil.core import UserError, counted, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.cells import Boxes
    from napari_attmil.cells.annotations import Annotations, Conflict, SampleMerged
    from napari_attmil.cells.exchange import AnnotatedImage, ExportPlan, ImportOutcome
    from napari_attmil.images import Cohort, Frame, Sample

CONFLICTS: Final = "conflicts.csv"
_COLUMNS: Final = ("sample", "image", "page", "reason", "cell_ids")
_Row = tuple[str, str, int, str, str]


def annotations_of(cohort: Cohort) -> dict[str, Annotations]:
    """Return the kept annotations of a cohort's samples, by the samples' names."""
    return kept_boxes(cohort.folder, cohort.samples)[0]


@dataclass(frozen=True)
class WaitingImage:
    """An image that nobody has reviewed yet.

    Attributes
    ----------
    doubt
        How unsure the detector is of its boxes; larger is less sure.
    frame
        The image.
    """

    doubt: float
    frame: Frame


def waiting_images(cohort: Cohort, annotated: Mapping[str, Annotations]) -> list[WaitingImage]:
    """Return the searched images that wait for review, the most doubtful first."""
    from napari_attmil.cells.annotations import uncertainties
    from napari_attmil.session import OPEN_STATES, SampleState, entries_of

    waiting = [
        (sample.frames[entry.image_index], entry.scores)
        for sample in cohort.samples
        if sample.name in annotated
        for entry in entries_of(sample, SampleState.of(annotated[sample.name]))
        if entry.state in OPEN_STATES
    ]
    doubt = uncertainties([scores for _, scores in waiting])
    order = np.argsort(-doubt, kind="stable")
    return [WaitingImage(float(doubt[place]), waiting[place][0]) for place in order]


@dataclass(frozen=True)
class OddBoxOfStudy:
    """A box that is probably a mistake: sample, name of the image, cell, and why."""

    sample: str
    image: str
    cell_id: int
    reason: str


def odd_boxes_of(cohort: Cohort, annotated: Mapping[str, Annotations]) -> list[OddBoxOfStudy]:
    """Return boxes that are probably mistakes: tiny, huge, duplicate, or outside the image."""
    from napari_attmil.cells.annotations import odd_boxes
    from napari_attmil.cells.exchange import size_of

    odd = []
    for sample in cohort.samples:
        if sample.name not in annotated:
            continue
        sizes, titles = [size_of(frame) for frame in sample.frames], sample.image_titles()
        for box in odd_boxes(annotated[sample.name].boxes, sizes):
            odd.append(OddBoxOfStudy(sample.name, titles[box.image_index], box.cell_id, box.reason))
    return odd


def planned_export(
    cohort: Cohort, annotated: Mapping[str, Annotations], out: Path, format_name: str
) -> ExportPlan:
    """Return what an export of a study's boxes would write.

    Raises
    ------
    UserError
        If there are no boxes, the format is unknown, or an image cannot be read.
    """
    plan = plan_boxes_export(out, format_name, cohort.samples, annotated, cohort.folder)
    if not plan.image_count:
        raise UserError(
            f"There are no boxes yet in {cohort.folder}; draw some, detect cells, or import them."
        )
    return plan


def plan_boxes_export(
    out: Path,
    format_name: str,
    samples: Sequence[Sample],
    annotated: Mapping[str, Annotations],
    folder: Path,
) -> ExportPlan:
    """Return what an export of some samples' boxes would write.

    Images are read where the format has outlines. Their names are relative to `folder`.

    Raises
    ------
    UserError
        If the format is unknown, or an image cannot be read.
    """
    from napari_attmil.cells.exchange import FORMATS, annotated_images, plan_export

    images, notes = annotated_images(samples, annotated, folder), []
    if format_name in FORMATS and FORMATS[format_name].has_outlines:
        images, missing = _with_outlines(images, samples, folder)
        if missing:
            cells = counted(missing, "cell")
            notes.append(f"No outline fits the box of {cells}; only the box is known of them.")
    plan = plan_export(out, images, format_name)
    return replace(plan, notes=(*notes, *plan.notes))


def labels_of_image(pixels: npt.NDArray[Any], boxes: Boxes) -> tuple[npt.NDArray[Any], int]:
    """Return the label image of one image's cells, and how many have no outline.

    Parameters
    ----------
    pixels
        (Y, X) or (Y, X, 3).
    boxes
        Those of this image.

    Returns
    -------
    (Y, X) uint16 or uint32, int
        Each cell's pixels have its cell_id; an ellipse in the box stands for an unknown outline.
    """
    from napari_attmil.cells.exchange import annotated_image, labels_of

    image = annotated_image("", boxes, size_px=(pixels.shape[1], pixels.shape[0]))
    outlined, missing = _outlined(image, pixels)
    return labels_of(outlined), missing


def _with_outlines(
    images: Sequence[AnnotatedImage], samples: Sequence[Sample], folder: Path
) -> tuple[list[AnnotatedImage], int]:
    """Return images whose boxes have outlines, and the number of cells without one."""
    from napari_attmil.images import name_within, read_frame

    frames = {
        (name_within(folder, frame.path), frame.page): frame
        for sample in samples
        for frame in sample.frames
    }
    outlined = [
        _outlined(image, read_frame(frames[image.name, image.page])) if image.boxes else (image, 0)
        for image in images
    ]
    return [image for image, _ in outlined], sum(missing for _, missing in outlined)


def _outlined(image: AnnotatedImage, pixels: npt.NDArray[Any]) -> tuple[AnnotatedImage, int]:
    """Return an image whose boxes have outlines, and the number of cells without one."""
    from napari_attmil.explore.shapes import outlines_of_image

    outlines = outlines_of_image(pixels, np.array([box.xyxy for box in image.boxes]))
    corners = [tuple((x, y) for x, y in outline.round(2).tolist()) for outline in outlines]
    pairs = zip(image.boxes, corners, strict=True)
    boxes = tuple(replace(box, outline=outline) for box, outline in pairs)
    return replace(image, boxes=boxes), sum(not outline for outline in corners)


def check_something_imported(outcome: ImportOutcome) -> None:
    """Raise UserError if an import brings nothing into a study."""
    if outcome.is_nothing:
        raise UserError(
            "Nothing was imported: no box in the files fits an image of the study; check that the "
            "files name its images."
        )


def merge_studies(
    samples: Sequence[Sample], mine: Path, theirs: Path, out: Path
) -> list[SampleMerged]:
    """Join two people's annotations of one study in a new folder, with a list of conflicts.

    Parameters
    ----------
    samples
        Those of `mine`.
    mine, theirs, out
        Folders of the two copies, and the new one.

    Raises
    ------
    UserError
        If a file is missing or cannot be read, or the new one exists or cannot be written.
    """
    from napari_attmil.cells.annotations import merge_files

    files = mine / FILE_NAME, theirs / FILE_NAME, out / FILE_NAME
    steps = merge_files(*files, samples)
    merged = list(islice(steps, len(samples)))
    _write_conflicts(out / CONFLICTS, merged)
    # Only the end of the merge puts its file in place: one that is killed can be run again.
    deque(steps, maxlen=0)
    return merged


def _write_conflicts(path: Path, merged: Iterable[SampleMerged]) -> None:
    rows = [row for sample in merged for row in _conflict_rows(sample)]
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([_COLUMNS, *rows])


def _conflict_rows(merged: SampleMerged) -> list[_Row]:
    sample, rows = merged.sample, []
    for conflict in merged.conflicts:
        frame = sample.frames[conflict.image_index]
        place = str(frame.path), frame.page_in_file + 1
        rows.append((sample.name, *place, conflict.reason, ids(conflict)))
    return rows


def ids(conflict: Conflict) -> str:
    """Return the cells of a conflict, separated by spaces."""
    return " ".join(map(str, conflict.cell_ids))


def class_words(classes: str | Sequence[str]) -> list[str]:
    """Return the names of classes; those of one text are separated by commas."""
    words = classes.split(",") if isinstance(classes, str) else classes
    return [word.strip() for word in words if word.strip()]
