"""A first estimate of how large the cells of an image are, without a network.

Every edge votes for the two places that lie one radius away from it, along and against its slope
(radial symmetry, Loy and Zelinsky 2003). At the radius of the cells the votes of an outline meet in
its middle, be it darker or brighter than the background. The image is halved again and again and
only the radii of one octave are tried in each, so that all sizes are judged alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_attmil.core import Float32Array

    Floats = npt.NDArray[np.floating[Any]]

RADII_PX: Final = tuple(6 * 2 ** (step / 4) for step in range(4))
"""In pixels of the halved image; smaller circles are too coarse, larger ones show their rims."""
LARGEST_SIDE_PX: Final = 384
"""Side of the part that is used, from the middle of each halved image: twenty cells."""
SMALLEST_SIDE_PX: Final = 24
EDGE_SHARE: Final = 0.25
"""The steepest pixels, which vote."""
STEEPEST: Final = 2.0
"""Limit of a pixel's weight, in means: dirt has steeper edges than cells."""
PLACES_PER_RADIUS: Final = 3.0
"""Votes are counted on a grid this fine, and are summed over two by two of its places."""


def guess_diameter_px(images: Sequence[Float32Array]) -> float | None:
    """Return the diameter of round objects in images of one kind.

    Most guesses are within a third of the cells' diameter, hardly any is off by a factor of two.

    Parameters
    ----------
    images
        Normalised grey (Y, X) images.

    Returns
    -------
    float or None
        Pixels, at least 12; None if nothing is round, as in an empty or a tiny image.
    """
    strengths: dict[float, float] = {}
    for image in images:
        half, zoom = image, 1
        while min(half.shape) >= SMALLEST_SIDE_PX:
            roundness = _roundness(middle(half, LARGEST_SIDE_PX))
            for radius, strength in zip(RADII_PX, roundness, strict=True):
                diameter = 2 * radius * zoom
                strengths[diameter] = strengths.get(diameter, 0.0) + strength
            half, zoom = _halved(half), 2 * zoom
    best = max(strengths, key=strengths.__getitem__, default=0.0)
    return best if strengths.get(best, 0.0) > 0 else None


def _roundness(image: Float32Array) -> list[float]:
    """Return for each of `RADII_PX` how much of an image circles of that radius fill."""
    slope_y, slope_x = np.gradient(gaussian_filter(image, 1.0, truncate=2))
    steepness = np.sqrt(slope_y**2 + slope_x**2)
    # Every third pixel is enough to know which ones are steep.
    edge = np.nonzero(steepness > np.quantile(steepness[::3, ::3], 1 - EDGE_SHARE))
    steep = steepness[edge]
    if len(steep) == 0:
        return [0.0] * len(RADII_PX)
    contrast = float(steep.mean())
    weight = np.minimum(steep / contrast, STEEPEST)
    places = np.stack(edge).astype(np.float32)
    directions = np.stack([slope_y[edge], slope_x[edge]]) / steep
    found = []
    for radius in RADII_PX:
        votes = sum(
            _counted(places + sign * radius * directions, weight, image.shape, radius)
            for sign in (1, -1)
        )
        excess = (votes - np.mean(votes)) / radius
        # The cube tells a few full circles from many half ones; the contrast, cells from noise.
        found.append(float(np.mean(excess**2 * excess)) * contrast**2)
    return found


def _counted(places: Floats, weight: Floats, shape: tuple[int, ...], radius: float) -> Floats:
    """Return the summed weight of (2, n) y, x places in a grid of overlapping squares."""
    step = radius / PLACES_PER_RADIUS
    rows, columns = (int(side / step) + 1 for side in shape)
    row, column = np.floor(places / step).astype(np.intp)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    flat = row[inside] * columns + column[inside]
    grid = np.bincount(flat, weight[inside], rows * columns).reshape(rows, columns)
    pairs = grid[1:] + grid[:-1]
    return np.asarray(pairs[:, 1:] + pairs[:, :-1])


def middle(image: Float32Array, side: int) -> Float32Array:
    """Return the image's middle, no larger than `side` pixels."""
    top, left = (max(0, (length - side) // 2) for length in image.shape)
    return image[top : top + side, left : left + side]


def _halved(image: Float32Array) -> Float32Array:
    """Return the means of two by two pixels; an odd last row or column is left out."""
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    rows = even[::2] + even[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 4)
