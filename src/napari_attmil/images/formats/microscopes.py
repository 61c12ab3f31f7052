"""Microscope makers' own formats through bioio, an extra that is imported when it is needed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import UserError
from napari_attmil.images.formats.axes import Axes, are_red_green_blue, grid_positions
from napari_attmil.images.formats.header import (
    FileHeader,
    PageHeader,
    in_um,
    page_header,
    plausible_um,
    to_image,
)

_DOWNLOADERS: Final = ("requests", "urllib3", "jgo", "jdk", "cjdk", "scyjava")
"""Packages by which plugins of bioio fetch what they lack."""


def read_bioio_header(path: Path) -> FileHeader:
    """Find every plane of a file in any format that bioio reads, and what it is.

    Scenes are places of their own. Channels called red, green and blue are put together.

    Raises
    ------
    UserError
        If bioio, or its plugin for this format, is not installed or cannot be completed.
    """
    image = _bioio_image(path)
    pages: list[PageHeader] = []
    axes = Axes(())
    for number, scene in enumerate(image.scenes):
        image.set_scene(scene)
        dims = image.dims
        samples = dims.S if "S" in dims.order else 1
        names = tuple(map(str, image.channel_names or ()))
        is_colour = samples == 1 and dims.C == 3 and are_red_green_blue(names)
        sizes = {"T": dims.T, "Z": dims.Z, "C": 1 if is_colour else dims.C}
        for position in grid_positions(sizes):
            assert position is not None  # T, Z and C only
            channel = None if is_colour else position.channel
            place = (number, position.time, position.z, channel)
            planes = 3 if is_colour else samples
            pages.append(page_header((dims.Y, dims.X), planes, image.dtype, place))
        step_um = in_um(image.physical_pixel_sizes.Z or 0, "um")
        axes = axes.and_then(Axes(grid_positions(sizes), () if is_colour else names, step_um))
    return FileHeader(tuple(pages), plausible_um(image.physical_pixel_sizes.X or 0, "um"), axes)


def decode_bioio(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one plane through bioio to (Y, X) or (Y, X, 3) uint8 or uint16."""
    scene, time, z, channel = page.place
    image = _bioio_image(path)
    image.set_scene(image.scenes[scene])
    chosen = {"T": time, "Z": z} if channel is None else {"T": time, "Z": z, "C": channel}
    axes = "YXS" if "S" in image.dims.order else "YXC" if channel is None else "YX"
    return to_image(np.asarray(image.get_image_dask_data(axes, **chosen).compute()))


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
    except Exception as error:
        if not _is_download(error):
            raise
        raise UserError(
            f"'{path.name}' is read by a part of bioio that is downloaded at its first use (Java "
            "and Bio-Formats), and that failed; try again with a connection to the internet that "
            "lets programs through, or export the images as TIFF."
        ) from error


def _is_download(error: BaseException | None) -> bool:
    """Return whether an error, or what it came from, is one of a download."""
    while error is not None:
        kind = type(error)
        is_of_network = isinstance(error, (URLError, ConnectionError, TimeoutError))
        if is_of_network or kind.__module__.split(".")[0] in _DOWNLOADERS:
            return True
        error = error.__cause__ or error.__context__
    return False
