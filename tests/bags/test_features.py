from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.boxes import shifted

from napari_attmil.bags.features import (
    KnownFeatures,
    diameters_px,
    extract_features,
    feature_reader,
)
from napari_attmil.bags.network.embeddings import EMBEDDINGS
from napari_attmil.bags.network.prepared_features import PreparedFeatures
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.device import Device
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.bags import FakeDetector

SETTINGS = FeatureSettings()


@pytest.fixture
def images() -> list[np.ndarray]:
    """Return two images whose grey value tells image and column."""
    return [100 * index + np.tile(np.arange(32), (32, 1)) for index in range(2)]


def gathered(steps: Iterator[Any], cells: int) -> np.ndarray:
    """Return (cells,) the feature of each cell, NaN where none came."""
    features = np.full(cells, np.nan)
    for step in steps:
        features[step.rows] = step.features[:, 0, 0, 0]
    return features


def test_every_cell_gets_the_features_of_its_own_box(
    detector: FakeDetector, images: list[np.ndarray]
) -> None:
    boxes = Boxes.from_detections([1, 0, 1], [[0, 0, 9, 9], [4, 0, 7, 9], [20, 0, 31, 9]], [1] * 3)
    features = gathered(extract_features(detector, images, boxes, SETTINGS), 3)
    assert features.tolist() == [104, 5, 125]


def test_progress_counts_cells(
    detector: FakeDetector, images: list[np.ndarray], two_boxes: Boxes
) -> None:
    steps = list(extract_features(detector, images, two_boxes, SETTINGS))
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]


def test_a_moved_box_recomputes_only_its_own_feature(
    detector: FakeDetector, images: list[np.ndarray], two_boxes: Boxes
) -> None:
    known = KnownFeatures(two_boxes, np.full((2, 8, 14, 14), 7, dtype=np.float16))
    moved = move_box(two_boxes, 2, [12, 2, 24, 14])
    features = gathered(extract_features(detector, images, moved, SETTINGS, known), 2)
    assert detector.computed == [(12, 2, 24, 14)]
    assert features.tolist() == [7, 117.5]


def test_known_features_follow_their_boxes_when_cells_are_deleted_or_renumbered(
    detector: FakeDetector, images: list[np.ndarray], two_boxes: Boxes
) -> None:
    known = KnownFeatures(two_boxes, np.arange(2, dtype=np.float16)[:, None, None, None])
    swapped = replace(two_boxes[[1, 0]], cell_id=np.array([8, 9]))
    assert gathered(extract_features(detector, images, swapped, SETTINGS, known), 2).tolist() == [
        1,
        0,
    ]
    assert gathered(extract_features(detector, images, two_boxes[[1]], SETTINGS, known), 1) == [1]
    assert detector.computed == []


def test_a_change_of_the_sample_s_scale_recomputes_all_cells(
    detector: FakeDetector, images: list[np.ndarray], two_boxes: Boxes
) -> None:
    known = KnownFeatures(two_boxes, np.zeros((2, 8, 14, 14), dtype=np.float16))
    larger = move_box(two_boxes, 2, [2, 2, 30, 30])
    list(extract_features(detector, images, larger, SETTINGS, known))
    assert len(detector.computed) == 2


def test_one_correction_among_many_cells_keeps_the_sample_s_scale() -> None:
    rng = np.random.default_rng(0)
    sides = rng.normal(48, 4, 90)
    xyxy = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    boxes = Boxes.from_detections(np.zeros(90), xyxy, np.ones(90))
    moved = move_box(boxes, 5, [0, 0, 20, 20])
    assert diameters_px(moved, None) == diameters_px(boxes, None)
    assert diameters_px(boxes, None) == {0: pytest.approx(np.median(sides), rel=0.025)}


@pytest.fixture
def mixed() -> Boxes:
    """Return six cells of 80 px in the first image, five of 40 px in the second, of half size."""
    large = [[90 * k, 10, 90 * k + 80, 90] for k in range(6)]
    small = [[45 * k, 5, 45 * k + 40, 45] for k in range(5)]
    return Boxes.from_detections([0] * 6 + [1] * 5, large + small, np.ones(11))


def test_cells_are_read_at_the_scale_of_images_of_their_size(
    mixed: Boxes, monkeypatch: pytest.MonkeyPatch, detector: FakeDetector
) -> None:
    asked: dict[int, float | None] = {}

    def roi_features(image: np.ndarray, xyxy: Any, _: Any, diameter: float | None) -> np.ndarray:
        asked[len(image)] = diameter
        return np.zeros((len(xyxy), 8, 14, 14), np.float16)

    monkeypatch.setattr(detector, "roi_features", roi_features)
    images = [np.zeros((side, side), np.uint8) for side in (1024, 512)]
    list(extract_features(detector, images, mixed, SETTINGS))
    assert asked == {1024: pytest.approx(80, rel=0.025), 512: pytest.approx(40, rel=0.025)}
    # A few pixels more or less are the same scale: that of the median of all eleven, 80 px.
    images[1] = np.zeros((1020, 1000), np.uint8)
    list(extract_features(detector, images, mixed, SETTINGS))
    assert asked[1020] == asked[1024] == pytest.approx(80, rel=0.025)


def test_another_scale_of_one_size_leaves_the_features_of_other_sizes(
    mixed: Boxes, detector: FakeDetector
) -> None:
    images = [np.zeros((side, side), np.uint8) for side in (1024, 512)]
    known = KnownFeatures(mixed, np.full((11, 8, 14, 14), 7, dtype=np.float16))
    xyxy = mixed.xyxy.copy()
    xyxy[6:, 2:] += 20
    features = gathered(
        extract_features(detector, images, replace(mixed, xyxy=xyxy), SETTINGS, known), 11
    )
    assert (features == 7).tolist() == [True] * 6 + [False] * 5


def test_no_cells_need_no_features(detector: FakeDetector, images: list[np.ndarray]) -> None:
    assert list(extract_features(detector, images, Boxes.empty(), SETTINGS)) == []


def test_profiles_are_kept_in_place_of_maps_and_train_alike(detector: FakeDetector) -> None:
    images = [np.tile(np.arange(32), (32, 1))]
    boxes = Boxes.from_detections([0], [[2, 2, 14, 14]], [0.9])
    compact = FeatureSettings(kept="profile")
    maps = next(iter(extract_features(detector, images, boxes, SETTINGS))).features
    kept = next(iter(extract_features(detector, images, boxes, compact))).features
    assert maps.shape == (1, 8, 14, 14)
    assert kept.shape == (1, 8, 11, 1)
    recipe = EMBEDDINGS["profile"]
    prepared = [recipe.prepared(PreparedFeatures.of_bag(features)) for features in (kept, maps)]
    assert torch.equal(prepared[0].values, prepared[1].values)


@pytest.mark.parametrize(("shift_px", "moved"), [(0.005, False), (0.02, True)])
def test_feature_is_computed_again_once_a_box_lies_elsewhere(
    detector: FakeDetector, images: list[np.ndarray], two_boxes: Boxes, shift_px: float, moved: bool
) -> None:
    known = KnownFeatures(two_boxes, np.full((2, 8, 14, 14), 7, dtype=np.float16))
    now = shifted(two_boxes, shift_px)
    features = gathered(extract_features(detector, images, now, SETTINGS, known), 2)
    assert len(detector.computed) == moved
    assert (features == 7).tolist() == [not moved, True]


def test_combined_features_are_the_profiles_with_the_vector_below(detector: FakeDetector) -> None:
    images = [np.tile(np.arange(64), (64, 1))]
    boxes = Boxes.from_detections([0, 0], [[2, 2, 14, 14], [30, 20, 44, 34]], [0.9, 0.9])
    found = {
        kept: next(iter(extract_features(detector, images, boxes, settings))).features
        for kept, settings in {
            "vector": FeatureSettings(kept="vector", encoder="shipped"),
            "profile": FeatureSettings(kept="profile"),
        }.items()
    }
    assert found["vector"].shape == (2, 256, 1, 1)
    assert found["profile"].shape == (2, 8, 11, 1)
    combined = FeatureSettings(kept="combined", encoder="shipped")
    with pytest.raises(UserError, match=r"256 numbers a cell.*needs 8.*embedding encoder"):
        list(extract_features(detector, images, boxes, combined))


def test_combined_features_of_the_shipped_networks_have_both() -> None:
    shipped = Detector.load(None, Device("cpu", "float32", "processor"))
    image = np.random.default_rng(0).normal(100, 10, (96, 96))
    boxes = Boxes.from_detections([0], [[20, 20, 60, 60]], [0.9])
    parts = []
    for settings in (
        FeatureSettings(kept="combined", encoder="shipped"),
        FeatureSettings(kept="profile"),
        FeatureSettings(kept="vector", encoder="shipped"),
    ):
        parts.append(next(iter(extract_features(shipped, [image], boxes, settings))).features)
    combined, profiles, vectors = parts
    assert combined.shape == (1, 256, 12, 1)
    np.testing.assert_array_equal(combined, np.concatenate([profiles, vectors], axis=2))
    reader = feature_reader(shipped, FeatureSettings(kept="combined", encoder="shipped"))
    assert reader.digest.startswith(f"{shipped.digest}+")
