"""Corrections by a person: each takes boxes and returns new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.boxes import Boxes, Source, are_same_cells

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari_attmil.cells.annotations.edits import Annotations
    from napari_attmil.core import Float32Array


def add_box(boxes: Boxes, image_index: int, xyxy: npt.ArrayLike, first_id: int = 1) -> Boxes:
    """Return the boxes with one more, drawn by a person.

    Its id is the next free one, but not less than `first_id`.
    """
    drawn = Boxes(
        cell_id=np.array([max(boxes.next_id, first_id)]),
        image_index=np.array([image_index]),
        xyxy=_ordered(xyxy)[np.newaxis],
        score=np.ones(1, dtype=np.float32),
        source=np.array([Source.PERSON]),
    )
    return Boxes.concatenate([boxes, drawn])


def move_box(boxes: Boxes, cell_id: int, xyxy: npt.ArrayLike) -> Boxes:
    """Return the boxes with one moved or resized: it keeps its id and becomes a person's.

    Raises
    ------
    KeyError
        If there is no such cell.
    """
    row = boxes.index_of(cell_id)
    moved, source, score = boxes.xyxy.copy(), boxes.source.copy(), boxes.score.copy()
    moved[row], source[row], score[row] = _ordered(xyxy), Source.PERSON, 1
    return replace(boxes, xyxy=moved, source=source, score=score)


def delete_boxes(boxes: Boxes, cell_ids: npt.ArrayLike) -> Boxes:
    """Return the boxes without some cells; ids that are not there are ignored."""
    return boxes[~np.isin(boxes.cell_id, np.asarray(cell_ids))]


def accept_boxes(boxes: Boxes, cell_ids: npt.ArrayLike) -> Boxes:
    """Return the boxes with some of the detector's confirmed; a person's stay a person's."""
    chosen = np.isin(boxes.cell_id, np.asarray(cell_ids)) & (boxes.source == Source.MODEL)
    return replace(boxes, source=np.where(chosen, np.uint8(Source.ACCEPTED), boxes.source))


def merge_detections(
    current: Boxes,
    detected: Boxes,
    deleted: Boxes | None = None,
    first_id: int = 1,
    noted: Collection[int] = (),
) -> Boxes:
    """Return a new detection's boxes joined with what a person did to the old ones.

    Boxes that a person made, accepted or noted something about stay as they are; a detected box
    that shows the same cell as one of them, or as a cell that a person deleted, is left out. The
    detected boxes that remain get new ids, larger than all present ones and not less than
    `first_id`.
    """
    kept = current[(current.source != Source.MODEL) | np.isin(current.cell_id, list(noted))]
    blocked = are_same_cells(detected, kept)
    if deleted is not None:
        blocked |= are_same_cells(detected, deleted)
    fresh = detected[~blocked]
    start = max(current.next_id, first_id)
    renumbered = replace(fresh, cell_id=np.arange(start, start + len(fresh)))
    return Boxes.concatenate([kept, renumbered]).sorted_by_image()


def with_corrections(
    detected: Boxes,
    corrected: Annotations,
    images: npt.ArrayLike | None = None,
    within: Mapping[int, Float32Array] | None = None,
) -> Boxes:
    """Return a detection with what a person did to an earlier one.

    Reviewed images stay as they are; for the others see `merge_detections`.

    Parameters
    ----------
    detected
        What the detector found.
    corrected
        The annotations before.
    images
        The images that the detector has seen; all if None. Boxes of the others stay.
    within
        Of images that it has seen only in part: (k, 4) x_min, y_min, x_max, y_max of these parts.
        Boxes whose middle lies elsewhere stay.
    """
    boxes, reviewed = corrected.boxes, sorted(corrected.reviewed)
    settled = np.isin(boxes.image_index, reviewed)
    if images is not None:
        settled |= ~np.isin(boxes.image_index, np.asarray(images))
    found = detected[~np.isin(detected.image_index, reviewed)]
    if within:
        settled |= _lie_elsewhere(boxes, within)
        at_rim = boxes[settled & np.isin(boxes.image_index, list(within))]
        found = found[~are_same_cells(found, at_rim)]
    merged = merge_detections(
        boxes[~settled], found, corrected.deleted, corrected.next_id, corrected.notes
    )
    return Boxes.concatenate([boxes[settled], merged]).in_order()


def _lie_elsewhere(boxes: Boxes, within: Mapping[int, Float32Array]) -> npt.NDArray[np.bool_]:
    """Return which boxes lie in an image of which parts are given, but in none of these."""
    elsewhere = np.zeros(len(boxes), dtype=bool)
    middle = (boxes.xyxy[:, np.newaxis, :2] + boxes.xyxy[:, np.newaxis, 2:]) / 2
    for image, parts in within.items():
        inside = np.all((middle >= parts[:, :2]) & (middle < parts[:, 2:]), axis=2).any(axis=1)
        elsewhere |= (boxes.image_index == image) & ~inside
    return elsewhere


def _ordered(xyxy: npt.ArrayLike) -> Float32Array:
    """Return a (4,) box whose minima stand before its maxima."""
    return np.sort(np.asarray(xyxy, dtype=np.float32).reshape(2, 2), axis=0).ravel()
