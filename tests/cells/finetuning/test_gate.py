"""What a person touched counts fully, all else a quarter; figures are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.detection import DetectionScore, ScoredImage, average_precision
from napari_attmil.cells.finetuning.augmentation import LabelledImage
from napari_attmil.cells.finetuning.gate import (
    LookOutcome,
    TestedImage,
    is_better,
    outcomes,
    weighted_precision,
)

GREY = np.zeros((100, 100), np.uint8)
FIRST, SECOND, THIRD = ([0, 0, 10, 10], [30, 0, 40, 10], [60, 0, 70, 10])


def boxes(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def judged(
    found: np.ndarray,
    score: list[float],
    truth: np.ndarray,
    touched: list[bool] | None,
    rejected: np.ndarray | None = None,
    name: str = "a",
) -> TestedImage:
    image = LabelledImage(
        GREY,
        truth,
        stained=False,
        name=name,
        touched=None if touched is None else np.array(touched, bool),
        rejected=boxes() if rejected is None else rejected,
    )
    return TestedImage(image, found, np.array(score, np.float32))


def test_boxes_that_nobody_touched_count_a_quarter() -> None:
    # The touched cell is missed, the untouched one found: a quarter of one and a quarter.
    image = judged(boxes(FIRST), [0.9], boxes(FIRST, SECOND), [False, True])
    assert weighted_precision([image]).ap == pytest.approx(0.25 / 1.25)
    # The other way round.
    image = judged(boxes(SECOND), [0.9], boxes(FIRST, SECOND), [False, True])
    assert weighted_precision([image]).ap == pytest.approx(1 / 1.25)


def test_a_detection_that_a_person_deleted_counts_fully_as_wrong() -> None:
    # Surer than the right one: the precision where the cell is found is 1 / (1 + 1).
    truth, found = boxes(FIRST), boxes(SECOND, FIRST)
    image = judged(found, [0.9, 0.8], truth, [True], boxes(SECOND))
    assert weighted_precision([image]).ap == pytest.approx(1 / 2)
    image = judged(found, [0.9, 0.8], truth, [True])
    assert weighted_precision([image]).ap == pytest.approx(1 / 1.25)


def test_boxes_beside_their_cells_lose_precision_before_they_are_lost() -> None:
    beside = boxes([2, 0, 12, 10])  # they overlap by two thirds
    score = weighted_precision([judged(beside, [0.9], boxes(FIRST), [True])])
    assert (score.ap50, score.ap75) == (1, 0)
    assert score.ap == pytest.approx(0.4)  # 0.5, 0.55, 0.6 and 0.65 of ten


def test_where_every_box_is_a_person_s_it_is_about_coco_s_average_precision() -> None:
    rng = np.random.default_rng(0)
    corner = (rng.random((40, 2)) * 900).astype(np.float32)
    truth = np.hstack([corner, corner + 50])
    found = truth + rng.normal(0, 4, truth.shape).astype(np.float32)
    found[:5] += 200
    score = rng.random(40).astype(np.float32)
    image = TestedImage(LabelledImage(GREY, truth, stained=False), found, score)
    coco = average_precision([ScoredImage(found, score, truth)])
    ours = weighted_precision([image])
    # COCO smooths the curve over 101 points.
    assert ours.ap50 == pytest.approx(coco.ap50, abs=0.03)
    assert ours.ap == pytest.approx(coco.ap, abs=0.03)


def test_nothing_found_or_nothing_there_scores_nothing() -> None:
    nothing = DetectionScore(0, 0, 0)
    assert weighted_precision([judged(boxes(), [], boxes(FIRST), [True])]) == nothing
    assert weighted_precision([judged(boxes(FIRST), [0.9], boxes(), [])]) == nothing


def test_found_and_lost_cells_are_counted_look_by_look() -> None:
    truth, touched = boxes(FIRST, SECOND), [True, False]
    before = [
        judged(boxes(FIRST, THIRD), [0.9, 0.8], truth, touched, name="a"),
        judged(boxes(FIRST, SECOND), [0.9, 0.9], truth, touched, name="b"),
    ]
    after = [
        judged(boxes(SECOND, FIRST), [0.9, 0.3], truth, touched, name="a"),
        judged(boxes(FIRST, SECOND), [0.9, 0.9], truth, touched, name="b"),
    ]
    assert outcomes(before, after, {"a": "dark", "b": "pale"}) == [
        # One found now, one whose score is too low now, and one wrong detection less.
        LookOutcome(
            "dark", 1, 2, before=1, after=1, gained=1, lost=1, wrong_before=1, wrong_after=0
        ),
        LookOutcome(
            "pale", 1, 2, before=2, after=2, gained=0, lost=0, wrong_before=0, wrong_after=0
        ),
    ]


def test_a_gain_that_may_be_chance_does_not_open_the_gate() -> None:
    before = DetectionScore(0.8, 0.5, 0.5)
    assert is_better(before, DetectionScore(0.8, 0.5, 0.52))
    assert not is_better(before, DetectionScore(0.8, 0.5, 0.505))
    assert not is_better(before, DetectionScore(0.9, 0.6, 0.4))


def test_closer_boxes_around_fewer_cells_do_not_open_the_gate() -> None:
    before = DetectionScore(0.67, 0.1, 0.18)
    assert not is_better(before, DetectionScore(0.51, 0.3, 0.24))
    assert is_better(before, DetectionScore(0.665, 0.3, 0.24))
