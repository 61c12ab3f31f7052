"""A cell's box from one click, and a roughly drawn box fitted to its cell, without a detector.

The outline is searched for on rays from the centre of an initial box. It is the closed curve, one
radius per ray, along which the image changes to the background most clearly: a best path through
the polar image, found by dynamic programming. A preference for radii close to the initial box
keeps it from jumping to a neighbouring cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_attmil.cells.boxes import MIN_SIDE_PX

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.core import Float32Array

    Floats = npt.NDArray[np.floating[Any]]

_ANGLES = np.linspace(0, 2 * np.pi, 48, endpoint=False)
_RADII = np.linspace(0.25, 1.75, 61)
"""Radii at which the outline is searched for, in half sides of the initial box."""

_WORKING_DIAMETER_PX = 40
"""Larger cells are sampled every few pixels: as clear, and faster."""
_MARGIN_SIDES = 0.8
_BLUR_DIAMETERS = 1 / 40
_FALL_RADII = 3
"""A fall is the mean over so many radii inside less the mean over as many outside."""

_FALL_WEIGHT = 8.0
_STEP_COST = 0.15
"""Cost of a change of one radius between rays, in units of the prior's exponent."""
_CLICK_SPREAD, _DRAWN_SPREAD = 0.3, 0.12
"""Deviation of the outline from the initial box and from a drawn box: SD of the log of radii."""
_CLICK_PASSES, _DRAWN_PASSES = 4, 2
_BEYOND_IMAGE = 0.1
"""Fall assumed at the border of the image, as a cell is cut off there."""
_CLEAR_FALL, _CLEAR_SHARE = 0.05, 0.5
"""An outline is clear if this share of rays falls by this share of the image's contrast."""


class _Window(NamedTuple):
    """The surroundings of a guess.

    `contrast` is (y, x), how much a pixel differs from the background, 0 to 1; `origin` is x, y
    of its first pixel in the image, and `step` the image's pixels per pixel of it.
    """

    contrast: Floats
    origin: Floats
    step: int


def box_from_outline(
    image: npt.NDArray[Any], point: npt.ArrayLike, diameter_px: float
) -> Float32Array | None:
    """Return the box of the cell under a click, if its outline is clear.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), of any real type.
    point
        (2,) x, y in pixels, somewhere in the cell.
    diameter_px
        Typical diameter of the image's cells; cells of half or twice this size are found too.

    Returns
    -------
    (4,) float32 or None
        x_min, y_min, x_max, y_max within the image; None if no outline is clear.
    """
    x, y = (float(value) for value in np.asarray(point, dtype=np.float64))
    half = max(float(diameter_px), MIN_SIDE_PX) / 2
    guess = np.array([x - half, y - half, x + half, y + half], dtype=np.float32)
    found = _fitted(image, guess, _CLICK_SPREAD, _CLICK_PASSES)
    if found is None or not (found[0] <= x <= found[2] and found[1] <= y <= found[3]):
        return None
    return found


def snap_to_outline(image: npt.NDArray[Any], xyxy: npt.ArrayLike) -> Float32Array:
    """Return a roughly drawn box fitted to its cell; unchanged if no outline is clear.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), of any real type.
    xyxy
        (4,) the box in pixels, minima before maxima.

    Returns
    -------
    (4,) float32
    """
    drawn = np.array(xyxy, dtype=np.float32)
    found = _fitted(image, drawn, _DRAWN_SPREAD, _DRAWN_PASSES)
    return drawn if found is None else found


def _fitted(
    image: npt.NDArray[Any], guess: Float32Array, spread: float, passes: int
) -> Float32Array | None:
    """Search for an outline around a guess, and then around what was found; None if unclear."""
    window = _window(image, guess)
    if window is None:
        return None
    origin = np.tile(window.origin, 2)
    box: Floats = (guess - origin) / window.step
    for _ in range(passes):
        falls, beyond = _falls(window.contrast, box)
        score = np.where(beyond, _BEYOND_IMAGE, np.clip(falls, 0, 1)) * _FALL_WEIGHT
        chosen = _closed_path(score - 0.5 * (np.log(_RADII) / spread) ** 2)
        box = _bounding_box(box, _RADII[chosen])
        if np.min(box[2:] - box[:2]) < MIN_SIDE_PX:
            return None
    rays = np.arange(len(_ANGLES))
    clear = (falls[rays, chosen] > _CLEAR_FALL) | beyond[rays, chosen]
    if clear.mean() < _CLEAR_SHARE:
        return None
    height, width = image.shape[:2]
    found: Float32Array = np.clip(
        box * window.step + origin, 0, [width, height] * 2, dtype=np.float32
    )
    return found


def _window(image: npt.NDArray[Any], guess: Floats) -> _Window | None:
    """Return the surroundings of a guess; None if it lies outside of the image."""
    side = guess[2:] - guess[:2]
    diameter = float(np.sqrt(np.prod(np.maximum(side, 0))))
    if not np.isfinite(guess).all() or np.min(side) < MIN_SIDE_PX:
        return None
    step = max(1, int(diameter / _WORKING_DIAMETER_PX))
    limit = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(guess[:2] - _MARGIN_SIDES * side), 0, limit).astype(int)
    high = np.clip(np.ceil(guess[2:] + _MARGIN_SIDES * side), 0, limit).astype(int)
    part = image[low[1] : high[1] : step, low[0] : high[0] : step]
    if min(part.shape[:2]) < MIN_SIDE_PX:
        return None
    # Layers of floats may have NaN, which the rest of the program reads as 0 as well.
    colours = np.nan_to_num(np.atleast_3d(part).astype(np.float32), posinf=0, neginf=0)
    smooth = gaussian_filter(colours, (_BLUR_DIAMETERS * diameter / step,) * 2 + (0,))
    contrast = np.sqrt(np.mean((smooth - _background(smooth)) ** 2, axis=-1))
    full = float(np.percentile(contrast, 95))
    return _Window(contrast / full, low.astype(np.float32), step) if full > 0 else None


def _background(smooth: Floats) -> Floats:
    """Return the (channels,) most frequent colour of areas without edges."""
    grey = smooth.mean(axis=-1)
    slope = np.hypot(*np.gradient(grey))
    flat = slope <= np.median(slope)
    low, high = np.percentile(grey, [1, 99])
    counts, edges = np.histogram(grey[flat], 48, (low, high + 1e-6 * max(abs(high), 1)))
    mode = int(np.argmax(np.convolve(counts, [1, 2, 3, 2, 1], "same")))
    near = flat & (np.abs(grey - (edges[mode] + edges[mode + 1]) / 2) <= 3 * (edges[1] - edges[0]))
    pixels = smooth[near] if near.any() else smooth.reshape(-1, smooth.shape[-1])
    colour: Floats = np.median(pixels, axis=0)
    return colour


def _falls(contrast: Floats, box: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return (rays, radii) falls of the contrast outwards, and which points lie off the image."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    # A pixel's value stands at its middle, half a pixel from the corner where boxes count from.
    x = middle[0] + half[0] * np.outer(np.cos(_ANGLES), _RADII) - 0.5
    y = middle[1] + half[1] * np.outer(np.sin(_ANGLES), _RADII) - 0.5
    rays = map_coordinates(contrast, [y, x], order=1, mode="nearest")
    sums = np.cumsum(np.pad(rays, ((0, 0), (1, 0))), axis=1)
    width = _FALL_RADII
    means = (sums[:, width:] - sums[:, :-width]) / width
    falls = np.zeros_like(rays)
    falls[:, width : 1 - width] = means[:, :-width] - means[:, width:]
    height, length = contrast.shape
    beyond = (x < -0.5) | (y < -0.5) | (x > length - 0.5) | (y > height - 0.5)
    return falls, beyond


def _closed_path(score: Floats) -> npt.NDArray[np.int64]:
    """Return for each ray the radius of the closed curve with the largest summed score.

    Neighbouring rays differ by two radii at most. The path runs round the rays twice, and its
    middle part is used, so that its ends meet.
    """
    count, radii = score.shape
    twice = np.concatenate([score, score])
    moves = np.arange(-2, 3)
    cost = _STEP_COST * np.abs(moves)[:, np.newaxis]
    reach = np.arange(radii) + moves[:, np.newaxis] + 2
    places = np.arange(radii)
    best = twice[0]
    came_from = np.empty(twice.shape, dtype=np.int64)
    for ray in range(1, 2 * count):
        options = np.pad(best, 2, constant_values=-np.inf)[reach] - cost
        move = options.argmax(axis=0)
        came_from[ray] = places + moves[move]
        best = options[move, places] + twice[ray]
    path = np.empty(2 * count, dtype=np.int64)
    path[-1] = best.argmax()
    for ray in range(2 * count - 1, 0, -1):
        path[ray - 1] = came_from[ray, path[ray]]
    start = count // 2
    return np.roll(path[start : start + count], start)


def _bounding_box(box: Floats, radii: Floats) -> Floats:
    """Return the box around an outline given in half sides of another box."""
    smooth = (np.roll(radii, 1) + 2 * radii + np.roll(radii, -1)) / 4
    rays = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1) * smooth[:, np.newaxis]
    contour = (box[:2] + box[2:]) / 2 + rays * (box[2:] - box[:2]) / 2
    found: Floats = np.concatenate([contour.min(axis=0), contour.max(axis=0)])
    return found
