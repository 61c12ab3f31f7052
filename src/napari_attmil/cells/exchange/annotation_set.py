"""Boxes as the files of other programs hold them: by the name of the image, with a class."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations import Note
from napari_attmil.cells.boxes import SOURCE_NAMES, Source
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_attmil.cells.exchange.account import LeftOut

CELL_LABEL = "red cell"
"""The class under which boxes are exported."""
TAGS = "tags"
NOTE = "note"
OWN = " (own)"
"""Ends the name of a person's own column where the format has something of that name."""
NO_NOTE = Note()
LARGEST_ID = 2**53 - 1
"""The largest cell_id that survives every program's numbers, many of which are floats."""

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
    note
        What is noted about it.
    """

    xyxy: Corners
    label: str = CELL_LABEL
    cell_id: int = 0
    source: Source = Source.PERSON
    score: float = 1.0
    note: Note = NO_NOTE

    def __post_init__(self) -> None:
        """Refuse values that no box can have.

        Raises
        ------
        ValueError
            If a number is not finite or too large, or the score is not within 0 and 1.
        """
        if not all(math.isfinite(value) and abs(value) < 1e7 for value in self.xyxy):
            raise ContentError(f"a box has the corners {self.xyxy}")
        if not 0 <= self.score <= 1:
            raise ContentError(f"a box has the score {self.score}, but 0 to 1 is needed")
        if not 0 <= self.cell_id < 2**62:
            raise ContentError(f"a box has the cell_id {self.cell_id}")


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
    """The content of annotation files: what was read, what was left out, and why.

    Attributes
    ----------
    format_name
        As users call it, such as "COCO".
    images
        In the order of the files.
    notes
        Sentences about what was interpreted, such as polygons that became boxes.
    left_out
        Everything in the files that became no box.
    """

    format_name: str
    images: tuple[AnnotatedImage, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def box_count(self) -> int:
        """The number of boxes that were read."""
        return sum(len(image.boxes) for image in self.images)


def source_of(name: str) -> Source:
    """Return the source of this name, in upper or lower case; a person for any other name."""
    key = name.strip().lower()
    return Source(SOURCE_NAMES.index(key)) if key in SOURCE_NAMES else Source.PERSON


def named_columns(note: Note, taken: Iterable[str]) -> dict[str, str]:
    """Return a note's own columns by the names that they have in a file with names `taken`."""
    reserved = {name.lower() for name in (*taken, TAGS, NOTE)}
    return {
        f"{name}{OWN}" if name.removesuffix(OWN).lower() in reserved else name: value
        for name, value in note.columns
    }


def note_of(
    tags: Iterable[str], text: str, columns: Mapping[str, str], taken: Iterable[str]
) -> Note:
    """Return what a file says of a box; `columns` are named by `named_columns`."""
    reserved = {name.lower() for name in (*taken, TAGS, NOTE)}
    own = {
        name.removesuffix(OWN) if name.removesuffix(OWN).lower() in reserved else name: value
        for name, value in columns.items()
    }
    named = sorted({tag.strip() for tag in tags} - {""})
    values = tuple(sorted((name, value) for name, value in own.items() if value))
    return Note(0, tuple(named), text, values)


def near_image(corners: Corners) -> Corners:
    """Return the corners unchanged if they can be fractions of an image's width and height.

    Raises
    ------
    ValueError
        If a box lies further from the image than the image is large.
    """
    if any(not -1 <= value <= 2 for value in corners):
        raise ContentError("a box lies far outside of its image")
    return corners


def sides(left: float, top: float, width: float, height: float) -> Corners:
    """Return the corners of a box given by its upper left corner and its size.

    Raises
    ------
    ValueError
        If the box has no area.
    """
    if not (width > 0 and height > 0):
        size = "a negative size" if min(width, height) < 0 else "no area"
        raise ContentError(f"it has {size}: it is {width:g} wide and {height:g} high")
    return (left, top, left + width, top + height)


def turned(corners: Corners, degrees: float) -> Corners:
    """Return the upright box around a rectangle that is turned about its middle."""
    x0, y0, x1, y1 = corners
    cosine, sine = _cosine_and_sine(degrees)
    half_width = (abs(cosine) * (x1 - x0) + abs(sine) * (y1 - y0)) / 2
    half_height = (abs(sine) * (x1 - x0) + abs(cosine) * (y1 - y0)) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def around_ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0) -> Corners:
    """Return the upright box around an ellipse that is turned about its middle."""
    cosine, sine = _cosine_and_sine(degrees)
    half_width, half_height = math.hypot(rx * cosine, ry * sine), math.hypot(rx * sine, ry * cosine)
    return sides(x - half_width, y - half_height, 2 * half_width, 2 * half_height)


def id_of(value: object) -> int:
    """Return a cell_id from a file; 0, which stands for none, if it is none that can be kept."""
    number = int(str(value or 0))
    return number if 0 < number <= LARGEST_ID else 0


def bounds(coordinates: Iterable[float | str]) -> Corners:
    """Return the corners of the box around points, given as x, y, x, y and so on.

    Raises
    ------
    ValueError
        If there are none, or a number is not finite (which a minimum may miss).
    """
    values = [float(value) for value in coordinates]
    if not all(map(math.isfinite, values)):
        raise ContentError("a box has a corner that is no number")
    xs, ys = values[0::2], values[1::2]
    return (min(xs), min(ys), max(xs), max(ys))


def _cosine_and_sine(degrees: float) -> tuple[float, float]:
    # Exact for quarter turns, so that a corner does not move by a rounding error.
    quarter, rest = divmod(degrees, 90)
    if rest == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
