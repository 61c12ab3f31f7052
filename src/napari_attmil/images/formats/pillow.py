"""PNG, JPEG, JPEG 2000, BMP, WebP and GIF files: one field of view each, or a film of one.

PNG and JPEG 2000 are read by imagecodecs, as Pillow reduces 16-bit colour to 8 bit; the others are
read by Pillow, as imagecodecs fills up a truncated JPEG with grey without an error. These formats
state a printing resolution at best, so the pixel size is unknown. Pixels are used as stored: a
rotation given by EXIF is not applied.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_attmil.core import ContentError
from napari_attmil.images.formats.axes import Axes, grid_positions
from napari_attmil.images.formats.header import FileHeader, PageHeader, page_header, to_image

# PNG's colour types: grey, RGB, palette, grey with alpha, RGB with alpha.
_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_GREY_MODES = ("1", "L", "LA")
_ANIMATED = ("GIF", "WEBP")
_SEARCHED_BYTES = 65_536
"""Within these a JPEG 2000 file begins with its pixels; before them it describes colours."""


def read_png_header(path: Path) -> FileHeader:
    """Read size, bit depth and colour from the first 26 bytes.

    Raises
    ------
    ValueError, struct.error
        If the file is cut short or damaged.
    """
    with path.open("rb") as file:
        width, height, bits, colour_type = struct.unpack(">16x2I2B", file.read(26))
    if colour_type not in _PNG_SAMPLES:
        raise ContentError(f"its colour type {colour_type} does not exist")
    dtype = np.uint16 if bits == 16 else np.uint8
    return FileHeader((page_header((height, width), _PNG_SAMPLES[colour_type], dtype, None),))


def decode_png(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode a PNG file to (Y, X) or (Y, X, 3) uint8 or uint16; a palette gives RGB."""
    del page
    return to_image(imagecodecs.png_decode(path.read_bytes()))


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except Image.DecompressionBombError as error:
        stated = re.search(r"\d+", str(error))
        pixels = f"{stated[0]} pixels" if stated else "too many pixels"
        raise ContentError(f"it states {pixels}, more than such a picture may have") from None


def read_picture_header(path: Path) -> FileHeader:
    """Read size and colour of a JPEG, BMP, WebP or GIF file; pictures of an animation are a film.

    Raises
    ------
    ValueError, OSError
        If the file is damaged.
    """
    with _opened(path) as picture:
        count = getattr(picture, "n_frames", 1) if picture.format in _ANIMATED else 1
        # Later pictures of a GIF may have colours that the first has not.
        samples = 1 if picture.mode in _GREY_MODES and count == 1 else 3
        plane = (picture.height, picture.width)
        pages = tuple(page_header(plane, samples, np.uint8, place) for place in range(count))
        return FileHeader(pages, None, Axes(grid_positions({"T": count})))


def decode_picture(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode a picture of a JPEG, BMP, WebP or GIF file to (Y, X) or (Y, X, 3) uint8.

    Raises
    ------
    OSError
        If the data are cut short or damaged.
    """
    with _opened(path) as picture:
        if page.place:
            picture.seek(page.place)
        return np.array(picture.convert("L" if len(page.shape) == 2 else "RGB"))


def read_jpeg2000_header(path: Path) -> FileHeader:
    """Read size, bit depth and colour of a JPEG 2000 file from its first marker, "SIZ".

    Raises
    ------
    ValueError, struct.error
        If the file is cut short or damaged.
    """
    with path.open("rb") as file:
        start = file.read(_SEARCHED_BYTES)
    place = start.find(b"\xff\x4f\xff\x51")
    if place < 0:
        raise ContentError("it is cut short, or no JPEG 2000")
    right, bottom, left, top = struct.unpack_from(">4I", start, place + 8)
    samples, bits = struct.unpack_from(">HB", start, place + 40)
    dtype = np.uint8 if (bits & 127) < 8 else np.uint16
    plane = (bottom - top, right - left)
    return FileHeader((page_header(plane, samples, dtype, None),))


def decode_jpeg2000(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode a JPEG 2000 file to (Y, X) or (Y, X, 3) uint8 or uint16; alpha is dropped."""
    del page
    return to_image(imagecodecs.jpeg2k_decode(path.read_bytes()))
