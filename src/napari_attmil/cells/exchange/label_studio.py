"""Label Studio's own JSON, in its full and its short form; read only."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.listing import (
    Corners,
    ListedBox,
    ListedImage,
    Listing,
    bounds,
    near_image,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECTANGLE = ("rectanglelabels", "rectangle")


def is_label_studio(content: Any) -> bool:
    """Return whether parsed JSON is a list of Label Studio's tasks."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) for task in content)
        and ("data" in content[0] or ("image" in content[0] and "id" in content[0]))
    )


def read_label_studio(content: list[dict[str, Any]]) -> Listing:
    """Return the boxes of tasks; a task's predictions count where nobody has annotated it.

    Raises
    ------
    ValueError, KeyError, TypeError
        If something is missing or of the wrong kind.
    """
    images, others = [], 0
    for task in content:
        regions = list(_regions(task))
        found = [(region, source) for region, source in regions if _is_rectangle(region)]
        others += len(regions) - len(found)
        size = next((_size(region) for region, _ in found if _size(region)), None)
        boxes = tuple(_box(region, source) for region, source in found)
        name = _image_name(task.get("data", task))
        images.append(ListedImage(name, boxes, size_px=size, is_relative=True))
    notes = [f"{others} regions that are no rectangles were left out."] if others else []
    return Listing("Label Studio", tuple(images), tuple(notes))


def _regions(task: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Source]]:
    if "data" not in task:  # the short form has the values of the regions only
        yield from ((region, Source.PERSON) for region in task.get("label") or ())
        return
    annotated = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    # Several people's annotations of one task would give every cell twice: the first is taken.
    for part in annotated[:1]:
        yield from ((region, Source.PERSON) for region in part["result"])
    if not annotated:
        for part in (task.get("predictions") or ())[:1]:
            yield from ((region, Source.MODEL) for region in part["result"])


def _is_rectangle(region: dict[str, Any]) -> bool:
    value = region.get("value", region)
    return region.get("type", "rectangle") in _RECTANGLE and {"x", "y", "width", "height"} <= set(
        value
    )


def _size(region: dict[str, Any]) -> tuple[int, int] | None:
    width, height = region.get("original_width"), region.get("original_height")
    return (int(width), int(height)) if width and height else None


def _box(region: dict[str, Any], source: Source) -> ListedBox:
    value = region.get("value", region)
    labels = value.get("rectanglelabels") or [""]
    score = float(region.get("score", 1)) if source == Source.MODEL else 1.0
    return ListedBox(_corners(value, _size(region)), str(labels[0]), 0, source, score)


def _corners(value: dict[str, Any], size: tuple[int, int] | None) -> Corners:
    """Return parts of width and height; a turned rectangle gets the box around it."""
    x, y, width, height = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    angle = math.radians(float(value.get("rotation") or 0))
    across, down = size or (1, 1)
    cos, sin = math.cos(angle), math.sin(angle)
    # It turns about its upper left corner, in pixels: the axes have different scales.
    places = [
        (x + (u * cos - v * sin) / across, y + (u * sin + v * cos) / down)
        for u in (0, width * across)
        for v in (0, height * down)
    ]
    xs, ys = zip(*places, strict=True)
    return near_image(bounds(xs, ys))


def _image_name(data: dict[str, Any]) -> str:
    """Return the image's name out of an address such as /data/local-files/?d=folder/a.png."""
    for key in ("image", "img", *data):
        address = data.get(key)
        if isinstance(address, str) and re.search(r"\.\w{2,5}($|[?&])", address):
            parts = urlsplit(address)
            within = parse_qs(parts.query).get("d")
            return within[0] if within else unquote(parts.path)
    raise ValueError("a task names no image")
