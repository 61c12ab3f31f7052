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
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_attmil.core import ContentError
from napari_attmil.images.formats.header import FileHeader, PageHeader, plausible_um, to_image
from napari_attmil.images.formats.large import LargeImage, TiledLevel
from napari_attmil.images.formats.tiff_series import Plane, photometric_of, read_series

_MOST_IMAGES = 10_000_000
_UNIT_OF_TAG = {None: "inch", 2: "inch", 3: "cm"}
"""The unit of ResolutionUnit; without the tag it is inches, by the specification."""


def read_header(path: Path) -> FileHeader:
    """Find every plane in a TIFF file, and what it is, without decoding any.

    Reduced copies (pyramid levels, thumbnails) and a slide's label and overview are no fields.
    Channels called red, green and blue are put together.

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
        pages, axes = read_series(tif)
        if not any(axes.positions):
            raise ContentError("it holds nothing but reduced copies of images")
        return FileHeader(tuple(pages), _pixel_size_um(tif), axes)


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
    if plane.sample is not None:
        pixels = pixels[..., plane.sample]
    return _grey_or_rgb(pixels, page)


def open_parts(path: Path, page: PageHeader) -> LargeImage | None:
    """Return a field of view whose tiles or strips are decoded when they are asked for.

    None where these cannot be had one by one, or where pixels need more than a change of colour.
    """
    if len(page.place) > 1 or page.is_converted or page.place[0].sample is not None:
        return None
    (plane,) = page.place
    with _quiet(), tifffile.TiffFile(path) as tif:
        pages = []
        for offset in (plane.ifd, *plane.reduced):
            tif.filehandle.seek(offset)
            pages.append(tifffile.TiffPage(tif, index=0))
        first = pages[0]
        in_parts = plane.data is None and first.axes in ("YX", "YXS") and len(first.dataoffsets) > 1
        is_plain = first.dtype in (np.uint8, np.uint16)
        if not in_parts or not is_plain:
            return None
        alike = [each for each in pages if each.axes == first.axes and each.dtype == first.dtype]
        return LargeImage(tuple(_level(path, each, page) for each in alike))


def _level(path: Path, page: Any, header: PageHeader) -> TiledLevel:
    """Return a page whose tiles are decoded one by one; its file is open for each of them only."""
    height, width = (page.shape[page.axes.index(axis)] for axis in "YX")
    tile = (page.chunks[0], page.chunks[1])
    decode, tables, jpeg_header = page.decode, page.jpegtables, page.jpegheader
    offsets, counts = page.dataoffsets, page.databytecounts
    shape = (height, width, *header.shape[2:])

    def decoded(number: int) -> NDArray[Any]:
        row, column = divmod(number, -(-width // tile[1]))
        rows = min(tile[0], height - row * tile[0])
        columns = min(tile[1], width - column * tile[1])
        pixels = np.full((rows, columns, *shape[2:]), page.nodata, header.dtype)
        if counts[number]:
            with path.open("rb") as file:
                file.seek(offsets[number])
                packed = file.read(counts[number])
            found = decode(packed, number, jpegtables=tables, jpegheader=jpeg_header)[0]
            if found is not None:
                found = found[0] if "S" in page.axes else found[0, ..., 0]
                pixels[...] = to_image(_grey_or_rgb(found, page))[:rows, :columns]
        return pixels

    status = path.stat()
    key = (str(path), status.st_mtime_ns, status.st_size, page.offset)
    return TiledLevel(key, shape, header.dtype, tile, decoded)


def _grey_or_rgb(pixels: NDArray[Any], page: Any) -> NDArray[Any]:
    """Return the pixels of a page, or of a part of it, as grey or RGB in which black is 0."""
    match photometric_of(page):
        case "PALETTE":
            if page.colormap is None:
                raise ContentError("its palette of colours is missing")
            return _apply_palette(pixels, page.colormap)
        case "MINISWHITE":
            return _inverted(pixels, page.bitspersample)
        case "SEPARATED":
            return _rgb_of_inks(pixels)
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


def _rgb_of_inks(inks: NDArray[Any]) -> NDArray[Any]:
    """Turn (Y, X, 4 or 5) cyan, magenta, yellow, black into RGB; what follows them is dropped."""
    highest = np.iinfo(inks.dtype).max if inks.dtype.kind == "u" else 1
    left = highest - inks[..., :4].astype(np.float32)
    return np.rint(left[..., :3] * left[..., 3:4] / highest).astype(inks.dtype)


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
