"""YOLO: one text file per image; a line has class, centre and size as fractions of the image.

The classes are listed in classes.txt (LabelImg, Label Studio), obj.names (CVAT) or data.yaml
(Roboflow, Ultralytics), beside the files or in a folder above them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import yaml

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    Corners,
    bounds,
    near_image,
    sides,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from napari_attmil.cells.exchange.account import Account

CLASS_FILES = ("classes.txt", "obj.names")
CLASS_SUFFIXES = (".yaml", ".yml")

_BOX: Final = 4
"""Numbers of a box: x, y, width, height; a confidence and the number of a track may follow."""


@dataclass(frozen=True)
class Classes:
    """What a list of classes says about label files.

    Attributes
    ----------
    names
        The classes' names by number; empty if there is no list.
    keypoint_shape
        (number, values of each) of the keypoints of a pose data set; None if it is none.
    """

    names: dict[int, str]
    keypoint_shape: tuple[int, int] | None = None

    def name(self, number: int) -> str:
        """Return a class's name, which is its number if there is no list.

        Raises
        ------
        ValueError
            If there is a list without it.
        """
        if number < 0 or (self.names and number not in self.names):
            raise ContentError(f"there is no class {number}")
        return self.names.get(number, str(number))


NO_CLASSES: Final = Classes({})


def read_yolo(text: str, name: str, classes: Classes, account: Account) -> AnnotatedImage:
    """Return the boxes of one label file; `name` is the image's name without its suffix.

    After the class a line has a box, to which a confidence, the number of a track or keypoints may
    be added, or else the corners of a polygon. Other lines are left out.
    """
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, words) for number, words in lines if words]
    pose = _pose_length([words[1:] for _, words in lines], classes.keypoint_shape)
    boxes: list[AnnotatedBox] = []
    for number, words in lines:
        with account.item(f"line {number}", name):
            boxes.append(_box(words, classes, len(words) - 1 == pose, account))
    return AnnotatedImage(name, tuple(boxes), is_relative=True)


def write_yolo(image: AnnotatedImage) -> str:
    """Return the lines of a label file.

    Raises
    ------
    ValueError
        If the image's size is not known.
    """
    if image.size_px is None:
        raise ContentError(f"the size of {image.name} is not known")
    width, height = image.size_px
    text = ""
    for box in image.boxes:
        x0, y0, x1, y1 = box.xyxy
        x, y = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
        text += f"0 {x!r} {y!r} {(x1 - x0) / width!r} {(y1 - y0) / height!r}\n"
    return text


def classes_of(file_name: str, text: str) -> Classes | None:
    """Return what a file says of the classes; None if it is a YAML file of something else.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML file.
    """
    if not file_name.lower().endswith(CLASS_SUFFIXES):
        return Classes(dict(enumerate(line.strip() for line in text.splitlines())))
    content = yaml.safe_load(text)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        return None
    shape = content.get("kpt_shape")
    return Classes(
        {int(number): str(name) for number, name in names.items()},
        (int(shape[0]), int(shape[1])) if isinstance(shape, list) and len(shape) == 2 else None,
    )


def image_name(path: PurePath) -> str:
    """Return the image's name without its suffix, from a label file's path below the folder read.

    Folders that hold labels only (labels, obj_train_data) do not occur in the paths of images.
    """
    folders = [p for p in path.parts[:-1] if not re.fullmatch("labels|obj_.*_data", p)]
    return "/".join([*folders, path.stem])


def class_file_text() -> str:
    """Return the text of the data.yaml that goes with the label files."""
    return f"path: .\nnc: 1\nnames:\n  0: {CELL_LABEL}\n"


def _box(words: Sequence[str], classes: Classes, is_pose: bool, account: Account) -> AnnotatedBox:
    label = classes.name(_class_number(words[0]))
    values = [float(word) for word in words[1:]]
    score = 1.0
    if is_pose or len(values) in (_BOX, _BOX + 1) or _has_track(words[1:]):
        x, y, width, height = values[:_BOX]
        sides(0, 0, width, height)
        corners: Corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if not is_pose and len(values) > _BOX:
            score = values[_BOX]
    elif len(values) > _BOX + 1 and len(values) % 2 == 0:
        x0, y0, x1, y1 = bounds(values)
        corners = sides(x0, y0, x1 - x0, y1 - y0)
        account.outline("polygon")
    else:
        raise ContentError(f"{len(words)} numbers, but class, x, y, width, height are needed")
    is_detected = len(values) > _BOX and score < 1
    source = Source.MODEL if is_detected else Source.PERSON
    return AnnotatedBox(near_image(corners), label, source=source, score=score)


def _class_number(word: str) -> int:
    number = float(word)  # numpy writes 0.000e+00
    if not number.is_integer():
        raise ContentError(f"{word} is no class")
    return int(number)


def _has_track(words: Sequence[str]) -> bool:
    """Tell whether six numbers are a box, its confidence and its track, not a triangle."""
    return len(words) == _BOX + 2 and "." not in words[-1] and words[-1].isdigit()


def _pose_length(lines: Sequence[Sequence[str]], shape: tuple[int, int] | None) -> int:
    """Return how many numbers a box with keypoints has where they could be a polygon too, else 0.

    Polygons lie about their second point; of a pose that is the size of the box, which most often
    lies far from all of its points.
    """
    if shape is not None:
        return _BOX + shape[0] * shape[1]
    rows, counts = [_floats(words) for words in lines], {len(words) for words in lines}
    if len(counts) != 1 or not all(rows) or min(counts) <= _BOX + 2:
        return 0
    (count,) = counts
    if (count - _BOX) % 3 == 0 and all(set(row[_BOX + 2 :: 3]) <= {0.0, 1.0, 2.0} for row in rows):
        return count * all(_holds(row[:_BOX], row[_BOX::3], row[_BOX + 1 :: 3]) for row in rows)
    if count % 2:
        return 0
    fits = all(_holds(row[:_BOX], row[_BOX::2], row[_BOX + 1 :: 2]) for row in rows)
    return count * (fits and any(map(_is_far_from_the_others, rows)))


def _floats(words: Sequence[str]) -> list[float]:
    """Return numbers; none if one is none."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def _holds(box: Sequence[float], xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Tell whether a box lies in the image and holds all points that are not marked as absent."""
    x, y, width, height = box
    is_inside = min(x - width / 2, y - height / 2) > -0.01
    is_inside &= max(x + width / 2, y + height / 2) < 1.01
    points = [(px, py) for px, py in zip(xs, ys, strict=False) if (px, py) != (0, 0)]
    slack = 0.55  # of a side; points lie on the border at times
    return is_inside and all(
        abs(px - x) <= slack * width and abs(py - y) <= slack * height for px, py in points
    )


def _is_far_from_the_others(row: Sequence[float]) -> bool:
    points = [(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    x, y = points.pop(1)
    x0, y0, x1, y1 = bounds([value for point in points for value in point])
    return not x0 - (x1 - x0) <= x <= x1 + (x1 - x0) or not y0 - (y1 - y0) <= y <= y1 + (y1 - y0)
