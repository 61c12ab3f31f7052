"""GeoJSON as QuPath writes and reads it: one file per image, named like the image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

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
    from napari_attmil.cells.exchange.account import Account

_AREAS: Final = ("Polygon", "MultiPolygon")


def is_geojson(content: Any) -> bool:
    """Tell whether parsed JSON is a collection or list of features."""
    if isinstance(content, list):
        return bool(content) and all(_kind(each) == "Feature" for each in content)
    return _kind(content) in ("FeatureCollection", "Feature")


def read_geojson(content: Any, name: str, account: Account) -> list[AnnotatedImage]:
    """Return the boxes around an image's detections, or its annotations if it has no detections.

    An annotation that has no class beside detections is the region in which cells were searched.
    """
    features = content if isinstance(content, list) else content.get("features", [content])
    has_cells = any(_object_type(each) in ("detection", "cell") for each in features)
    pages: dict[int, list[AnnotatedBox]] = {0: []}
    for number, feature in enumerate(features, start=1):
        with account.item(f"object {number}", name):
            properties = feature.get("properties") or {}
            is_region = _object_type(feature) == "annotation" and "classification" not in properties
            if has_cells and is_region:
                raise ContentError("it is a region without a class, in which cells were detected")
            plane = feature["geometry"].get("plane") or {}
            page = max(int(plane.get("z", 0)), int(plane.get("t", 0)))
            pages.setdefault(page, []).append(_box(feature["geometry"], properties, account))
    return [
        AnnotatedImage(name, tuple(boxes), page)
        for page, boxes in pages.items()
        if boxes or len(pages) == 1
    ]


def write_geojson(image: AnnotatedImage) -> str:
    """Return an image as the text of a file that QuPath opens by drag and drop."""
    features = [_feature(box, image.page_in_file) for box in image.boxes]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"


def _feature(box: AnnotatedBox, page: int) -> dict[str, Any]:
    x0, y0, x1, y1 = box.xyxy
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": [ring]}
    if page:
        geometry["plane"] = {"c": -1, "z": page, "t": 0}
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "name": f"cell {box.cell_id}",
            "classification": {"name": CELL_LABEL, "color": [200, 0, 0]},
            "metadata": {
                "cell_id": str(box.cell_id),
                "score": repr(box.score),
                "source": SOURCE_NAMES[box.source],
            },
        },
    }


def _box(geometry: dict[str, Any], properties: dict[str, Any], account: Account) -> AnnotatedBox:
    if geometry["type"] not in _AREAS:
        raise ContentError(f"it is no outline of a cell ({geometry['type']})")
    numbers = list(_numbers(geometry["coordinates"]))
    x0, y0, x1, y1 = bounds(numbers)
    if set(zip(numbers[::2], numbers[1::2], strict=True)) != {
        (x0, y0),
        (x1, y0),
        (x1, y1),
        (x0, y1),
    }:
        account.outline("polygon")
    own = properties.get("metadata") or {}
    label = (properties.get("classification") or {}).get("name", "")
    return AnnotatedBox(
        sides(x0, y0, x1 - x0, y1 - y0),
        str(label),
        id_of(own.get("cell_id")),
        source_of(str(own.get("source", ""))),
        float(own.get("score", 1)),
    )


def _numbers(coordinates: Any) -> Iterator[float]:
    """Yield x and y in turn of rings of points, however deep they are nested."""
    if isinstance(coordinates[0], (int, float)):
        yield from map(float, coordinates[:2])
        return
    for each in coordinates:
        yield from _numbers(each)


def _kind(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def _object_type(feature: Any) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return str((properties or {}).get("objectType", "")).lower()
