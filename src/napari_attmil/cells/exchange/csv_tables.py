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
    NOTE,
    TAGS,
    AnnotatedBox,
    AnnotatedImage,
    bounds,
    id_of,
    named_columns,
    note_of,
    sides,
    source_of,
)
from napari_attmil.core import ContentError, as_cell, from_cell
from napari_attmil.images import rows_of_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.cells.annotations import Note
    from napari_attmil.cells.exchange.account import Account

_CORNERS = ("x_min", "y_min", "x_max", "y_max")
COLUMNS = (
    *("image", "frame", "cell_id", *_CORNERS, "score", "source"),
    *("reviewed", "width", "height", "cell_type"),
)
_NUMBERS = (*_CORNERS, "x", "y", "score", "width", "height")
_OWN = "own column: "
"""Begins the key of a person's own columns while a table is read."""
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


def read_csv(text: str, account: Account) -> tuple[AnnotatedImage, ...]:
    """Return the images of a table with their boxes or centre points; bad rows are left out.

    Raises
    ------
    ValueError, csv.Error
        If a column is missing, or the text is no table.
    """
    (_, header), *rows = rows_of_table(text) or [(1, [])]
    names = [_OTHER_NAMES.get(name.lower(), name.lower()) for name in header]
    if set(COLUMNS) <= set(names):  # a table of this program: further columns are a person's own
        known = (*COLUMNS, TAGS, NOTE)
        pairs = zip(names, header, strict=True)
        names = [name if name in known else _OWN + from_cell(title) for name, title in pairs]
    has_points = _check_columns(names)
    read = [
        (number, {name: cell for name, cell in zip(names, cells, strict=False) if cell})
        for number, cells in rows
    ]
    decimal = _decimal_sign([row for _, row in read])
    images: dict[tuple[str, int], AnnotatedImage] = {}
    boxes: dict[tuple[str, int], list[AnnotatedBox]] = defaultdict(list)
    for number, row in read:
        with account.item(f"row {number}", row.get("image", "")):
            key, image, found = _row(_with_points(row, decimal), has_points)
            images.setdefault(key, image)
            boxes[key] += found
    return tuple(
        replace(image, boxes=tuple(boxes[key]), has_points=has_points)
        for key, image in images.items()
    )


def write_csv(images: Sequence[AnnotatedImage]) -> str:
    """Return images as the text of a table; an image without boxes has one row without corners."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    notes = [box.note for image in images for box in image.boxes if box.note]
    own = sorted({name for note in notes for name in named_columns(note, COLUMNS)})
    said = (TAGS, NOTE, *own) if notes else ()
    writer.writerow((*COLUMNS, *map(as_cell, said)))
    for image in images:
        end = (int(image.reviewed), *(image.size_px or ("", "")), CELL_LABEL)
        for box in image.boxes:
            middle = (*map(repr, box.xyxy), repr(box.score), SOURCE_NAMES[box.source])
            noted = _noted(box.note)
            cells = (as_cell(noted.get(name, "")) for name in said)
            writer.writerow((as_cell(image.name), image.page, box.cell_id, *middle, *end, *cells))
        if not image.boxes:
            writer.writerow((as_cell(image.name), image.page, *("",) * 7, *end, *("",) * len(said)))
    return out.getvalue()


def _noted(note: Note) -> dict[str, str]:
    """Return what is noted by the titles of columns."""
    return {TAGS: "; ".join(note.tags), NOTE: note.text} | named_columns(note, COLUMNS)


def _check_columns(names: list[str]) -> bool:
    """Check that all columns are there; return whether the table has points instead of boxes."""
    has_points = {"x", "y"} <= set(names) and "x_min" not in names
    for needed in ("image", *(("x", "y") if has_points else _CORNERS)):
        if names.count(needed) != 1:
            raise ContentError(f"it needs one column {needed!r}")
    return has_points


def _decimal_sign(rows: Sequence[dict[str, str]]) -> str:
    """Return what stands before a table's decimals; a comma only if no number has a point."""
    numbers = [row[name] for row in rows for name in _NUMBERS if name in row]
    has_comma = any("," in number for number in numbers)
    return "," if has_comma and not any("." in number for number in numbers) else "."


def _with_points(row: dict[str, str], decimal: str) -> dict[str, str]:
    """Return a row whose numbers have decimal points."""
    numbers = {name: row[name].replace(decimal, ".") for name in _NUMBERS if name in row}
    if unclear := next((number for number in numbers.values() if "," in number), ""):
        raise ContentError(
            f"{unclear} has a comma where other numbers have a point; write numbers without "
            "separators of thousands"
        )
    return row | numbers


def _row(
    row: dict[str, str], has_points: bool
) -> tuple[tuple[str, int], AnnotatedImage, list[AnnotatedBox]]:
    """Return the key of a row's image, the image without boxes, and the row's box if it has one."""
    try:
        key = (from_cell(row["image"]), int(row.get("frame", 0)))
        size = (int(float(row.get("width", 0))), int(float(row.get("height", 0))))
        reviewed = row.get("reviewed", "0").lower() in ("1", "true", "yes")
        image = AnnotatedImage(key[0], (), key[1], size if min(size) > 0 else None, reviewed)
        return key, image, _boxes(row, has_points)
    except KeyError as error:
        raise ContentError(f"{error} is empty") from None


def _boxes(row: dict[str, str], has_points: bool) -> list[AnnotatedBox]:
    """Return a row's box as a list; empty if the row has no corners, as the image has no boxes."""
    if has_points:
        return [AnnotatedBox(bounds([row["x"], row["y"]]), row.get("cell_type", ""))]
    corners = [row.get(side, "") for side in _CORNERS]
    if not any(corners):
        return []
    x0, y0, x1, y1 = bounds(corners)
    return [
        AnnotatedBox(
            sides(x0, y0, x1 - x0, y1 - y0),
            row.get("cell_type", ""),
            id_of(row.get("cell_id")),
            source_of(row.get("source", "")),
            float(row.get("score", 1)),
            _note(row),
        )
    ]


def _note(row: dict[str, str]) -> Note:
    """Return what a table of this program says of a box besides where it is."""
    own = {
        name.removeprefix(_OWN): from_cell(cell)
        for name, cell in row.items()
        if name.startswith(_OWN)
    }
    is_own = {"cell_id", "source"} <= row.keys()  # also a table of `attmil detect`
    tags, text = (from_cell(row.get(name, "")) if is_own else "" for name in (TAGS, NOTE))
    return note_of(tags.split(";"), text, own, COLUMNS)
