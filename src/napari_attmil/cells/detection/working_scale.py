"""Measures how large the cells of an image are, so that it can be rescaled to the working scale.

The detector looks at images at one or several scales, and each box that it draws is a vote for its
own size. At and around the right scale it draws the same cells with the same size again and again,
while walls, debris and parts of cells are seen at one scale and not at the next. The size with most
votes is the cells', and how far it is ahead of any other says how sure it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.detection.radial_symmetry import guess_diameter_px, middle
from napari_attmil.core import Float32Array

DetectAt = Callable[[Float32Array, float], tuple[Float32Array, Float32Array]]
"""Takes a grey (Y, X) image and a scale; gives (n, 4) boxes in its own pixels and (n,) scores."""

LADDER: Final = 2.0
"""Ratio of neighbouring scales that are tried; the detector is trained to find cells in between."""
SMALLEST_DIAMETER_PX, LARGEST_DIAMETER_PX = 10.0, 400.0
SMALLEST_UM, LARGEST_UM = 2.0, 25.0
"""A cell of another size is not believed where the size of a pixel is known."""
LARGEST_SHARE: Final = 0.3
"""A box that fills more of what is looked at is no cell: far too small, a whole field looks so."""
MOST_ELONGATED: Final = 2.5
"""A box of a larger ratio of its sides is no vote: sizes of sickle cells and walls mislead."""
LEAST_SCORE: Final = 0.3
SEARCH_SHARE: Final = 0.7
"""For measuring, cells are shown this much smaller than for detection: half the work."""
CLOSE_DIAMETERS, WIDE_DIAMETERS = 12.0, 24.0
"""Side in cells of the window that a single look and the looks at several scales take in."""
FIRST_PARTS, MOST_PARTS = 2, 4
"""Parts for the first looks, and for looks at all scales if those do not make sure. A part is an
image, or one of three windows of a large one; see `scale_windows`."""
SEEN_OCTAVES: Final = 0.5
"""The detector is trusted most with cells of the size that a look expects, and hardly with those
that differ from it by more than twice this."""
VOTE_OCTAVES: Final = 0.2
"""Votes for sizes that differ by this much support each other."""
SAME_SIZE_OCTAVES: Final = 0.4
OTHER_SIZE_OCTAVES: Final = 0.5
SURE: Final = 0.5
"""Least confidence of a size that is not called a guess."""
FEW_CELLS: Final = 1.0
"""With this many cells, confidence is halved."""
MANY_CELLS: Final = 12.0
SMALLER, LARGER = 0.8, 1.25
"""A single look settles the size if it finds so many cells, which are no less and no more than so
many times the guess; otherwise it is repeated, once, at the size that it found."""
SINGLE_LOOKS: Final = 2
LIKE_SIZE = 1.25
"""Images whose longer sides differ by no more than this ratio are taken to be of one scale."""
LARGE_IMAGE_PX = 4096
"""An image with a longer side is searched in three places, as its middle may be empty."""

_GRID: Final = np.arange(np.log2(6), np.log2(600), 0.05)
"""Sizes that are compared, in octaves of a pixel."""


@dataclass(frozen=True)
class CellSize:
    """The typical cell of some images, as it was measured.

    Attributes
    ----------
    diameter_px
        Pixels of the images as given.
    confidence
        0 to 1: how far this size is ahead of any other, less where it rests on few cells. 1 for a
        size that a person gave.
    """

    diameter_px: float
    confidence: float = 1.0

    @property
    def is_sure(self) -> bool:
        """Whether it is more than a guess."""
        return self.confidence >= SURE


@dataclass(frozen=True, eq=False)
class _Votes:
    """What boxes say about the size of the cells.

    Attributes
    ----------
    octaves
        (n,) logarithm to base 2 of diameters in pixels.
    weight
        (n,) how much each counts, 0 to 1.
    """

    octaves: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Return the votes of several looks."""
        votes = list(parts)
        nothing = np.empty(0)
        return cls(
            np.concatenate([nothing, *(part.octaves for part in votes)]),
            np.concatenate([nothing, *(part.weight for part in votes)]),
        )

    @property
    def count(self) -> float:
        """Number of cells, the unsure ones counted in part."""
        return float(self.weight.sum())

    def size(self, least_px: float, most_px: float) -> CellSize | None:
        """Return the size with most votes within limits; None if there is no vote for any."""
        grid = _GRID[(np.log2(least_px) <= _GRID) & (np.log2(most_px) >= _GRID)]
        away = (self.octaves - grid[:, np.newaxis]) / VOTE_OCTAVES
        support = np.exp(-0.5 * away**2) @ self.weight
        if support.max(initial=0.0) < 1e-3:
            return None
        best = int(support.argmax())
        other = support[np.abs(grid - grid[best]) > OTHER_SIZE_OCTAVES].max(initial=0.0)
        same = np.abs(self.octaves - grid[best]) < SAME_SIZE_OCTAVES
        if not same.any():  # all votes are for sizes just beyond the limits
            return None
        count = float(self.weight[same].sum())
        confidence = (1 - other / support[best]) * count / (count + FEW_CELLS)
        diameter_px = 2 ** _weighted_median(self.octaves[same], self.weight[same])
        return CellSize(float(diameter_px), float(confidence))


def measure_cell_size(
    parts: Iterable[Float32Array],
    detect_at: DetectAt,
    working_diameter_px: float,
    pixel_size_um: float | None = None,
) -> CellSize:
    """Return the typical size of the cells, and how sure it is.

    The size of round objects in the parts is the first guess, at which the detector looks. If
    many boxes agree, that is all. Otherwise it looks at half and twice that scale too, and if that
    does not make sure, at all scales, in one part after the other. All boxes of those looks
    together tell the size.

    Parameters
    ----------
    parts
        Normalised grey (Y, X) images of one scale, or windows of such; read one after the other, as
        far as needed.
    detect_at
        The detector.
    working_diameter_px
        The diameter at which the detector works best.
    pixel_size_um
        Side of a pixel; None if it is not known.

    Returns
    -------
    CellSize
        In pixels of the images as given; the working diameter itself, with a confidence of 0, where
        no cell is found.
    """
    shown_px = SEARCH_SHARE * working_diameter_px
    limits = _limits(pixel_size_um)

    def look(image: Float32Array, guess_px: float, window: float) -> _Votes:
        return _look(image, detect_at, guess_px, shown_px / guess_px, window)

    unseen = iter(parts)
    first = list(islice(unseen, FIRST_PARTS))
    size = _at_first_look(first, look, limits)
    if size is not None:
        return size
    votes, longest_px = list[_Votes](), 0
    for image in chain(first, islice(unseen, MOST_PARTS - FIRST_PARTS)):
        longest_px = max(longest_px, *image.shape)
        votes += [look(image, guess_px, WIDE_DIAMETERS) for guess_px in _guesses(longest_px)]
        size = _Votes.joined(votes).size(*limits)
        if size is not None and size.is_sure:
            return size
    if size is not None:
        return size
    anywhere = _Votes.joined(votes).size(*_limits(None))
    return CellSize(working_diameter_px if anywhere is None else anywhere.diameter_px, 0.0)


def _at_first_look(
    images: Sequence[Float32Array],
    look: Callable[[Float32Array, float, float], _Votes],
    limits: tuple[float, float],
) -> CellSize | None:
    """Return the size that round objects lead to; None if that is not sure."""
    guess_px = guess_diameter_px(images)
    if guess_px is None:
        return None
    for _ in range(SINGLE_LOOKS):
        votes = _Votes.joined(look(image, guess_px, CLOSE_DIAMETERS) for image in images)
        size = votes.size(*limits)
        if size is None:
            return None
        agree = SMALLER <= size.diameter_px / guess_px <= LARGER
        if agree and size.is_sure and votes.count >= MANY_CELLS:
            return size
        guess_px = size.diameter_px
    scales = (guess_px / LADDER, guess_px, guess_px * LADDER)
    size = _Votes.joined(
        look(image, scale, WIDE_DIAMETERS) for image in images for scale in scales
    ).size(*limits)
    return size if size is not None and size.is_sure else None


def _look(
    image: Float32Array, detect_at: DetectAt, guess_px: float, scale: float, window: float
) -> _Votes:
    """Look at the middle of an image, `window` cells of the guessed diameter wide."""
    part = middle(image, round(window * guess_px))
    xyxy, score = detect_at(part, scale)
    height, width = part.shape
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 1e-3)
    area = sides.prod(axis=1)
    # A cell that the window cuts tells nothing about the size of a whole one.
    inside = (xyxy[:, :2] >= 1).all(axis=1) & (xyxy[:, 2:] <= (width - 1, height - 1)).all(axis=1)
    is_vote = inside & (area < LARGEST_SHARE * part.size) & (score >= LEAST_SCORE)
    is_vote &= sides.max(axis=1) < MOST_ELONGATED * sides.min(axis=1)
    octaves = np.log2(area[is_vote].astype(np.float64)) / 2
    off = (octaves - np.log2(guess_px)) / SEEN_OCTAVES
    weight = score[is_vote].astype(np.float64) ** 2 * np.exp(-0.5 * off**2)
    return _Votes(octaves, weight)


def _limits(pixel_size_um: float | None) -> tuple[float, float]:
    """Return the smallest and the largest diameter in pixels that is believed."""
    if pixel_size_um is None:
        return SMALLEST_DIAMETER_PX, LARGEST_DIAMETER_PX
    return SMALLEST_UM / pixel_size_um, LARGEST_UM / pixel_size_um


def _guesses(largest_px: float) -> list[float]:
    """Return the diameters to try: each `LADDER` times the one before, none above the largest."""
    largest_px = min(largest_px, LARGEST_DIAMETER_PX)
    steps = int(np.log(max(largest_px / SMALLEST_DIAMETER_PX, 1)) / np.log(LADDER))
    return [float(SMALLEST_DIAMETER_PX * LADDER**step) for step in range(steps + 1)]


def _weighted_median(values: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def alike_in_size(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the indices of images in groups of like size, each in order.

    The same view saved at half the size has cells of half the diameter; images that were cropped
    by a few pixels are of one scale.
    """
    sides = [max(size) for size in sizes]
    groups: list[list[int]] = []
    for index in sorted(range(len(sides)), key=sides.__getitem__):
        if groups and sides[index] <= LIKE_SIZE * sides[groups[-1][0]]:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [sorted(group) for group in groups]


def spread(count: int, most: int) -> list[int]:
    """Return at most so many places evenly spread over `count`, the two ends first."""
    places = list(dict.fromkeys(np.linspace(0, count - 1, min(most, count)).round().astype(int)))
    return [int(place) for place in (places[0], places[-1], *places[1:-1])][: len(places)]


def scale_windows(image: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return the parts of an image to search: all of it, or three windows of a large one."""
    height, width = np.shape(image)[:2]
    if max(height, width) <= LARGE_IMAGE_PX:
        return [image]
    side = LARGE_IMAGE_PX // 2
    windows = []
    for part in (0.25, 0.5, 0.75):
        top, left = (max(0, int(length * part) - side // 2) for length in (height, width))
        windows.append(np.asarray(image[top : top + side, left : left + side]))
    return windows
