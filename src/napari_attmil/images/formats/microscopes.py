"""Microscope makers' own formats: CZI through czifile, all others through bioio.

Both libraries are extras, imported when the first such file is read.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from tifffile import FileHandle

from napari_attmil.core import ContentError, UserError
from napari_attmil.images.formats.header import (
    FileHeader,
    PageHeader,
    page_header,
    plausible_um,
    to_image,
)

_CZI_LZW, _CZI_ZSTD0, _CZI_ZSTD1 = 2, 5, 6  # DirectoryEntryDV, "Compression"


def read_czi_header(path: Path) -> FileHeader:
    """Find every field of view of a CZI file.

    Scenes, time points, focal planes and the tiles of a mosaic are all fields of view, each a page
    of its own. Tiles are not stitched, so cells in their overlap occur twice.

    Raises
    ------
    UserError
        If czifile is not installed.
    ValueError
        If the file has several channels, or holds no images.
    """
    czifile = _extra("czifile", "czi", path)
    with czifile.CziFile(str(path)) as czi:
        entries = [
            entry
            for entry in czi.subblock_directory
            # An image stored at a smaller size than its own is a level of the zoom pyramid.
            if entry.pyramid_type == 0 and entry.stored_shape == entry.shape
        ]
        metadata = czi.metadata() or ""
    channels = {dim.start for e in entries for dim in e.dimension_entries if dim.dimension == "C"}
    if len(channels) > 1:
        raise ContentError(f"it has {len(channels)} channels, but one is needed")
    if not entries:
        raise ContentError("it holds no images")
    entries.sort(key=_czi_order)
    return FileHeader(tuple(map(_czi_page_header, entries)), _czi_pixel_size_um(metadata))


def decode_czi(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one field of view of a CZI file to (Y, X) or (Y, X, 3) uint8 or uint16."""
    czifile = _extra("czifile", "czi", path)
    with FileHandle(str(path)) as file:
        block = czifile.Segment(file, page.place).data()
        entry = block.directory_entry
        if entry.compression in (_CZI_LZW, _CZI_ZSTD0, _CZI_ZSTD1):
            pixels = _unpack_czi(block.data(raw=True), entry)
        else:
            pixels = block.data(resize=False)
        return to_image(pixels.reshape(entry.shape[-3:]))


def read_bioio_header(path: Path) -> FileHeader:
    """Find every field of view of a file in any format that bioio reads: scenes, time, z.

    Raises
    ------
    UserError
        If bioio, or its plugin for this format, is not installed.
    ValueError
        If the file has several channels.
    """
    image = _bioio_image(path)
    pages: list[PageHeader] = []
    for number, scene in enumerate(image.scenes):
        image.set_scene(scene)
        dims = image.dims
        samples = dims.S if "S" in dims.order else 1
        channels = dims.C if samples == 1 else 1
        if channels not in (1, 3):
            raise ContentError(f"it has {channels} channels, but one or three are needed")
        pages.extend(
            page_header((dims.Y, dims.X), max(samples, channels), image.dtype, (number, t, z))
            for t in range(dims.T)
            for z in range(dims.Z)
        )
    return FileHeader(tuple(pages), plausible_um(image.physical_pixel_sizes.X or 0, "um"))


def decode_bioio(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one field of view through bioio to (Y, X) or (Y, X, 3) uint8 or uint16."""
    scene, time, z = page.place
    image = _bioio_image(path)
    image.set_scene(image.scenes[scene])
    axes = "YXS" if "S" in image.dims.order else "YXC"
    return to_image(np.asarray(image.get_image_dask_data(axes, T=time, Z=z).compute()))


def _extra(package: str, extra: str, path: Path) -> ModuleType:
    try:
        return import_module(package)
    except ImportError:
        raise UserError(
            f"Reading '{path.name}' needs the package {package}: "
            f"pip install 'napari-attmil[{extra}]', or export the images as TIFF."
        ) from None


def _bioio_image(path: Path) -> Any:
    bioio = _extra("bioio", "bioio", path)
    errors = _extra("bioio_base.exceptions", "bioio", path)
    try:
        return bioio.BioImage(path)
    except errors.UnsupportedFileFormatError:
        raise UserError(
            f"No installed reader knows the format of '{path.name}'; install bioio's plugin for "
            "it, or the extra bioformats (GPL): pip install 'napari-attmil[bioformats]', or export "
            "the images as TIFF."
        ) from None


def _czi_order(entry: Any) -> tuple[Any, ...]:
    """Sort by scene, time, focal plane and whatever else there is, tiles last."""
    outer = [dim.start for dim in entry.dimension_entries if dim.dimension not in "MYX"]
    return (*outer, entry.mosaic_index or 0, entry.start)


def _czi_page_header(entry: Any) -> PageHeader:
    dtype = np.dtype(entry.dtype)
    return page_header(entry.shape[-3:-1], entry.shape[-1], dtype.base, entry.file_position)


def _unpack_czi(packed: bytes, entry: Any) -> NDArray[Any]:
    """Decompress what czifile cannot, or no longer can: Zstandard (the default of ZEN 3) and LZW.

    Zstd1 has a header: its length, and optionally a flag that says whether the low bytes of all
    16-bit values come before all high bytes (CZI specification, "Zstd1").
    """
    dtype = np.dtype(entry.dtype)
    if entry.compression == _CZI_LZW:
        unpacked = imagecodecs.lzw_decode(packed)
    elif entry.compression == _CZI_ZSTD0:
        unpacked = imagecodecs.zstd_decode(packed)
    else:
        length = packed[0]
        unpacked = imagecodecs.zstd_decode(packed[length:])
        if length == 3 and packed[2] & 1:
            unpacked = np.frombuffer(unpacked, np.uint8).reshape(2, -1).T.tobytes()
    pixels = np.frombuffer(unpacked, dtype.base).reshape(entry.shape)
    if entry.shape[-1] >= 3:  # stored as blue, green, red
        pixels = pixels[..., [2, 1, 0, *range(3, entry.shape[-1])]]
    return pixels


def _czi_pixel_size_um(xml: str) -> float | None:
    """Read the scaling along X, which CZI gives in metres."""
    found = re.search(r'<Distance Id="X">\s*<Value>([^<]+)</Value>', xml)
    return plausible_um(found[1], "m") if found else None
