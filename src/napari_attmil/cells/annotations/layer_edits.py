"""Edits that a person made in a layer of boxes, found by comparing its rows with the boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.annotations.corrections import (
    add_box,
    delete_boxes,
    move_box,
)
from napari_attmil.cells.boxes import MIN_SIDE_PX, Boxes, Source, are_same_cells, has_moved
from napari_attmil.core import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.core import Float32Array, Int64Array


@dataclass(frozen=True, eq=False)
class LayerEdits:
    """What a person did in a layer, found from its present rows.

    Attributes
    ----------
    boxes
        The cells now, those that are not shown among them.
    gone
        The cells that were deleted.
    cell_id
        (n,) the id of each row; 0 for a row too small to be a cell, which is left out.
    title
        What was done, in a person's words; empty if nothing was.
    """

    boxes: Boxes
    gone: Boxes
    cell_id: Int64Array
    title: str


def edits_in_layer(
    boxes: Boxes,
    cell_ids: npt.ArrayLike,
    image_index: npt.ArrayLike,
    xyxy: npt.ArrayLike,
    first_id: int = 1,
    shown: npt.ArrayLike | None = None,
) -> LayerEdits:
    """Return what a person did to boxes; see `boxes_of_rows`.

    Parameters
    ----------
    boxes
        The cells before.
    cell_ids, image_index, xyxy
        (n,), (n,) and (n, 4), as shown.
    first_id
        New boxes get no smaller id than this; larger than those of all `boxes`.
    shown
        Ids of the cells whose boxes are shown; all by default. The others stay as they are, and a
        row that is none of those shown is a new box, unless it has the id of one of the others.
    """
    is_shown = np.ones(len(boxes), bool) if shown is None else np.isin(boxes.cell_id, shown)
    before, others = boxes[is_shown], boxes[~is_shown]
    ids, rows_image = np.array(cell_ids, dtype=np.int64), np.asarray(image_index, dtype=np.int32)
    to_follow = ~_rows_of_cells(others, ids, rows_image)
    corners = np.asarray(xyxy, dtype=np.float32).reshape(-1, 4)[to_follow]
    now, ids[to_follow] = boxes_of_rows(
        before, ids[to_follow], rows_image[to_follow], corners, first_id
    )
    if now.is_unchanged_since(before):
        return LayerEdits(boxes, Boxes.empty(), ids, "")
    gone = before[~np.isin(before.cell_id, now.cell_id)]
    drawn = int(np.count_nonzero(~np.isin(now.cell_id, before.cell_id)))
    return LayerEdits(Boxes.concatenate([others, now]), gone, ids, _what_was_done(drawn, len(gone)))


def boxes_of_rows(
    boxes: Boxes,
    cell_ids: npt.ArrayLike,
    image_index: npt.ArrayLike,
    xyxy: npt.ArrayLike,
    first_id: int = 1,
) -> tuple[Boxes, Int64Array]:
    """Return boxes that are what a person sees.

    Rows of a new id, or of one that an earlier row has, are new boxes of a person; rows of
    an existing id that lie elsewhere were moved; cells without a row were deleted.

    Parameters
    ----------
    boxes
        The cells before.
    cell_ids, image_index, xyxy
        (n,), (n,) and (n, 4), as shown.
    first_id
        New boxes get no smaller id than this.

    Returns
    -------
    Boxes
        The cells now.
    (n,) int64
        The id of each row; 0 for a row too small to be a cell, which is left out.
    """
    images = np.asarray(image_index, dtype=np.int32)
    corners = np.asarray(xyxy, dtype=np.float32).reshape(-1, 4)
    sides = np.abs(corners[:, 2:] - corners[:, :2])
    large_enough = np.all(sides >= MIN_SIDE_PX, axis=1)
    ids = np.array(cell_ids, dtype=np.int64)
    known = _rows_of_cells(boxes, ids, images) & large_enough
    ids[~known] = 0
    now = delete_boxes(boxes, np.setdiff1d(boxes.cell_id, ids))
    rows = np.flatnonzero(known)
    before = now[now.index_of(ids[rows])].xyxy
    for row in rows[has_moved(before, corners[rows])]:
        now = move_box(now, int(ids[row]), corners[row])
    for row in np.flatnonzero(~known & large_enough):
        now = add_box(now, int(images[row]), corners[row], first_id)
        ids[row] = now.cell_id[-1]
        first_id = now.next_id
    return now, ids


def rebased_rows(
    before: Boxes,
    now: Boxes,
    cell_ids: npt.ArrayLike,
    image_index: npt.ArrayLike,
    xyxy: npt.ArrayLike,
) -> tuple[Int64Array, Int64Array, Float32Array]:
    """Return rows as a person would leave them who had seen the boxes `now`, not those `before`.

    What the person drew or moved stays. Rows that were left alone lie where their cells lie
    now; those of cells that are gone are drawn together to nothing. New cells follow at the end,
    but not a detected one that the person has just drawn or moved a box to.

    Parameters
    ----------
    before
        The cells that the rows showed before the person touched them.
    now
        The cells by now.
    cell_ids, image_index, xyxy
        (n,), (n,) and (n, 4), as shown.

    Returns
    -------
    (n + m,) int64, (n + m,) int64, (n + m, 4) float32
        The rows in their order, then those of m new cells.
    """
    ids, images = np.array(cell_ids, dtype=np.int64), np.array(image_index, dtype=np.int64)
    corners = np.array(xyxy, dtype=np.float32).reshape(-1, 4)
    known = np.flatnonzero(_rows_of_cells(before, ids, images))
    moved = has_moved(before.xyxy[before.index_of(ids[known])], corners[known])
    untouched = known[~moved]
    touched = np.setdiff1d(np.arange(len(ids)), untouched)
    in_hand = Boxes.from_detections(images[touched], corners[touched], np.ones(len(touched)))
    is_there = np.isin(ids[untouched], now.cell_id)
    corners[untouched[is_there]] = now.xyxy[now.index_of(ids[untouched[is_there]])]
    corners[untouched[~is_there]] = 0
    new = now[~np.isin(now.cell_id, before.cell_id)]
    new = new[(new.source != Source.MODEL) | ~are_same_cells(new, in_hand)]
    return (
        np.concatenate([ids, new.cell_id]),
        np.concatenate([images, new.image_index]),
        np.concatenate([corners, new.xyxy]),
    )


def rows_within(
    before: Boxes,
    cell_ids: npt.ArrayLike,
    image_index: npt.ArrayLike,
    xyxy: npt.ArrayLike,
    sizes: Sequence[tuple[int, int]],
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Return rows of which what a person drew or moved is cut off at the image's border.

    Parameters
    ----------
    before
        The cells before.
    cell_ids, image_index, xyxy
        (n,), (n,) and (n, 4), as shown.
    sizes
        Height and width of each image.

    Returns
    -------
    (n, 4) float32
        The rows. A box that was moved out of its image stays where it was; one that was drawn
        outside is drawn together to nothing.
    (n,) bool
        Which rows have changed.
    """
    ids, images = np.array(cell_ids, dtype=np.int64), np.array(image_index, dtype=np.int64)
    corners = np.array(xyxy, dtype=np.float32).reshape(-1, 4)
    known = np.flatnonzero(_rows_of_cells(before, ids, images))
    moved = has_moved(before.xyxy[before.index_of(ids[known])], corners[known])
    touched = np.setdiff1d(np.arange(len(ids)), known[~moved])
    is_image = (images >= 0) & (images < len(sizes))
    limits = np.array(sizes, dtype=np.float32)[np.where(is_image, images, 0)][:, [1, 0, 1, 0]]
    within = corners.copy()
    within[touched] = np.clip(corners[touched], 0, limits[touched])
    is_outside = np.any(within[:, 2:] - within[:, :2] < MIN_SIDE_PX, axis=1)
    back = known[moved & is_outside[known]]
    within[back] = before.xyxy[before.index_of(ids[back])]
    return within, np.any(within != corners, axis=1)


def _rows_of_cells(
    boxes: Boxes, ids: Int64Array, images: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.bool_]:
    """Return which rows are the first of a cell of `boxes`, in that cell's image."""
    known = np.zeros(len(ids), dtype=bool)
    _, first = np.unique(ids, return_index=True)
    first = first[np.isin(ids[first], boxes.cell_id)]
    known[first] = boxes.image_index[boxes.index_of(ids[first])] == images[first]
    return known


def _what_was_done(drawn: int, deleted: int) -> str:
    """Return what a person did in the layer; what was neither drawn nor deleted was moved."""
    counts = (("draw", drawn), ("delete", deleted))
    parts = [f"{verb} {counted(count, 'box', 'boxes')}" for verb, count in counts if count]
    return " and ".join(parts).capitalize() if parts else "Move boxes"
