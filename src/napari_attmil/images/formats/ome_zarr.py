"""OME-Zarr images (0.4 and 0.5): folders of chunks, whose metadata name the axes.

A folder holds one image at several resolutions, several images (as bioformats2raw writes them) or a
plate of wells. Each image is a place of its own; its smaller resolutions are no fields of view.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import ContentError, UserError
from napari_attmil.images.formats.axes import Axes, are_red_green_blue, grid_positions
from napari_attmil.images.formats.header import (
    FileHeader,
    PageHeader,
    in_um,
    page_header,
    plausible_um,
    to_image,
)
from napari_attmil.images.formats.large import LargeImage

SUFFIX: Final = ".zarr"
METADATA: Final = ("zarr.json", ".zattrs")
"""Files that say what a folder is, in version 3 and 2 of the format."""
_WHAT: Final = ("multiscales", "plate", "bioformats2raw.layout")
_LETTERS: Final = "TCZYX"
_UNITS: Final = {"micrometer": "um", "nanometer": "nm", "millimeter": "mm", "picometer": "pm"}


class _Place(NamedTuple):
    """Where a plane lies: the folders of its resolutions, its indices, and its axis of colours."""

    levels: tuple[str, ...]
    steps: tuple[int, ...]
    colour_axis: int | None


def is_image_folder(path: Path) -> bool:
    """Return whether a folder is an image, or several, in OME-Zarr."""
    if path.suffix.lower() != SUFFIX or not os.path.isdir(path):
        return False
    return any(name in _attributes(path) for name in _WHAT)


def read_zarr_header(path: Path) -> FileHeader:
    """Find every plane of an OME-Zarr folder, and what it is, without reading pixels.

    Raises
    ------
    UserError
        If the package zarr is not installed.
    ValueError
        If there is no image, or one of other axes.
    """
    pages: list[PageHeader] = []
    axes, pixel_um = Axes(()), None
    group = _open(path)
    for place in _image_places(path):
        found, own, size_um = _image_pages(group, path, place)
        pages.extend(found)
        axes = axes.and_then(own)
        pixel_um = pixel_um or size_um
    if not pages:
        raise ContentError("it holds no image")
    return FileHeader(tuple(pages), pixel_um, axes)


def decode_zarr(path: Path, page: PageHeader) -> NDArray[Any]:
    """Decode one plane to (Y, X) or (Y, X, 3) uint8 or uint16."""
    level = _ZarrLevel(_open(path)[page.place.levels[0]], page.place)
    return to_image(level[slice(None), slice(None)])


def open_zarr_parts(path: Path, page: PageHeader) -> LargeImage | None:
    """Return a plane of which parts are read; None where pixels are converted."""
    if page.is_converted:
        return None
    group = _open(path)
    return LargeImage(tuple(_ZarrLevel(group[each], page.place) for each in page.place.levels))


def files_of(path: Path) -> list[Path]:
    """Return all files of an image folder, in order."""
    return sorted(Path(folder, name) for folder, _, names in os.walk(path) for name in names)


@dataclass(frozen=True, eq=False)
class _ZarrLevel:
    """A plane at one resolution."""

    array: Any
    place: _Place

    @property
    def shape(self) -> tuple[int, ...]:
        plane = tuple(self.array.shape[-2:])
        return plane if self.place.colour_axis is None else (*plane, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    def __getitem__(self, place: tuple[slice, slice]) -> NDArray[Any]:
        index, axis = self.place.steps, self.place.colour_axis
        if axis is None:
            return np.asarray(self.array[(*index, *place)])
        colours = [
            np.asarray(self.array[(*index[:axis], colour, *index[axis + 1 :], *place)])
            for colour in range(3)
        ]
        return np.stack(colours, axis=-1)


def _open(path: Path) -> Any:
    try:
        zarr = import_module("zarr")
    except ImportError:
        raise UserError(
            f"Reading '{path.name}' needs the package zarr: pip install 'napari-attmil[zarr]', or "
            "export the images as TIFF."
        ) from None
    return zarr.open_group(str(path), mode="r")


def _attributes(path: Path) -> Mapping[str, Any]:
    """Return what a folder says of itself, in either version of the format; empty if nothing."""
    for name in METADATA:
        with suppress(OSError, ValueError):
            status = (path / name).stat()
            content = _content(path / name, status.st_size, status.st_mtime_ns)
            own = content.get("attributes", {}) if name == "zarr.json" else content
            ome = own.get("ome", own) if isinstance(own, dict) else {}
            if isinstance(ome, dict):
                return ome
    return {}


@lru_cache(maxsize=256)
def _content(path: Path, size_bytes: int, mtime_ns: int) -> Any:
    """Return the content of a JSON file; size and time of change tell of another one."""
    del size_bytes, mtime_ns
    return json.loads(path.read_text("utf-8"))


def _image_places(path: Path) -> list[str]:
    """Return the folders of the images, relative to that which was opened."""
    about = _attributes(path)
    if "plate" in about:
        wells = [str(well["path"]) for well in about["plate"].get("wells", ())]
        return [
            f"{well}/{image['path']}"
            for well in wells
            for image in _attributes(path / well).get("well", {}).get("images", ())
        ]
    if "multiscales" in about:
        return [""]
    listed = _attributes(path / "OME").get("series")
    if listed is None:
        numbers = itertools.takewhile(lambda n: (path / str(n)).is_dir(), itertools.count())
        listed = list(map(str, numbers))
    return list(map(str, listed))


def _image_pages(group: Any, path: Path, place: str) -> tuple[list[PageHeader], Axes, float | None]:
    """Return headers and axes of the planes of one image, and the side of its pixels."""
    about = _attributes(path / place)
    multiscale = about["multiscales"][0]
    levels = tuple(
        "/".join(filter(None, (place, str(each["path"])))) for each in multiscale["datasets"]
    )
    array = group[levels[0]]
    letters = _axis_letters(multiscale, array.ndim)
    if letters[-2:] != "YX" or len(set(letters)) < len(letters):
        raise ContentError(f"its axes are {letters}, but rows and columns are needed last")
    sizes = dict(zip(letters[:-2], map(int, array.shape[:-2]), strict=True))
    names = _channel_names(about) if "C" in sizes else ()
    axis = letters.index("C") if sizes.get("C") == 3 and are_red_green_blue(names) else None
    if axis is not None:
        sizes["C"], names = 1, ()
    plane = (int(array.shape[-2]), int(array.shape[-1]))
    pages = [
        page_header(plane, 1 if axis is None else 3, array.dtype, _Place(levels, index, axis))
        for index in itertools.product(*map(range, sizes.values()))
    ]
    steps = _steps_um(multiscale, letters)
    axes = Axes(grid_positions(sizes), names, steps.get("Z"))
    return pages, axes, plausible_um(steps.get("X", 0.0), "um")


def _axis_letters(multiscale: Mapping[str, Any], ndim: int) -> str:
    """Return a letter an axis; the first versions of the format had all five, or their names."""
    axes = multiscale.get("axes") or list(_LETTERS[-ndim:])
    names = [each["name"] if isinstance(each, dict) else each for each in axes]
    kinds = [each.get("type", "") if isinstance(each, dict) else "" for each in axes]
    known = {"time": "T", "channel": "C"}
    return "".join(
        known.get(kind, str(name)[:1].upper()) for name, kind in zip(names, kinds, strict=True)
    )


def _channel_names(about: Mapping[str, Any]) -> tuple[str, ...]:
    channels = about.get("omero", {}).get("channels", ())
    return tuple(str(each.get("label", "")) for each in channels)


def _steps_um(multiscale: Mapping[str, Any], letters: str) -> dict[str, float]:
    """Return the step along each axis of space, in micrometres, where it is told."""
    axes = multiscale.get("axes", ())
    units = [each.get("unit", "") if isinstance(each, dict) else "" for each in axes]
    scale = np.ones(len(letters))
    for each in _scales(multiscale):
        scale = scale * np.array(each) if len(each) == len(letters) else scale
    found = {}
    for letter, unit, step in zip(letters, units, scale, strict=False):
        size = in_um(float(step), _UNITS.get(unit, unit))
        if size is not None:
            found[letter] = size
    return found


def _scales(multiscale: Mapping[str, Any]) -> Iterator[list[float]]:
    """Yield the scales of the largest resolution, and of all."""
    for one in (multiscale["datasets"][0], multiscale):
        for step in one.get("coordinateTransformations", ()):
            if step.get("type") == "scale":
                yield step["scale"]
