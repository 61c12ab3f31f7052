"""Size and shape of every cell, measured on the pixels that it covers."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from contourpy import contour_generator
from scipy import ndimage
from scipy.spatial import ConvexHull

from napari_attmil.core import Progress
from napari_attmil.explore.shapes.cell_masks import (
    CellWindows,
    as_mosaic,
    cell_masks,
    cell_windows,
    light_balance,
)
from napari_attmil.explore.shapes.focus import focus_of_cells

if TYPE_CHECKING:
    from napari_attmil.cells import Boxes

    Array = npt.NDArray[np.float64]
    Masks = npt.NDArray[np.bool_]

FEATURES: Final[Mapping[str, str]] = {
    "area": "Pixels that the cell covers.",
    "equivalent_diameter": "Diameter of a disc of this area.",
    "circularity": "4 pi area / perimeter squared: 1 for a disc, less for any other outline.",
    "elongation": "Length over width of the ellipse with the same second moments: 1 or more.",
    "solidity": "Area over that of the convex hull: 1 without dents.",
    "rim_contrast": "How much darker the rim is than the ground, as a share of the ground.",
    "central_pallor": "How far the centre departs from the zone around it as a normal, biconcave "
    "cell's does, likewise: paler where cells absorb light, else as most cells of the image do.",
    "spikiness": "How far the outline strays in short waves (over six around), over its radius.",
}
"""Names of the measures, without units, and their definitions."""

FOCUS: Final = "focus"
"""The column of `focus_of_cells`."""
RIM_DEPTH, CENTRE_DEPTH = 0.3, 0.65
"""Shares of the way from the outline to the innermost point where rim ends and centre begins."""
ABSORBING: Final = -0.8
"""A `light_balance` below this means that cells absorb light: they are stained."""
_UNIT: Final = re.compile("_(um|px)2?$")
_OUTLINE_POINTS: Final = 128
_SMOOTH_ORDERS: Final = 6
"""Waves around the outline that make ovals, bows and corners; spikes come in more."""
_FINEST_ORDER: Final = 20
"""Higher orders are caused by the steps between pixels."""
_MIN_OUTLINE: Final = 8
_OUTLINE_BLUR: Final = 1.0


def measure_shapes(
    images: Sequence[npt.NDArray[Any]], boxes: Boxes, pixel_size_um: float | None = None
) -> Generator[Progress, None, pd.DataFrame]:
    """Measure the shape of every cell of a sample.

    Parameters
    ----------
    images
        Of the sample; each is (Y, X) or (Y, X, 3) and is read once.
    boxes
        Its cells.
    pixel_size_um
        Side of a pixel; without it lengths are in pixels.

    Yields
    ------
    Progress
        After each image.

    Returns
    -------
    pandas.DataFrame
        One row a box, in their order; columns as `FEATURES` names them, area and diameter with
        their units (area_um2 and equivalent_diameter_um, or area_px2 and
        equivalent_diameter_px), NaN for a cell that is cut off by the image's edge or could not be
        segmented; and `FOCUS`, which is no shape: low for blurred ghosts.
    """
    values, focus = np.full((len(boxes), len(FEATURES)), np.nan), np.full(len(boxes), np.nan)
    total = len(images)
    for index in range(total):
        rows = np.flatnonzero(boxes.image_index == index)
        if len(rows):
            image, xyxy = np.asarray(images[index]), boxes.xyxy[rows]
            windows = cell_windows(image, xyxy)
            values[rows] = _shapes_of_windows(windows, ~_is_cut(xyxy, image.shape))
            focus[rows] = focus_of_cells(windows)
        yield Progress(index + 1, total)
    return _with_units(values, pixel_size_um).assign(**{FOCUS: focus})


def shapes_of_image(image: npt.NDArray[Any], xyxy: npt.ArrayLike) -> Array:
    """Return (n, F) the `FEATURES` of all cells of one image, lengths in pixels."""
    return _shapes_of_windows(cell_windows(image, xyxy), ~_is_cut(xyxy, image.shape))


def _shapes_of_windows(windows: CellWindows, is_whole: npt.NDArray[np.bool_]) -> Array:
    """Return (n, F) the `FEATURES` of cells, NaN for those that are not whole."""
    masks, found = cell_masks(windows)
    found &= is_whole
    values = np.full((len(masks), len(FEATURES)), np.nan)
    segmented = np.flatnonzero(found)
    outlines = _outlines_measured(masks[segmented])
    area, circularity, solidity, spikiness = outlines.T
    step_px = windows.step_px[segmented]
    rim, pallor = _grey_measures(windows, masks, segmented)
    measured_pallor = pallor[np.isfinite(pallor)]
    if len(measured_pallor) and light_balance(windows) > ABSORBING:
        # Without absorption, the centre of a biconcave cell is bright on one side of the focus and
        # dark on the other; the majority of cells decides which side it is.
        pallor *= np.copysign(1, np.median(measured_pallor))
    values[segmented] = np.column_stack(
        [
            area * step_px**2,
            np.sqrt(4 * area / np.pi) * step_px,
            circularity,
            _elongation(masks[segmented]),
            solidity,
            rim,
            pallor,
            spikiness,
        ]
    )
    return values


def shape_columns(table: pd.DataFrame) -> list[str]:
    """Return which columns of a table are measures, with or without units."""
    return [str(name) for name in table if without_unit(str(name)) in FEATURES]


def without_unit(column: str) -> str:
    """Return the name of a measure: "area" of "area_um2"."""
    return _UNIT.sub("", column)


def feature_title(column: str) -> str:
    """Return the title of a measure: "area (µm²)" for "area_um2"."""
    match = _UNIT.search(column)
    name = without_unit(column).replace("_", " ")
    if match is None:
        return name
    return f"{name} ({match[0].removeprefix('_').replace('um', 'µm').replace('2', '²')})"


def outline_measures(outline: npt.ArrayLike) -> tuple[float, float, float, float]:
    """Return area, circularity, solidity and spikiness of a closed polygon.

    Parameters
    ----------
    outline
        (m, 2) its corners in order, the first not repeated.

    Returns
    -------
    four floats
        Spikiness is the root mean square of what is left of the outline without its
        `_SMOOTH_ORDERS` longest waves (complex Fourier descriptors; Granlund 1972), over the
        radius of a disc of the same area.
    """
    points = np.asarray(outline, dtype=np.float64)
    z = points[:, 1] + 1j * points[:, 0]
    sides = np.roll(z, -1) - z
    length = np.abs(sides)
    area = abs(float((np.conj(z) * np.roll(z, -1)).imag.sum())) / 2
    along = np.concatenate([[0], np.cumsum(length)])
    places = np.linspace(0, along[-1], _OUTLINE_POINTS, endpoint=False)
    evenly = np.interp(places, along, np.append(z, z[0]))
    waves = np.fft.fft(evenly) / _OUTLINE_POINTS
    order = np.abs(np.fft.fftfreq(_OUTLINE_POINTS, 1 / _OUTLINE_POINTS))
    spiky = (order > _SMOOTH_ORDERS) & (order <= _FINEST_ORDER)
    spikiness = np.sqrt(np.square(np.abs(waves[spiky])).sum() / (area / np.pi))
    circularity = 4 * np.pi * area / along[-1] ** 2
    return area, circularity, area / ConvexHull(points).volume, float(spikiness)


def _outlines_measured(masks: Masks) -> Array:
    """Return (n, 4) `outline_measures` of masks in grid points; NaN where there is no outline."""
    # Blurred, the level line runs between the pixels instead of along their steps.
    soft = ndimage.gaussian_filter(masks.astype(np.float32), (0, _OUTLINE_BLUR, _OUTLINE_BLUR))
    measured = np.full((len(masks), 4), np.nan)
    for row, height in enumerate(soft):
        outlines = map(np.asarray, contour_generator(z=height).lines(0.5))
        outline = max(outlines, key=len, default=np.empty((0, 2)))
        if len(outline) > _MIN_OUTLINE:
            measured[row] = outline_measures(outline[:-1])
    return measured


def _is_cut(xyxy: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return (n,) which boxes touch the edge of the image."""
    xyxy = np.asarray(xyxy, dtype=np.float64)
    edge = np.array([shape[1], shape[0]]) - 1
    return np.asarray((xyxy[:, :2] < 1).any(axis=1) | (xyxy[:, 2:] > edge).any(axis=1))


def _elongation(masks: Masks) -> Array:
    """Return (n,) length over width of the ellipses with the masks' second moments."""
    places = np.arange(masks.shape[1], dtype=np.float64)
    weight = masks.sum(axis=(1, 2)).astype(np.float64)
    rows, columns = masks.sum(axis=2), masks.sum(axis=1)
    y, x = rows @ places / weight, columns @ places / weight
    # A pixel is not a point: it adds a twelfth to the variance.
    yy = rows @ places**2 / weight - y**2 + 1 / 12
    xx = columns @ places**2 / weight - x**2 + 1 / 12
    xy = np.einsum("nij,i,j->n", masks, places, places) / weight - x * y
    spread = np.hypot(xx - yy, 2 * xy)
    return np.asarray(np.sqrt((xx + yy + spread) / (xx + yy - spread)))


def _grey_measures(
    windows: CellWindows, masks: Masks, segmented: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    """Return (n,) rim contrast and (n,) how much paler the centre is, of some of the cells."""
    grey, inside = windows.grey[segmented], masks[segmented]
    mosaic = as_mosaic(inside)
    depth = (ndimage.distance_transform_edt(mosaic) if mosaic.size else mosaic).reshape(grey.shape)
    depth = depth / depth.max(axis=(1, 2), keepdims=True, initial=1e-6)
    is_rim, is_centre = inside & (depth <= RIM_DEPTH), depth >= CENTRE_DEPTH
    rim, centre = _mean_where(grey, is_rim), _mean_where(grey, is_centre)
    between = _mean_where(grey, inside & ~is_rim & ~is_centre)
    return 1 - rim, centre - between


def _mean_where(values: npt.NDArray[np.float32], where: Masks) -> Array:
    count = where.sum(axis=(1, 2))
    total = np.where(where, values, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.divide(total, np.where(count > 0, count, np.nan)))


def _with_units(values: Array, pixel_size_um: float | None) -> pd.DataFrame:
    side, unit = (1.0, "px") if pixel_size_um is None else (pixel_size_um, "um")
    names = {"area": f"area_{unit}2", "equivalent_diameter": f"equivalent_diameter_{unit}"}
    scale = np.ones(len(FEATURES))
    scale[:2] = side**2, side
    return pd.DataFrame(values * scale, columns=[names.get(name, name) for name in FEATURES])
