"""Images that a person has confirmed, read to be learnt from."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.cells.augmentation import LabelledImage
from napari_attmil.images.cohort import Frame
from napari_attmil.images.reading import read_frame
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.cells.project import AnnotationFile
    from napari_attmil.images.cohort import Sample


def reviewed_images(samples: Sequence[Sample], annotations: AnnotationFile) -> list[LabelledImage]:
    """Return a project's reviewed images with their boxes, those without cells included.

    Raises
    ------
    UserError
        If none is reviewed, or a file cannot be read.
    """
    images = []
    kept = annotations.read_all(samples)
    for sample in samples:
        if sample.name not in kept:
            continue
        boxes, reviewed = kept[sample.name].boxes, kept[sample.name].reviewed
        for index in sorted(reviewed):
            frame = sample.frames[index]
            name = image_name(frame, annotations.path.parent)
            images.append(_labelled(frame, boxes.of_image(index).xyxy, name))
    if not images:
        raise UserError(
            f"No image of {annotations.path.parent} is marked as reviewed; correct the boxes of "
            "some images and mark them, best about ten."
        )
    return images


def read_coco(path: Path) -> list[LabelledImage]:
    """Return all images of a COCO file with their boxes; each counts as reviewed.

    Files are looked for beside the COCO file. Crowds are left out.

    Raises
    ------
    UserError
        If it is no COCO file, or an image cannot be read.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        boxes: dict[Any, list[list[float]]] = defaultdict(list)
        for annotation in content["annotations"]:
            x, y, width, height = map(float, annotation["bbox"])
            if not annotation.get("iscrowd"):
                boxes[annotation["image_id"]].append([x, y, x + width, y + height])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no COCO file that can be read ({error!r}); export it again as COCO JSON."
        ) from error
    return [
        _labelled(Frame(path.parent / name), np.array(boxes[key], np.float32).reshape(-1, 4), name)
        for key, name in names.items()
    ]


def _labelled(frame: Frame, xyxy: npt.NDArray[np.float32], name: str) -> LabelledImage:
    pixels = read_frame(frame)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=-1).astype(pixels.dtype)
    return LabelledImage(grey, xyxy, stained=pixels.ndim == 3, name=name)


def image_name(frame: Frame, folder: Path) -> str:
    """Name an image by its way from the project, which stays when the folder is moved."""
    path, folder = frame.path.resolve(), folder.resolve()
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{name.as_posix()}#{frame.page}"
