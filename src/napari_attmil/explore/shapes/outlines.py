"""Outlines of cells as polygons, and the label images that they fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from scipy import ndimage
from skimage.measure import approximate_polygon

from napari_attmil.explore.shapes.cell_masks import GRID, cell_masks, cell_windows

if TYPE_CHECKING:
    Array = npt.NDArray[np.float64]

_BLUR: Final = 1.0
"""Blurred, the level line runs between the pixels instead of along their steps."""
_TOLERANCE_PX: Final = 0.25
"""Corners are left out where the outline strays no further from the line past them."""
_FEWEST_CORNERS: Final = 4


def outlines_of_image(image: npt.NDArray[Any], xyxy: npt.ArrayLike) -> list[Array]:
    """Return the outline of each cell of one image.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), any type.
    xyxy
        (n, 4) all boxes of the image in pixels; the rest is the background.

    Returns
    -------
    list of (m, 2) float64
        x, y of the corners in pixels, pixel i covering i to i + 1, the first not repeated; (0, 2)
        where no outline fits the box.
    """
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    if not len(boxes):
        return []
    windows = cell_windows(image, boxes)
    masks, found = cell_masks(windows)
    soft = ndimage.gaussian_filter(masks.astype(np.float32), (0, _BLUR, _BLUR))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    edge = np.array([image.shape[1], image.shape[0]])
    outlines = []
    for height, is_found, centre, step in zip(soft, found, centres, windows.step_px, strict=True):
        lines = map(np.asarray, contour_generator(z=height).lines(0.5)) if is_found else ()
        line = max(lines, key=len, default=np.empty((0, 2)))
        outline = np.clip(centre + step * (line - (GRID - 1) / 2), 0, edge)
        if len(outline):  # its last corner is the first once more
            outline = approximate_polygon(outline, _TOLERANCE_PX)[:-1]
        outlines.append(outline if len(outline) >= _FEWEST_CORNERS else np.empty((0, 2)))
    return outlines
