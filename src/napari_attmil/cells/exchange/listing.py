"""Boxes as files of other programs hold them: by the name of the image, with a class."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_attmil.cells.boxes import SOURCE_NAMES, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

CELL_LABEL = "red cell"
"""The class that is written for every box."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class ListedBox:
    """One box of a file.

    Attributes
    ----------
    xyxy
        x_min, y_min, x_max, y_max in pixels; parts of width and height if the image is relative.
    label
        Its class, empty where the file has none.
    cell_id
        0 where the file has none.
    source, score
        As in `Boxes`; a person's where the file does not say.
    """

    xyxy: Corners
    label: str = CELL_LABEL
    cell_id: int = 0
    source: Source = Source.PERSON
    score: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no box.

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
class ListedImage:
    """The boxes of one image.

    Attributes
    ----------
    name
        The image as the file names it: a path in part or whole, perhaps without its suffix.
    boxes
        Its boxes, perhaps none.
    page
        Which image of a stack, from 0.
    size_px
        (width, height) as the file states it; None where it does not.
    reviewed
        Whether a person has confirmed that the boxes are right and complete.
    is_relative
        Whether boxes are given in parts of width and height.
    has_points
        Whether boxes are but the cells' centres: both corners are the same.
    """

    name: str
    boxes: tuple[ListedBox, ...]
    page: int = 0
    size_px: tuple[int, int] | None = None
    reviewed: bool = False
    is_relative: bool = False
    has_points: bool = False

    def in_pixels(self, size_px: tuple[int, int]) -> ListedImage:
        """Return the image with its boxes in pixels, `size_px` being its width and height."""
        if not self.is_relative:
            return self
        width, height = size_px
        boxes = tuple(
            replace(box, xyxy=(x0 * width, y0 * height, x1 * width, y1 * height))
            for box in self.boxes
            for x0, y0, x1, y1 in [box.xyxy]
        )
        return replace(self, boxes=boxes, size_px=size_px, is_relative=False)


@dataclass(frozen=True)
class Listing:
    """What a file, or a folder of files, holds.

    Attributes
    ----------
    format_name
        As a person calls it: "COCO".
    images
        In the order of the file.
    notes
        Sentences about what was left out.
    """

    format_name: str
    images: tuple[ListedImage, ...]
    notes: tuple[str, ...] = field(default=())


def source_of(name: str) -> Source:
    """Return the source with a name, in any case; a person's where there is no such."""
    key = name.strip().lower()
    return Source(SOURCE_NAMES.index(key)) if key in SOURCE_NAMES else Source.PERSON


def corners_of(x: float, y: float, width: float, height: float) -> Corners:
    """Return the corners of a box given by its upper left one and its size.

    Raises
    ------
    ValueError
        If a side is negative.
    """
    if width < 0 or height < 0:
        raise ValueError(f"a box is {width} wide and {height} high")
    return (x, y, x + width, y + height)


def near_image(corners: Corners) -> Corners:
    """Return corners in parts of an image's width and height, as they are.

    Raises
    ------
    ValueError
        If they lie further from the image than its own size: they are no parts of it.
    """
    if any(not -1 <= value <= 2 for value in corners):
        raise ValueError("a box lies far outside of its image")
    return corners


def bounds(xs: Iterable[float], ys: Iterable[float]) -> Corners:
    """Return the corners of the box around points.

    Raises
    ------
    ValueError
        If there are none, or a number is not finite (which a minimum may pass over).
    """
    across, down = list(xs), list(ys)
    if not all(map(math.isfinite, across + down)):
        raise ValueError("a box has a corner that is no number")
    return (min(across), min(down), max(across), max(down))
