"""Label Studio's own JSON, in its full and its short form; reading only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    Corners,
    around_ellipse,
    bounds,
    near_image,
    sides,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.cells.exchange.account import Account

_GEOMETRY: Final = (
    ("ellipse", {"x", "y", "radiusX", "radiusY"}),
    ("polygon", {"points"}),
    ("rectangle", {"x", "y", "width", "height"}),
)
"""Shapes, and the values by which each is known."""
_LABELS = "labels"
_ADDRESS = re.compile(r"\.\w{2,5}($|[?&#])")


class _Region(NamedTuple):
    """A region as one dictionary of its values, and who made it."""

    values: dict[str, Any]
    source: Source


def is_label_studio(content: Any) -> bool:
    """Tell whether parsed JSON is a list of Label Studio tasks."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) for task in content)
        and ("data" in content[0] or ("id" in content[0] and _address(content[0]) is not None))
    )


def read_label_studio(content: list[dict[str, Any]], account: Account) -> list[AnnotatedImage]:
    """Return the images of tasks; predictions are used for tasks that nobody has annotated.

    Regions that are no outlines, or cannot be read, are left out, as are all but the first of
    several people's annotations of a task, which would give every cell twice.
    """
    images: list[AnnotatedImage] = []
    seen: set[Any] = set()
    for number, task in enumerate(content, start=1):
        name = f"task {task.get('id', number)}"
        with account.item(name):
            image = _image_name(task.get("data", task))
            regions = list(_regions(task, image, account))
            if task.get("id", number) in seen:
                account.leave_out(name, _OTHERS, image, max(1, len(regions)))
                continue
            seen.add(task.get("id", number))
            images.append(_image(image, regions, account))
    return images


_OTHERS: Final = "it is a further annotation of an image, of which the first is taken"


def _image(name: str, regions: list[_Region], account: Account) -> AnnotatedImage:
    boxes: list[AnnotatedBox] = []
    for number, region in enumerate(regions, start=1):
        with account.item(f"region {number}", name):
            boxes.append(_box(region, account))
    size = next((size for region in regions if (size := _size(region.values))), None)
    return AnnotatedImage(name, tuple(boxes), size_px=size, is_relative=True)


def _regions(task: dict[str, Any], image: str, account: Account) -> Iterator[_Region]:
    if "data" not in task:  # the short form has the values of the regions only, under any tag
        lists = (value for value in task.values() if isinstance(value, list))
        regions = (each for found in lists for each in found if isinstance(each, dict))
        yield from (_Region(each, Source.PERSON) for each in regions)
        return
    annotated = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    source = Source.PERSON if annotated else Source.MODEL
    parts = annotated or task.get("predictions") or []
    for part in parts[1:]:
        account.leave_out(
            f"annotation {part.get('id', '')}".strip(), _OTHERS, image, len(part["result"])
        )
    for part in parts[:1]:
        for each in part["result"]:
            # What relates regions, or says something about the image, has no place in it.
            if each.get("type") not in ("relation", "choices", "textarea", "rating"):
                value = each.get("value") or {}
                yield _Region({**each, **value, "type": each.get("type")}, source)


def _size(values: dict[str, Any]) -> tuple[int, int] | None:
    width, height = values.get("original_width"), values.get("original_height")
    return (int(width), int(height)) if width and height else None


def _box(region: _Region, account: Account) -> AnnotatedBox:
    values = region.values
    kind = next((kind for kind, needed in _GEOMETRY if needed <= values.keys()), "")
    if not kind:
        raise ContentError(f"it is no outline of a cell ({values.get('type') or 'unknown shape'})")
    labels = next((v for k, v in values.items() if k.endswith(_LABELS) and v), [""])
    score = float(values.get("score", 1)) if region.source == Source.MODEL else 1.0
    box = AnnotatedBox(_corners(kind, values), str(labels[0]), 0, region.source, score)
    if kind != "rectangle":
        account.outline(kind)
    elif values.get("rotation"):
        account.outline("turned box")
    return box


def _corners(kind: str, values: dict[str, Any]) -> Corners:
    """Return fractions of width and height; what is turned gets the box around it."""
    # Angles are those in pixels: the axes have different scales.
    size_px = np.array(_size(values) or (1, 1), dtype=float)
    if kind == "polygon":
        around = bounds((np.array(values["points"], dtype=float) / 100).ravel().tolist())
        return near_image(sides(*around[:2], around[2] - around[0], around[3] - around[1]))
    degrees = float(values.get("rotation") or 0)
    place = np.array([values["x"], values["y"]], dtype=float) / 100
    if kind == "ellipse":
        radii = np.array([values["radiusX"], values["radiusY"]], dtype=float) / 100
        (x, y), (rx, ry) = place * size_px, radii * size_px
        ellipse = around_ellipse(x, y, rx, ry, degrees)
        return near_image(bounds((np.reshape(ellipse, (2, 2)) / size_px).ravel().tolist()))
    width, height = float(values["width"]) / 100, float(values["height"]) / 100
    sides(0, 0, width, height)
    # A rectangle turns about its upper left corner.
    corners_px = np.array([(0, 0), (width, 0), (0, height), (width, height)]) * size_px
    angle = np.radians(degrees)
    turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    return near_image(bounds((corners_px @ turn / size_px + place).ravel().tolist()))


def _image_name(data: dict[str, Any]) -> str:
    """Return the image's name from an address such as /data/local-files/?d=folder/a.png."""
    address = _address(data)
    if address is None:
        raise ContentError("it names no image")
    # Names are written into addresses as they are, with their + and #, or percent-encoded;
    # whoever looks for the image tries both.
    local = re.search(r"[?&]d=(.*)$", address)
    if local:
        return local[1]
    return re.sub(r"^\w+://[^/]*", "", address).partition("?")[0]


def _address(data: dict[str, Any]) -> str | None:
    values = (data.get(key) for key in ("image", "img", *data))
    return next((v for v in values if isinstance(v, str) and _ADDRESS.search(v)), None)
