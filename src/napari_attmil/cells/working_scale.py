"""How large the cells of an image are, so that any magnification can be brought to one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.boxes import FloatArray

DetectAt = Callable[[FloatArray, float], tuple[FloatArray, FloatArray]]
"""Takes a grey (Y, X) image and a scale; gives (n, 4) boxes in its own pixels and (n,) scores."""

LADDER = 2.0
"""Ratio of neighbouring scales that are tried; the detector is trained to find cells in between."""
SMALLEST_DIAMETER_PX, LARGEST_DIAMETER_PX = 10.0, 400.0
LARGEST_SHARE = 0.3
LARGEST_SIDE_PX = 320
"""Only a window of this many working pixels is looked at, whatever the image's size."""
FEW_CELLS = 3.0
"""With so many sure cells, a scale's evidence counts half."""
LARGE_IMAGE_PX = 4096
"""An image with a longer side is looked at in three places: its middle alone may be empty."""


def estimate_diameter_px(
    images: Sequence[FloatArray], detect_at: DetectAt, working_diameter_px: float
) -> float:
    """Return the typical diameter of the cells in pixels.

    The detector looks at a window of each image at a ladder of scales. At the right one it
    finds many cells that it is sure of, of about its working diameter, which cover the field.
    The scale with the largest summed evidence wins, and the median size found there is the answer.

    Parameters
    ----------
    images
        Normalised grey (Y, X) images.
    detect_at
        The detector.
    working_diameter_px
        The diameter at which the detector is at its best.

    Returns
    -------
    float
        Pixels of the images as given; the working diameter itself where no cell is found.
    """
    longest = max(max(image.shape) for image in images)
    best_evidence, best_diameter = 0.0, working_diameter_px
    for guess in _guesses(min(LARGEST_DIAMETER_PX, longest)):
        scale = working_diameter_px / guess
        evidence, crowd, sizes = 0.0, 0.0, []
        for image in images:
            window = _window(image, scale)
            xyxy, score = detect_at(window, scale)
            area = np.prod(np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0), axis=1)
            # Far too small a scale shows the whole field as one blob: no cell fills its image.
            cells = area < LARGEST_SHARE * window.size
            diameter, score = np.sqrt(area[cells]), score[cells]
            evidence += _evidence(diameter, score, guess) / window.size
            crowd += float(np.sum(score**2))
            sizes.append(np.repeat(diameter, np.ceil(score * 4).astype(int)))
        # A few clumps that pass for large cells must not outweigh the many cells they consist of.
        evidence *= crowd / (crowd + FEW_CELLS)
        if evidence > best_evidence:
            best_evidence, best_diameter = evidence, float(np.median(np.concatenate(sizes)))
    return best_diameter


def scale_windows(image: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return what of an image is looked at: the image, or three windows of a large one."""
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


def _evidence(diameter: FloatArray, score: FloatArray, guess: float) -> float:
    """Return the covered area in pixels, each cell weighed by score and by fitting the guess."""
    octaves = np.log2(np.maximum(diameter, 1e-3) / guess)
    return float(np.sum(score**2 * diameter**2 * np.exp(-0.5 * (octaves / 0.5) ** 2)))


def _window(image: FloatArray, scale: float) -> FloatArray:
    """Return the image's middle, no larger than `LARGEST_SIDE_PX` working pixels."""
    side = int(LARGEST_SIDE_PX / scale)
    top = max(0, (image.shape[0] - side) // 2)
    left = max(0, (image.shape[1] - side) // 2)
    return image[top : top + side, left : left + side]
