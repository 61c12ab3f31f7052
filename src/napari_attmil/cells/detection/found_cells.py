"""The cells that a detection finds: image by image, and all of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells.boxes import Boxes

if TYPE_CHECKING:
    from napari_attmil.cells.detection.working_scale import CellSize
    from napari_attmil.core import Float32Array


@dataclass(frozen=True, eq=False)
class DetectionProgress:
    """The cells of one image, or of a part of a large one, as soon as they are found.

    Attributes
    ----------
    done, total
        Images finished, this one included if it is, and images in all.
    image_index
        Position of this image in the stack.
    xyxy, score
        (n, 4) float32 pixels of the image as given, and (n,) float32, surest first.
    cell_size
        The cell size that set the working scale, in pixels of the image as given.
    part, parts
        Parts of this image searched so far, and parts in all. The cells are those of this part
        only, until all parts are searched: then they are those of the image.
    searched
        (4,) x_min, y_min, x_max, y_max of the part whose cells these are; None for a whole image.
    """

    done: int
    total: int
    image_index: int
    xyxy: Float32Array
    score: Float32Array
    cell_size: CellSize
    part: int = 1
    parts: int = 1
    searched: Float32Array | None = None


def boxes_of_frames(frames: Sequence[DetectionProgress]) -> Boxes:
    """Return the boxes of several images, with ids in the order of `frames`."""
    if not frames:
        return Boxes.empty()
    return Boxes.from_detections(
        np.concatenate([np.full(len(frame.score), frame.image_index) for frame in frames]),
        np.concatenate([frame.xyxy for frame in frames]),
        np.concatenate([frame.score for frame in frames]),
    )
