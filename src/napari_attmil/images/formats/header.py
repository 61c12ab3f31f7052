"""What all file formats have in common: a header per field of view, and one form of pixels.

Whatever the format, the program gets (Y, X) or (Y, X, 3) arrays of uint8 or uint16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_attmil.core import ContentError
from napari_attmil.images.formats.axes import Axes

_PLAUSIBLE_UM = (0.01, 5.0)
"""Outside this range, a pixel size is a printing resolution (72 dpi is 353 um) or a placeholder."""

_MOST_PIXELS = 10**10
"""Of one field of view: as in the largest scan of a slide; no memory would hold more."""

CONVERSION = 2
"""How signed and float pixels become unsigned; raised if that changes, as features then do."""

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
    is_converted : bool
        Whether pixels are brought to another type: they are signed or floats in the file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    place: Any = None
    is_converted: bool = False


@dataclass(frozen=True)
class FileHeader:
    """The content of an image file, as far as it is known without decoding pixels.

    Attributes
    ----------
    pages : tuple of PageHeader
        Every plane, in the order of the file.
    pixel_size_um : float or None
        Side of a pixel in micrometres, None where unknown or implausible.
    stated_axes : Axes or None
        What the pages are, None where the file does not tell.
    """

    pages: tuple[PageHeader, ...]
    pixel_size_um: float | None = None
    stated_axes: Axes | None = None

    @property
    def axes(self) -> Axes:
        """What the pages are; each is a place of its own where the file does not tell."""
        return self.stated_axes or Axes.flat(len(self.pages))


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
    is_converted = np.dtype(dtype).kind in "if"
    return PageHeader((*plane, *colour), unsigned_dtype(dtype), place, is_converted)


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

    The same value becomes the same grey in all images of a kind, so that these can be compared:
    whole numbers that fit stay, and negative ones are shifted by 32768; see `_scale` for floats.
    Only what goes beyond 16 bit is stretched, each image for itself. What is not finite becomes 0.
    """
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    wanted = unsigned_dtype(pixels.dtype)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return pixels.astype(wanted, copy=False)
    finite = np.isfinite(pixels)
    if not finite.any():
        return np.zeros(pixels.shape, wanted)
    low, high = pixels[finite].min(), pixels[finite].max()
    shift = 32768 if low < 0 else 0
    values = np.where(finite, pixels, low).astype(np.float64)
    scale = _scale(float(max(high, -low)), low < 0) if pixels.dtype.kind == "f" else 1.0
    values = values * scale + shift
    if values.min() < 0 or values.max() > 65535:
        values = (values - values.min()) * (65535 / np.ptp(values))
    return np.where(finite, np.rint(values), 0).astype(wanted)


def _scale(largest: float, is_signed: bool) -> float:
    """Return by what floats are multiplied: their unit is a share, 8-bit grey, or a count.

    Shares may be somewhat above 1, as where an image was divided by its background.
    """
    half = 1 if is_signed else 2
    if largest <= half:
        return 65534 / 2
    return 128.0 if largest <= 255 * half else 1.0


def plausible_um(length: float | str, unit: str) -> float | None:
    """Convert a pixel's side to micrometres; None if the number, unit or size makes no sense."""
    size_um = in_um(length, unit)
    low, high = _PLAUSIBLE_UM
    return size_um if size_um is not None and low <= size_um <= high else None


def in_um(length: float | str, unit: str) -> float | None:
    """Convert a length to micrometres; None if the number or the unit makes no sense.

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
    return size_um if size_um > 0 else None
