"""The cell that a person means, among all that the detector thinks possible in an image.

The detector draws closer boxes than any outline that is searched for without it, also around cells
which it is not sure enough of to name them. `benchmarks/proposals.py` measures both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.cells.boxes import SAME_CELL_IOU, Boxes, iou_matrix

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.cells.settings import DetectionSettings
    from napari_attmil.core import Float32Array

LEAST_SCORE: Final = 0.1
LARGEST_OVERLAP: Final = 0.9
"""Touching cells, and a cell with its halo, have candidates that overlap far."""
_LEAST_IOU: Final = 0.3
"""A candidate that overlaps less with a drawn box shows another cell."""


def candidate_settings(settings: DetectionSettings) -> DetectionSettings:
    """Return how candidates are detected where cells are detected in this way."""
    return settings.model_copy(
        update={"min_score": LEAST_SCORE, "max_overlap": LARGEST_OVERLAP, "batch_size": 1}
    )


def candidate_at(
    candidates: Boxes, point: npt.ArrayLike, known: Float32Array | None = None
) -> Float32Array | None:
    """Return the box that a click means: a sure one, in the middle of which it lies.

    Parameters
    ----------
    candidates
        Of the image that was clicked in.
    point
        (2,) x, y in pixels.
    known
        (m, 4) boxes that are there already; another one of the same cell is not offered.

    Returns
    -------
    (4,) float32 or None
        None if there is no candidate.
    """
    xyxy = candidates.xyxy
    middle, side = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    off_middle = (np.abs(np.asarray(point) - middle) / side).max(axis=1, initial=0)
    fitness = candidates.score * (1 - off_middle) ** 2 * (off_middle <= 0.5)
    if known is not None:
        fitness = fitness * (iou_matrix(xyxy, known).max(axis=1, initial=0) < SAME_CELL_IOU)
    return _best(xyxy, fitness)


def candidate_around(candidates: Boxes, drawn: npt.ArrayLike) -> Float32Array | None:
    """Return the box that a sloppily drawn one means, None if there is no candidate.

    Parameters
    ----------
    candidates
        Of the image that was drawn in.
    drawn
        (4,) the box in pixels, minima before maxima.
    """
    overlap = iou_matrix(candidates.xyxy, np.asarray(drawn, dtype=np.float32))[:, 0]
    return _best(candidates.xyxy, overlap * (overlap > _LEAST_IOU) * np.sqrt(candidates.score))


def _best(xyxy: Float32Array, fitness: npt.NDArray[Any]) -> Float32Array | None:
    return xyxy[int(fitness.argmax())] if fitness.max(initial=0) > 0 else None
