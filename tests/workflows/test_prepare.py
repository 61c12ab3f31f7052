from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from support.quarters import QUARTERS, image_of

from napari_attmil.bags import MILSettings
from napari_attmil.cells import Boxes, DetectionSettings, FeatureSettings
from napari_attmil.cells.annotations import NOT_A_CELL, Annotations, Note
from napari_attmil.cells.annotations.corrections import add_box
from napari_attmil.cells.detection import CellSize
from napari_attmil.core import StageRun, UserError, finished
from napari_attmil.images import reading
from napari_attmil.workflows import Study, guess_in_words, prepare_bags
from napari_attmil.workflows.answers import about_answers
from napari_attmil.workflows.prepare import each_bag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_attmil.bags import Bag
    from napari_attmil.images import Cohort

DETECTION, FEATURES = DetectionSettings(), FeatureSettings()


def prepared(
    cohort: Cohort, detector: Any, annotations: Mapping[str, Annotations] | None = None
) -> dict[str, Any]:
    study = Study.of(cohort, annotations=annotations)
    bags = finished(prepare_bags(study, detector, DETECTION, FEATURES))
    return {bag.sample: bag for bag in bags}


def test_bags_hold_the_cells_found_and_their_features(cohort: Cohort, detector: Any) -> None:
    bags = prepared(cohort, detector)
    assert bags["one"].features[:, 0, 0, 0].tolist() == [50, 60]
    assert bags["one"].boxes.image_index.tolist() == [0, 1]
    assert bags["one"].patient == "patient of one"
    assert bags["two"].features[:, 0, 0, 0].tolist() == [70]
    assert bags["two"].reader_digest == "fake"
    assert bags["two"].altered is None


def test_a_sample_without_cells_is_left_out_and_said(cohort: Cohort, detector: Any) -> None:
    run = StageRun(prepare_bags(Study.of(cohort), detector, DETECTION, FEATURES))
    steps = list(run)
    notes = [step.note for step in steps if step.note]
    assert notes == ["Sample 'bare' has no cells and was left out."]
    assert [step.done for step in steps if step.detail or step.note] == [1, 2, 3]
    assert {step.total for step in steps} == {3}
    assert [step.detail for step in steps if step.detail] == run.result


def test_a_cell_size_that_is_a_guess_is_said_once_a_sample(
    cohort: Cohort, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, guess = detector.detect_frames, CellSize(31.4, confidence=0.3)

    def guessing(images: Any, settings: Any) -> Any:
        return (replace(frame, cell_size=guess) for frame in find(images, settings))

    monkeypatch.setattr(detector, "detect_frames", guessing)
    steps = list(prepare_bags(Study.of(cohort), detector, DETECTION, FEATURES))
    notes = [step.note for step in steps if guess_in_words(guess) in step.note]
    assert sorted(notes) == [f"{name}: {guess_in_words(guess)}" for name in ("bare", "one", "two")]


def test_of_several_cell_sizes_the_least_sure_is_said(
    cohort: Cohort, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = detector.detect_frames
    sizes = [CellSize(50.0), CellSize(31.4, confidence=0.3)]  # "one" has two images

    def second_guessed(images: Any, settings: Any) -> Any:
        for frame in find(images, settings):
            yield replace(frame, cell_size=sizes[frame.image_index])

    monkeypatch.setattr(detector, "detect_frames", second_guessed)
    steps = list(prepare_bags(Study.of(cohort), detector, DETECTION, FEATURES))
    notes = [step.note for step in steps if step.note.startswith("one: ")]
    assert notes == [f"one: {guess_in_words(sizes[1])}"]


def test_images_are_decoded_once_for_boxes_and_features(
    cohort: Cohort, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, open_frame = [], reading.open_frame

    def counted(frame: Any) -> Any:
        decoded.append(frame)
        return open_frame(frame)

    monkeypatch.setattr(reading, "open_frame", counted)
    prepared(cohort, detector)
    frames = [frame for sample in cohort.samples for frame in sample.frames]
    assert sorted(decoded, key=str) == sorted(frames, key=str)


def test_a_second_time_everything_comes_from_the_store(cohort: Cohort, detector: Any) -> None:
    first = prepared(cohort, detector)
    detector.computed.clear()
    detector.detected = 0
    again = prepared(cohort, detector)
    assert (detector.computed, detector.detected) == ([], 0)
    assert list(again) == ["one", "two"]
    for sample, bag in again.items():
        np.testing.assert_array_equal(bag.features, first[sample].features)


def test_a_changed_image_is_detected_again(cohort: Cohort, detector: Any) -> None:
    prepared(cohort, detector)
    detector.detected = 0
    tifffile.imwrite(cohort.samples[2].frames[0].path, image_of({0: 80, 1: 90}), compression="zlib")
    bags = prepared(cohort, detector)
    assert detector.detected == 1
    assert bags["two"].features[:, 0, 0, 0].tolist() == [80, 90]


def test_boxes_that_a_person_finished_are_used_and_nothing_is_detected(
    cohort: Cohort, detector: Any
) -> None:
    drawn = add_box(Boxes.empty(), 0, [18, 18, 30, 30])
    kept = {"two": Annotations(drawn, Boxes.empty(), searched=frozenset(range(9)), next_id=2)}
    alone = replace(cohort, samples=cohort.samples[2:])
    bag = prepared(alone, detector, kept)["two"]
    assert detector.detected == 0
    assert bag.boxes.xyxy.tolist() == [[18, 18, 30, 30]]


def test_boxes_drawn_before_a_detection_are_joined_with_it(cohort: Cohort, detector: Any) -> None:
    drawn = add_box(Boxes.empty(), 0, [2, 2, 14, 14])
    gone = Boxes.from_detections([0], [[2, 2, 14, 14]], [1.0])
    kept = {
        "two": Annotations(drawn, Boxes.empty(), next_id=7),
        "one": Annotations(Boxes.empty(), gone, next_id=2),
    }
    bags = prepared(cohort, detector, kept)
    # Sample two's detected cell (grey 70) joins the drawn box; one's first cell stays deleted.
    assert bags["two"].features[:, 0, 0, 0].tolist() == [0, 70]
    assert bags["two"].cell_id.tolist() == [1, 7]
    assert bags["one"].features[:, 0, 0, 0].tolist() == [60]


def test_bags_have_what_was_said_about_their_cells(cohort: Cohort, detector: Any) -> None:
    boxes = Boxes.from_detections([0, 1], [[2, 2, 14, 14], [2, 2, 14, 14]], [0.9, 0.9])
    boxes = Boxes.concatenate([boxes, add_box(boxes, 0, [18, 18, 30, 30])[2:]])
    notes = {1: Note(0, ("altered", "odd")), 2: Note(1, ("seen",)), 3: Note(0, (NOT_A_CELL,))}
    found = Annotations(boxes, Boxes.empty(), frozenset(range(9)), 4, notes=notes)
    bags = prepared(cohort, detector, {"one": found})
    assert bags["one"].cell_id.tolist() == [1, 2], "what is no cell is in no bag"
    assert bags["one"].answers.tolist() == ["altered", ""]
    assert bags["two"].answers is None


def test_answers_are_counted_in_words(make_bag: Callable[..., Bag]) -> None:
    bags = [
        replace(make_bag(1, 3), answers=np.array(["altered", "altered: b", "not altered"])),
        replace(make_bag(2, 3), answers=np.array(["", "cannot tell", ""])),
    ]
    said = "4 answers about cells taken into account (2 altered, 1 not altered, 1 cannot tell)."
    assert about_answers([*bags, make_bag(3, 3, label="b")], MILSettings()) == said
    # Without a sample of class b there is no such class.
    unknown = f"{said} 1 of them teaches nothing: no disease is known."
    assert about_answers(bags, MILSettings()) == unknown
    assert "left out: as chosen" in about_answers(bags, MILSettings(answers=0))
    assert "one by one" in about_answers(bags, MILSettings(method="mil-att-sic"))
    assert about_answers([make_bag(1)], MILSettings()) == ""


def truth_row(image: str, quarter: int, altered: int) -> str:
    y, x = QUARTERS[quarter]
    return f"{image},{x + 2},{y + 2},{x + 14},{y + 14},any,{altered}"


HEAD = "image,x_min,y_min,x_max,y_max,cell_type,altered"


def test_the_truth_beside_the_cohort_says_which_cells_are_altered(
    cohort: Cohort, detector: Any
) -> None:
    # The true cell of the second image stands where nothing was found.
    rows = [HEAD, truth_row("one/0.tif", 0, 1), truth_row("one/1.tif", 2, 1)]
    (cohort.folder / "truth.csv").write_text("\n".join(rows))
    bags = prepared(cohort, detector)
    assert bags["one"].altered.tolist() == [True, False]
    assert bags["two"].altered is None


def test_a_truth_table_without_its_columns_is_refused(cohort: Cohort, detector: Any) -> None:
    (cohort.folder / "truth.csv").write_text("image,altered\none/0.tif,1\n")
    with pytest.raises(UserError, match=r"truth\.csv is not a table with the columns image"):
        prepared(cohort, detector)


def test_stop_ends_the_detection_of_a_sample_between_two_images(
    cohort: Cohort, detector: Any
) -> None:
    stop = Event()
    run = StageRun(prepare_bags(Study.of(cohort), detector, DETECTION, FEATURES, stop=stop))
    for step in run:
        stop.set()
        assert step.detail is None
    assert run.result == [] and detector.detected <= 1


def test_a_table_of_that_name_matters_only_to_a_study(
    cohort: Cohort, detector: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("truth.csv").write_text("patient,diagnosis\n")
    loose = Study.without_folder(cohort.samples)
    bags = [step.detail for step in each_bag(loose, detector, DETECTION, FEATURES) if step.detail]
    assert [bag.sample for bag in bags] == ["one", "two"]
