"""Pictures within a report: images with coloured boxes, and cells cut out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from napari_attmil.images import LargeImage, crop_cell, to_uint8

PICTURE_PX: Final = 1000
"""Maximum width of a picture: boxes are visible, and the page is small enough for e-mail."""
THUMBNAIL_PX: Final = 128
_HALO: Final = (20, 24, 32)
"""Outline around every box: white is invisible on bright-field images."""


def boxed_picture(
    image: npt.NDArray[Any], xyxy: npt.ArrayLike, colours: npt.ArrayLike
) -> Image.Image:
    """Return an image with its boxes, shrunk to `PICTURE_PX` where it is wider.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3).
    xyxy
        (n, 4) boxes in its pixels; the later ones lie on top.
    colours
        (n, 4) RGBA from 0 to 1; alpha is not used.
    """
    if isinstance(image, LargeImage):
        small = image.overview(PICTURE_PX)
        factor = small.shape[1] / image.shape[1]
        return boxed_picture(small, np.asarray(xyxy, dtype=np.float64) * factor, colours)
    picture = Image.fromarray(to_uint8(image, image)).convert("RGB")
    shrink = min(1.0, PICTURE_PX / picture.width)
    picture = picture.resize((round(picture.width * shrink), round(picture.height * shrink)))
    draw = ImageDraw.Draw(picture)
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4) * shrink
    for box, colour in zip(boxes, _to_bytes(colours), strict=True):
        draw.rectangle(tuple(np.add(box, (-1, -1, 1, 1))), outline=_HALO, width=4)
        draw.rectangle(tuple(box), outline=colour, width=2)
    return picture


def thumbnail(image: npt.NDArray[Any], xyxy: npt.ArrayLike, side_px: float) -> Image.Image:
    """Return a cell cut out, `THUMBNAIL_PX` wide, which shows `side_px` of the image's pixels."""
    x_min, y_min, x_max, y_max = np.asarray(xyxy, dtype=np.float64)
    x, y, half = (x_min + x_max) / 2, (y_min + y_max) / 2, side_px / 2
    square = (x - half, y - half, x + half, y + half)
    return Image.fromarray(crop_cell(image, square, THUMBNAIL_PX, context=1.0))


def _to_bytes(colours: npt.ArrayLike) -> Sequence[tuple[int, int, int]]:
    rgb = np.rint(np.asarray(colours, dtype=np.float64).reshape(-1, 4)[:, :3] * 255)
    return [(int(red), int(green), int(blue)) for red, green, blue in rgb]
