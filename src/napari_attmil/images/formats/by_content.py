"""One image file of any format: its header, and one decoded field of view.

The format is recognised by the file's content, so a JPEG named .png is read as well.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from napari_attmil.core import ContentError, Remedy, UserError, counted, reason_in_words
from napari_attmil.images.formats import czi, microscopes as microscope, pillow as pictures, tiff
from napari_attmil.images.formats.dicom import (
    SIGNATURE,
    SIGNATURE_AT,
    decode_dicom,
    read_dicom_header,
)
from napari_attmil.images.formats.large import LARGE_PX, LargeImage, check_room
from napari_attmil.images.formats.ome_zarr import (
    METADATA,
    SUFFIX,
    decode_zarr,
    is_image_folder,
    open_zarr_parts,
    read_zarr_header,
)
from napari_attmil.images.formats.projections import (
    planes_of_stack,
    projected,
    stack_of_projection,
)
from napari_attmil.images.formats.slides import (
    SLIDE_SUFFIXES,
    decode_slide,
    open_slide_parts,
    read_slide_header,
)
from napari_attmil.images.formats.spe import SPE_SUFFIX, decode_spe, read_spe_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_attmil.images.formats.header import FileHeader, PageHeader
    from napari_attmil.images.formats.large import Level

COMMON_SUFFIXES = (
    *(".tif", ".tiff", ".btf", ".tf8", ".stk", ".lsm", ".qptiff", ".svs", ".ndpi", ".scn", ".bif"),
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".gif", ".jp2", ".j2k", ".czi"),
    *(SUFFIX, SPE_SUFFIX),
)
"""Formats that need no extra."""

BIOIO_SUFFIXES = (".nd2", ".lif", ".zvi", ".vsi", ".oib", ".oif", ".dv", ".ims")
"""Formats of microscope makers, which need the extra bioio."""

IMAGE_SUFFIXES = (*COMMON_SUFFIXES, *SLIDE_SUFFIXES, *BIOIO_SUFFIXES, ".dcm")
"""Suffixes of the files in a folder that are read as images (lower case)."""

_NO_IMAGES = (
    *(".csv", ".txt", ".json", ".xml", ".xlsx", ".html", ".pdf"),
    *(".sqlite", ".parquet", ".safetensors"),
)
"""Files that lie beside images, and that no extra could read as an image."""


class _Format(NamedTuple):
    name: str
    read_header: Callable[[Path], FileHeader]
    decode: Callable[[Path, PageHeader], NDArray[Any]]
    open_parts: Callable[[Path, PageHeader], LargeImage | None] | None = None


_TIFF = _Format("TIFF", tiff.read_header, tiff.decode, tiff.open_parts)
_PNG = _Format("PNG", pictures.read_png_header, pictures.decode_png)
_JPEG = _Format("JPEG", pictures.read_picture_header, pictures.decode_picture)
_BMP = _Format("BMP", pictures.read_picture_header, pictures.decode_picture)
_GIF = _Format("GIF", pictures.read_picture_header, pictures.decode_picture)
_WEBP = _Format("WebP", pictures.read_picture_header, pictures.decode_picture)
_JPEG2000 = _Format("JPEG 2000", pictures.read_jpeg2000_header, pictures.decode_jpeg2000)
_CZI = _Format("CZI", czi.read_czi_header, czi.decode_czi)
_ZARR = _Format("OME-Zarr", read_zarr_header, decode_zarr, open_zarr_parts)
_SLIDE = _Format("openslide", read_slide_header, decode_slide, open_slide_parts)
_DICOM = _Format("DICOM", read_dicom_header, decode_dicom)
_SPE = _Format("SPE", read_spe_header, decode_spe)
_OTHER = _Format("bioio", microscope.read_bioio_header, microscope.decode_bioio)

_BY_SIGNATURE = {
    b"II*\0": _TIFF,
    b"MM\0*": _TIFF,
    b"II+\0": _TIFF,  # more than 4 GB
    b"MM\0+": _TIFF,
    b"\x89PNG\r\n\x1a\n": _PNG,
    b"\xff\xd8\xff": _JPEG,
    b"BM": _BMP,
    b"GIF8": _GIF,
    b"\0\0\0\x0cjP  ": _JPEG2000,
    b"\xff\x4f\xff\x51": _JPEG2000,
    b"ZISRAWFILE": _CZI,
}


def file_header(path: Path) -> FileHeader:
    """Return the header of an image file without decoding pixels; cached until the file changes.

    Raises
    ------
    UserError
        If the file is missing, forbidden, empty, damaged, or of a format that cannot be read, or
        its name is not valid text.
    """
    _check_name(path)
    with _explained(path):
        # A folder's own time does not change with what its files hold.
        told = [path / name for name in METADATA] if is_image_folder(path) else []
        status = next((each for each in told if each.exists()), path).stat()
        return _file_header(path, status.st_size, status.st_mtime_ns)


def header_of_page(path: Path, page: int) -> PageHeader:
    """Return the header of a page, or of a projection; see `decode_page`."""
    pages = file_header(path).pages
    own = stack_of_projection(page)[0]
    if not 0 <= own < len(pages):
        raise UserError(
            f"'{path}' now holds {counted(len(pages), 'image')}, but image {own + 1} was listed "
            "when it was opened; open it again.",
            Remedy.OPEN_IMAGES,
        )
    return pages[own]


def decode_page(path: Path, page: int) -> NDArray[Any]:
    """Decode one field of view and no other.

    Parameters
    ----------
    path : Path
        The image file.
    page : int
        Which of its planes, from 0; or the projection of a z-stack, see `page_of_projection`.

    Returns
    -------
    (Y, X) or (Y, X, 3) array of uint8 or uint16

    Raises
    ------
    UserError
        If the file cannot be read, or holds no such page.
    """
    whole = header_of_page(path, page)
    check_room(f"'{path}'", whole.shape, whole.dtype)
    first, projection = stack_of_projection(page)
    header = file_header(path)
    with _explained(path):
        decode = _format_of(path).decode
        if not projection:
            return decode(path, header.pages[first])
        stack = planes_of_stack(header.axes, first)
        return projected((decode(path, header.pages[own]) for own in stack), projection)


def open_page(path: Path, page: int) -> NDArray[Any]:
    """Return a field of view: decoded, or if it is large, as a `LargeImage` that is read in parts.

    Raises
    ------
    UserError
        As `decode_page`; also whenever a part is read.
    """
    image = open_in_parts(path, page)
    # It does what an array does as far as images are used.
    return decode_page(path, page) if image is None else cast("NDArray[Any]", image)


def open_in_parts(path: Path, page: int) -> LargeImage | None:
    """Return a large field of view, no part of which is read yet.

    None if it is small, or if its file is not made of parts.

    Raises
    ------
    UserError
        As `open_page`.
    """
    header = header_of_page(path, page)
    if math.prod(header.shape[:2]) <= LARGE_PX or stack_of_projection(page)[1]:
        return None
    with _explained(path):
        open_parts = _format_of(path).open_parts
        image = None if open_parts is None else open_parts(path, header)
    if image is None:
        return None
    return LargeImage(tuple(_Explained(level, path) for level in image.levels), f"'{path}'")


@dataclass(frozen=True, eq=False)
class _Explained:
    """A level of a file; what goes wrong when a part is read is said as of the whole."""

    level: Level
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.level.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.level.dtype

    def __getitem__(self, place: tuple[slice, slice]) -> Any:
        with _explained(self.path):
            return self.level[place]


def _check_name(path: Path) -> None:
    """Refuse a name that is not text: tables, reports and annotation files could not hold it."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"The name {str(path)!a} holds bytes that are no text (UTF-8), as names unpacked from "
            "an archive of another system may; rename the file or folder.",
            Remedy.OPEN_IMAGES,
        ) from None


@lru_cache(maxsize=4096)
def _file_header(path: Path, size_bytes: int, mtime_ns: int) -> FileHeader:
    """Read a header; size and time of change make a changed file another entry of the cache."""
    del mtime_ns
    if size_bytes == 0:
        raise UserError(
            f"'{path}' is empty (0 bytes); copy it again, or leave it out.", Remedy.OPEN_IMAGES
        )
    return _format_of(path).read_header(path)


def _format_of(path: Path) -> _Format:
    suffix = path.suffix.lower()
    if is_image_folder(path):
        return _ZARR
    if suffix in SLIDE_SUFFIXES:
        return _SLIDE
    if suffix in BIOIO_SUFFIXES:
        return _OTHER  # some, like VSI, look like TIFF and hold only a thumbnail as such
    if suffix == SPE_SUFFIX:
        return _SPE
    with path.open("rb") as file:
        start = file.read(SIGNATURE_AT + len(SIGNATURE))
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _WEBP
    for signature, image_format in _BY_SIGNATURE.items():
        if start.startswith(signature):
            return image_format
    if start[SIGNATURE_AT:] == SIGNATURE:  # some scanners write TIFF that is DICOM too
        return _DICOM
    if suffix in _NO_IMAGES:
        raise UserError(
            f"'{path}' is no image; choose image files, or folders of them.", Remedy.OPEN_IMAGES
        )
    if suffix in IMAGE_SUFFIXES:
        raise UserError(
            f"'{path}' is named {suffix} but is no image that can be read (TIFF, PNG, JPEG, BMP, "
            "GIF, WebP, CZI, DICOM); export it again as TIFF, or leave it out.",
            Remedy.OPEN_IMAGES,
        )
    return _OTHER


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn any error in reading a file into one sentence for the user."""
    try:
        yield
    except UserError:
        raise
    except MemoryError:
        raise UserError(
            f"'{path}' states a size for which there is not enough memory; close other programs, "
            "export a part of the image, or leave it out.",
            Remedy.OPEN_IMAGES,
        ) from None
    except FileNotFoundError:
        raise UserError(
            f"'{path}' does not exist; check the path or open it again.", Remedy.OPEN_IMAGES
        ) from None
    except PermissionError:
        raise UserError(
            f"'{path}' may not be read (permission denied); ask for access, or copy it elsewhere.",
            Remedy.OPEN_IMAGES,
        ) from None
    except Exception as error:  # decoders raise anything on damaged data
        raise UserError(
            f"'{path}' cannot be read: {_reason(error)}; copy it again, export it as a grey or RGB "
            "TIFF, or leave it out.",
            Remedy.OPEN_IMAGES,
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, (struct.error, EOFError)):
        return "it is cut short"
    if isinstance(error, (ContentError, OverflowError)) or getattr(error, "strerror", None):
        return reason_in_words(error)
    return "it is damaged, or stored in a way that this program does not read"
