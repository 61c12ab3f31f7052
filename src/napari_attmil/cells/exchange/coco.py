"""COCO JSON, as written by CVAT, Label Studio, Roboflow and this program."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
    Corners,
    bounds,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_coco(content: Any) -> bool:
    """Tell whether parsed JSON is a COCO data set."""
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read_coco(content: dict[str, Any]) -> AnnotationSet:
    """Return the boxes of a COCO data set.

    An annotation without a box gets the box around its polygons. Crowds, and annotations that have
    a mask only, are left out.

    Raises
    ------
    ValueError, KeyError, TypeError
        If something is missing or of the wrong kind.
    """
    names = {each["id"]: str(each["name"]) for each in content.get("categories") or []}
    images = {each["id"]: each for each in content["images"]}
    boxes: dict[Any, list[AnnotatedBox]] = {key: [] for key in images}
    left_out = 0
    for annotation in content["annotations"]:
        if annotation["image_id"] not in boxes:
            raise ValueError(
                f"an annotation is of image {annotation['image_id']!r}, which it does not list"
            )
        corners = None if annotation.get("iscrowd") else _corners(annotation)
        if corners is None:
            left_out += 1
        else:
            boxes[annotation["image_id"]].append(_box(annotation, corners, names))
    notes = [f"{left_out} crowds or masks without a box were left out."] if left_out else []
    read = tuple(_image(image, boxes[key]) for key, image in images.items())
    return AnnotationSet("COCO", read, tuple(notes))


def write_coco(images: Sequence[AnnotatedImage]) -> str:
    """Return images as the text of a COCO file; cell ids and sources are attributes."""
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, start=1):
        width, height = image.size_px or (0, 0)
        entry = {"id": image_id, "file_name": image.name, "width": width, "height": height}
        entries.append(entry | {"page": image.page, "reviewed": image.reviewed})
        for box in image.boxes:
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append(ids | _annotation(box))
    content = {
        "info": {"description": "Cell boxes written by napari-attmil", "version": "1.0"},
        "licenses": [],
        "categories": [{"id": 1, "name": CELL_LABEL, "supercategory": ""}],
        "images": entries,
        "annotations": annotations,
    }
    return json.dumps(content, indent=1) + "\n"


def _image(image: dict[str, Any], boxes: list[AnnotatedBox]) -> AnnotatedImage:
    width, height = int(image.get("width") or 0), int(image.get("height") or 0)
    return AnnotatedImage(
        str(image["file_name"]),
        tuple(boxes),
        int(image.get("page", 0)),
        (width, height) if width > 0 and height > 0 else None,
        image.get("reviewed") is True,
    )


def _box(annotation: dict[str, Any], corners: Corners, names: dict[Any, str]) -> AnnotatedBox:
    attributes = annotation.get("attributes") or {}
    return AnnotatedBox(
        corners,
        names.get(annotation.get("category_id"), ""),
        int(attributes.get("cell_id", 0)),
        source_of(str(attributes.get("source", ""))),
        _score(annotation, attributes),
    )


def _score(annotation: dict[str, Any], attributes: dict[str, Any]) -> float:
    """Return the score; 1 if there is none, as some programs write null for a person's box."""
    found = (each.get("score") for each in (annotation, attributes))
    return float(next((score for score in found if score is not None), 1))


def _corners(annotation: dict[str, Any]) -> Corners | None:
    if len(annotation.get("bbox") or ()) == 4:
        x, y, width, height = map(float, annotation["bbox"])
        if min(width, height) < 0:
            raise ValueError(f"a box is {width} wide and {height} high")
        return (x, y, x + width, y + height)
    polygons = annotation.get("segmentation")
    if not isinstance(polygons, list):
        return None
    # Of an odd number of values the last is no point; the next polygon begins with an x again.
    points = list(chain.from_iterable(each[: len(each) // 2 * 2] for each in polygons))
    return bounds(points) if points else None


def _annotation(box: AnnotatedBox) -> dict[str, Any]:
    x_min, y_min, x_max, y_max = box.xyxy
    width, height = x_max - x_min, y_max - y_min
    return {
        "category_id": 1,
        "bbox": [x_min, y_min, width, height],
        "area": width * height,
        "segmentation": [],
        "iscrowd": 0,
        "score": box.score,
        "attributes": {"cell_id": box.cell_id, "source": SOURCE_NAMES[box.source]},
    }
