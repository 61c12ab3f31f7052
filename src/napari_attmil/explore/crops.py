"""Thumbnails of single cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def crop_cell(
    image: npt.NDArray[Any], xyxy: npt.ArrayLike, size_px: int = 64, context: float = 1.3
) -> npt.NDArray[np.uint8]:
    """Return a square thumbnail centred on one cell.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3); 8 bit values are kept, others are stretched to 8 bit by the
        image's own 0.5 and 99.5 percentiles.
    xyxy
        (4,) box in pixels.
    size_px
        Side of the thumbnail.
    context
        The longer side of the box is enlarged by this factor, so that the surroundings show.

    Returns
    -------
    (size_px, size_px) or (size_px, size_px, 3) uint8
        Beyond the image's edge its border pixels are repeated.
    """
    from skimage.transform import resize

    x_min, y_min, x_max, y_max = np.asarray(xyxy, dtype=np.float64)
    side = max(round(max(x_max - x_min, y_max - y_min) * context), 1)
    rows = _window((y_min + y_max) / 2, side, image.shape[0])
    columns = _window((x_min + x_max) / 2, side, image.shape[1])
    crop = to_uint8(image[np.ix_(rows, columns)], image)
    shape = (size_px, size_px, *crop.shape[2:])
    resized = resize(crop, shape, order=1, preserve_range=True, anti_aliasing=side > size_px)
    return np.asarray(np.rint(resized), dtype=np.uint8)


def _window(centre: float, side: int, length: int) -> npt.NDArray[np.intp]:
    """Return the `side` pixel positions around `centre`, kept inside of 0..length - 1."""
    start = round(centre - side / 2)
    return np.clip(np.arange(start, start + side), 0, length - 1)


def to_uint8(crop: npt.NDArray[Any], image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a part of an image with values from 0 to 255, stretched as `crop_cell` says."""
    if image.dtype == np.uint8:
        return crop
    # A subsample of the image is enough to find its range.
    step = max(1, int(np.sqrt(image.size / 50_000)))
    low, high = np.nanpercentile(np.asarray(image[::step, ::step], dtype=np.float64), (0.5, 99.5))
    stretched = (np.asarray(crop, dtype=np.float64) - low) / max(high - low, 1e-12)
    scaled: npt.NDArray[np.float64] = np.nan_to_num(np.clip(stretched, 0, 1)) * 255
    return scaled
