from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test, ttest_1samp

from napari_attmil.explore.shapes.randomisation_tests import (
    fewest_others,
    fewest_patients,
    group_test,
    sign_flip_test,
    typical_interval,
)


def test_p_is_the_share_of_sign_flips_that_are_as_extreme() -> None:
    # Of the 8 sums of ±1 ±2 ±3 two are 6 or -6, and two more 4 or -4.
    p, corrected = sign_flip_test(np.array([[1, -1], [2, 2], [3, 3]]))
    np.testing.assert_allclose(p, [2 / 8, 4 / 8])
    # The higher of both sums is 6 in 4 flips and 2 in the others.
    np.testing.assert_allclose(corrected, [4 / 8, 4 / 8])


def test_p_is_that_of_scipy_where_signs_are_flipped_at_random() -> None:
    effects = np.random.default_rng(0).normal(0.3, 1, 30)
    ours, _ = sign_flip_test(effects[:, np.newaxis])
    theirs = permutation_test(
        (effects,), np.mean, permutation_type="samples", n_resamples=20_000, random_state=1
    )
    assert ours[0] == pytest.approx(theirs.pvalue, abs=0.01)


def test_same_measure_twice_costs_nothing() -> None:
    effects = np.random.default_rng(1).normal(0.8, 1, (9, 1))
    p, corrected = sign_flip_test(np.hstack([effects, 3 * effects]))
    np.testing.assert_allclose(corrected, p)


def test_measure_that_no_patient_has_is_unknown_and_the_others_do_not_suffer() -> None:
    effects = np.random.default_rng(2).normal(1, 1, (8, 1))
    p, corrected = sign_flip_test(np.hstack([effects, np.full((8, 1), np.nan)]))
    assert np.isnan(p[1]) and np.isnan(corrected[1]) and corrected[0] == p[0]
    assert np.isnan(sign_flip_test(np.zeros((0, 2)))[0]).all()


def test_one_study_in_twenty_finds_anything_where_measures_are_independent() -> None:
    rng = np.random.default_rng(3)
    found = [(sign_flip_test(rng.normal(size=(9, 8)))[1] < 0.05).any() for _ in range(400)]
    assert 0.02 < np.mean(found) < 0.08  # 0.05 within three standard errors


def test_interval_leaves_out_as_many_subset_means_as_the_level_says() -> None:
    # Of 63 means one is left out at either end: 2 / 64 parts lie outside.
    values = np.array([1.0, 2, 3, 4, 5, 6])
    assert typical_interval(values) == (1.0, 6.0)
    assert np.isnan(typical_interval(values[:5])).all()
    assert np.isnan(typical_interval([])).all()


@pytest.mark.parametrize("patients", [8, 20])
def test_zero_lies_outside_the_interval_when_the_test_says_so(patients: int) -> None:
    rng = np.random.default_rng(4)
    for _ in range(40):
        effects = rng.normal(0.6, 1, patients)
        p, _ = sign_flip_test(effects[:, np.newaxis])
        low, high = typical_interval(effects)
        if abs(p[0] - 0.05) > 0.01:  # where all flips are drawn at random, not at the very edge
            assert (low > 0 or high < 0) == (p[0] < 0.05)


def test_interval_of_many_patients_is_about_that_of_student() -> None:
    effects = np.random.default_rng(5).normal(1, 1, 60)
    expected = ttest_1samp(effects, 0).confidence_interval()
    np.testing.assert_allclose(typical_interval(effects), expected, atol=0.05)


def test_six_patients_of_one_sign_are_the_fewest_that_count() -> None:
    assert fewest_patients(0.05) == 6  # 2 / 2^6 = 0.03


@pytest.mark.parametrize(
    ("patients", "others"),
    # 1 / 21; 1 / 20, which is not below; 1 / 28 where 1 / 7 is not; 2 / 70 where 1 / 35 is too.
    [(20, 1), (19, 2), (6, 2), (4, 3)],
)
def test_so_many_patients_of_the_other_group_are_needed(patients: int, others: int) -> None:
    assert fewest_others(patients, 0.05) == others
    for count, is_enough in ((others - 1, False), (others, True)):
        p, _ = group_test(np.arange(patients)[:, np.newaxis] + 99.0, np.zeros((count, 1)))
        assert bool(p[0] < 0.05) is is_enough


def test_groups_differ_by_the_share_of_splits_that_are_as_extreme() -> None:
    # Of the 20 ways to choose 3 of 6 two part them as far as here.
    p, corrected = group_test([[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]])
    assert (p[0], corrected[0]) == (pytest.approx(2 / 20), pytest.approx(2 / 20))


def test_p_of_groups_is_that_of_scipy_also_where_splits_are_drawn() -> None:
    rng = np.random.default_rng(5)
    for sizes in ((5, 7), (15, 12)):
        one, other = rng.normal(0.5, 1, sizes[0]), rng.normal(0, 1, sizes[1])
        theirs = permutation_test(
            (one, other),
            lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis),
            n_resamples=20_000,
            vectorized=True,
            random_state=1,
        )
        ours, _ = group_test(one[:, np.newaxis], other[:, np.newaxis])
        assert ours[0] == pytest.approx(theirs.pvalue, abs=0.012)


def test_groups_are_compared_by_the_patients_that_have_the_measure() -> None:
    rng = np.random.default_rng(6)
    one, other = rng.normal(2, 1, (6, 2)), rng.normal(0, 1, (6, 2))
    one[0, 1] = other[2:4, 1] = np.nan
    p, _ = group_test(one, other)
    fewer, _ = group_test(one[1:, 1:], other[[0, 1, 4, 5], 1:])
    assert p[1] == pytest.approx(fewer[0], abs=0.03) and p[1] < 0.05
    other[:, 1] = np.nan
    p, corrected = group_test(one, other)
    assert np.isnan(p[1]) and np.isnan(corrected[1]) and p[0] < 0.05


def test_one_pair_of_groups_in_twenty_differs_by_chance() -> None:
    rng = np.random.default_rng(7)
    found = [
        (group_test(rng.normal(size=(6, 8)), rng.normal(size=(6, 8)))[1] < 0.05).any()
        for _ in range(400)
    ]
    assert 0.02 < np.mean(found) < 0.08  # 0.05 within three standard errors
