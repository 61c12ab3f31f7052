"""Boxes as the files of other programs hold them: by the name of the image, with a class."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_attmil.cells.boxes import SOURCE_NAMES, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CELL_LABEL = "red cell"
"""The class under which boxes are exported."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedBox:
    """One box in an annotation file.

    Attributes
    ----------
    xyxy
        x_min, y_min, x_max, y_max in pixels, or as fractions of width and height if the image is
        relative.
    label
        Its class; empty if the file gives none.
    cell_id
        0 if the file gives none.
    source, score
        As in `Boxes`; a person's if the file does not say.
    """

    xyxy: Corners
    label: str = CELL_LABEL
    cell_id: int = 0
    source: Source = Source.PERSON
    score: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that no box can have.

        Raises
        ------
        ValueError
            If a number is not finite or too large, or the score is not within 0 and 1.
        """
        if not all(math.isfinite(value) and abs(value) < 1e7 for value in self.xyxy):
            raise ValueError(f"a box has the corners {self.xyxy}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"a box has the score {self.score}, but 0 to 1 is needed")
        if not 0 <= self.cell_id < 2**62:
            raise ValueError(f"a box has the cell_id {self.cell_id}")


@dataclass(frozen=True)
class AnnotatedImage:
    """One image in an annotation file, with its boxes.

    Attributes
    ----------
    name
        The image's name in the file: a full or partial path, possibly without a suffix.
    boxes
        Its boxes; may be empty.
    page
        Which image of a stack, from 0.
    size_px
        (width, height) if the file states it, otherwise None.
    reviewed
        Whether a person has confirmed that the boxes are right and complete.
    is_relative
        Whether boxes are given as fractions of width and height.
    has_points
        Whether the file gives the cells' centres only: both corners of a box are then the same.
    """

    name: str
    boxes: tuple[AnnotatedBox, ...]
    page: int = 0
    size_px: tuple[int, int] | None = None
    reviewed: bool = False
    is_relative: bool = False
    has_points: bool = False

    def in_pixels(self, size_px: tuple[int, int]) -> AnnotatedImage:
        """Return the image with its boxes in pixels; `size_px` is its width and height."""
        if not self.is_relative:
            return self
        width, height = size_px
        boxes = []
        for box in self.boxes:
            x0, y0, x1, y1 = box.xyxy
            boxes.append(replace(box, xyxy=(x0 * width, y0 * height, x1 * width, y1 * height)))
        return replace(self, boxes=tuple(boxes), size_px=size_px, is_relative=False)


@dataclass(frozen=True)
class AnnotationSet:
    """The content of an annotation file, or of several.

    Attributes
    ----------
    format_name
        As users call it, such as "COCO".
    images
        In the order of the file.
    notes
        Sentences about what was left out.
    """

    format_name: str
    images: tuple[AnnotatedImage, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[AnnotationSet]) -> AnnotationSet:
        """Return the content of several files together."""
        return cls(
            ", ".join(dict.fromkeys(part.format_name for part in parts)),
            tuple(image for part in parts for image in part.images),
            tuple(note for part in parts for note in part.notes),
        )


def source_of(name: str) -> Source:
    """Return the source of this name, in upper or lower case; a person for any other name."""
    key = name.strip().lower()
    return Source(SOURCE_NAMES.index(key)) if key in SOURCE_NAMES else Source.PERSON


def near_image(corners: Corners) -> Corners:
    """Return the corners unchanged if they can be fractions of an image's width and height.

    Raises
    ------
    ValueError
        If a box lies further from the image than the image is large.
    """
    if any(not -1 <= value <= 2 for value in corners):
        raise ValueError("a box lies far outside of its image")
    return corners


def bounds(coordinates: Iterable[float | str]) -> Corners:
    """Return the corners of the box around points, given as x, y, x, y and so on.

    Raises
    ------
    ValueError
        If there are none, or a number is not finite (which a minimum may miss).
    """
    values = [float(value) for value in coordinates]
    if not all(map(math.isfinite, values)):
        raise ValueError("a box has a corner that is no number")
    xs, ys = values[0::2], values[1::2]
    return (min(xs), min(ys), max(xs), max(ys))
