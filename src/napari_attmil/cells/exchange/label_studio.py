"""Label Studio's own JSON, in its full and its short form; reading only."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
    Corners,
    bounds,
    near_image,
)

_RECTANGLE = ("rectanglelabels", "rectangle")
_PERCENTAGES = ("x", "y", "width", "height")


def is_label_studio(content: Any) -> bool:
    """Tell whether parsed JSON is a list of Label Studio tasks."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) for task in content)
        and ("data" in content[0] or ("image" in content[0] and "id" in content[0]))
    )


def read_label_studio(content: list[dict[str, Any]]) -> AnnotationSet:
    """Return the boxes of tasks; predictions are used for tasks that nobody has annotated.

    Raises
    ------
    ValueError, KeyError, TypeError
        If something is missing or of the wrong kind.
    """
    images, others = [], 0
    for task in content:
        regions = _regions(task)
        found = [(region, source) for region, source in regions if _is_rectangle(region)]
        others += len(regions) - len(found)
        size = next((_size(region) for region, _ in found if _size(region)), None)
        boxes = tuple(_box(region, source) for region, source in found)
        name = _image_name(task.get("data", task))
        images.append(AnnotatedImage(name, boxes, size_px=size, is_relative=True))
    notes = [f"{others} regions that are no rectangles were left out."] if others else []
    return AnnotationSet("Label Studio", tuple(images), tuple(notes))


def _regions(task: dict[str, Any]) -> list[tuple[dict[str, Any], Source]]:
    if "data" not in task:  # the short form has the values of the regions only
        return [(region, Source.PERSON) for region in task.get("label") or ()]
    annotated = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    source = Source.PERSON if annotated else Source.MODEL
    # Several people's annotations of one task would give every cell twice: the first is taken.
    return [
        (region, source)
        for part in (annotated or task.get("predictions") or [])[:1]
        for region in part["result"]
    ]


def _is_rectangle(region: dict[str, Any]) -> bool:
    is_complete = set(_PERCENTAGES) <= set(region.get("value", region))
    return is_complete and region.get("type", "rectangle") in _RECTANGLE


def _size(region: dict[str, Any]) -> tuple[int, int] | None:
    width, height = region.get("original_width"), region.get("original_height")
    return (int(width), int(height)) if width and height else None


def _box(region: dict[str, Any], source: Source) -> AnnotatedBox:
    value = region.get("value", region)
    labels = value.get("rectanglelabels") or [""]
    score = float(region.get("score", 1)) if source == Source.MODEL else 1.0
    return AnnotatedBox(_corners(value, _size(region)), str(labels[0]), 0, source, score)


def _corners(value: dict[str, Any], size: tuple[int, int] | None) -> Corners:
    """Return fractions of width and height; a turned rectangle gets the box around it."""
    x, y, width, height = (float(value[key]) / 100 for key in _PERCENTAGES)
    angle = np.radians(float(value.get("rotation") or 0))
    # It turns about its upper left corner, in pixels: the axes have different scales.
    size_px = np.array(size or (1, 1), dtype=float)
    corners_px = np.array([(0, 0), (width, 0), (0, height), (width, height)]) * size_px
    turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    return near_image(bounds((corners_px @ turn / size_px + (x, y)).ravel().tolist()))


def _image_name(data: dict[str, Any]) -> str:
    """Return the image's name from an address such as /data/local-files/?d=folder/a.png."""
    for key in ("image", "img", *data):
        address = data.get(key)
        if isinstance(address, str) and re.search(r"\.\w{2,5}($|[?&])", address):
            parts = urlsplit(address)
            within = parse_qs(parts.query).get("d")
            return within[0] if within else unquote(parts.path)
    raise ValueError("a task names no image")
