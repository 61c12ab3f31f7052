"""CSV: one row per box, as written by this program and as found with public data sets."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
    bounds,
    source_of,
)
from napari_attmil.images import rows_of_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_CORNERS = ("x_min", "y_min", "x_max", "y_max")
COLUMNS = (
    *("image", "frame", "cell_id", *_CORNERS, "score", "source"),
    *("reviewed", "width", "height", "cell_type"),
)
_OTHER_NAMES = {
    "filename": "image",
    "file_name": "image",
    "page": "frame",
    "xmin": "x_min",
    "ymin": "y_min",
    "xmax": "x_max",
    "ymax": "y_max",
    "class": "cell_type",
    "label": "cell_type",
}
"""Column names of TensorFlow's and Roboflow's tables."""


def read_csv(text: str) -> AnnotationSet:
    """Return the boxes or centre points of a table, by image.

    Raises
    ------
    ValueError, csv.Error
        If a column is missing, a row has no box, or the text is no table.
    """
    (_, header), *rows = rows_of_table(text) or [(1, [])]
    names = [_OTHER_NAMES.get(name.lower(), name.lower()) for name in header]
    has_points = _check_columns(names)
    images: dict[tuple[str, int], AnnotatedImage] = {}
    boxes: dict[tuple[str, int], list[AnnotatedBox]] = defaultdict(list)
    for number, cells in rows:
        row = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
        try:
            key = (row["image"], int(row.get("frame", 0)))
            images.setdefault(key, _image(key, row))
            boxes[key] += _boxes(row, has_points)
        except KeyError as error:
            raise ValueError(f"row {number}: {error} is empty") from None
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from None
    found = (
        replace(image, boxes=tuple(boxes[key]), has_points=has_points)
        for key, image in images.items()
    )
    return AnnotationSet("CSV", tuple(found))


def write_csv(images: Sequence[AnnotatedImage]) -> str:
    """Return images as the text of a table; an image without boxes has one row without corners."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in images:
        end = (int(image.reviewed), *(image.size_px or ("", "")), CELL_LABEL)
        for box in image.boxes:
            middle = (*map(repr, box.xyxy), repr(box.score), SOURCE_NAMES[box.source])
            writer.writerow((image.name, image.page, box.cell_id, *middle, *end))
        if not image.boxes:
            writer.writerow((image.name, image.page, *("",) * 7, *end))
    return out.getvalue()


def _check_columns(names: list[str]) -> bool:
    """Check that all columns are there; return whether the table has points instead of boxes."""
    has_points = {"x", "y"} <= set(names) and "x_min" not in names
    for needed in ("image", *(("x", "y") if has_points else _CORNERS)):
        if names.count(needed) != 1:
            raise ValueError(f"it needs one column {needed!r}")
    return has_points


def _image(key: tuple[str, int], row: dict[str, str]) -> AnnotatedImage:
    size = (int(float(row.get("width", 0))), int(float(row.get("height", 0))))
    reviewed = row.get("reviewed", "0").lower() in ("1", "true", "yes")
    return AnnotatedImage(key[0], (), key[1], size if min(size) > 0 else None, reviewed)


def _boxes(row: dict[str, str], has_points: bool) -> list[AnnotatedBox]:
    """Return a row's box as a list; empty if the row has no corners, as the image has no boxes."""
    if has_points:
        return [AnnotatedBox(bounds([row["x"], row["y"]]), row.get("cell_type", ""))]
    corners = [row.get(side, "") for side in _CORNERS]
    if not any(corners):
        return []
    return [
        AnnotatedBox(
            bounds(corners),
            row.get("cell_type", ""),
            int(row.get("cell_id", 0)),
            source_of(row.get("source", "")),
            float(row.get("score", 1)),
        )
    ]
