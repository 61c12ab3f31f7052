"""CVAT's own XML, "CVAT for images": boxes, and the boxes around polygons, ellipses and masks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    Corners,
    around_ellipse,
    bounds,
    sides,
    turned,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from napari_attmil.cells.exchange.account import Account

_SIDES = ("xtl", "ytl", "xbr", "ybr")
_NO_SHAPES = ("tag",)


def read_cvat(root: Element, account: Account) -> tuple[AnnotatedImage, ...]:
    """Return the images of a task; shapes that are no outlines of cells are left out.

    Raises
    ------
    ValueError
        If it has no images, or one has neither name nor size.
    """
    images: list[AnnotatedImage] = []
    for image in root.iterfind("image"):
        name, boxes = image.attrib["name"], list[AnnotatedBox]()
        for number, shape in enumerate((s for s in image if s.tag not in _NO_SHAPES), start=1):
            with account.item(f"{shape.tag} {number}", name):
                boxes.append(AnnotatedBox(_corners(shape, account), shape.get("label", "")))
        size = (int(image.attrib["width"]), int(image.attrib["height"]))
        images.append(AnnotatedImage(name, tuple(boxes), size_px=size))
    if not images:
        raise ContentError("it has no images; export the task as 'CVAT for images'")
    return tuple(images)


def _corners(shape: Element, account: Account) -> Corners:
    degrees = float(shape.get("rotation", 0))
    values = shape.attrib
    match shape.tag:
        case "box":
            x0, y0, x1, y1 = bounds(values[side] for side in _SIDES)
            corners = sides(x0, y0, x1 - x0, y1 - y0)
            if degrees:
                account.outline("turned box")
            # The four sides are those before it was turned about its middle.
            return turned(corners, degrees) if degrees else corners
        case "polygon":
            x0, y0, x1, y1 = bounds(re.split("[;,]", values["points"]))
            corners = sides(x0, y0, x1 - x0, y1 - y0)
        case "ellipse":
            x, y, rx, ry = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
            corners = around_ellipse(x, y, rx, ry, degrees)
        case "mask":
            corners = sides(*(float(values[key]) for key in ("left", "top", "width", "height")))
        case _:
            raise ContentError("it is no outline of a cell")
    account.outline(shape.tag)
    return corners
