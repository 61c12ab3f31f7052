"""How good detections are: average precision as COCO defines it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.core import Float32Array

MAX_DETECTIONS = 1000
"""COCO's usual 100 per image would leave out most cells of a dense field."""


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """Detections and true cells of one image.

    Attributes
    ----------
    found, score
        (n, 4) float32 and (n,) float32.
    truth
        (m, 4) float32.
    ignored
        (k, 4) float32 of objects, such as white cells, that count neither as right nor as wrong.
    """

    found: Float32Array
    score: Float32Array
    truth: Float32Array
    ignored: Float32Array = field(default_factory=lambda: np.empty((0, 4), dtype=np.float32))


@dataclass(frozen=True)
class DetectionScore:
    """Average precision over a set of images, 0 to 1.

    Attributes
    ----------
    ap50, ap75
        At an intersection over union of 0.5 and 0.75.
    ap
        Mean over 0.50, 0.55, ..., 0.95.
    """

    ap50: float
    ap75: float
    ap: float


def average_precision(images: Sequence[ScoredImage]) -> DetectionScore:
    """Return COCO's average precision of one class, with up to 1,000 detections an image.

    Raises
    ------
    ValueError
        If there is no image.
    """
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    if not images:
        raise ValueError("Average precision needs at least one image.")
    metric = MeanAveragePrecision(
        max_detection_thresholds=[1, 100, MAX_DETECTIONS], backend="faster_coco_eval"
    )
    metric.warn_on_many_detections = False
    for image in images:
        target = np.concatenate([image.truth, image.ignored]).astype(np.float32)
        crowd = np.arange(len(target)) >= len(image.truth)
        metric.update(
            [
                {
                    "boxes": torch.from_numpy(np.array(image.found, dtype=np.float32)),
                    "scores": torch.from_numpy(np.array(image.score, dtype=np.float32)),
                    "labels": torch.zeros(len(image.found), dtype=torch.int64),
                }
            ],
            [
                {
                    "boxes": torch.from_numpy(target),
                    "labels": torch.zeros(len(target), dtype=torch.int64),
                    "iscrowd": torch.from_numpy(crowd.astype(np.int64)),
                }
            ],
        )
    values = metric.compute()
    return DetectionScore(float(values["map_50"]), float(values["map_75"]), float(values["map"]))
