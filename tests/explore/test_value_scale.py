from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import rankdata

from napari_attmil.explore.value_scale import SCALES, ValueScale

if TYPE_CHECKING:
    from napari_attmil.explore import Scale


def test_log_keeps_the_proportions_of_logarithms() -> None:
    scale = ValueScale.of([0.001, 0.01, 0.1, 1], "log")
    np.testing.assert_allclose(scale.shares([0.001, 0.01, 0.1, 1]), [0, 1 / 3, 2 / 3, 1])


def test_log_takes_vanishing_weights_and_zero_for_the_lowest_of_six_decades() -> None:
    scale = ValueScale.of([1e-30, 0, 1e-3, 1], "log")
    np.testing.assert_allclose(scale.shares([1e-30, 0, 1e-3, 1]), [0, 0, 0.5, 1])


@pytest.mark.parametrize("kind", SCALES)
def test_signed_scale_has_zero_in_the_middle_and_treats_both_sides_alike(kind: Scale) -> None:
    scale = ValueScale.of([-4, -1, 0, 0.5, 2], kind, is_signed=True)
    shares = scale.shares([-4, -1, -0.5, 0, 0.5, 1, 4])
    assert shares[0] == 0 and shares[3] == 0.5 and shares[-1] == 1
    np.testing.assert_allclose(shares + shares[::-1], 1)


def test_signed_linear_scale_is_proportional_to_the_value() -> None:
    scale = ValueScale.of([-4, 1], "linear", is_signed=True)
    np.testing.assert_allclose(scale.shares([-4, -2, 1]), [0, 0.25, 0.625])


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=20).filter(lambda v: len(set(v)) > 1))
def test_equal_values_share_their_mean_rank(values: list[float]) -> None:
    ranks = rankdata(values)
    expected = (ranks - ranks.min()) / np.ptp(ranks)
    np.testing.assert_allclose(ValueScale.of(values, "rank").shares(values), expected)


@pytest.mark.parametrize("kind", SCALES)
def test_no_value_at_all_is_no_error(kind: Scale) -> None:
    scale = ValueScale.of([np.nan], kind)
    assert np.isnan(scale.shares([np.nan])).all()
    assert scale.histogram([np.nan]).sum() == 0
    assert len(scale.ticks()[1]) == 5


def test_histogram_counts_cells_in_equal_parts_of_the_scale() -> None:
    values = [0, 1, 2, 3, 10, np.nan]
    assert ValueScale.of(values, "linear").histogram(values, bins=5).tolist() == [2, 2, 0, 0, 1]


def test_ticks_say_which_value_stands_where() -> None:
    places, names = ValueScale.of([0.001, 1], "log").ticks(4)
    np.testing.assert_allclose(places, [0, 1 / 3, 2 / 3, 1])
    assert names == ("0.001", "0.01", "0.1", "1")
    assert ValueScale.of([-2, 1], "linear", is_signed=True).ticks(3)[1] == ("-2", "0", "2")
    assert ValueScale.of([5, 1, 2], "rank").ticks(3)[1] == ("1", "2", "5")
    assert ValueScale.of([0, 0], "rank", is_signed=True).ticks(3)[1] == ("0", "0", "0")


@given(
    st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=20),
    st.sampled_from(SCALES),
    st.booleans(),
)
def test_a_higher_value_never_stands_lower_and_a_share_leads_back(
    values: list[float], kind: Scale, is_signed: bool
) -> None:
    scale = ValueScale.of(values, kind, is_signed)
    shares = scale.shares(np.sort(values))
    assert np.all(np.diff(shares) >= 0) and shares.min() >= 0 and shares.max() <= 1
    np.testing.assert_allclose(scale.shares(scale.values(shares)), shares, atol=1e-6)
