"""The cell that a user points at, found among the detector's detections of low confidence.

The detector's boxes fit more closely than those of `cell_outlines`, also around cells whose
confidence is too low to be shown. `benchmarks/proposals.py` measures both.
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
"""Boxes of touching cells, and of a cell and its halo, overlap this far."""
_LEAST_IOU: Final = 0.3
"""A detection that overlaps less with a drawn box shows another cell."""


def unsure_detection_settings(settings: DetectionSettings) -> DetectionSettings:
    """Return these settings, changed so that detections of low confidence are found too."""
    return settings.model_copy(
        update={"min_score": LEAST_SCORE, "max_overlap": LARGEST_OVERLAP, "batch_size": 1}
    )


def detection_at(
    detections: Boxes, point: npt.ArrayLike, present: Float32Array | None = None
) -> Float32Array | None:
    """Return the box at a click: of high confidence, with the click close to its centre.

    Parameters
    ----------
    detections
        Those of the image.
    point
        (2,) x, y in pixels.
    present
        (m, 4) boxes of the image; no second box of the same cell is returned.

    Returns
    -------
    (4,) float32 or None
        None if there is no such detection.
    """
    xyxy = detections.xyxy
    middle, side = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    off_middle = (np.abs(np.asarray(point) - middle) / side).max(axis=1, initial=0)
    fitness = detections.score * (1 - off_middle) ** 2 * (off_middle <= 0.5)
    if present is not None:
        fitness = fitness * (iou_matrix(xyxy, present).max(axis=1, initial=0) < SAME_CELL_IOU)
    return _best(xyxy, fitness)


def detection_around(detections: Boxes, drawn: npt.ArrayLike) -> Float32Array | None:
    """Return the detection that a roughly drawn box belongs to, None if there is none.

    Parameters
    ----------
    detections
        Those of the image.
    drawn
        (4,) the box in pixels, minima before maxima.
    """
    overlap = iou_matrix(detections.xyxy, np.asarray(drawn, dtype=np.float32))[:, 0]
    return _best(detections.xyxy, overlap * (overlap > _LEAST_IOU) * np.sqrt(detections.score))


def _best(xyxy: Float32Array, fitness: npt.NDArray[Any]) -> Float32Array | None:
    return xyxy[int(fitness.argmax())] if fitness.max(initial=0) > 0 else None
