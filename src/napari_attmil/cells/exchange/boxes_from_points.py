"""Boxes for cells of which only the centres are labelled, by classical segmentation.

A threshold separates cells from the background; cells lie on the side where the points are. A
watershed separates touching cells; it starts from the points and from the centres of cells that
nobody labelled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, bounds

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.cells.exchange.account import Account
    from napari_attmil.cells.exchange.annotation_set import AnnotatedImage
    from napari_attmil.core import Float32Array

    Mask = npt.NDArray[np.bool_]
    Labels = npt.NDArray[np.int32]

SMOOTHING_PX: Final = 1.5
FULLEST: Final = 0.9
"""Share of an image that cells cover at most."""
SMALLEST, LARGEST = 0.6, 1.6
"""Plausible diameters, in medians of the image's own cells."""
LONGEST: Final = 2.2
"""Plausible ratio of a box's sides."""
LEAST_FILLED: Final = 0.5
"""Plausible share of a box that its cell covers; a disc covers 0.79."""
POINT_SCORE: Final = 0.5
"""Score of a box that was found around a centre point."""


def around_points(
    image: AnnotatedImage, pixels: npt.NDArray[Any], account: Account
) -> AnnotatedImage:
    """Return an image with boxes around its centre points; points without a cell are left out.

    Nobody has looked at these boxes, so they count as the detector's, with a low score.
    """
    found = boxes_from_points(pixels, [box.xyxy[:2] for box in image.boxes])
    boxes = []
    for point, xyxy, plausible in zip(
        image.boxes, found.xyxy.tolist(), found.plausible, strict=True
    ):
        if plausible:
            boxes.append(
                AnnotatedBox(bounds(xyxy), point.label, source=Source.MODEL, score=POINT_SCORE)
            )
        else:
            place = f"the point at {point.xyxy[0]:g}, {point.xyxy[1]:g}"
            account.leave_out(place, "no single cell was found around it", image.name)
    return replace(image, boxes=tuple(boxes), has_points=False)


@dataclass(frozen=True, eq=False)
class PointBoxes:
    """The boxes found around labelled points.

    Attributes
    ----------
    xyxy
        (n, 4) float32, one box a point, in pixels; zeros where no cell lies under the point.
    plausible
        (n,) bool, whether size and shape can be those of a single cell.
    """

    xyxy: Float32Array
    plausible: Mask


def boxes_from_points(image: npt.NDArray[Any], points: npt.ArrayLike) -> PointBoxes:
    """Return the boxes of cells whose centres are given.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), cells darker or brighter than the background.
    points
        (n, 2) x, y in pixels; a point outside the image is moved to its edge.
    """
    grey = np.asarray(image, dtype=np.float32)
    grey = grey[..., :3].mean(axis=-1) if grey.ndim == 3 else grey
    x, y = np.rint(np.asarray(points, dtype=np.float64).reshape(-1, 2)).astype(int).T
    if not len(x):
        return PointBoxes(np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=bool))
    places = np.clip(y, 0, grey.shape[0] - 1), np.clip(x, 0, grey.shape[1] - 1)
    mask = _cell_mask(grey, places)
    labels = _parted(mask, places)
    return _boxes(labels, labels[places])


def _cell_mask(grey: Float32Array, places: tuple[npt.NDArray[np.intp], ...]) -> Mask:
    """Return where cells are: the side of Otsu's threshold on which most points lie, filled."""
    smooth = ndimage.gaussian_filter(grey, SMOOTHING_PX)
    dark = smooth < threshold_otsu(smooth)
    mask = ndimage.binary_fill_holes(dark)
    # Bright cells are holes in a dark background, which then fills the whole image.
    if mask[places].mean() < 0.5 or mask.mean() > FULLEST:
        mask = ndimage.binary_fill_holes(~dark)
    return np.asarray(ndimage.binary_opening(mask, iterations=2))


def _parted(mask: Mask, places: tuple[npt.NDArray[np.intp], ...]) -> Labels:
    """Return (Y, X) labels of the cells, the i-th point's being i + 1."""
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), SMOOTHING_PX)
    markers = np.zeros(mask.shape, dtype=np.int32)
    markers[places] = np.arange(1, len(places[0]) + 1)
    depths = distance[places]
    radius = float(np.median(depths[depths > 0])) if (depths > 0).any() else 1.0
    far = ndimage.distance_transform_edt(markers == 0) > radius
    peaks = peak_local_max(
        distance, min_distance=max(1, int(0.7 * radius)), threshold_abs=0.6 * radius, labels=mask
    )
    unlabelled = peaks[far[tuple(peaks.T)]]
    markers[tuple(unlabelled.T)] = np.arange(len(unlabelled)) + len(places[0]) + 1
    # Flooded by the distance from the points: those of overlapping cells lie on no peak of depth.
    away = ndimage.distance_transform_edt(markers == 0)
    return np.asarray(watershed(away, markers, mask=mask), dtype=np.int32)


def _boxes(labels: Labels, wanted: npt.NDArray[np.int32]) -> PointBoxes:
    areas = np.bincount(labels.ravel())
    regions = ndimage.find_objects(labels)
    xyxy = np.zeros((len(wanted), 4), dtype=np.float32)
    covered = np.zeros(len(wanted))
    for row, label in enumerate(wanted):
        if label:
            rows, columns = regions[label - 1]
            xyxy[row] = columns.start, rows.start, columns.stop, rows.stop
            covered[row] = areas[label]
    sides = xyxy[:, 2:] - xyxy[:, :2]
    area = sides.prod(axis=1)
    found = area > 0
    diameter = np.sqrt(area)
    usual = float(np.median(diameter[found])) if found.any() else 1.0
    shortest = np.maximum(sides.min(axis=1), 1)
    plausible = (
        found
        & (diameter >= SMALLEST * usual)
        & (diameter <= LARGEST * usual)
        & (sides.max(axis=1) <= LONGEST * shortest)
        & (covered >= LEAST_FILLED * area)
    )
    return PointBoxes(xyxy, plausible)
