"""A project's boxes as other programs' files list them, and such a file merged into a project."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_attmil.cells.annotations import Annotations
from napari_attmil.cells.boxes import SAME_BOX_IOU, SAME_CELL_IOU, Boxes, Source, iou_matrix
from napari_attmil.cells.exchange.listing import ListedBox, ListedImage
from napari_attmil.core import UserError
from napari_attmil.images import name_within
from napari_attmil.images.formats import file_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_attmil.core import Float32Array
    from napari_attmil.images import Frame, Sample

_RED_CELL = re.compile(r"red.?(blood.?)?cell|\brbcs?\b|erythrocyte|^cells?$|^$", re.IGNORECASE)
_ORIENTATION = 274
_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # Label Studio's, before the name of an upload
_ROBOFLOW = re.compile(r"^(.+)_(jpe?g|png|bmp|tiff?)\.rf\.[^.]+$", re.IGNORECASE)


@dataclass(frozen=True)
class MergeCounts:
    """What became of a file's boxes.

    Attributes
    ----------
    added
        New boxes.
    already_there
        The same box was there, or a person had deleted it.
    overlapping
        Of those added: they overlap with another person's box, which was kept as well.
    replaced
        The detector's boxes that gave way to a person's.
    """

    added: int = 0
    already_there: int = 0
    overlapping: int = 0
    replaced: int = 0

    def __add__(self, other: MergeCounts) -> MergeCounts:
        return MergeCounts(
            self.added + other.added,
            self.already_there + other.already_there,
            self.overlapping + other.overlapping,
            self.replaced + other.replaced,
        )


def listed_images(
    samples: Sequence[Sample], kept: Mapping[str, Annotations], folder: Path
) -> list[ListedImage]:
    """Return a project's images that boxes or a review are known of, named from its folder."""
    images = []
    for sample in samples:
        known = kept.get(sample.name, Annotations())
        for index, frame in enumerate(sample.frames):
            boxes = known.boxes.of_image(index)
            if len(boxes) or index in known.reviewed:
                name = name_within(folder, frame.path)
                size, reviewed = size_of(frame), index in known.reviewed
                images.append(listed_image(name, boxes, frame.page, size, reviewed))
    return images


def listed_image(
    name: str,
    boxes: Boxes,
    page: int = 0,
    size_px: tuple[int, int] | None = None,
    reviewed: bool = False,
) -> ListedImage:
    """Return the boxes of one image as files list them; see `ListedImage`."""
    columns = (boxes.xyxy, boxes.cell_id, boxes.source, boxes.score)
    listed = tuple(
        ListedBox((x0, y0, x1, y1), cell_id=cell_id, source=Source(source), score=score)
        for (x0, y0, x1, y1), cell_id, source, score in zip(
            *(column.tolist() for column in columns), strict=True
        )
    )
    return ListedImage(name, listed, page, size_px, reviewed)


def only_cells(
    images: Sequence[ListedImage], classes: Sequence[str] = ()
) -> tuple[list[ListedImage], Counter[str]]:
    """Return the images with their red cells only, and how many boxes of which class went.

    Parameters
    ----------
    images
        What a file lists.
    classes
        The classes to keep; by default what is called like a red cell, the file's only class, or
        all of a file of centre points, whose classes are types of cells.

    Raises
    ------
    UserError
        If there are several classes and none of them is wanted.
    """
    known = Counter(box.label for image in images for box in image.boxes)
    wanted = set(classes) or {name for name in known if _RED_CELL.search(name)}
    if not wanted and (len(known) == 1 or all(image.has_points for image in images)):
        wanted = set(known)
    if known and not wanted & known.keys():
        raise UserError(
            f"The boxes are of the classes {', '.join(sorted(known))[:300]}, none of which is "
            "known to mean red cells; name those that do with --classes."
        )
    kept = [
        replace(image, boxes=tuple(box for box in image.boxes if box.label in wanted))
        for image in images
    ]
    return kept, Counter({name: n for name, n in known.items() if name not in wanted})


class FrameFinder:
    """Finds a project's images by the names that files give them.

    Parameters
    ----------
    samples
        The project's samples.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._places: dict[str, list[tuple[Sample, int]]] = {}
        for sample in samples:
            for index, frame in enumerate(sample.frames):
                self._places.setdefault(frame.path.stem.casefold(), []).append((sample, index))

    def find(self, image: ListedImage) -> list[tuple[Sample, int]]:
        """Return the samples and positions of the images that a name fits: best exactly one."""
        name = image.name.replace("\\", "/")
        for candidate in _other_names(name):
            stem = os.path.splitext(candidate.rpartition("/")[2])[0].casefold()
            whole = candidate.rpartition("/")[2].casefold()
            for key in (stem, whole):  # a name without its suffix may have a dot in it
                places = [
                    (sample, index)
                    for sample, index in self._places.get(key, [])
                    if sample.frames[index].page == image.page
                ]
                if places:
                    return _closest(places, candidate)
        return []


def merged(
    now: Annotations, index: int, image: ListedImage, floor_id: int
) -> tuple[Annotations, MergeCounts]:
    """Return a sample's annotations with a file's boxes of one of its images.

    No person's box is changed or lost. The same box is not added twice, nor one that a person
    deleted; the detector's boxes give way to a person's of the same cell.

    Parameters
    ----------
    now
        The sample's annotations.
    index
        The image within the sample.
    image
        Its boxes, in pixels.
    floor_id
        A file's own id is kept where it is not less than this, and free.
    """
    here = now.boxes.of_image(index)
    persons = here[here.source != Source.MODEL]
    gone = now.deleted.of_image(index)
    corners = np.array([box.xyxy for box in image.boxes], dtype=np.float32).reshape(-1, 4)
    drawn = np.array([box.source != Source.MODEL for box in image.boxes], dtype=bool)
    twice = _overlap(corners, persons.xyxy) >= SAME_BOX_IOU
    twice |= _overlap(corners, gone.xyxy) >= SAME_BOX_IOU
    # A detector's box says nothing about a cell that has a box already.
    twice |= ~drawn & (_overlap(corners, here.xyxy) >= SAME_CELL_IOU)
    overlapping = ~twice & (_overlap(corners, persons.xyxy) >= SAME_CELL_IOU)
    gives_way = here.source == Source.MODEL
    gives_way &= _overlap(here.xyxy, corners[drawn & ~twice]) >= SAME_CELL_IOU
    kept = now.boxes[~np.isin(now.boxes.cell_id, here.cell_id[gives_way])]
    new = [box for box, known in zip(image.boxes, twice.tolist(), strict=True) if not known]
    added = _numbered(new, index, now, floor_id)
    boxes = Boxes.concatenate([kept, added]).sorted_by_image()
    counts = MergeCounts(len(new), int(twice.sum()), int(overlapping.sum()), int(gives_way.sum()))
    reviewed = now.reviewed | ({index} if image.reviewed else set())
    next_id = max(now.next_id, boxes.next_id)
    return replace(now, boxes=boxes, next_id=next_id, reviewed=reviewed), counts


def size_of(frame: Frame) -> tuple[int, int]:
    """Return the (width, height) of an image in pixels; see `file_header` for errors."""
    height, width = file_header(frame.path).pages[frame.page].shape[:2]
    return (width, height)


def why_not(image: ListedImage, frame: Frame) -> str:
    """Say why a file's boxes do not fit an image; empty if they do."""
    size = size_of(frame)
    if image.size_px not in (None, size):
        stated = "{} x {}".format(*(image.size_px or ()))
        return f"the file states {stated} pixels, but it has {size[0]} x {size[1]}"
    is_own = any(box.cell_id for box in image.boxes)
    if image.boxes and not is_own and _is_turned(frame.path):
        return "it is to be shown turned (EXIF), and its boxes may count from another corner"
    return ""


def _other_names(name: str) -> list[str]:
    """Return a name, and what it was before Label Studio or Roboflow renamed the image."""
    folder, slash, last = name.rpartition("/")
    stem = os.path.splitext(last)[0]
    found = _ROBOFLOW.match(stem)
    names = [name, folder + slash + _PREFIX.sub("", last)]
    return [*names, f"{found[1]}.{found[2]}"] if found else names


def _closest(places: list[tuple[Sample, int]], name: str) -> list[tuple[Sample, int]]:
    """Return those of the places whose path ends most like the name."""
    wanted = [part.casefold() for part in name.split("/") if part][::-1]
    wanted_suffix = os.path.splitext(wanted[0])[1]

    def likeness(place: tuple[Sample, int]) -> tuple[int, bool]:
        path = place[0].frames[place[1]].path
        folders = [part.casefold() for part in path.parts][::-1]
        shared = 0
        for mine, theirs in zip(folders[1:], wanted[1:], strict=False):
            if mine != theirs:
                break
            shared += 1
        return shared, path.suffix.casefold() == wanted_suffix

    best = max(map(likeness, places))
    return [place for place in places if likeness(place) == best]


def _overlap(boxes: Float32Array, others: Float32Array) -> Float32Array:
    overlap: Float32Array = iou_matrix(boxes, others).max(axis=1, initial=0)
    return overlap


def _numbered(new: Sequence[ListedBox], index: int, now: Annotations, floor_id: int) -> Boxes:
    taken = {*now.boxes.cell_id.tolist(), *now.deleted.cell_id.tolist()}
    free = max(now.next_id, max((box.cell_id for box in new), default=0) + 1)
    ids = []
    for box in new:
        usable = box.cell_id >= floor_id and box.cell_id not in taken
        ids.append(box.cell_id if usable else free)
        free += not usable
        taken.add(ids[-1])
    return Boxes(
        np.array(ids, dtype=np.int64),
        np.full(len(new), index, dtype=np.int32),
        np.array([box.xyxy for box in new], dtype=np.float32).reshape(-1, 4),
        np.array([box.score for box in new], dtype=np.float32),
        np.array([box.source for box in new], dtype=np.uint8),
    )


def _is_turned(path: Path) -> bool:
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".tif", ".tiff"):
        return False
    try:
        with Image.open(path) as picture:
            return picture.getexif().get(_ORIENTATION, 1) not in (0, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # no picture that Pillow knows, or opens for its size, has such a tag
