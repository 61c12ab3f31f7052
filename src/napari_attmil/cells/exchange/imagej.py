"""ImageJ's regions of interest: single .roi files, and archives of them (RoiSet.zip)."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    bounds,
    id_of,
    sides,
    source_of,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roifile import ImagejRoi

    from napari_attmil.cells.exchange.account import Account
    from napari_attmil.cells.exchange.sources import SourceFile

_ENDING = re.compile(r"[-_. ]*(roi[-_ ]?sets?|rois?)$", re.IGNORECASE)
_NO_AREA: Final = ("LINE", "FREELINE", "POLYLINE", "NOROI", "ANGLE", "POINT")
_GROUP_OF_BYTES: Final = 1_000_000


def image_of_rois(file: SourceFile) -> str:
    """Return the name of the image that a ROI is of.

    For an archive or folder it is the name without its ending: "a" for a_RoiSet.zip; one that is
    only called RoiSet.zip belongs to the image that its folder is named after. A ROI that lies
    elsewhere has the image's name itself.
    """
    place = file.within if file.path is None else file.place.parent
    if file.path is not None and not _ENDING.search(place.name):
        return file.place.with_suffix("").as_posix()
    stem = _ENDING.sub("", place.stem)
    return place.with_name(stem).as_posix() if stem else place.parent.as_posix()


def read_rois(files: Sequence[SourceFile], name: str, account: Account) -> list[AnnotatedImage]:
    """Return the boxes around the ROIs of one image, by page; lines and points are left out."""
    from roifile import ImagejRoi

    pages: dict[int, list[AnnotatedBox]] = {}
    for file in files:
        with account.item(f"the ROI {file.place.stem}", name):
            content = file.read()
            if len(content) > _GROUP_OF_BYTES or content[:4] != b"Iout":
                raise ContentError("it is no ROI of ImageJ")
            roi = ImagejRoi.frombytes(content)
            pages.setdefault(_page(roi), []).append(_box(roi, account))
    return [AnnotatedImage(name, tuple(boxes), page) for page, boxes in sorted(pages.items())]


def write_rois(pages: Sequence[AnnotatedImage]) -> bytes:
    """Return a RoiSet.zip of rectangles, one a box; the pages are those of one file."""
    archive = io.BytesIO()
    is_stack = any(image.page_in_file for image in pages)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for image in pages:
            for number, box in enumerate(image.boxes, start=1):
                title = f"{image.page_in_file + 1:04d}-{number:04d}-{box.cell_id}"
                # A fixed time, so that the same boxes give the same file.
                info = zipfile.ZipInfo(f"{title}.roi", (2000, 1, 1, 0, 0, 0))
                packed.writestr(info, _roi(box, title, image.page_in_file + 1 if is_stack else 0))
    return archive.getvalue()


def _page(roi: ImagejRoi) -> int:
    """Return the page from 0: the slice or time point where the ROI has one, else its place."""
    positions = (roi.t_position, roi.z_position, roi.position)
    return max(0, next((place for place in positions if place > 1), 1) - 1)


def _box(roi: ImagejRoi, account: Account) -> AnnotatedBox:
    kind = roi.roitype.name
    if kind in _NO_AREA:
        raise ContentError(f"it is no outline of a cell ({kind.lower()})")
    if roi.subpixelrect:
        corners = sides(*map(float, (roi.xd, roi.yd, roi.widthd, roi.heightd)))
    elif kind in ("RECT", "OVAL") and not roi.composite:
        x0, y0, x1, y1 = map(float, (roi.left, roi.top, roi.right, roi.bottom))
        corners = sides(x0, y0, x1 - x0, y1 - y0)
    else:
        points = roi.coordinates(multi=True)
        x0, y0, x1, y1 = bounds(np.concatenate(points).ravel().tolist())
        corners = sides(x0, y0, x1 - x0, y1 - y0)
    if kind != "RECT":
        account.outline("outline of ImageJ")
    properties = dict(
        line.split(": ", 1) for line in (roi.props or "").splitlines() if ": " in line
    )
    return AnnotatedBox(
        corners,
        properties.get("class", ""),
        id_of(properties.get("cell_id")),
        source_of(properties.get("source", "")),
        float(properties.get("score", 1)),
    )


def _roi(box: AnnotatedBox, title: str, position: int) -> bytes:
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    x0, y0, x1, y1 = box.xyxy
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, version=228)
    roi.left, roi.top, roi.right, roi.bottom = (round(value) for value in box.xyxy)
    roi.options = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    roi.xd, roi.yd, roi.widthd, roi.heightd = x0, y0, x1 - x0, y1 - y0
    roi.name, roi.position = title, position
    roi.props = (
        f"class: {CELL_LABEL}\ncell_id: {box.cell_id}\nscore: {box.score!r}\n"
        f"source: {SOURCE_NAMES[box.source]}\n"
    )
    return roi.tobytes()
