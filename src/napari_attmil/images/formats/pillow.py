"""PNG, JPEG and BMP files: one field of view each.

PNG is read by imagecodecs, as Pillow reduces 16-bit colour to 8 bit; JPEG and BMP are read by
Pillow, as imagecodecs fills up a truncated JPEG with grey without an error. These formats state a
printing resolution at best, so the pixel size is unknown. Pixels are used as stored: a rotation
given by EXIF is not applied.
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
from napari_attmil.images.formats.header import FileHeader, PageHeader, page_header, to_image

# PNG's colour types: grey, RGB, palette, grey with alpha, RGB with alpha.
_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_GREY_MODES = ("1", "L")


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
    """Read size and colour of a JPEG or BMP file.

    Raises
    ------
    ValueError, OSError
        If the file is damaged.
    """
    with _opened(path) as picture:
        samples = 1 if picture.mode in _GREY_MODES else 3
        plane = (picture.height, picture.width)
        return FileHeader((page_header(plane, samples, np.uint8, None),))


def decode_picture(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode a JPEG or BMP file to (Y, X) or (Y, X, 3) uint8.

    Raises
    ------
    OSError
        If the data are cut short or damaged.
    """
    del page
    with _opened(path) as picture:
        return np.array(picture.convert("L" if picture.mode in _GREY_MODES else "RGB"))
