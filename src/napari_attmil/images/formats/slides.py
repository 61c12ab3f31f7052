"""Scans of slides that only openslide reads (MIRAX and others): an extra, imported when needed."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import UserError
from napari_attmil.images.formats.axes import Axes, PlanePosition
from napari_attmil.images.formats.header import FileHeader, PageHeader, page_header, plausible_um
from napari_attmil.images.formats.large import LargeImage, TiledLevel

SLIDE_SUFFIXES: Final = (".mrxs", ".vms", ".vmu", ".svslide")
"""Formats of slide scanners that are no TIFF."""
_TILE_PX: Final = 512
_KEPT: Final = 8
"""Slides that stay open."""


def read_slide_header(path: Path) -> FileHeader:
    """Return the header of a scan; its label and overview are no fields of view.

    Raises
    ------
    UserError
        If openslide is not installed.
    Exception
        Whatever openslide raises on damaged data.
    """
    slide = _opened(path)
    width, height = slide.dimensions
    left_out = tuple(f"a {name}" for name in slide.associated_images)
    size_um = plausible_um(slide.properties.get("openslide.mpp-x") or 0.0, "um")
    page = page_header((height, width), 3, np.uint8, None)
    return FileHeader((page,), size_um, Axes((PlanePosition(),), left_out=left_out))


def open_slide_parts(path: Path, page: PageHeader) -> LargeImage:
    """Return a scan of which parts are read."""
    slide = _opened(path)
    return LargeImage(tuple(_level(path, slide, n) for n in range(slide.level_count)))


def decode_slide(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode a whole scan to (Y, X, 3) uint8."""
    return np.asarray(open_slide_parts(path, page))


def _level(path: Path, slide: Any, number: int) -> TiledLevel:
    width, height = slide.level_dimensions[number]
    by = slide.level_downsamples[number]

    def decoded(tile: int) -> NDArray[np.uint8]:
        row, column = divmod(tile, -(-width // _TILE_PX))
        left, top = column * _TILE_PX, row * _TILE_PX
        size = min(_TILE_PX, width - left), min(_TILE_PX, height - top)
        corner = round(left * by), round(top * by)
        pixels = np.asarray(slide.read_region(corner, number, size).convert("RGBA"))
        # What was not scanned is transparent; beside the specimen a slide is white.
        return np.where(pixels[..., 3:] > 0, pixels[..., :3], np.uint8(255))

    key = (str(path), path.stat().st_mtime_ns, "openslide", number)
    shape = (height, width, 3)
    return TiledLevel(key, shape, np.dtype(np.uint8), (_TILE_PX, _TILE_PX), decoded)


def _opened(path: Path) -> Any:
    return _slide(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=_KEPT)
def _slide(path: Path, mtime_ns: int) -> Any:
    del mtime_ns
    try:
        openslide = import_module("openslide")
    except ImportError:
        raise UserError(
            f"Reading '{path.name}' needs openslide: pip install 'napari-attmil[slides]', or "
            "export the scan as a tiled TIFF."
        ) from None
    return openslide.OpenSlide(str(path))
