"""The features of a sample's cells, computed only where earlier ones are no longer valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from napari_attmil.cells import Boxes, FeatureSettings, has_moved
from napari_attmil.core import Int64Array

if TYPE_CHECKING:
    from napari_attmil.cells.detection import DetectorLike

Features = npt.NDArray[np.float16]

DIAMETER_STEP = 1.05
"""Ratio of neighbouring cell diameters that a sample's scale is rounded to."""


@dataclass(frozen=True, eq=False)
class KnownFeatures:
    """Boxes and their (n, channels, s, s) features, computed earlier.

    They must be of the same images, detector and feature settings as the requested ones.
    """

    boxes: Boxes
    features: Features


@dataclass(frozen=True, eq=False)
class FeatureProgress:
    """The features of some cells, as soon as they are computed.

    Attributes
    ----------
    done, total
        Finished cells, including these, and all cells.
    rows
        (m,) positions of these cells in the boxes.
    features
        (m, channels, s, s) float16, or their (m, channels, 11, 1) profiles.
    """

    done: int
    total: int
    rows: Int64Array
    features: Features


def extract_features(
    detector: DetectorLike,
    images: Sequence[npt.NDArray[Any]],
    boxes: Boxes,
    settings: FeatureSettings,
    known: KnownFeatures | None = None,
) -> Iterator[FeatureProgress]:
    """Read the RoI-aligned features of a sample's cells, image by image (paper, section 2.1).

    Parameters
    ----------
    detector
        Whose feature maps are read.
    images
        The sample's images; only those with cells to compute are read.
    boxes
        The cells.
    settings
        How to read.
    known
        Earlier features; a cell whose box has not moved since keeps its own.

    Yields
    ------
    FeatureProgress
        First the cells with earlier features, then those of each image.
    """
    known_rows = _known_rows(boxes, known)
    kept = np.flatnonzero(known_rows >= 0)
    if known is not None and len(kept):
        yield FeatureProgress(len(kept), len(boxes), kept, known.features[known_rows[kept]])
    done, missing = len(kept), known_rows < 0
    diameter = sample_diameter_px(boxes)
    for image in np.unique(boxes.image_index[missing]):
        rows = np.flatnonzero(missing & (boxes.image_index == image))
        features = detector.roi_features(images[int(image)], boxes.xyxy[rows], settings, diameter)
        if settings.kept == "profile":
            features = _profiles(features)
        done += len(rows)
        yield FeatureProgress(done, len(boxes), rows, features)


def _profiles(features: Features) -> Features:
    """Return the (m, channels, 11, 1) profiles of (m, channels, s, s) maps."""
    import torch

    from napari_attmil.bags.network import profile

    return np.asarray(profile(torch.from_numpy(features)).numpy())


class FeatureRows:
    """The features of a sample that are being computed, in memory.

    Parameters
    ----------
    cells
        Their final number.
    """

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self.features: Features = np.empty((0, 0, 0, 0), dtype=np.float16)

    def write(self, rows: Int64Array, features: Features) -> None:
        """Put the (m, channels, s, s) features of some rows in their place."""
        if not len(self.features):
            self.features = np.empty((self._cells, *features.shape[1:]), dtype=np.float16)
        self.features[rows] = features


def sample_diameter_px(boxes: Boxes) -> float | None:
    """Return the typical cell diameter of a sample, rounded to a ratio; None without cells.

    It sets the scale at which all features of the sample are read. Because of the rounding, the
    scale, and with it the features of the other cells, stays the same when one box is corrected.
    """
    if len(boxes) == 0:
        return None
    median = max(float(np.median(boxes.diameter_px)), 1.0)
    return float(DIAMETER_STEP ** round(np.log(median) / np.log(DIAMETER_STEP)))


def _known_rows(boxes: Boxes, known: KnownFeatures | None) -> Int64Array:
    """Return (n,) the row of each box in the earlier ones, or -1 if it must be computed."""
    rows = np.full(len(boxes), -1, dtype=np.int64)
    if known is None or sample_diameter_px(boxes) != sample_diameter_px(known.boxes):
        return rows
    # By place, not by id: a cell that is detected again gets a new id.
    for image in np.intersect1d(boxes.image_index, known.boxes.image_index):
        here, there = (np.flatnonzero(b.image_index == image) for b in (boxes, known.boxes))
        before, now = known.boxes.xyxy[there], boxes.xyxy[here]
        _, nearest = KDTree(before).query(now, p=np.inf)
        rows[here] = np.where(has_moved(before[nearest], now), -1, there[nearest])
    return rows
