"""Boxes of the objects in masks and label images, as segmentation programs write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label, regionprops_table

from napari_attmil.cells.boxes import MIN_SIDE_PX
from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
    bounds,
)
from napari_attmil.core import UserError
from napari_attmil.images import open_frames, read_frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_attmil.core import Float32Array

_ENDINGS = re.compile(r"[-_. ]?(cp_masks?|masks?|labels?|seg|segmentation)$", re.IGNORECASE)
"""Endings that Cellpose, StarDist and others add to the image's name."""


def boxes_of_labels(labels: NDArray[Any]) -> Float32Array:
    """Return the tight boxes of a label image's objects.

    Parameters
    ----------
    labels
        (Y, X), 0 for the background. With one other value it is a mask, whose connected parts
        are the objects (touching corners connect).

    Returns
    -------
    (n, 4) float32
        In the order of the labels; objects with a side below `MIN_SIDE_PX` are left out.

    Raises
    ------
    UserError
        If it is a colour image.
    """
    if labels.ndim != 2:
        raise UserError(
            f"A label image has one number a pixel, but the shape {labels.shape} is of a colour "
            "image; save the labels as a grey TIFF or PNG."
        )
    is_mask = len(np.unique(labels)) <= 2
    objects = label(labels > 0, connectivity=2) if is_mask else labels.astype(np.int64)
    table = regionprops_table(objects, properties=("bbox",))
    corners = [table[f"bbox-{place}"] for place in (1, 0, 3, 2)]
    xyxy: Float32Array = np.stack(corners, axis=1).astype(np.float32).reshape(-1, 4)
    return xyxy[np.all(xyxy[:, 2:] - xyxy[:, :2] >= MIN_SIDE_PX, axis=1)]


def read_label_image(path: Path) -> AnnotationSet:
    """Return the boxes of a label image, for the image of its name without "_mask" or the like.

    Raises
    ------
    UserError
        If it cannot be read, or is a colour image.
    """
    name = _ENDINGS.sub("", path.stem)
    images = []
    for frame in open_frames(path):
        labels = read_frame(frame)
        boxes = tuple(AnnotatedBox(bounds(box), "") for box in boxes_of_labels(labels).tolist())
        images.append(AnnotatedImage(name, boxes, frame.page, (labels.shape[1], labels.shape[0])))
    return AnnotationSet("label images", tuple(images))
