"""Segmentation of cells within their boxes.

Stained cells are darker than the background throughout; unstained cells have a dark or bright rim
and may be as bright as the background inside. In both cases the outline stands out from the
background, so a cell is the region that stands out, with its holes filled. Of several thresholds,
the one is used whose result fits the box best. All cells of an image are resampled to one grid and
segmented together, with one call per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Stack = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

GRID: Final = 48
"""Side of a cell's window in pixels: about 38 across a cell, close to the optical resolution."""
MARGIN: Final = 1.25
"""Ratio of a window's side to the longer side of its box, so that the outline closes inside."""
BOX_SLACK: Final = 1.0
"""Grid points by which a cell may extend beyond its box; anything further is a neighbour."""
HALO: Final = 4.0
"""Grid points around the box that show the halo of a wrong threshold, without neighbours."""
FULLNESS_WEIGHT: Final = 0.2
"""Weight by which a filled outline is preferred to an open ring, whose box fits as well."""
CLEARLY_BETTER: Final = 0.02
"""Required improvement for a lower threshold, which makes the outline slightly too wide."""
FULLEST: Final = np.pi / 4
"""Share of its box that an ellipse fills; higher shares are not better."""
MIN_BOX_IOU: Final = 0.6
"""Minimum agreement of a mask's own box with the cell's box."""
NOISE_LEVELS: Final = 3.0
"""Deviations below this many standard deviations of the background are noise."""

# Sign (dark only, bright only, both) and share of the strongest deviation that is the threshold.
# A stained edge lies at half; rims of unstained cells close only below.
_THRESHOLDS: Final = ((-1, 0.5), (-1, 0.25), (1, 0.3), (0, 0.25))


@dataclass(frozen=True, eq=False)
class CellWindows:
    """Cells of one image on one grid.

    Attributes
    ----------
    grey
        (n, GRID, GRID) float32, grey levels divided by the background: 1 is empty.
    step_px
        (n,) image pixels from one grid point to the next.
    half_sides
        (n, 2) half height and half width of the boxes, in grid points.
    noise
        Standard deviation of the ground in `grey`.
    """

    grey: Stack
    step_px: npt.NDArray[np.float64]
    half_sides: npt.NDArray[np.float64]
    noise: float


def cell_windows(image: npt.NDArray[Any], xyxy: npt.ArrayLike) -> CellWindows:
    """Cut the cells of one image to a grid.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), any type.
    xyxy
        (n, 4) all boxes of the image in pixels; the rest is the background.
    """
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    grey = np.asarray(image, dtype=np.float32)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    low, high = boxes[:, [1, 0]], boxes[:, [3, 2]]  # rows before columns from here on
    sides = np.maximum(high - low, 1)
    step_px = sides.max(axis=1) * MARGIN / (GRID - 1)
    relative, noise = _over_ground(grey, boxes)
    if len(boxes) and np.median(step_px) > 1:  # Coarser than the image: no aliasing, less noise.
        relative = ndimage.gaussian_filter(relative, 0.4 * float(np.median(step_px)))
    centre = (low + high) / 2
    offsets = np.arange(GRID) - (GRID - 1) / 2
    # Pixel i covers i to i + 1, so that its centre is half a pixel further on.
    places = centre[:, :, None] + step_px[:, None, None] * offsets - 0.5
    rows, columns = np.broadcast_arrays(places[:, 0, :, None], places[:, 1, None, :])
    windows = ndimage.map_coordinates(relative, (rows, columns), order=1, mode="nearest")
    return CellWindows(windows, step_px, sides / 2 / step_px[:, None], noise)


def cell_masks(windows: CellWindows) -> tuple[Masks, npt.NDArray[np.bool_]]:
    """Return (n, GRID, GRID) the pixels of the cells, and (n,) whether they were found."""
    count = len(windows.grey)
    deviation = ndimage.gaussian_filter(windows.grey - 1, (0, 0.7, 0.7))
    inside, around = _near_boxes(windows, 0), _near_boxes(windows, HALO)
    box_area = inside.sum(axis=(1, 2))
    strongest = _high_quantile(np.abs(deviation), inside)
    best = np.zeros(deviation.shape, dtype=bool)
    best_iou, best_fit = np.zeros(count), np.zeros(count)
    for sign, share in _THRESHOLDS:
        level = np.maximum(share * strongest, NOISE_LEVELS * windows.noise)[:, None, None]
        signed = np.abs(deviation) if sign == 0 else sign * deviation
        standing_out = _closed((signed > level) & around)
        masks = _filled(_largest_part(standing_out))
        iou = _box_iou(masks, windows.half_sides)
        fullness = np.minimum((masks & inside).sum(axis=(1, 2)) / box_area, FULLEST)
        fit = iou + FULLNESS_WEIGHT * fullness
        better = fit > best_fit + CLEARLY_BETTER
        best[better], best_iou[better], best_fit[better] = masks[better], iou[better], fit[better]
    return best & _near_boxes(windows, BOX_SLACK), best_iou >= MIN_BOX_IOU


def light_balance(windows: CellWindows) -> float:
    """Return the effect of cells on light: -1 for pure absorption, about 0 for pure refraction.

    It is the sum of deviations from the background in and around the box, divided by the sum of
    their magnitudes; the median over the cells.
    """
    deviation = np.where(_near_boxes(windows, HALO), windows.grey - 1, 0)
    sizes = np.abs(deviation).sum(axis=(1, 2))
    sums = deviation.sum(axis=(1, 2))
    return float(np.median(np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)))


def _over_ground(grey: Stack, boxes: npt.NDArray[np.float64]) -> tuple[Stack, float]:
    """Return the image divided by its background, and the relative noise of the background."""
    is_ground = np.ones(grey.shape, dtype=bool)
    corners = np.clip(np.rint(boxes), 0, None).astype(int)
    for x_min, y_min, x_max, y_max in corners:
        is_ground[y_min:y_max, x_min:x_max] = False
    if is_ground.mean() < 0.02:
        return grey / np.float32(max(float(np.median(grey)), 1e-6)), 0.0
    ground = _smooth_where(grey, is_ground, max(grey.shape) / 8)
    relative = grey / np.maximum(ground, np.float32(1e-6))
    away = np.abs(relative[is_ground] - 1)
    return np.asarray(relative, dtype=np.float32), float(1.4826 * np.median(away))


def _smooth_where(grey: Stack, is_ground: Masks, width_px: float) -> Stack:
    """Return a smooth surface through the pixels of the background."""
    shrink = max(1, int(width_px // 8))  # A slow surface needs few points.
    weight = _block_sums(is_ground.astype(np.float32), shrink)
    total = _block_sums(np.where(is_ground, grey, 0), shrink)
    width = width_px / shrink
    weight, total = (ndimage.gaussian_filter(part, width) for part in (weight, total))
    surface = total / np.maximum(weight, 1e-6)
    upscaled = surface.repeat(shrink, axis=0).repeat(shrink, axis=1)
    return np.asarray(upscaled[: grey.shape[0], : grey.shape[1]])


def _block_sums(values: Stack, side: int) -> Stack:
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], side), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, values.shape[1], side), axis=1))


def _near_boxes(windows: CellWindows, slack: float) -> Masks:
    """Return (n, GRID, GRID) which grid points lie in the box, or `slack` points beside it."""
    away = np.abs(np.arange(GRID) - (GRID - 1) / 2)
    rows, columns = (away <= half[:, None] + slack for half in windows.half_sides.T)
    return np.asarray(rows[:, :, None] & columns[:, None, :])


def _high_quantile(values: Stack, where: Masks) -> npt.NDArray[np.float64]:
    """Return (n,) the 98 % quantiles of the values in each mask, from every fourth grid point."""
    coarse = np.where(where, values, -np.inf)[:, ::2, ::2].reshape(-1, (GRID // 2) ** 2)
    share = 0.02 * where[:, ::2, ::2].sum(axis=(1, 2))
    place = coarse.shape[1] - 1 - share.astype(int)
    quantile = np.take_along_axis(np.sort(coarse, axis=1), place[:, None], axis=1)[:, 0]
    return np.asarray(np.where(np.isfinite(quantile), quantile, 0), dtype=np.float64)


def _closed(masks: Masks) -> Masks:
    """Return masks whose gaps of one or two points are bridged, away from the window's edge."""
    closed = ~_grown(~_grown(masks))
    closed[:, [0, -1]] = closed[:, :, [0, -1]] = False
    return closed


def _grown(masks: Masks) -> Masks:
    """Return masks dilated by their four neighbours; many times faster than scipy's dilation."""
    grown = masks.copy()
    grown[:, 1:] |= masks[:, :-1]
    grown[:, :-1] |= masks[:, 1:]
    grown[:, :, 1:] |= masks[:, :, :-1]
    grown[:, :, :-1] |= masks[:, :, 1:]
    return grown


def _largest_part(masks: Masks) -> Masks:
    """Return the largest connected part of each mask."""
    labels, count = ndimage.label(as_mosaic(masks))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    flat = labels.reshape(len(masks), GRID * GRID)
    largest = sizes[flat].argmax(axis=1)
    wanted = np.take_along_axis(flat, largest[:, None], axis=1)
    return np.asarray(((flat == wanted) & (flat > 0)).reshape(masks.shape))


def _filled(masks: Masks) -> Masks:
    """Return masks with their holes filled."""
    labels, _ = ndimage.label(as_mosaic(~masks))
    if not labels.size:
        return masks
    return np.asarray((labels != labels[0, 0]).reshape(masks.shape))


def as_mosaic(masks: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (n * GRID, GRID) windows below each other, for one call of scipy for all cells.

    No mask reaches the edge of its window, so masks do not touch, and the background is connected.
    """
    return masks.reshape(-1, GRID)


def _box_iou(masks: Masks, half_sides: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (n,) the agreement (IoU) of the masks' own boxes with those of the cells."""
    middle = (GRID - 1) / 2
    shared, own = np.ones(len(masks)), np.ones(len(masks))
    for axis, half in zip((2, 1), half_sides.T, strict=True):
        covered: Masks = np.any(masks, axis=axis)
        low = np.argmax(covered, axis=1) - middle - 0.5
        high = GRID - np.argmax(covered[:, ::-1], axis=1) - middle - 0.5
        shared *= np.maximum(np.minimum(high, half) - np.maximum(low, -half), 0)
        own *= high - low
    union = own + 4 * half_sides.prod(axis=1) - shared
    return np.where(masks.any(axis=(1, 2)), shared / union, 0.0)
