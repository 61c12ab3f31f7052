"""Measures how large the cells of an image are, so that it can be rescaled to the working scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.detection.radial_symmetry import guess_diameter_px, middle
from napari_attmil.core import Float32Array

DetectAt = Callable[[Float32Array, float], tuple[Float32Array, Float32Array]]
"""Takes a grey (Y, X) image and a scale; gives (n, 4) boxes in its own pixels and (n,) scores."""

LADDER = 2.0
"""Ratio of neighbouring scales that are tried; the detector is trained to find cells in between."""
SMALLEST_DIAMETER_PX, LARGEST_DIAMETER_PX = 10.0, 400.0
LARGEST_SHARE = 0.3
SEARCH_SHARE = 0.7
"""For measuring, cells are shown this much smaller than for detection: half the work."""
WINDOW_DIAMETERS = 9.0
"""Side in cells of the window that is searched, whatever the image's size."""
FEW_CELLS = 3.0
"""With this many confident detections, a scale's evidence counts half."""
SMALLER, LARGER = 0.87, 1.41
"""Cells confirm a guess of which they are no less and no more than so many times in diameter: the
detector measures those well that it sees larger than expected, and misses many of the others."""
LOOKS = 3
"""How often an estimate is checked and corrected before all scales are tried."""
LIKE_SIZE = 1.25
"""Images whose longer sides differ by no more than this ratio are taken to be of one scale."""
LARGE_IMAGE_PX = 4096
"""An image with a longer side is searched in three places, as its middle may be empty."""


@dataclass(frozen=True)
class _Look:
    """The detections at one scale.

    Attributes
    ----------
    guess_px
        The diameter that set the scale.
    diameter_px
        Median of the cells found; the guess where there are none.
    crowd
        Number of confident detections.
    coverage
        Share of the image that cells cover, weighted by score and by closeness to the guess.
    """

    guess_px: float
    diameter_px: float
    crowd: float
    coverage: float

    @property
    def evidence(self) -> float:
        """Evidence for this scale."""
        # A few clumps that pass for large cells must not outweigh the many cells they consist of.
        return self.coverage * self.crowd / (self.crowd + FEW_CELLS)

    @property
    def confirms(self) -> bool:
        """Whether there are enough confident detections, of about the guessed size."""
        ratio = self.diameter_px / self.guess_px
        return self.crowd >= FEW_CELLS and SMALLER <= ratio <= LARGER


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


def estimate_diameter_px(
    images: Sequence[Float32Array], detect_at: DetectAt, working_diameter_px: float
) -> float:
    """Return the typical diameter of the cells in pixels.

    The size of round objects in the images is the first guess. The detector searches a window of
    each image at that scale, and the size of the cells found is the next guess, until both agree.
    If they do not, it tries a ladder of scales. At the right one it finds many cells with high
    confidence, of about its working diameter, which cover the field. The scale with the largest
    evidence is chosen, and the result is the median size found there.

    Parameters
    ----------
    images
        Normalised grey (Y, X) images.
    detect_at
        The detector.
    working_diameter_px
        The diameter at which the detector works best.

    Returns
    -------
    float
        Pixels of the images as given; the working diameter itself where no cell is found.
    """

    def look(guess_px: float) -> _Look:
        return _look(images, detect_at, guess_px, SEARCH_SHARE * working_diameter_px)

    confirmed = _confirmed(look, guess_diameter_px(images))
    if confirmed is not None:
        return confirmed
    longest = max(max(image.shape) for image in images)
    best = max(map(look, _guesses(min(LARGEST_DIAMETER_PX, longest))), key=lambda s: s.evidence)
    return best.diameter_px if best.evidence > 0 else working_diameter_px


def _confirmed(look: Callable[[float], _Look], guess_px: float | None) -> float | None:
    """Return the diameter in which guess and detector agree in the end; None if they do not."""
    for _ in range(LOOKS):
        if guess_px is None:
            break
        seen = look(guess_px)
        if seen.confirms:
            return seen.diameter_px
        # A second look at what showed no cell would show none either.
        guess_px = seen.diameter_px if seen.crowd > 0 else None
    return None


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


def _guesses(largest_px: float) -> list[float]:
    """Return the diameters to try: each `LADDER` times the one before, none above the largest."""
    steps = int(np.log(max(largest_px / SMALLEST_DIAMETER_PX, 1)) / np.log(LADDER))
    return [float(SMALLEST_DIAMETER_PX * LADDER**step) for step in range(steps + 1)]


def _look(
    images: Sequence[Float32Array], detect_at: DetectAt, guess_px: float, shown_px: float
) -> _Look:
    """Look at the images so that cells of the guessed diameter are shown `shown_px` large."""
    side = round(WINDOW_DIAMETERS * guess_px)
    crowd, coverage, sizes = 0.0, 0.0, []
    for image in images:
        window = middle(image, side)
        xyxy, score = detect_at(window, shown_px / guess_px)
        area = np.prod(np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0), axis=1)
        # At far too small a scale, the whole field looks like one cell; no cell is that large.
        cells = area < LARGEST_SHARE * window.size
        area, score = area[cells], score[cells]
        diameter = np.sqrt(area)
        octaves = np.log2(np.maximum(diameter, 1e-3) / guess_px)
        fit = np.exp(-0.5 * (octaves / 0.5) ** 2)
        coverage += float(np.sum(score**2 * area * fit)) / window.size
        crowd += float(np.sum(score**2))
        sizes.append(np.repeat(diameter, np.ceil(score * 4).astype(int)))
    found = np.concatenate(sizes)
    median = float(np.median(found)) if len(found) else guess_px
    return _Look(guess_px, median, crowd, coverage)
