"""Thumbnails of single cells and of whole images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.images.formats import LargeImage, grey_limits


def crop_cell(
    image: npt.NDArray[Any],
    xyxy: npt.ArrayLike,
    size_px: int = 64,
    context: float = 1.3,
    limits: tuple[float, float] | None = None,
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
    limits
        The image's `limits_of`, found here by default; for many cells of an image, once is enough.

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
    crop = _as_uint8(image[np.ix_(rows, columns)], limits or limits_of(image))
    shape = (size_px, size_px, *crop.shape[2:])
    resized = resize(crop, shape, order=1, preserve_range=True, anti_aliasing=side > size_px)
    return np.asarray(np.rint(resized), dtype=np.uint8)


def _window(centre: float, side: int, length: int) -> npt.NDArray[np.intp]:
    """Return the `side` pixel positions around `centre`, limited to 0..length - 1."""
    start = round(centre - side / 2)
    return np.clip(np.arange(start, start + side), 0, length - 1)


def shrink(image: npt.NDArray[Any], height_px: int, width_px: int) -> npt.NDArray[np.uint8]:
    """Return the middle of an image as (height_px, width_px, 3) uint8, with stretched contrast.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3); 8-bit values are stretched too.
    height_px, width_px
        Size of the picture; it is smaller if the image is.
    """
    if isinstance(image, LargeImage):
        image = image.overview(max(height_px, width_px))
    height, width = image.shape[:2]
    step = max(1, min(height // height_px, width // width_px))
    top = max(0, (height - step * height_px) // 2)
    left = max(0, (width - step * width_px) // 2)
    part = image[top : top + step * height_px : step, left : left + step * width_px : step]
    levels = _stretched(part, grey_limits(part))
    return levels if levels.ndim == 3 else np.repeat(levels[..., np.newaxis], 3, axis=2)


def to_uint8(crop: npt.NDArray[Any], image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a part of an image as 8 bit, stretched as `crop_cell` says."""
    return _as_uint8(crop, limits_of(image))


def limits_of(image: npt.NDArray[Any]) -> tuple[float, float] | None:
    """Return which values of an image become black and white; None if it has 8 bit."""
    if image.dtype == np.uint8:
        return None
    # A subsample of the image is enough to find its range.
    if isinstance(image, LargeImage):
        return image.grey_limits
    step = max(1, int(np.sqrt(image.size / 50_000)))
    return grey_limits(image[::step, ::step])


def _as_uint8(crop: npt.NDArray[Any], limits: tuple[float, float] | None) -> npt.NDArray[np.uint8]:
    return crop if limits is None else _stretched(crop, limits)


def _stretched(part: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Return values as 8 bit: the lower limit becomes 0, the upper one 255."""
    low, high = limits
    shares = (np.asarray(part, dtype=np.float64) - low) / max(high - low, 1e-12)
    levels: npt.NDArray[np.float64] = np.rint(np.nan_to_num(np.clip(shares, 0, 1)) * 255)
    return levels.astype(np.uint8)
