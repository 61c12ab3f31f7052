"""YOLO: a text file an image, whose lines are class, middle and size in parts of the image.

The classes stand in classes.txt (LabelImg, Label Studio), obj.names (CVAT) or data.yaml (Roboflow,
Ultralytics) beside the files or in a folder above.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_attmil.cells.exchange.listing import (
    CELL_LABEL,
    ListedBox,
    ListedImage,
    bounds,
    near_image,
)
from napari_attmil.images import read_text

if TYPE_CHECKING:
    from pathlib import Path, PurePath

CLASS_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml")
_FOLDERS_ABOVE = 3


def read_yolo_image(text: str, name: str, classes: list[str]) -> ListedImage:
    """Return the boxes of one label file; `name` is the image's, without its suffix.

    A line with more than five numbers is a polygon, or has a confidence as its sixth.

    Raises
    ------
    ValueError
        If a line is none of these.
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words:
            try:
                boxes.append(_box(words, classes))
            except (ValueError, IndexError) as error:
                raise ValueError(f"line {number}: {error}") from None
    return ListedImage(name, tuple(boxes), is_relative=True)


def write_yolo(image: ListedImage) -> str:
    """Return the lines of a label file.

    Raises
    ------
    ValueError
        If the image's size is not known.
    """
    if image.size_px is None:
        raise ValueError(f"the size of {image.name} is not known")
    width, height = image.size_px
    lines = []
    for box in image.boxes:
        x0, y0, x1, y1 = box.xyxy
        middle = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height)
        lines.append(f"0 {middle[0]!r} {middle[1]!r} {(x1 - x0) / width!r} {(y1 - y0) / height!r}")
    return "".join(f"{line}\n" for line in lines)


def class_names(file: Path) -> list[str]:
    """Return the classes that hold for a label file; empty if there is no list of them."""
    for folder in list(file.absolute().parents)[:_FOLDERS_ABOVE]:
        for name in CLASS_FILES:
            if (folder / name).is_file():
                text = read_text(folder / name)
                return _yaml_names(text) if name.startswith("data.") else text.splitlines()
    return []


def image_name(way: PurePath) -> str:
    """Return the image's name, without its suffix, for a label file's way from the folder read.

    The folders that only hold the labels (labels, obj_train_data) have no images' counterpart.
    """
    folders = [p for p in way.parts[:-1] if p != "labels" and not re.fullmatch("obj_.*_data", p)]
    return "/".join([*folders, way.stem])


def class_file_text() -> str:
    """Return the data.yaml that belongs to what is written."""
    return f"path: .\nnc: 1\nnames:\n  0: {CELL_LABEL}\n"


def _yaml_names(text: str) -> list[str]:
    """Return the names of a data.yaml: `names: [a, b]`, or a line each, `- a` or `0: a`."""
    found = re.search(r"^names:[ \t]*(\[[^\]]*\]|(?:\n[ \t]*(?:-|\d+:)[^\n]*)*)", text, re.M)
    if found is None:
        return []
    block = found[1]
    parts = block.strip("[]").split(",") if block.startswith("[") else block.splitlines()[1:]
    return [re.sub(r"^\s*(-|\d+:)?\s*", "", part).strip(" '\"\t\n") for part in parts]


def _box(words: list[str], classes: list[str]) -> ListedBox:
    number = int(words[0])
    values = [float(word) for word in words[1:]]
    if number < 0 or (classes and number >= len(classes)):
        raise ValueError(f"there is no class {number}")
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        if min(width, height) < 0:
            raise ValueError("a box has a negative size")
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    elif len(values) >= 6 and len(values) % 2 == 0:
        xs, ys = values[0::2], values[1::2]
        corners = bounds(xs, ys)
    else:
        raise ValueError(f"{len(words)} numbers, but class, x, y, width, height are needed")
    return ListedBox(near_image(corners), classes[number] if classes else str(number))
