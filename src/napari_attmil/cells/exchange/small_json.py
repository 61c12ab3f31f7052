"""labelme's JSON, one file per image, and CreateML's, one file for many; reading only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    Corners,
    bounds,
    sides,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from napari_attmil.cells.exchange.account import Account

_OUTLINES: Final = ("polygon", "rotation", "mask", "linestrip_closed")


def is_labelme(content: Any) -> bool:
    """Tell whether parsed JSON is a file of labelme."""
    return isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys()


def read_labelme(content: dict[str, Any], account: Account) -> list[AnnotatedImage]:
    """Return the image of a labelme file; shapes that are no outlines of cells are left out."""
    name, boxes = str(content["imagePath"]), list[AnnotatedBox]()
    for number, shape in enumerate(content["shapes"], start=1):
        with account.item(f"shape {number}", name):
            boxes.append(AnnotatedBox(_around(shape, account), str(shape.get("label") or "")))
    width, height = int(content.get("imageWidth") or 0), int(content.get("imageHeight") or 0)
    size = (width, height) if min(width, height) > 0 else None
    return [AnnotatedImage(name, tuple(boxes), size_px=size)]


def is_createml(content: Any) -> bool:
    """Tell whether parsed JSON is a list of CreateML's images."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(each, dict) and _createml_name(each) for each in content)
        and any("annotations" in each or "annotation" in each for each in content)
    )


def read_createml(content: list[dict[str, Any]], account: Account) -> list[AnnotatedImage]:
    """Return the images of a CreateML file; boxes are given by their middles, in pixels."""
    images = []
    for entry in content:
        name, boxes = _createml_name(entry), list[AnnotatedBox]()
        annotations = entry.get("annotations", entry.get("annotation")) or []
        for number, each in enumerate(annotations, start=1):
            with account.item(f"annotation {number}", name):
                at = each["coordinates"]
                x, y, width, height = (float(at[key]) for key in ("x", "y", "width", "height"))
                corners = sides(x - width / 2, y - height / 2, width, height)
                boxes.append(AnnotatedBox(corners, str(each.get("label") or "")))
        images.append(AnnotatedImage(name, tuple(boxes)))
    return images


def _createml_name(entry: dict[str, Any]) -> str:
    name = entry.get("image", entry.get("imagefilename"))
    return name if isinstance(name, str) else ""


def _around(shape: dict[str, Any], account: Account) -> Corners:
    kind = shape.get("shape_type") or "polygon"
    numbers = [float(value) for point in shape["points"] for value in point]
    if kind == "circle":
        # The middle, and a point of the rim.
        x, y, rim_x, rim_y = numbers
        radius = math.hypot(rim_x - x, rim_y - y)
        account.outline(kind)
        return sides(x - radius, y - radius, 2 * radius, 2 * radius)
    if kind in _OUTLINES:
        account.outline("polygon")
    elif kind != "rectangle":
        raise ContentError(f"it is no outline of a cell ({kind})")
    x0, y0, x1, y1 = bounds(numbers)
    return sides(x0, y0, x1 - x0, y1 - y0)
