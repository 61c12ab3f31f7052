"""Bags with a planted pattern, and a detector whose features can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.bags.bag import Bag
from napari_attmil.bags.settings import MILSettings
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.detection.found_cells import DetectionProgress
from napari_attmil.cells.detection.working_scale import CellSize
from napari_attmil.core.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_attmil.cells.detection import DetectorLike
    from napari_attmil.cells.settings import DetectionSettings, FeatureSettings

CHANNELS = 8
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="session")
def cpu() -> Device:
    return Device("cpu", "float32", "processor")


@pytest.fixture(scope="session")
def small() -> MILSettings:
    """Return settings near the default that train in a second, for features of a detector."""
    return MILSettings(
        embedding="profile",
        embedding_size=16,
        attention_size=8,
        cell_dropout=0.25,
        bags_per_step=1,
        epochs=12,
        learning_rate=1e-2,
    )


def random_bag(
    seed: int, cells: int = 12, label: str = "a", patient: str = "", planted: int = 0
) -> Bag:
    """Return noise; in `planted` cells the channel of the class is bright in the middle."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (cells, CHANNELS, 14, 14)).astype(np.float16)
    altered = np.zeros(cells, dtype=bool)
    if label != CLASSES[0]:
        altered[rng.permutation(cells)[:planted]] = True
        features[altered, CLASSES.index(label), 3:11, 3:11] += 3
    return Bag(
        features,
        np.arange(1, cells + 1),
        sample=f"{patient or label}-{seed}",
        patient=patient or f"{label}-{seed}",
        label=label,
        altered=altered,
    )


@pytest.fixture(scope="session")
def make_bag() -> Callable[..., Bag]:
    return random_bag


@pytest.fixture(scope="session")
def planted_bags() -> list[Bag]:
    """Return 3 classes of 6 patients; "b" and "c" have 3 altered cells in 20, "a" none."""
    return [
        random_bag(100 * CLASSES.index(label) + patient, 20, label, planted=3)
        for label in CLASSES
        for patient in range(6)
    ]


@dataclass
class FakeDetector:
    """Finds one cell in each bright quarter of an image; the feature is the box's mean grey.

    `computed` lists the boxes whose features were asked for, `detected` counts images.
    """

    digest: str = "fake"
    device: Device = field(default_factory=lambda: Device("cpu", "float32", "processor"))
    computed: list[tuple[float, ...]] = field(default_factory=list)
    detected: int = 0

    def detect_frames(
        self, images: Sequence[Any], settings: DetectionSettings
    ) -> Iterator[DetectionProgress]:
        for index, image in enumerate(images):
            self.detected += 1
            xyxy = np.array(
                [
                    (x + 2, y + 2, x + 14, y + 14)
                    for y in (0, 16)
                    for x in (0, 16)
                    if image[y : y + 16, x : x + 16].mean() > 10
                ],
                dtype=np.float32,
            ).reshape(-1, 4)
            score = np.full(len(xyxy), 0.9, dtype=np.float32)
            yield DetectionProgress(index + 1, len(images), index, xyxy, score, CellSize(12.0))

    def roi_features(
        self,
        image: Any,
        xyxy: Any,
        settings: FeatureSettings | None = None,
        cell_diameter_px: float | None = None,
    ) -> np.ndarray:
        self.computed += [tuple(box) for box in np.asarray(xyxy).tolist()]
        means = [image[int(y0) : int(y1), int(x0) : int(x1)].mean() for x0, y0, x1, y1 in xyxy]
        features = np.empty((len(xyxy), CHANNELS, 14, 14), dtype=np.float16)
        features[:] = np.array(means).reshape(-1, 1, 1, 1)
        return features


_: type[DetectorLike] = FakeDetector


@pytest.fixture
def detector() -> FakeDetector:
    return FakeDetector()


@pytest.fixture
def two_boxes() -> Boxes:
    """Return one cell in each of two images."""
    return Boxes.from_detections([0, 1], [[2, 2, 14, 14], [2, 2, 14, 14]], [0.9, 0.9])
