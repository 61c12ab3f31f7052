"""COCO JSON, as written by CVAT, Label Studio, Roboflow and this program."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    NO_NOTE,
    NOTE,
    TAGS,
    AnnotatedBox,
    AnnotatedImage,
    Corners,
    bounds,
    id_of,
    named_columns,
    note_of,
    sides,
    source_of,
    turned,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.cells.annotations import Note
    from napari_attmil.cells.exchange.account import Account

COCO_MARK = "Cell boxes written by napari-attmil"
_ATTRIBUTES = ("cell_id", "source", "score", "rotation")
"""Those that no own column of a person may replace."""
CROWD = "it is a crowd, not a cell"


def is_coco(content: Any) -> bool:
    """Tell whether parsed JSON is a COCO data set."""
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read_coco(content: dict[str, Any], account: Account) -> tuple[AnnotatedImage, ...]:
    """Return the images of a COCO data set with their boxes.

    An annotation without a box gets the box around its polygons. Crowds, masks and annotations that
    cannot be read are left out, and `account` says so.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the lists of images or categories cannot be read, or give one id to two of them.
    """
    names = {
        key: str(each["name"]) for key, each in _by_id(content.get("categories"), "name").items()
    }
    images = _by_id(content["images"], "file_name")
    boxes: dict[str, list[AnnotatedBox]] = {key: [] for key in images}
    for number, annotation in enumerate(content["annotations"], start=1):
        image = _image_of(annotation, images)
        with account.item(f"annotation {_number(annotation, number)}", image):
            key = _key(annotation["image_id"])
            if key not in images:
                raise ContentError(f"it is of image {key}, which it does not list")
            if _is_true(annotation.get("iscrowd")):
                raise ContentError(CROWD)
            boxes[key].append(_box(annotation, names, account))
    found: list[AnnotatedImage] = []
    for key, entry in images.items():
        with account.item(f"the image {entry.get('file_name', key)}"):
            found.append(_image(entry, boxes[key]))
    return tuple(found)


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
        "info": {"description": COCO_MARK, "version": "1.0"},
        "licenses": [],
        "categories": [{"id": 1, "name": CELL_LABEL, "supercategory": ""}],
        "images": entries,
        "annotations": annotations,
    }
    return json.dumps(content, indent=1) + "\n"


def _by_id(entries: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return entries by their ids.

    Raises
    ------
    ValueError
        If two have the same id: which of them annotations mean is then unknown.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in entries or []:
        other = found.setdefault(_key(entry["id"]), entry)
        if (other.get(name), other.get("page")) != (entry.get(name), entry.get("page")):
            raise ContentError(
                f"{other.get(name)} and {entry.get(name)} both have the id {entry['id']}, so it is "
                "unknown which of them annotations mean"
            )
    return found


def _key(value: Any) -> str:
    """Return an id as text: some programs write 1 in one place and "1" in another."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, (int, str)):
        raise ContentError(f"{value!r} is no id")
    return str(value).strip()


def _number(annotation: Any, place: int) -> Any:
    return annotation.get("id", place) if isinstance(annotation, dict) else place


def _image_of(annotation: Any, images: dict[str, dict[str, Any]]) -> str:
    """Return the name of an annotation's image; empty if it has none."""
    key = str(annotation.get("image_id", "")) if isinstance(annotation, dict) else ""
    return str(images[key].get("file_name", key)) if key in images else ""


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in ("1", "1.0", "true")


def _image(image: dict[str, Any], boxes: list[AnnotatedBox]) -> AnnotatedImage:
    width, height = int(image.get("width") or 0), int(image.get("height") or 0)
    return AnnotatedImage(
        str(image["file_name"]),
        tuple(boxes),
        int(image.get("page", 0)),
        (width, height) if width > 0 and height > 0 else None,
        image.get("reviewed") is True,
    )


def _box(annotation: dict[str, Any], names: dict[str, str], account: Account) -> AnnotatedBox:
    attributes = annotation.get("attributes") or {}
    category = annotation.get("category_id")
    box = AnnotatedBox(
        _corners(annotation, float(attributes.get("rotation") or 0)),
        names[_key(category)] if names and category is not None else "",
        id_of(attributes.get("cell_id")),
        source_of(str(attributes.get("source", ""))),
        _score(annotation, attributes),
        _note(attributes),
    )
    if attributes.get("rotation"):
        account.outline("turned box")
    elif not _has_box(annotation):
        account.outline("polygon")
    return box


def _note(attributes: dict[str, Any]) -> Note:
    """Return what this program wrote about a box; other programs' attributes are no notes."""
    if not {"cell_id", "source"} <= attributes.keys():
        return NO_NOTE
    own = {name: value for name, value in attributes.items() if name not in _ATTRIBUTES}
    tags, text = own.pop(TAGS, ()), str(own.pop(NOTE, ""))
    tags = map(str, tags) if isinstance(tags, list) else str(tags or "").split(";")
    return note_of(tags, text, {name: str(v) for name, v in own.items()}, _ATTRIBUTES)


def _noted(note: Note) -> dict[str, Any]:
    """Return the attributes in which notes are written; none where nothing is noted."""
    said = ((TAGS, list(note.tags)), (NOTE, note.text))
    return {name: value for name, value in said if value} | named_columns(note, _ATTRIBUTES)


def _score(annotation: dict[str, Any], attributes: dict[str, Any]) -> float:
    """Return the score; 1 if there is none, as some programs write null for a person's box."""
    found = (each.get("score") for each in (annotation, attributes))
    return float(next((score for score in found if score is not None), 1))


def _has_box(annotation: dict[str, Any]) -> bool:
    """Tell whether there is a box; some programs write four zeros where there is a polygon only."""
    box = annotation.get("bbox") or ()
    return len(box) == 4 and (any(box) or not annotation.get("segmentation"))


def _corners(annotation: dict[str, Any], degrees: float) -> Corners:
    if _has_box(annotation):
        corners = sides(*map(float, annotation["bbox"]))
        # CVAT writes the box as it was before it was turned about its middle.
        return turned(corners, degrees) if degrees else corners
    polygons = annotation.get("segmentation")
    if not isinstance(polygons, list):
        raise ContentError("it has a mask but no box")
    # Of an odd number of values the last is no point; the next polygon begins with an x again.
    points = [polygon[: len(polygon) // 2 * 2] for polygon in polygons]
    if not any(points):
        raise ContentError("it has neither a box nor a polygon")
    x0, y0, x1, y1 = bounds(chain.from_iterable(points))
    return sides(x0, y0, x1 - x0, y1 - y0)


def enclosed_area(outline: Sequence[tuple[float, float]]) -> float:
    """Return the area of a polygon in square pixels (the shoelace formula)."""
    following = [*outline[1:], outline[0]]
    turns = (x * v - u * y for (x, y), (u, v) in zip(outline, following, strict=True))
    return abs(sum(turns)) / 2


def _annotation(box: AnnotatedBox) -> dict[str, Any]:
    x_min, y_min, x_max, y_max = box.xyxy
    width, height = x_max - x_min, y_max - y_min
    return {
        "category_id": 1,
        "bbox": [x_min, y_min, width, height],
        "area": enclosed_area(box.outline) if box.outline else width * height,
        "segmentation": [list(chain.from_iterable(box.outline))] if box.outline else [],
        "iscrowd": 0,
        "score": box.score,
        "attributes": {
            "cell_id": box.cell_id,
            "source": SOURCE_NAMES[box.source],
            **_noted(box.note),
        },
    }
