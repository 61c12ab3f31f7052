from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.quarters import image_of

from napari_attmil.bags.bag import bag_of
from napari_attmil.bags.feature_store import FeatureStore
from napari_attmil.bags.features import drawn_cells
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import StageRun, finished
from napari_attmil.images.cohort import Cohort, Sample

if TYPE_CHECKING:
    from pathlib import Path

DETECTION, FEATURES = DetectionSettings(), FeatureSettings()


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def test_a_corrected_box_recomputes_only_its_own_feature(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    boxes = Boxes.from_detections([0, 1], [[2, 2, 14, 14], [18, 2, 30, 14]], [0.9, 0.9])
    finished(bag_of(cohort.samples[0], boxes, detector, FEATURES, store=store))
    detector.computed.clear()
    moved = move_box(boxes, 2, [17, 2, 29, 14])
    run = StageRun(bag_of(cohort.samples[0], moved, detector, FEATURES, store=store))
    *_, last = run
    assert detector.computed == [(17, 2, 29, 14)]
    assert run.result.boxes is moved
    assert (last.done, last.total) == (2, 2)
    finished(bag_of(cohort.samples[0], moved, detector, FEATURES, store=store))
    assert len(detector.computed) == 1


def test_images_in_memory_reuse_the_previous_bag(detector: Any, two_boxes: Boxes) -> None:
    sample = Sample("layer", "layer", None, ())
    images = [image_of({0: 50}), image_of({0: 60})]
    first = finished(bag_of(sample, two_boxes, detector, FEATURES, images=images))
    moved = move_box(two_boxes, 1, [1, 1, 13, 13])
    detector.computed.clear()
    second = finished(bag_of(sample, moved, detector, FEATURES, images=images, previous=first))
    assert detector.computed == [(1, 1, 13, 13)]
    detector.computed.clear()
    other = FEATURES.replace(context=2)
    finished(bag_of(sample, moved, detector, other, images=images, previous=second))
    assert len(detector.computed) == 2


def test_images_in_memory_are_never_mistaken_for_earlier_ones(
    detector: Any, two_boxes: Boxes, store: FeatureStore
) -> None:
    sample = Sample("layer", "layer", None, ())
    for grey in (50, 60):
        images = [image_of({0: grey})] * 2
        bag = finished(bag_of(sample, two_boxes, detector, FEATURES, images=images, store=store))
        assert bag.features[:, 0, 0, 0].tolist() == [grey, grey]


def test_a_sample_without_boxes_cannot_become_a_bag(cohort: Cohort, detector: Any) -> None:
    with pytest.raises(UserError, match="Sample 'one' has no cells; run detection or draw one"):
        next(bag_of(cohort.samples[0], Boxes.empty(), detector, FEATURES))


def test_stopping_halfway_keeps_nothing_half(
    cohort: Cohort, detector: Any, store: FeatureStore, two_boxes: Boxes
) -> None:
    steps = bag_of(cohort.samples[0], two_boxes, detector, FEATURES, store=store)
    next(steps)
    steps.close()
    assert list(store.folder.iterdir()) == []


def test_a_part_of_a_bag_keeps_its_arrays_together(make_bag: Any) -> None:
    bag = make_bag(1, cells=5, label="b", planted=2)
    part = bag[[4, 0]]
    assert part.cell_id.tolist() == [5, 1]
    np.testing.assert_array_equal(part.features, bag.features[[4, 0]])
    np.testing.assert_array_equal(part.altered, bag.altered[[4, 0]])


def test_a_bag_s_arrays_must_agree(make_bag: Any) -> None:
    with pytest.raises(ValueError, match="12 cells need"):
        replace(make_bag(1), features=np.zeros((3, 8, 14, 14), dtype=np.float16))


def test_of_very_many_cells_the_same_ones_are_drawn_each_time() -> None:
    count = 20_000
    low = np.arange(count)[:, np.newaxis].repeat(4, axis=1)
    xyxy = low + np.array([0, 0, 10, 10])
    boxes = Boxes.from_detections(np.zeros(count), xyxy, np.full(count, 0.9))
    drawn = drawn_cells(boxes, 2000)
    assert len(drawn) == 2000 and len(set(drawn.cell_id.tolist())) == 2000
    assert drawn.digest() == drawn_cells(boxes, 2000).digest()
    assert set(drawn_cells(boxes, 500).cell_id) < set(drawn.cell_id)
    # From all over: as many in each tenth, by five standard deviations of a binomial.
    tenths = np.bincount((drawn.cell_id - 1) // 2000, minlength=10)
    assert (np.abs(tenths - 200) < 5 * np.sqrt(200 * 0.9)).all()
    without = boxes[boxes.cell_id != drawn.cell_id[7]]
    now = set(drawn_cells(without, 2000).cell_id)
    assert len(now & set(drawn.cell_id)) == 1999
    assert drawn_cells(boxes, 0) is boxes and drawn_cells(boxes, count) is boxes


def test_a_bag_holds_no_more_cells_than_its_settings_say_and_features_are_used_again(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    xyxy = [[2, 2, 14, 14], [18, 2, 30, 14], [2, 18, 14, 30]]
    boxes = Boxes.from_detections([0, 0, 1], xyxy, [0.9, 0.9, 0.9])
    whole = finished(bag_of(cohort.samples[0], boxes, detector, FEATURES, store=store))
    detector.computed.clear()
    two = FEATURES.replace(most_cells=2)
    bag = finished(bag_of(cohort.samples[0], boxes, detector, two, store=store))
    assert len(bag) == 2 and detector.computed == []
    rows = boxes.index_of(bag.cell_id)
    np.testing.assert_array_equal(bag.features, whole.features[rows])
