"""The image that the detector is least sure of comes first."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.annotations.uncertainty import most_uncertain_first, uncertainties


def test_doubt_is_the_expected_share_of_wrong_boxes() -> None:
    assert uncertainties([[1.0, 0.5], [0.8, 0.8], [1.0, 1.0]]).tolist() == pytest.approx(
        [0.25, 0.2, 0]
    )
    assert most_uncertain_first([[1.0, 0.5], [0.8, 0.8], [1.0, 1.0]]).tolist() == [0, 1, 2]


def test_a_field_in_which_nothing_was_found_is_not_a_sure_one() -> None:
    assert uncertainties([[0.9] * 4, [], [0.9] * 4]).tolist() == pytest.approx([0.1, 0.5, 0.1])


def test_more_cells_than_usual_are_no_doubt_by_themselves() -> None:
    assert uncertainties([[0.9] * 40, [0.9] * 4, [0.9] * 4]).tolist() == pytest.approx([0.1] * 3)


def test_equally_sure_images_stay_in_their_order() -> None:
    assert most_uncertain_first([[0.9], [0.9], [0.8]]).tolist() == [2, 0, 1]


def test_no_images_and_no_cells_are_no_error() -> None:
    assert most_uncertain_first([]).tolist() == []
    assert uncertainties([[], []]).tolist() == [0, 0]


def test_thousands_of_images_are_ranked_like_few() -> None:
    rng = np.random.default_rng(0)
    scores = [rng.uniform(0.5, 1, 50) for _ in range(5000)]
    order = most_uncertain_first(scores)
    assert sorted(order.tolist()) == list(range(5000))
    assert np.mean(scores[order[0]]) < np.mean(scores[order[-1]])
