from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from detection_quality import match_points

from napari_attmil.cells.detection.scoring import ScoredImage, average_precision

if TYPE_CHECKING:
    from collections.abc import Sequence


def boxes(*rows: Sequence[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def image(
    found: np.ndarray, score: list[float], truth: np.ndarray, ignored: np.ndarray
) -> ScoredImage:
    return ScoredImage(found, np.array(score, dtype=np.float32), truth, ignored)


CELL_A, CELL_B, OTHER = [0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 80, 80]


def test_perfect_boxes_score_one() -> None:
    score = average_precision(
        [image(boxes(CELL_A, CELL_B), [0.9, 0.8], boxes(CELL_A, CELL_B), boxes())]
    )
    assert (score.ap50, score.ap75, score.ap) == pytest.approx((1, 1, 1))


def test_an_ignored_object_is_not_penalised_but_a_false_one_is() -> None:
    found = boxes(OTHER, CELL_A, CELL_B)
    truth = boxes(CELL_A, CELL_B)
    ignoring = average_precision([image(found, [0.95, 0.9, 0.8], truth, boxes(OTHER))])
    penalised = average_precision([image(found, [0.95, 0.9, 0.8], truth, boxes())])
    assert ignoring.ap50 == pytest.approx(1)
    # One false positive first: precision 1/2 then 2/3, whose envelope is 2/3 everywhere.
    assert penalised.ap50 == pytest.approx(2 / 3)


def test_a_missed_cell_lowers_average_precision_to_the_reached_recall() -> None:
    score = average_precision([image(boxes(CELL_A), [0.9], boxes(CELL_A, CELL_B), boxes())])
    # COCO samples recall at 0, 0.01, ..., 1: 51 of 101 points lie at or below one half.
    assert score.ap50 == pytest.approx(51 / 101)


def test_more_than_a_hundred_cells_count() -> None:
    grid = boxes(
        *[[20 * i, 20 * j, 20 * i + 10, 20 * j + 10] for i in range(20) for j in range(20)]
    )
    score = average_precision([image(grid, [0.9] * 400, grid, boxes())])
    assert score.ap50 == pytest.approx(1)


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        average_precision([])


def test_points_pair_with_the_box_whose_middle_they_are_nearest() -> None:
    found = boxes([0, 0, 10, 10], [8, 0, 18, 10], [100, 100, 110, 110])
    assert match_points(found, [[9, 5], [5, 5], [60, 60]]).tolist() == [1, 0, -1]


def test_a_point_outside_every_box_is_not_matched() -> None:
    assert match_points(boxes(CELL_A), [[11, 5]]).tolist() == [-1]
    assert match_points(boxes(), [[11, 5]]).tolist() == []
    assert match_points(boxes(CELL_A), np.empty((0, 2))).tolist() == [-1]
