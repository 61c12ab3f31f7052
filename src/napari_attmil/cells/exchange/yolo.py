"""YOLO: one text file per image; a line has class, centre and size as fractions of the image.

The classes are listed in classes.txt (LabelImg, Label Studio), obj.names (CVAT) or data.yaml
(Roboflow, Ultralytics), beside the files or in a folder above them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    bounds,
    near_image,
)
from napari_attmil.images import read_text

if TYPE_CHECKING:
    from pathlib import Path, PurePath

CLASS_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml")
_FOLDERS_ABOVE = 3


def read_yolo_image(text: str, name: str, classes: list[str]) -> AnnotatedImage:
    """Return the boxes of one label file; `name` is the image's name without its suffix.

    A line with six numbers has a confidence at its end; one with more is a polygon.

    Raises
    ------
    ValueError
        If a line is neither a box nor a polygon.
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            boxes += [_box(words, classes)] if (words := line.split()) else []
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return AnnotatedImage(name, tuple(boxes), is_relative=True)


def write_yolo(image: AnnotatedImage) -> str:
    """Return the lines of a label file.

    Raises
    ------
    ValueError
        If the image's size is not known.
    """
    if image.size_px is None:
        raise ValueError(f"the size of {image.name} is not known")
    width, height = image.size_px
    text = ""
    for box in image.boxes:
        x0, y0, x1, y1 = box.xyxy
        x, y = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
        text += f"0 {x!r} {y!r} {(x1 - x0) / width!r} {(y1 - y0) / height!r}\n"
    return text


def class_names(file: Path) -> list[str]:
    """Return the classes of a label file; empty if no list of classes is found."""
    for folder in list(file.absolute().parents)[:_FOLDERS_ABOVE]:
        for name in CLASS_FILES:
            if (folder / name).is_file():
                text = read_text(folder / name)
                return _yaml_names(text) if name.startswith("data.") else text.splitlines()
    return []


def image_name(path: PurePath) -> str:
    """Return the image's name without its suffix, from a label file's path below the folder read.

    Folders that hold labels only (labels, obj_train_data) do not occur in the paths of images.
    """
    folders = [p for p in path.parts[:-1] if not re.fullmatch("labels|obj_.*_data", p)]
    return "/".join([*folders, path.stem])


def class_file_text() -> str:
    """Return the text of the data.yaml that goes with the label files."""
    return f"path: .\nnc: 1\nnames:\n  0: {CELL_LABEL}\n"


def _yaml_names(text: str) -> list[str]:
    """Return the names of a data.yaml: `names: [a, b]`, or a line each, `- a` or `0: a`."""
    found = re.search(r"^names:[ \t]*(\[[^\]]*\]|(?:\n[ \t]*(?:-|\d+:)[^\n]*)*)", text, re.M)
    if found is None:
        return []
    block = found[1]
    parts = block.strip("[]").split(",") if block.startswith("[") else block.splitlines()[1:]
    return [re.sub(r"^\s*(-|\d+:)?\s*", "", part).strip(" '\"\t\n") for part in parts]


def _box(words: list[str], classes: list[str]) -> AnnotatedBox:
    number, values = int(words[0]), list(map(float, words[1:]))
    if number < 0 or (classes and number >= len(classes)):
        raise ValueError(f"there is no class {number}")
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        if min(width, height) < 0:
            raise ValueError("a box has a negative size")
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    elif len(values) >= 6 and len(values) % 2 == 0:
        corners = bounds(values)
    else:
        raise ValueError(f"{len(words)} numbers, but class, x, y, width, height are needed")
    return AnnotatedBox(near_image(corners), classes[number] if classes else str(number))
