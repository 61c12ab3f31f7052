from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_attmil.bags.bag import Bag, bag_of, prepare_bags
from napari_attmil.bags.feature_store import FeatureStore
from napari_attmil.cells.annotations.annotation_file import Annotations
from napari_attmil.cells.annotations.corrections import add_box, move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import StageRun, finished
from napari_attmil.images.cohort import Cohort, Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path

DETECTION, FEATURES = DetectionSettings(), FeatureSettings()
QUARTERS = {0: (0, 0), 1: (0, 16), 2: (16, 0), 3: (16, 16)}


def image_of(quarters: dict[int, int]) -> np.ndarray:
    """Return a (32, 32) image whose quarters have the grey values given."""
    image = np.zeros((32, 32), dtype=np.uint8)
    for quarter, grey in quarters.items():
        y, x = QUARTERS[quarter]
        image[y : y + 16, x : x + 16] = grey
    return image


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return samples with cells of grey 50, 60 (two images), with none, and with 70."""
    fields: dict[str, list[dict[int, int]]] = {
        "one": [{0: 50}, {1: 60}],
        "bare": [{}],
        "two": [{3: 70}],
    }
    samples = []
    for name, images in fields.items():
        frames = []
        for index, quarters in enumerate(images):
            path = tmp_path / name / f"{index}.tif"
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, image_of(quarters))
            frames.append(Frame(path))
        samples.append(Sample(name, f"patient of {name}", "a", tuple(frames)))
    return Cohort(tuple(samples), tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def prepared(cohort: Cohort, detector: Any, store: FeatureStore) -> dict[str, Bag]:
    bags = finished(prepare_bags(cohort, detector, DETECTION, FEATURES, store))
    return {bag.sample: bag for bag in bags}


def test_bags_hold_the_cells_found_and_their_features(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    bags = prepared(cohort, detector, store)
    assert bags["one"].features[:, 0, 0, 0].tolist() == [50, 60]
    assert bags["one"].boxes.image_index.tolist() == [0, 1]
    assert bags["one"].patient == "patient of one"
    assert bags["two"].features[:, 0, 0, 0].tolist() == [70]
    assert bags["two"].detector_digest == "fake"
    assert bags["two"].altered is None


def test_a_sample_without_cells_is_left_out_and_said(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    run = StageRun(prepare_bags(cohort, detector, DETECTION, FEATURES, store))
    steps = list(run)
    notes = [step.note for step in steps if step.note]
    assert notes == ["Sample 'bare' has no cells and was left out."]
    assert [step.done for step in steps if step.bag or step.note] == [1, 2, 3]
    assert {step.total for step in steps} == {3}
    assert [step.bag for step in steps if step.bag] == run.result


def test_a_second_time_everything_comes_from_the_store(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    first = prepared(cohort, detector, store)
    detector.computed.clear()
    detector.detected = 0
    again = prepared(cohort, detector, store)
    assert (detector.computed, detector.detected) == ([], 0)
    assert list(again) == ["one", "two"]
    for sample, bag in again.items():
        np.testing.assert_array_equal(bag.features, first[sample].features)


def test_a_changed_image_is_detected_again(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    prepared(cohort, detector, store)
    detector.detected = 0
    tifffile.imwrite(cohort.samples[2].frames[0].path, image_of({0: 80, 1: 90}), compression="zlib")
    bags = prepared(cohort, detector, store)
    assert detector.detected == 1
    assert bags["two"].features[:, 0, 0, 0].tolist() == [80, 90]


def test_a_corrected_box_recomputes_only_its_own_feature(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    bag = prepared(cohort, detector, store)["one"]
    detector.computed.clear()
    assert bag.boxes is not None
    moved = move_box(bag.boxes, 2, [17, 2, 29, 14])
    run = StageRun(bag_of(cohort.samples[0], moved, detector, FEATURES, store=store))
    *_, last = run
    assert detector.computed == [(17, 2, 29, 14)]
    assert run.result.boxes is moved
    assert (last.done, last.total) == (2, 2)
    finished(bag_of(cohort.samples[0], moved, detector, FEATURES, store=store))
    assert len(detector.computed) == 1


def test_boxes_that_a_person_finished_are_used_and_nothing_is_detected(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    drawn = add_box(Boxes.empty(), 0, [18, 18, 30, 30])
    kept = {"two": Annotations(drawn, Boxes.empty(), searched=frozenset(range(9)), next_id=2)}
    alone = replace(cohort, samples=cohort.samples[2:])
    (bag,) = finished(prepare_bags(alone, detector, DETECTION, FEATURES, store, kept))
    assert detector.detected == 0
    assert bag.boxes.xyxy.tolist() == [[18, 18, 30, 30]]


def test_boxes_drawn_before_a_detection_are_joined_with_it(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    drawn = add_box(Boxes.empty(), 0, [2, 2, 14, 14])
    gone = Boxes.from_detections([0], [[2, 2, 14, 14]], [1.0])
    kept = {
        "two": Annotations(drawn, Boxes.empty(), next_id=7),
        "one": Annotations(Boxes.empty(), gone, next_id=2),
    }
    found = finished(prepare_bags(cohort, detector, DETECTION, FEATURES, store, kept))
    bags = {bag.sample: bag for bag in found}
    # Sample two's detected cell (grey 70) joins the drawn box; one's first cell stays deleted.
    assert bags["two"].features[:, 0, 0, 0].tolist() == [0, 70]
    assert bags["two"].cell_id.tolist() == [1, 7]
    assert bags["one"].features[:, 0, 0, 0].tolist() == [60]


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
    assert isinstance(steps, Generator)
    steps.close()
    assert list(store.folder.iterdir()) == []


def truth_row(image: str, quarter: int, altered: int) -> str:
    y, x = QUARTERS[quarter]
    return f"{image},{x + 2},{y + 2},{x + 14},{y + 14},any,{altered}"


HEAD = "image,x_min,y_min,x_max,y_max,cell_type,altered"


def test_the_truth_beside_the_cohort_says_which_cells_are_altered(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    # The true cell of the second image stands where nothing was found.
    rows = [HEAD, truth_row("one/0.tif", 0, 1), truth_row("one/1.tif", 2, 1)]
    (cohort.folder / "truth.csv").write_text("\n".join(rows))
    bags = prepared(cohort, detector, store)
    assert bags["one"].altered.tolist() == [True, False]
    assert bags["two"].altered is None


def test_a_truth_table_without_its_columns_is_refused(
    cohort: Cohort, detector: Any, store: FeatureStore
) -> None:
    (cohort.folder / "truth.csv").write_text("image,altered\none/0.tif,1\n")
    with pytest.raises(UserError, match=r"truth\.csv is not a table with the columns image"):
        prepared(cohort, detector, store)


def test_a_part_of_a_bag_keeps_its_arrays_together(make_bag: Any) -> None:
    bag = make_bag(1, cells=5, label="b", planted=2)
    part = bag[[4, 0]]
    assert part.cell_id.tolist() == [5, 1]
    np.testing.assert_array_equal(part.features, bag.features[[4, 0]])
    np.testing.assert_array_equal(part.altered, bag.altered[[4, 0]])


def test_a_bag_s_arrays_must_agree(make_bag: Any) -> None:
    with pytest.raises(ValueError, match="12 cells need"):
        replace(make_bag(1), features=np.zeros((3, 8, 14, 14), dtype=np.float16))
