"""CSV: one row a box, as this program writes it and as data sets come."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.listing import (
    CELL_LABEL,
    ListedBox,
    ListedImage,
    Listing,
    bounds,
    source_of,
)
from napari_attmil.images import rows_of_table

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = (
    *("image", "frame", "cell_id", "x_min", "y_min", "x_max", "y_max", "score"),
    *("source", "reviewed", "width", "height", "cell_type"),
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
"""How TensorFlow's and Roboflow's CSV call the columns."""


def read_csv(text: str) -> Listing:
    """Return the boxes or centre points of a table; each image's rows are joined.

    Raises
    ------
    ValueError, csv.Error
        If a column is missing, a row has no box, or the text is no table.
    """
    (_, header), *rows = rows_of_table(text) or [(1, [])]
    names = [_OTHER_NAMES.get(name.lower(), name.lower()) for name in header]
    has_points = _check_columns(names)
    images: dict[tuple[str, int], ListedImage] = {}
    boxes: dict[tuple[str, int], list[ListedBox]] = {}
    for number, cells in rows:
        row = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
        try:
            key = (row["image"], int(row.get("frame", 0)))
            images.setdefault(key, _image(key, row))
            boxes.setdefault(key, []).extend(_point(row) if has_points else _boxes(row))
        except KeyError as error:
            raise ValueError(f"row {number}: {error} is empty") from None
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from None
    found = tuple(
        replace(image, boxes=tuple(boxes[key]), has_points=has_points)
        for key, image in images.items()
    )
    return Listing("CSV", found)


def write_csv(images: Sequence[ListedImage]) -> str:
    """Return images as a table; one without boxes has a row without corners."""
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
    """Refuse a table without what is needed; return whether it has points instead of boxes."""
    has_points = {"x", "y"} <= set(names) and "x_min" not in names
    corners = ("x", "y") if has_points else ("x_min", "y_min", "x_max", "y_max")
    for needed in ("image", *corners):
        if names.count(needed) != 1:
            raise ValueError(f"it needs one column {needed!r}")
    return has_points


def _image(key: tuple[str, int], row: dict[str, str]) -> ListedImage:
    size = (int(float(row.get("width", 0))), int(float(row.get("height", 0))))
    reviewed = row.get("reviewed", "0").lower() in ("1", "true", "yes")
    return ListedImage(key[0], (), key[1], size if min(size) > 0 else None, reviewed)


def _point(row: dict[str, str]) -> list[ListedBox]:
    x, y = float(row["x"]), float(row["y"])
    return [ListedBox((x, y, x, y), row.get("cell_type", ""))]


def _boxes(row: dict[str, str]) -> list[ListedBox]:
    corners = [row.get(side) for side in ("x_min", "y_min", "x_max", "y_max")]
    if not any(corners):
        return []
    x0, y0, x1, y1 = (float(value or "") for value in corners)
    return [
        ListedBox(
            bounds((x0, x1), (y0, y1)),
            row.get("cell_type", ""),
            int(row.get("cell_id", 0)),
            source_of(row.get("source", "")),
            float(row.get("score", 1)),
        )
    ]
