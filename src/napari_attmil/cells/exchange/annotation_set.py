"""Boxes as the files of other programs hold them: by the name of the image, with a class."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations import Note
from napari_attmil.cells.boxes import SOURCE_NAMES, Source
from napari_attmil.core import ContentError
from napari_attmil.images.formats import page_in_file

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

README = "README.roboflow.txt"
"""The file in which Roboflow says what it did to the pictures."""
_CUT = re.compile(r"crop|tile|isolat|region", re.IGNORECASE)
_MOVED = re.compile(r"flip|rotat|crop|shear|mosaic|zoom|perspective", re.IGNORECASE)

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
    outline
        x, y of the corners of the cell's outline, in pixels; empty if it was not measured.
    """

    xyxy: Corners
    label: str = CELL_LABEL
    cell_id: int = 0
    source: Source = Source.PERSON
    score: float = 1.0
    note: Note = NO_NOTE
    outline: tuple[tuple[float, float], ...] = ()

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
        Which image of a stack, from 0; or a projection, see `images.Frame`.
    size_px
        (width, height) if the file states it, otherwise None.
    reviewed
        Whether a person has confirmed that the boxes are right and complete.
    is_relative
        Whether boxes are given as fractions of width and height.
    has_points
        Whether the file gives the cells' centres only: both corners of a box are then the same.
    prepared
        What the export says it did to the picture first; None if it says nothing.
    """

    name: str
    boxes: tuple[AnnotatedBox, ...]
    page: int = 0
    size_px: tuple[int, int] | None = None
    reviewed: bool = False
    is_relative: bool = False
    has_points: bool = False
    prepared: Prepared | None = None

    @property
    def page_in_file(self) -> int:
        """The page itself; of a projection, the first of its stack: other programs know no more."""
        return page_in_file(self.page)

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
class Prepared:
    """What Roboflow did to pictures before it exported them; boxes are of the pictures then.

    Attributes
    ----------
    size_px
        (width, height) of all pictures, or those that they fit within; None if they keep theirs.
    way
        How they were resized, as the export calls it, such as "Fit (black edges)".
    lost
        What was done that boxes cannot be taken back from, such as "cropped"; empty without.
    """

    size_px: tuple[int, int] | None = None
    way: str = ""
    lost: str = ""

    def undone(self, image: AnnotatedImage, size_px: tuple[int, int]) -> AnnotatedImage:
        """Return an image with its boxes in pixels of the original, which has this size.

        Raises
        ------
        ContentError
            If they cannot be taken back.
        """
        if self.lost:
            raise ContentError(
                f"the export has {self.lost} its picture ({README}); export it again without that"
            )
        if self.size_px is None:
            return image
        scale = min(self.size_px[0] / size_px[0], self.size_px[1] / size_px[1])
        if not self.way.startswith("Fit ("):  # all of the picture, and nothing else
            within = (round(scale * size_px[0]), round(scale * size_px[1]))
            exported = within if self.way == "Fit within" else self.size_px
            return replace(_as_fractions(image, image.size_px or exported), size_px=None)
        if image.size_px not in (None, self.size_px):
            stated = "{} x {}".format(*image.size_px)
            raise ContentError(
                f"the file states {stated} pixels, but {README} {self.size_px[0]} x "
                f"{self.size_px[1]}; export it again"
            )
        across, down = ((self.size_px[n] - scale * size_px[n]) / 2 for n in (0, 1))
        boxes = [
            replace(
                box,
                xyxy=(
                    (box.xyxy[0] - across) / scale,
                    (box.xyxy[1] - down) / scale,
                    (box.xyxy[2] - across) / scale,
                    (box.xyxy[3] - down) / scale,
                ),
            )
            for box in image.in_pixels(self.size_px).boxes
        ]
        return replace(image, boxes=tuple(boxes), size_px=size_px, is_relative=False)


def prepared_of(readme: str, is_to_learn_from: bool) -> Prepared:
    """Return what `README.roboflow.txt` says was done to pictures.

    Only those to learn from, which are in the folder `train`, are mirrored or turned at random.
    """
    before, _, after = readme.partition("augmentation was applied")
    steps = [line.strip(" *-\t\r") for line in before.splitlines() if line.lstrip()[:1] in "*-"]
    size, way, lost = None, "", ""
    for step in steps:
        if found := re.fullmatch(r"Resize to (\d+) ?x ?(\d+) \((.+)\)", step):
            size, way = (int(found[1]), int(found[2])), found[3]
            if not way.startswith(("Stretch", "Fit")):  # Fill (with center crop)
                lost = "cropped"
        elif _CUT.search(step):
            lost = "cropped or tiled"
    # What is done within boxes leaves these where they are.
    at_random = after.partition("transformations were applied")[0]
    if is_to_learn_from and _MOVED.search(at_random):
        lost = "turned, mirrored or cropped at random"
    return Prepared(size, way, lost)


def _as_fractions(image: AnnotatedImage, size_px: tuple[int, int]) -> AnnotatedImage:
    if image.is_relative:
        return image
    width, height = size_px
    boxes = []
    for box in image.boxes:
        x0, y0, x1, y1 = box.xyxy
        boxes.append(replace(box, xyxy=(x0 / width, y0 / height, x1 / width, y1 / height)))
    return replace(image, boxes=tuple(boxes), is_relative=True)


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
