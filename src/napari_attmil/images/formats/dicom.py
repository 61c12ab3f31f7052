"""DICOM files by pydicom: an extra, imported when needed. Scans of slides are left to openslide."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import ContentError, UserError
from napari_attmil.images.formats.axes import Axes, grid_positions
from napari_attmil.images.formats.header import (
    FileHeader,
    PageHeader,
    page_header,
    plausible_um,
    to_image,
)

SIGNATURE: Final = b"DICM"
SIGNATURE_AT: Final = 128
"""Bytes before the signature: anything."""
_FRAME_TIMES: Final = (0x00181063, 0x00181065)
"""Attributes (frame time, and its vector) that make the frames of a file a film."""


def read_dicom_header(path: Path) -> FileHeader:
    """Return the header of an image. Frames with times are a film, others are places.

    Raises
    ------
    UserError
        If pydicom is not installed.
    ContentError
        If the file holds no image, or is a part of a scanned slide.
    Exception
        Whatever pydicom raises on damaged data.
    """
    data = _dicom(path).dcmread(path, stop_before_pixels=True)
    if "Rows" not in data or "Columns" not in data:
        raise ContentError("it holds no image")
    if "TotalPixelMatrixColumns" in data:
        raise ContentError("it is a part of a scanned slide")
    if data.PhotometricInterpretation == "PALETTE COLOR":
        raise ContentError("its colours are a palette")
    count = int(data.get("NumberOfFrames") or 1)
    samples, kind = data.SamplesPerPixel, "i" if data.PixelRepresentation else "u"
    dtype = np.dtype(f"{kind}{data.BitsAllocated // 8}") if data.BitsAllocated > 1 else np.bool_
    plane = (data.Rows, data.Columns)
    pages = tuple(page_header(plane, samples, dtype, number) for number in range(count))
    is_film = data.get("FrameIncrementPointer") in _FRAME_TIMES
    axes = Axes(grid_positions({"T": count})) if is_film else Axes.flat(count)
    return FileHeader(pages, plausible_um(_spacing_mm(data), "mm"), axes)


def decode_dicom(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one frame to (Y, X) or (Y, X, 3); grey that is darker the higher is turned over."""
    data = _dicom(path).dcmread(path, stop_before_pixels=True)
    pixels = import_module("pydicom.pixels").pixel_array(path, index=page.place)
    if data.PhotometricInterpretation == "MONOCHROME1":
        least = -(2 ** (data.BitsStored - 1)) if data.PixelRepresentation else 0
        pixels = (2 * least + 2**data.BitsStored - 1 - pixels.astype(np.int64)).astype(pixels.dtype)
    return to_image(pixels)


def _spacing_mm(data: Any) -> float:
    """Return the distance of two pixels, 0 where the file does not tell."""
    of_all_frames = [
        measures.get("PixelSpacing")
        for shared in data.get("SharedFunctionalGroupsSequence", ())
        for measures in shared.get("PixelMeasuresSequence", ())
    ]
    stated = (*of_all_frames, data.get("PixelSpacing"), data.get("ImagerPixelSpacing"))
    return next((float(spacing[1]) for spacing in stated if spacing), 0.0)


def _dicom(path: Path) -> ModuleType:
    try:
        return import_module("pydicom")
    except ImportError:
        raise UserError(
            f"Reading '{path.name}' needs the package pydicom: "
            "pip install 'napari-attmil[dicom]', or export the images as TIFF."
        ) from None
