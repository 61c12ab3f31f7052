"""What all file formats have in common: a header per field of view, and one form of pixels.

Whatever the format, the program gets (Y, X) or (Y, X, 3) arrays of uint8 or uint16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_attmil.core import ContentError

_PLAUSIBLE_UM = (0.01, 5.0)
"""Outside this range, a pixel size is a printing resolution (72 dpi is 353 um) or a placeholder."""

_MOST_PIXELS = 10**10
"""Of one field of view: as in the largest scan of a slide; no memory would hold more."""

_MICROMETRES_PER_UNIT = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "inch": 25400.0,
    "in": 25400.0,
}


@dataclass(frozen=True)
class PageHeader:
    """One field of view of a file, known without decoding it.

    Attributes
    ----------
    shape : tuple of int
        (Y, X) or (Y, X, 3), as `read_frame` will return it.
    dtype : numpy.dtype
        uint8 or uint16, as `read_frame` will return it.
    place : Any
        Where the page lies in the file; used by the module of its format only.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    place: Any = None


@dataclass(frozen=True)
class FileHeader:
    """The content of an image file, as far as it is known without decoding pixels.

    Attributes
    ----------
    pages : tuple of PageHeader
        Every field of view, in the order of the file.
    pixel_size_um : float or None
        Side of a pixel in micrometres, None where unknown or implausible.
    """

    pages: tuple[PageHeader, ...]
    pixel_size_um: float | None = None


def page_header(plane: tuple[int, int], samples: int, dtype: DTypeLike, place: Any) -> PageHeader:
    """Return the header of a page with `samples` numbers per pixel, as `to_image` will return it.

    Raises
    ------
    ValueError
        If a pixel is neither grey nor RGB, with or without alpha, or its numbers are complex; or
        if no image has this size, as in a damaged header.
    """
    if not 0 < plane[0] * plane[1] <= _MOST_PIXELS:
        raise ContentError(f"it states a size of {plane[1]} x {plane[0]} pixels")
    if samples not in (1, 2, 3, 4):
        raise ContentError(f"it has {samples} channels, but grey or RGB is needed")
    colour = (3,) if samples > 2 else ()
    return PageHeader((*plane, *colour), unsigned_dtype(dtype), place)


def to_image(pixels: NDArray[Any]) -> NDArray[Any]:
    """Convert decoded pixels to the form that the program works with.

    Parameters
    ----------
    pixels : (Y, X) or (Y, X, S) array
        S is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha); alpha is dropped.

    Returns
    -------
    (Y, X) or (Y, X, 3) contiguous array of uint8 or uint16
    """
    if pixels.ndim == 3:
        pixels = pixels[..., :3] if pixels.shape[-1] > 2 else pixels[..., 0]
    return np.ascontiguousarray(_to_unsigned(pixels))


def unsigned_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type to which pixels of `dtype` are converted: uint8 for 1 and 8 bit, else uint16.

    Raises
    ------
    ValueError
        If the values are complex or not numbers.
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "buif":
        raise ContentError(f"its pixels are of the type {dtype}, but real numbers are needed")
    return np.dtype(np.uint8 if dtype.kind in "bu" and dtype.itemsize == 1 else np.uint16)


def _to_unsigned(pixels: NDArray[Any]) -> NDArray[Any]:
    """Leave 8 and 16 bit unchanged; convert 1 bit to 0 and 255, and the rest to 16 bit.

    Integers that fit into 16 bit are unchanged. Others, and floats, have no absolute meaning, so
    each image is stretched from its smallest to its largest finite value; the others become 0.
    """
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    wanted = unsigned_dtype(pixels.dtype)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return pixels.astype(wanted, copy=False)
    if pixels.dtype.kind in "ui" and (
        not pixels.size or (pixels.min() >= 0 and pixels.max() <= 65535)
    ):
        return pixels.astype(wanted)
    finite = np.isfinite(pixels)
    if not finite.any():
        return np.zeros(pixels.shape, wanted)
    values = pixels.astype(np.float64)
    low, high = values[finite].min(), values[finite].max()
    values = np.where(finite, values - low, 0) * (65535 / (high - low) if high > low else 0)
    return np.rint(values).astype(wanted)


def plausible_um(length: float | str, unit: str) -> float | None:
    """Convert a pixel's side to micrometres; None if the number, unit or size makes no sense.

    `unit` is written as in files: um, micron, mm, inch, with a micro sign as a letter or as an
    escape sequence (ImageJ).
    """
    name = unit.strip().lower().replace("\\u00b5", "u").replace("\\xb5", "u")
    for micro in "\u00b5\u03bc":  # the micro sign, and the Greek letter that looks like it
        name = name.replace(micro, "u")
    try:
        size_um = float(length) * _MICROMETRES_PER_UNIT[name]
    except (ValueError, KeyError):
        return None
    low, high = _PLAUSIBLE_UM
    return size_um if low <= size_um <= high else None
