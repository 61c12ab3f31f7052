"""Which planes a TIFF file holds: what its series and their axes are, as tifffile finds them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.core import ContentError, counted
from napari_attmil.images.formats.axes import (
    PLACES,
    Axes,
    PlanePosition,
    are_red_green_blue,
    grid_positions,
    is_no_field,
)
from napari_attmil.images.formats.header import PageHeader, in_um, page_header

if TYPE_CHECKING:
    import tifffile

_READ: Final = ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE", "SEPARATED")
_GREY: Final = ("MINISWHITE", "MINISBLACK")
_ALPHA: Final = (1, 2)
"""ExtraSamples: associated and unassociated alpha."""
_SMALLER: Final = 0.51
"""Pages whose sides are at most this times those of the largest are reduced copies."""
_WITHOUT_AXES: Final = ("generic", "uniform")


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
    sample : int or None
        Which of the samples of a pixel, where these are channels rather than colours.
    reduced : tuple of int
        Offsets in bytes of the directories of its smaller copies, the largest first.
    """

    ifd: int
    data: int | None = None
    sample: int | None = None
    reduced: tuple[int, ...] = ()


def read_series(tif: tifffile.TiffFile) -> tuple[list[PageHeader], Axes]:
    """Return every plane of an open file, and what each is.

    Raises
    ------
    ValueError
        If the content cannot be read as images.
    """
    pages: list[PageHeader] = []
    axes = Axes(())
    kept = _fields_of_slides(tif)
    for number, series in enumerate(tif.series):
        if series.keyframe.is_reduced or number not in kept:
            name = (series.name or "a reduced copy").lower()
            axes = axes.and_then(Axes((), left_out=(name,)))
            continue
        found, own = _series_pages(series, number, tif)
        pages.extend(found)
        axes = axes.and_then(own)
    return pages, _without_small_copies(pages, axes, tif)


def photometric_of(page: Any) -> str:
    """Return how a page stores its colours.

    Raises
    ------
    ValueError
        If that cannot be read.
    """
    name = getattr(page.photometric, "name", str(page.photometric))
    # JPEG stores YCbCr, and tifffile returns it as RGB; it does not convert it otherwise.
    if name == "YCBCR" and getattr(page.compression, "name", "").endswith("JPEG"):
        return "RGB"
    inks = page.shape[page.axes.index("S")] if "S" in page.axes else 1
    if name not in _READ or (name == "SEPARATED" and inks < 4):
        raise ContentError(f"its colours are stored as {name}, but grey or RGB is needed")
    return name


def _fields_of_slides(tif: tifffile.TiffFile) -> set[int]:
    """Return the numbers of the series that are no label or overview of a slide."""
    names = [series.name or "" for series in tif.series]
    fields = {number for number, name in enumerate(names) if not is_no_field(name)}
    return fields or set(range(len(names)))


def _without_small_copies(pages: Sequence[PageHeader], axes: Axes, tif: tifffile.TiffFile) -> Axes:
    """Return the axes without pages that follow a page of twice their size, if nothing tells."""
    if tif.series[0].kind not in _WITHOUT_AXES:
        return axes
    height, width = 0, 0
    positions, small = list(axes.positions), 0
    for number, page in enumerate(pages):
        if page.shape[0] <= _SMALLER * height and page.shape[1] <= _SMALLER * width:
            positions[number] = None
            small += 1
        height, width = max(height, page.shape[0]), max(width, page.shape[1])
    if not small:
        return axes
    left_out = (*axes.left_out, counted(small, "clearly smaller page"))
    return Axes(tuple(positions), axes.channels, axes.z_step_um, left_out)


def _series_pages(
    series: tifffile.TiffPageSeries, number: int, tif: tifffile.TiffFile
) -> tuple[list[PageHeader], Axes]:
    """Return a header a plane of a series, and what each is; colours are put together."""
    keyframe = series.keyframe
    if keyframe.axes not in ("YX", "YXS", "SYX"):
        raise ContentError(f"its pages hold {keyframe.axes}, but single images are needed")
    sizes = _outer_sizes(series)
    samples = _samples_that_are_channels(keyframe)
    if samples > 1 and "S" not in series.axes and sizes.get("C") == samples:
        del sizes["C"]
    planes = _series_planes(series, math.prod(sizes.values()), tif)
    if samples > 1 and "C" not in sizes:
        sizes["C"] = samples
        planes = [
            plane and replace(plane, sample=sample) for plane in planes for sample in range(samples)
        ]
    sizes = _as_meant(series, sizes, tif)
    names = _channels(series, number, sizes, tif) if "C" in sizes else ()
    return _in_order(keyframe, planes, sizes, names, _z_step_um(tif))


def _outer_sizes(series: tifffile.TiffPageSeries) -> dict[str, int]:
    """Return how many planes a series has along each axis, in the order of the planes."""
    outer = [
        (letter, int(size))
        for letter, size in zip(series.axes, series.shape, strict=True)
        if letter not in "YXS"
    ]
    if len(dict(outer)) < len(outer):  # a letter twice stands for nothing known
        return {"I": math.prod(size for _, size in outer)}
    return dict(outer)


def _samples_that_are_channels(page: Any) -> int:
    """Return how many channels are stored as samples of one page; 1 where samples are colours."""
    if "S" not in page.axes or photometric_of(page) not in _GREY:
        return 1
    samples = int(page.shape[page.axes.index("S")])
    extra = page.extrasamples or ()
    return samples - sum(1 for kind in extra if kind in _ALPHA)


def _as_meant(
    series: tifffile.TiffPageSeries, sizes: dict[str, int], tif: tifffile.TiffFile
) -> dict[str, int]:
    """Return the axes of a series without those that ImageJ files name for want of a better name.

    ImageJ calls the images of any plain stack slices, and other writers call them channels. They
    are planes in z only where the distance of these is given.
    """
    several = [letter for letter, size in sizes.items() if size > 1]
    if series.kind != "imagej" or len(several) != 1:
        return sizes
    metadata = tif.imagej_metadata or {}
    is_hyperstack = metadata.get("hyperstack") is True
    is_meant = {
        "C": metadata.get("mode") in ("composite", "color"),
        "Z": is_hyperstack or "spacing" in metadata,
        "T": is_hyperstack or "finterval" in metadata,
    }
    return sizes if is_meant.get(several[0], True) else {"I": sizes[several[0]]}


def _series_planes(
    series: tifffile.TiffPageSeries, count: int, tif: tifffile.TiffFile
) -> list[Plane | None]:
    """Return where every plane of a series lies, whether or not it has its own directory.

    Of a set of OME-TIFF files, only the planes in this one are known, or a folder of such files
    would give every image as often as there are files.
    """
    if len(series) == count:
        reduced = [level for level in series.levels[1:] if len(level) == count]
        return [
            Plane(page.offset, reduced=_offsets(level[number] for level in reduced))
            if page is not None and page.parent is tif
            else None
            for number, page in enumerate(series)
        ]
    keyframe, start = series.keyframe, series.dataoffset
    if start is None:
        raise ContentError(f"it describes {count} images but holds {len(series)}")
    if start + count * keyframe.nbytes > tif.filehandle.size:
        raise ContentError(f"it is cut short: its {count} images do not fit into its size")
    return [Plane(keyframe.offset, start + i * keyframe.nbytes) for i in range(count)]


def _offsets(pages: Iterable[tifffile.TiffPage | tifffile.TiffFrame | None]) -> tuple[int, ...]:
    return tuple(page.offset for page in pages if page is not None)


def _in_order(
    keyframe: Any,
    planes: Sequence[Plane | None],
    sizes: dict[str, int],
    channels: tuple[str, ...],
    z_step_um: float | None,
) -> tuple[list[PageHeader], Axes]:
    """Return headers and axes of planes; those of red, green and blue make one page."""
    groups = np.arange(len(planes)).reshape([*sizes.values(), 1])
    if are_red_green_blue(channels):
        groups = np.moveaxis(groups, list(sizes).index("C"), -1)[..., 0, :]
        sizes, channels = {a: size for a, size in sizes.items() if a != "C"}, ()
    pages: list[PageHeader] = []
    positions: list[PlanePosition | None] = []
    for group, position in zip(
        groups.reshape(-1, groups.shape[-1]), grid_positions(sizes), strict=True
    ):
        own = [plane for index in group if (plane := planes[index]) is not None]
        if len(own) == len(group):
            pages.append(_page_header(keyframe, tuple(own)))
            positions.append(position)
    # A file of a set may hold only some of the set's channels.
    present = sorted({position.channel for position in positions if position is not None})
    positions = [each and each._replace(channel=present.index(each.channel)) for each in positions]
    channels = tuple(channels[number] for number in present if number < len(channels))
    others = [letter for letter in sizes if letter not in (*PLACES, "T", "C", "Z")]
    left_out = tuple(f"further planes along {letter}" for letter in others if sizes[letter] > 1)
    return pages, Axes(tuple(positions), channels, z_step_um, left_out)


def _page_header(page: Any, planes: tuple[Plane, ...]) -> PageHeader:
    """Describe a page as it will be once decoded."""
    photometric = photometric_of(page)
    samples = page.shape[page.axes.index("S")] if "S" in page.axes else 1
    plane = (page.shape[page.axes.index("Y")], page.shape[page.axes.index("X")])
    if photometric == "PALETTE":
        return page_header(plane, 3, np.uint8, planes)
    if page.dtype is None:
        raise ContentError(f"its {page.bitspersample}-bit pixels cannot be read")
    if photometric == "SEPARATED":
        samples = 3
    if planes[0].sample is not None:
        samples = 1
    return page_header(plane, len(planes) if len(planes) > 1 else samples, page.dtype, planes)


def _channels(
    series: tifffile.TiffPageSeries, number: int, sizes: dict[str, int], tif: tifffile.TiffFile
) -> tuple[str, ...]:
    """Return the name and contrast method of each channel, as far as the file tells."""
    if tif.is_ome:
        return _ome_channels(tif.ome_metadata or "", number)
    if series.kind == "imagej":
        labels = (tif.imagej_metadata or {}).get("Labels") or ()
        letters = list(sizes)
        step = math.prod(sizes[letter] for letter in letters[letters.index("C") + 1 :])
        return tuple(map(str, labels[: step * sizes["C"] : step]))
    found: Any = ()
    if tif.is_micromanager:
        found = (tif.micromanager_metadata or {}).get("Summary", {}).get("ChNames", ())
    elif tif.is_lsm:
        found = (tif.lsm_metadata or {}).get("ChannelColors", {}).get("ColorNames", ())
    return tuple(map(str, found)) if isinstance(found, (list, tuple)) else ()


def _ome_channels(xml: str, number: int) -> tuple[str, ...]:
    images = re.findall(r"<(?:\w+:)?Pixels\b.*?</(?:\w+:)?Pixels>", xml, re.DOTALL)
    own = images[number] if number < len(images) else ""
    return tuple(
        " ".join(
            found[1]
            for name in ("Name", "ContrastMethod", "IlluminationType")
            if (found := re.search(rf'\b{name}\s*=\s*["\']([^"\']*)', channel))
        )
        for channel in re.findall(r"<(?:\w+:)?Channel\b[^>]*>", own)
    )


def _z_step_um(tif: tifffile.TiffFile) -> float | None:
    """Return the distance of planes in z, from OME-XML or ImageJ's spacing."""
    if tif.is_ome:
        xml = tif.ome_metadata or ""
        step = re.search(r'\bPhysicalSizeZ\s*=\s*["\']([^"\']+)', xml)
        unit = re.search(r'\bPhysicalSizeZUnit\s*=\s*["\']([^"\']+)', xml)
        return in_um(step[1], unit[1] if unit else "um") if step else None
    metadata = tif.imagej_metadata or {}
    return in_um(metadata.get("spacing", ""), str(metadata.get("unit", "")))
