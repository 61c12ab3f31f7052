"""TIFF files: the fields of view that they hold, and how one of them is decoded alone.

The header says where in the file each field of view lies, so that image 1,999 of a stack is read
without the others. LSM and MetaMorph's STK are TIFF as well.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_attmil.core import ContentError
from napari_attmil.images.formats.header import (
    FileHeader,
    PageHeader,
    page_header,
    plausible_um,
    to_image,
)

_MOST_IMAGES = 10_000_000
_UNIT_OF_TAG = {None: "inch", 2: "inch", 3: "cm"}
"""The unit of ResolutionUnit; without the tag it is inches, by the specification."""
_GREY_OR_RGB = ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE")


@dataclass(frozen=True)
class Plane:
    """Where a plane of pixels lies in a TIFF file.

    Attributes
    ----------
    ifd : int
        Offset in bytes of the directory that describes the plane.
    data : int or None
        Offset in bytes of the bare pixels where one directory stands for many planes, as in
        ImageJ stacks above 4 GB; None where the directory says it.
    """

    ifd: int
    data: int | None = None


def read_header(path: Path) -> FileHeader:
    """Find every field of view in a TIFF file without decoding any.

    Time points, positions and focal planes (z) are all fields of view, each a page of its own.
    Channels are not: three grey channels are read as red, green and blue; other numbers are
    refused, as nothing says which channel is the bright-field one. Reduced copies (pyramid levels,
    thumbnails) are ignored.

    Raises
    ------
    ValueError
        If the file is cut short, or its content cannot be read as bright-field images.
    tifffile.TiffFileError, OSError
        If it is not a TIFF, or damaged.
    """
    with _quiet(), tifffile.TiffFile(path) as tif:
        _check_complete(tif)
        _check_stated_images(tif)
        if all(_lies_in_this_file(series, tif) for series in tif.series):
            pages = [page for series in tif.series for page in _series_pages(series, tif)]
        else:
            # A set of OME-TIFF files: only the images in this file count, or a folder of such files
            # would give every image as often as there are files.
            pages = list(_own_pages(tif))
        if not pages:
            raise ContentError("it holds nothing but reduced copies of images")
        return FileHeader(tuple(pages), _pixel_size_um(tif))


def decode(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one field of view.

    Returns
    -------
    (Y, X) or (Y, X, 3) array of uint8 or uint16

    Raises
    ------
    Exception
        Whatever the decoder raises on damaged data.
    """
    planes: tuple[Plane, ...] = page.place
    with _quiet(), tifffile.TiffFile(path) as tif:
        decoded = [_decode_plane(tif, plane) for plane in planes]
    return to_image(decoded[0] if len(decoded) == 1 else np.stack(decoded, axis=-1))


def _check_complete(tif: tifffile.TiffFile) -> None:
    """Refuse a file that ends before its list of pages; tifffile would drop the rest."""
    if not len(tif.pages):
        raise ContentError("it is cut short before its first image")
    form = tif.tiff
    with tif.filehandle.lock:
        tif.filehandle.seek(tif.pages[-1].offset)
        (tags,) = struct.unpack(form.tagnoformat, tif.filehandle.read(form.tagnosize))
        tif.filehandle.seek(tags * form.tagsize, 1)
        following = tif.filehandle.read(form.offsetsize)
    if following.strip(b"\0"):
        raise ContentError(f"it is cut short after {len(tif.pages)} images")
    for page in tif.pages:
        _check_data(page, tif)


def _check_stated_images(tif: tifffile.TiffFile) -> None:
    """Refuse OME-XML that states more images than any file holds: tifffile would list them all."""
    if not tif.is_ome:
        return
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", tif.ome_metadata or ""):
        sizes = re.findall(r'\bSize[CZT]\s*=\s*["\'](\d{1,18})', pixels)
        stated = math.prod(map(int, sizes))
        if stated > _MOST_IMAGES:
            raise ContentError(f"it states {stated:,} images")


def _check_data(page: Any, tif: tifffile.TiffFile) -> None:
    """Refuse pixels beyond the end of the file; JPEG would be filled up with grey."""
    if not page.dataoffsets:
        raise ContentError("it holds a page without pixels")
    if page.is_contiguous:
        end = page.dataoffsets[0] + page.nbytes
    else:
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False)))
    if end > tif.filehandle.size:
        raise ContentError(f"it is cut short: {end - tif.filehandle.size} bytes are missing")


def _lies_in_this_file(series: tifffile.TiffPageSeries, tif: tifffile.TiffFile) -> bool:
    return all(page is not None and page.parent is tif for page in series)


def _own_pages(tif: tifffile.TiffFile) -> Iterator[PageHeader]:
    for page in tif.pages:
        if page.keyframe is None or not page.keyframe.is_reduced:
            yield _page_header(page, (Plane(page.offset),))


def _series_pages(series: tifffile.TiffPageSeries, tif: tifffile.TiffFile) -> list[PageHeader]:
    """Return a header per field of view of a series, colour channels put together."""
    keyframe = series.keyframe
    if keyframe.is_reduced:
        return []
    if keyframe.axes not in ("YX", "YXS", "SYX"):
        raise ContentError(f"its pages hold {keyframe.axes}, but single images are needed")
    outer = series.shape[: len(series.shape) - len(keyframe.axes)]
    planes = _series_planes(series, int(np.prod(outer)), tif)
    numbers = np.arange(len(planes)).reshape(outer)
    channel_axis = _channel_axis(series, tif)
    if channel_axis is None:
        groups = numbers.reshape(-1, 1)
    else:
        groups = np.moveaxis(numbers, channel_axis, -1).reshape(-1, outer[channel_axis])
    return [_page_header(keyframe, tuple(planes[i] for i in group)) for group in groups]


def _series_planes(
    series: tifffile.TiffPageSeries, count: int, tif: tifffile.TiffFile
) -> list[Plane]:
    """Return where every plane of a series lies, whether or not it has its own directory."""
    if len(series) == count:
        return [Plane(page.offset) for page in series if page is not None]
    keyframe, start = series.keyframe, series.dataoffset
    if start is None:
        raise ContentError(f"it describes {count} images but holds {len(series)}")
    if start + count * keyframe.nbytes > tif.filehandle.size:
        raise ContentError(f"it is cut short: its {count} images do not fit into its size")
    return [Plane(keyframe.offset, start + i * keyframe.nbytes) for i in range(count)]


def _channel_axis(series: tifffile.TiffPageSeries, tif: tifffile.TiffFile) -> int | None:
    """Return which axis of a series holds red, green and blue; None if none does.

    In ImageJ's grey stacks, writers use "C" when they do not know what the images are.
    """
    if "C" not in series.axes or "S" in series.axes:
        return None
    mode = (tif.imagej_metadata or {}).get("mode")
    if series.kind == "imagej" and mode not in ("composite", "color"):
        return None
    axis = int(series.axes.index("C"))
    if series.shape[axis] != 3:
        raise ContentError(f"it has {series.shape[axis]} channels, but one or three are needed")
    return axis


def _page_header(page: Any, planes: tuple[Plane, ...]) -> PageHeader:
    """Describe a page as it will be once decoded."""
    photometric = _photometric(page)
    samples = page.shape[page.axes.index("S")] if "S" in page.axes else 1
    plane = (page.shape[page.axes.index("Y")], page.shape[page.axes.index("X")])
    if photometric == "PALETTE":
        return page_header(plane, 3, np.uint8, planes)
    if page.dtype is None:
        raise ContentError(f"its {page.bitspersample}-bit pixels cannot be read")
    return page_header(plane, len(planes) if len(planes) > 1 else samples, page.dtype, planes)


def _photometric(page: Any) -> str:
    name = getattr(page.photometric, "name", str(page.photometric))
    # JPEG stores YCbCr, and tifffile returns it as RGB; it does not convert it otherwise.
    if name == "YCBCR" and getattr(page.compression, "name", "").endswith("JPEG"):
        return "RGB"
    if name not in _GREY_OR_RGB:
        raise ContentError(f"its colours are stored as {name}, but grey or RGB is needed")
    return name


def _decode_plane(tif: tifffile.TiffFile, plane: Plane) -> NDArray[Any]:
    """Decode a plane to (Y, X) or (Y, X, S) in which black is 0."""
    tif.filehandle.seek(plane.ifd)
    page = tifffile.TiffPage(tif, index=0)
    if plane.data is None:
        pixels = page.asarray()
    else:
        dtype = np.dtype(page.dtype).newbyteorder(tif.byteorder)
        tif.filehandle.seek(plane.data)
        bare = tif.filehandle.read(page.nbytes)
        pixels = np.frombuffer(bare, dtype).reshape(page.shape)
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    photometric = _photometric(page)
    if photometric == "PALETTE":
        if page.colormap is None:
            raise ContentError("its palette of colours is missing")
        return _apply_palette(pixels, page.colormap)
    if photometric == "MINISWHITE":
        return _inverted(pixels, page.bitspersample)
    return pixels


def _apply_palette(indices: NDArray[Any], palette: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Turn palette indices into RGB; `palette` is (3, entries)."""
    shift = 8 if palette.max() > 255 else 0  # 16 bit by the specification, but some write 8 bit
    colours: NDArray[np.uint8] = (palette >> shift).astype(np.uint8).T
    return colours[indices.astype(np.intp)]


def _inverted(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    if pixels.dtype.kind == "b":
        return ~pixels
    if pixels.dtype.kind == "u":
        return ((1 << bits) - 1 - pixels.astype(np.int64)).astype(pixels.dtype)
    return -pixels


def _pixel_size_um(tif: tifffile.TiffFile) -> float | None:
    """Read the pixel size from OME-XML, from ImageJ's unit, or from the resolution tags."""
    if tif.is_ome and (size := _ome_pixel_size_um(tif.ome_metadata or "")) is not None:
        return size
    tags = tif.pages.first.tags
    resolution = tags.valueof("XResolution")
    # By the specification a fraction. Anything else is no reason to refuse the image.
    if not isinstance(resolution, tuple) or len(resolution) != 2 or not all(resolution):
        return None
    pixels, units = resolution
    unit = _UNIT_OF_TAG.get(tags.valueof("ResolutionUnit"), "")
    if tif.is_imagej:
        unit = str((tif.imagej_metadata or {}).get("unit") or unit)
    return plausible_um(units / pixels, unit)


def _ome_pixel_size_um(xml: str) -> float | None:
    size = re.search(r'\bPhysicalSizeX\s*=\s*["\']([^"\']+)', xml)
    unit = re.search(r'\bPhysicalSizeXUnit\s*=\s*["\']([^"\']+)', xml)
    return plausible_um(size[1], unit[1] if unit else "um") if size else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile from writing to the terminal, in this thread and while a file is open.

    It warns of anything unusual in a file and goes on; what matters is checked here and raised.
    """
    thread = threading.get_ident()

    def not_from_here(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger = logging.getLogger("tifffile")
    logger.addFilter(not_from_here)
    try:
        yield
    finally:
        logger.removeFilter(not_from_here)
