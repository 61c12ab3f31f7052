"""Boxes of a sample, and how many of them a file of annotations has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_attmil.cells.annotations import AnnotationFile, Annotations, add_box
from napari_attmil.cells.boxes import Boxes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.images import Sample


def with_boxes(count: int) -> Annotations:
    """Return boxes that a person drew."""
    boxes = Boxes.empty()
    for place in range(count):
        boxes = add_box(boxes, 0, [20 * place, 0, 20 * place + 9, 9])
    return Annotations(boxes, next_id=boxes.next_id)


def boxes_on_disk(path: Path, sample: Sample) -> int:
    """Return how many boxes of a sample another program would read."""
    read = AnnotationFile(path).read(sample)
    return 0 if read is None else len(read.boxes)
