"""A study's boxes for export, and boxes from annotation files merged into those of a study."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from napari_attmil.cells.annotations import Note, completed_note, with_notes
from napari_attmil.cells.boxes import (
    SAME_BOX_IOU,
    SAME_CELL_IOU,
    Boxes,
    Source,
    iou_matrix,
    match_boxes,
)
from napari_attmil.cells.exchange.annotation_set import NO_NOTE, AnnotatedBox, AnnotatedImage
from napari_attmil.cells.overlaps import greatest_overlap
from napari_attmil.core import UserError
from napari_attmil.images import name_within
from napari_attmil.images.formats import header_of_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_attmil.cells.annotations import Annotations, Notes
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Frame, Sample

_RED_CELL = re.compile(r"red.?(blood.?)?cell|\brbcs?\b|erythrocyte|^cells?$|^$", re.IGNORECASE)


class MergeCounts(NamedTuple):
    """How many of a file's boxes were merged, and how.

    Attributes
    ----------
    added
        New boxes.
    already_there
        Boxes that the study has already, or that a person had deleted.
    overlapping
        Added boxes that overlap with a person's box; both remain.
    replaced
        Boxes of the detector that were replaced by a person's.
    noted
        Boxes that got a tag, note or value from the file.
    noted_otherwise
        Boxes whose note or values stay as they are here, though the file says something else.
    removed
        Boxes of the detector that a checked image has not in the file; see `without_others`.
    """

    added: int = 0
    already_there: int = 0
    overlapping: int = 0
    replaced: int = 0
    noted: int = 0
    noted_otherwise: int = 0
    removed: int = 0


def annotated_images(
    samples: Sequence[Sample], annotations: Mapping[str, Annotations], folder: Path
) -> list[AnnotatedImage]:
    """Return the images that have boxes or are reviewed, named relative to the study's folder."""
    images = []
    for sample in samples:
        if sample.name not in annotations:
            continue
        kept = annotations[sample.name]
        boxes, reviewed = kept.cells, kept.reviewed
        for index in sorted(reviewed.union(boxes.image_index.tolist())):
            frame, own = sample.frames[index], boxes.of_image(index)
            name = name_within(folder, frame.path)
            size, is_reviewed = size_of(frame), index in reviewed
            images.append(annotated_image(name, own, frame.page, size, is_reviewed, kept.notes))
    return images


def annotated_image(
    name: str,
    boxes: Boxes,
    page: int = 0,
    size_px: tuple[int, int] | None = None,
    reviewed: bool = False,
    notes: Notes | None = None,
) -> AnnotatedImage:
    """Return one image with its boxes for export; see `AnnotatedImage`."""
    columns = (boxes.xyxy, boxes.cell_id, boxes.source, boxes.score)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    exported = tuple(
        AnnotatedBox(
            (*xyxy,),
            cell_id=cell_id,
            source=Source(source),
            score=score,
            note=replace((notes or {}).get(cell_id, NO_NOTE), image_index=0),
        )
        for xyxy, cell_id, source, score in rows
    )
    return AnnotatedImage(name, exported, page, size_px, reviewed)


def class_counts(images: Sequence[AnnotatedImage]) -> Counter[str]:
    """Return how many boxes there are of each class."""
    return Counter(box.label for image in images for box in image.boxes)


def likely_cells(images: Sequence[AnnotatedImage]) -> set[str]:
    """Return the classes that are red cells as far as their names say; empty if that is unclear.

    If no name says so, a file's only class is taken, and all classes of centre points, which are
    then types of cells.
    """
    counts = class_counts(images)
    wanted = {name for name in counts if _RED_CELL.search(name)}
    if not wanted and (len(counts) == 1 or all(image.has_points for image in images)):
        wanted = set(counts)
    return wanted


def only_cells(
    images: Sequence[AnnotatedImage], classes: Sequence[str] = ()
) -> tuple[list[AnnotatedImage], Counter[str]]:
    """Return the images with red cells only, and the number of boxes left out by class.

    Parameters
    ----------
    images
        The images of an annotation file.
    classes
        The classes to use; see `likely_cells` for the default.

    Raises
    ------
    UserError
        If there are several classes and none of them is to be used.
    """
    counts = class_counts(images)
    wanted = set(classes) or likely_cells(images)
    if counts and not wanted & counts.keys():
        raise UserError(
            f"The boxes are of the classes {', '.join(sorted(counts))[:300]}, and no name says "
            "which are red cells; give their names with --classes."
        )
    cells = [
        replace(image, boxes=tuple(box for box in image.boxes if box.label in wanted))
        for image in images
    ]
    return cells, Counter({name: n for name, n in counts.items() if name not in wanted})


def merged(
    now: Annotations, index: int, image: AnnotatedImage, floor_id: int
) -> tuple[Annotations, MergeCounts]:
    """Return a sample's annotations with the boxes that a file has for one of its images.

    No person's box is changed or lost. A box is not added if the sample has it already, or if a
    person deleted it; a person's box replaces the detector's box of the same cell, and takes over
    what is noted about it. Notes of the file are added to those of the study, of which none is
    replaced.

    Parameters
    ----------
    now
        The sample's annotations.
    index
        The image within the sample.
    image
        Its boxes in the file, in pixels.
    floor_id
        A cell id from the file is used if it is not less than this and not taken.
    """
    here = now.boxes.of_image(index)
    by_person = here.source != Source.MODEL
    # Compared within the image, as exports are clipped at its borders.
    there = _clipped(here.xyxy, image.size_px)
    deleted = _clipped(now.deleted.of_image(index).xyxy, image.size_px)
    corners = np.array([box.xyxy for box in image.boxes], dtype=np.float32).reshape(-1, 4)
    corners = _clipped(corners, image.size_px)
    drawn = np.array([box.source != Source.MODEL for box in image.boxes], dtype=bool)
    twice = greatest_overlap(corners, np.concatenate([there[by_person], deleted])) >= SAME_BOX_IOU
    # A detector's box says nothing about a cell that has a box already.
    twice |= ~drawn & (greatest_overlap(corners, there) >= SAME_CELL_IOU)
    overlapping = ~twice & (greatest_overlap(corners, there[by_person]) >= SAME_CELL_IOU)
    replaced = ~by_person & (greatest_overlap(there, corners[drawn & ~twice]) >= SAME_CELL_IOU)
    remaining = now.boxes[~np.isin(now.boxes.cell_id, here.cell_id[replaced])]
    new = list(compress(image.boxes, ~twice))
    added = _numbered(new, index, now, floor_id)
    boxes = Boxes.concatenate([remaining, added]).sorted_by_image()
    notes = _handed_on(now.notes, here[replaced], added)
    known = Boxes.concatenate([here[~replaced], added])
    notes, noted = _with_notes_of_file(notes, image, known, index)
    counts = MergeCounts(
        len(new), int(twice.sum()), int(overlapping.sum()), int(replaced.sum()), *noted
    )
    reviewed = now.reviewed | ({index} if image.reviewed else set())
    next_id = max(now.next_id, boxes.next_id)
    after = replace(now, boxes=boxes, next_id=next_id, reviewed=reviewed, notes=notes)
    return after, counts


def without_others(
    now: Annotations, index: int, images: Sequence[AnnotatedImage]
) -> tuple[Annotations, int]:
    """Return a sample's annotations without what the detector found and a person took away.

    Each box of the files stands for one box of the study. Those of the detector for which none
    stands are then deleted by a person, who did it elsewhere. No person's box is.

    Parameters
    ----------
    now
        The sample's annotations, with the boxes of the files; see `merged`.
    index
        The image within the sample.
    images
        All that the files have of it, in pixels: the image's cells, right and complete.

    Returns
    -------
    Annotations, int
        And how many boxes were deleted.
    """
    here, size_px = now.cells.of_image(index), images[0].size_px
    corners = [box.xyxy for image in images for box in image.boxes]
    there = np.array(corners, dtype=np.float32).reshape(-1, 4)
    has_none = match_boxes(_clipped(here.xyxy, size_px), _clipped(there, size_px)) < 0
    gone = here[has_none & (here.source == Source.MODEL)]
    if not len(gone):
        return now, 0
    boxes = now.boxes[~np.isin(now.boxes.cell_id, gone.cell_id)]
    return replace(now, boxes=boxes, deleted=Boxes.concatenate([now.deleted, gone])), len(gone)


def _handed_on(notes: Notes, replaced: Boxes, added: Boxes) -> Notes:
    """Return notes where boxes that replace others have what was noted about those."""
    found = dict(notes)
    for row, cell in enumerate(replaced.cell_id.tolist()):
        if cell in found:
            overlaps = iou_matrix(added.xyxy, replaced.xyxy[row : row + 1])[:, 0]
            heir = int(added.cell_id[overlaps.argmax()])
            said = found.pop(cell)
            found[heir] = completed_note(found.get(heir, Note(said.image_index)), said)
    return found


def _with_notes_of_file(
    notes: Notes, image: AnnotatedImage, boxes: Boxes, index: int
) -> tuple[Notes, tuple[int, int]]:
    """Return notes with those of a file's boxes, and to how many boxes that was new, or otherwise.

    `boxes` are those of the image after the import.
    """
    found, noted, otherwise = dict(notes), 0, 0
    for box in image.boxes:
        if not box.note:
            continue
        corners = _clipped(np.array([box.xyxy], dtype=np.float32), image.size_px)
        overlaps = iou_matrix(_clipped(boxes.xyxy, image.size_px), corners)[:, 0]
        if overlaps.max(initial=0) < SAME_CELL_IOU:
            continue  # The cell is one that a person deleted.
        cell = int(boxes.cell_id[overlaps.argmax()])
        before = found.get(cell, Note(index))
        found[cell] = completed_note(before, box.note)
        noted += found[cell] != before
        otherwise += not found[cell].says(box.note)
    return with_notes({}, found), (noted, otherwise)


def size_of(frame: Frame) -> tuple[int, int]:
    """Return the (width, height) of an image in pixels; see `header_of_page` for errors."""
    height, width = header_of_page(frame.path, frame.page).shape[:2]
    return (width, height)


def why_not(image: AnnotatedImage, frame: Frame) -> str:
    """Say why an image's boxes in a file do not fit the image; empty if they do."""
    size = size_of(frame)
    if image.size_px not in (None, size):
        stated, actual = ("{} x {}".format(*each) for each in (image.size_px or (), size))
        return (
            f"the file states {stated} pixels, but it has {actual}; export it again without "
            "resizing"
        )
    is_own = any(box.cell_id for box in image.boxes)
    if image.boxes and not is_own and _is_turned(frame.path):
        return "it is to be shown rotated (EXIF), so its boxes may start from another corner"
    return ""


def _clipped(xyxy: Float32Array, size_px: tuple[int, int] | None) -> Float32Array:
    """Return boxes as far as they lie within an image; unchanged if its size is not known."""
    if size_px is None:
        return xyxy
    largest = np.array([*size_px, *size_px], dtype=np.float32)
    return np.clip(xyxy, 0, largest)


def _numbered(new: Sequence[AnnotatedBox], index: int, now: Annotations, floor_id: int) -> Boxes:
    taken = {*now.boxes.cell_id.tolist(), *now.deleted.cell_id.tolist()}
    free = max(now.next_id, max((box.cell_id for box in new), default=0) + 1)
    ids: list[int] = []
    for box in new:
        usable = box.cell_id >= floor_id and box.cell_id not in taken
        ids.append(box.cell_id if usable else free)
        free += not usable
        taken.add(ids[-1])
    scores, corners = [box.score for box in new], [box.xyxy for box in new]
    boxes = Boxes.from_detections(np.full(len(new), index), corners, scores)
    sources = np.array([box.source for box in new], dtype=np.uint8)
    return replace(boxes, cell_id=np.array(ids, dtype=np.int64), source=sources)


def _is_turned(path: Path) -> bool:
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".tif", ".tiff"):
        return False
    try:
        with Image.open(path) as picture:
            return picture.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # a format without such a tag, or an image that is too large for Pillow
