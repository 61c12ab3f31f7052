"""SPE files of Princeton Instruments' cameras (WinSpec, LightField): grey films, by imageio."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import ContentError, counted
from napari_attmil.images.formats.axes import Axes, grid_positions
from napari_attmil.images.formats.header import FileHeader, PageHeader, page_header, to_image

SPE_SUFFIX: Final = ".spe"
"""By which these files are known: they begin with no signature."""


def read_spe_header(path: Path) -> FileHeader:
    """Return the header of a film. The format has no pixel size.

    Raises
    ------
    ContentError
        If the file holds fewer frames than it states, or none.
    Exception
        Whatever imageio raises on damaged data.
    """
    with _opened(path, check_filesize=False) as film:
        count, *plane = film.properties(index=...).shape
        dtype = film.properties(index=...).dtype
    with warnings.catch_warnings(action="ignore"), _opened(path, check_filesize=True) as film:
        held = film.properties(index=...).shape[0]
    if count < 1 or held < count:
        raise ContentError(f"it states {counted(count, 'frame')}, but holds {max(held, 0)}")
    height, width = plane
    pages = (page_header((height, width), 1, dtype, number) for number in range(count))
    return FileHeader(tuple(pages), None, Axes(grid_positions({"T": count})))


def decode_spe(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one frame to (Y, X) uint16."""
    with _opened(path, check_filesize=False) as film:
        return to_image(np.asarray(film.read(index=page.place)))


def _opened(path: Path, **settings: Any) -> Any:
    return iio.imopen(path, "r", plugin="SPE", **settings)
