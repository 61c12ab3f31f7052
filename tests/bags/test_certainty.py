from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from napari_attmil.bags.certainty import Certainty, calibrate, patients_needed, said_by


def simulated(
    rng: np.random.Generator, labels: list[int], sharpness: list[float], each: int = 2
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return logits, truth and patients; a patient's samples are alike, a class is as sharp."""
    logits, truth, patients = [], [], []
    for number, label in enumerate(labels):
        own = rng.normal(0, 1, len(sharpness))
        own[label] += sharpness[label]
        for _ in range(each):
            logits.append(own + rng.normal(0, 0.3, len(sharpness)))
            truth.append(label)
            patients.append(f"p{number}")
    return np.array(logits), np.array(truth), patients


def is_covered(certainty: Certainty, logits: np.ndarray, label: int) -> bool:
    kept = certainty.prediction_set(np.exp(certainty.log_probabilities(logits)))
    assert kept is not None
    return bool(kept[label])


def patients_of(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


@pytest.mark.parametrize("known", [0.5, 1, 3])
def test_known_temperature_is_recovered(known: float) -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(0, 2, (4000, 3))
    chances = np.exp(right) / np.exp(right).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in chances])
    certainty = calibrate(known * right, truth, patients_of(4000))
    assert certainty.temperature == pytest.approx(known, rel=0.07)
    calibrated = np.exp(certainty.log_probabilities(known * right))
    assert log_loss(truth, calibrated) == pytest.approx(log_loss(truth, chances), abs=0.003)


def test_known_offsets_are_recovered_and_their_sum_is_zero() -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(0, 2, (6000, 3))
    offset = np.array([1.0, -0.4, -0.6])
    truth = np.array([rng.choice(3, p=softmax(row + offset)) for row in right])
    # Only as many of each class as of the rarest: the offsets then are those of equal classes.
    found = calibrate(right, truth, patients_of(6000)).offset
    least = np.bincount(truth).min()
    rows = np.concatenate([np.flatnonzero(truth == k)[:least] for k in range(3)])
    even = calibrate(right[rows], truth[rows], patients_of(3 * least)).offset
    np.testing.assert_allclose(found, even, atol=0.1)
    assert sum(found) == pytest.approx(0, abs=1e-9)


def test_a_class_that_is_always_passed_over_is_helped_by_an_offset() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0, 1] * 20)
    logits = np.eye(2)[truth] * 2 + [0, 3] + rng.normal(0, 0.3, (40, 2))
    assert np.all(logits.argmax(1) == 1)
    certainty = calibrate(logits, truth, patients_of(40))
    assert np.mean(certainty.log_probabilities(logits).argmax(1) == truth) > 0.9
    assert certainty.offset[0] == -certainty.offset[1] > 0.5


def test_few_patients_change_the_classes_little() -> None:
    certainty = calibrate([[0.0, 1.0], [0.0, 1.0]], [0, 1], patients_of(2))
    assert 0 < certainty.offset[0] < 0.3


def test_calibration_is_undone_exactly() -> None:
    certainty = Certainty(temperature=0.6, offset=(0.5, -0.2, -0.3))
    before = log_softmax(np.random.default_rng(0).normal(0, 2, (5, 3)), axis=1)
    found = certainty.log_probabilities_before(certainty.log_probabilities(before))
    np.testing.assert_allclose(found, before, atol=1e-12)


def test_few_patients_all_classified_correctly_do_not_make_it_certain() -> None:
    truth = np.array([0, 1, 2] * 4)
    certainty = calibrate(np.eye(3)[truth], truth, patients_of(12))
    probabilities = np.exp(certainty.log_probabilities([1, 0, 0]))
    # By hand: one patient of whom nothing is known makes 12 right of 12 into 12 1/3 of 13.
    assert probabilities[0] == pytest.approx((12 + 1 / 3) / 13, abs=1e-3)


@pytest.mark.parametrize(("coverage", "sample"), [(0.6, 3), (0.75, 1), (0.8, None)])
def test_quantile_counts_patients_not_samples(coverage: float, sample: int | None) -> None:
    # Samples from the surest to the least sure: 0 (half a patient), 2, 3 (whole ones), 1 (the
    # other half). With the new patient there are 4: they reach 1/8, 3/8, 5/8 and 6/8 of them.
    logits = np.array([[5.0, 0], [-1, 0], [3, 0], [1, 0]])
    certainty = calibrate(logits, [0, 0, 0, 0], ["A", "A", "B", "C"], coverage)
    assert certainty.least_probability is not None
    true = np.exp(certainty.log_probabilities(logits))[:, 0]
    assert certainty.least_probability[0] == (0 if sample is None else true[sample])


@pytest.mark.parametrize(("coverage", "patients"), [(0.9, 9), (0.8, 4), (0.95, 19), (0.99, 99)])
def test_so_many_patients_are_needed_to_leave_a_class_out(coverage: float, patients: int) -> None:
    assert patients_needed(coverage) == patients
    for count in (patients - 1, patients):
        logits = np.tile([3.0, 0], (count, 1))
        bounds = calibrate(logits, [0] * count, patients_of(count), coverage).least_probability
        assert bounds is not None
        assert (bounds[0] > 0) == (count == patients)


def test_sets_cover_each_class_of_new_patients_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    sharpness = [4.0, 2.0, 1.0]
    covered = np.zeros((200, 3))
    for trial in range(len(covered)):
        certainty = calibrate(*simulated(rng, [0, 1, 2] * 15, sharpness))
        for label in range(3):
            new, _, _ = simulated(rng, [label] * 10, sharpness, each=1)
            covered[trial, label] = np.mean([is_covered(certainty, row, label) for row in new])
    assert np.all(covered.mean(0) > 0.88)
    # The easiest class is the most probable one, and so in the set, more often than that.
    assert np.all(covered.mean(0)[1:] < 0.96)


def test_no_bound_is_above_the_one_that_holds_over_all_where_a_class_has_none_of_its_own() -> None:
    # 18 sure patients of "a", 3 unsure ones of "b": alone, "a" would have the higher bound.
    logits = np.array([[3.0, 0]] * 18 + [[3.0, 0]] * 3)
    truth = [0] * 18 + [1] * 3
    alone = calibrate(logits[:18], truth[:18], patients_of(18)).least_probability
    mixed = calibrate(logits, truth, patients_of(21)).least_probability
    assert alone is not None and mixed is not None
    assert mixed[0] == mixed[1] < 0.5 < alone[0]


def test_most_probable_class_is_always_in_the_set() -> None:
    certainty = Certainty(least_probability=(0.6, 0.7, 0.8))
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 1000)
    kept = certainty.prediction_set(probabilities)
    assert kept is not None
    assert np.all(kept[np.arange(1000), probabilities.argmax(1)])


@pytest.mark.parametrize(
    ("probabilities", "kept"),
    [
        ((0.9, 0.06, 0.04), (True, False, False)),
        ((0.5, 0.45, 0.05), (True, True, False)),  # neither is usual; together 95 %
        ((0.4, 0.36, 0.24), (True, True, True)),
        ((0.7, 0.04, 0.26), (True, False, True)),  # the third is as probable as it usually is
    ],
)
def test_sample_that_resembles_no_class_is_not_called_certain(
    probabilities: tuple[float, ...], kept: tuple[bool, ...]
) -> None:
    found = Certainty(least_probability=(0.8, 0.6, 0.25)).prediction_set(probabilities)
    assert found is not None and tuple(found) == kept


def test_a_class_with_too_few_patients_is_named() -> None:
    truth = [0] * 10 + [1] * 4
    certainty = calibrate(np.eye(2)[truth], truth, patients_of(14))
    assert certainty.patients == (10, 4) and certainty.by_class == (True, False)
    note = certainty.note(("healthy", "sickle"))
    assert "is an average over the classes" in note and "(sickle 4)" in note


def test_too_few_patients_in_all_rule_nothing_out_and_this_is_said() -> None:
    truth = [0, 1] * 4
    certainty = calibrate(np.eye(2)[truth], truth, patients_of(8))
    assert certainty.prediction_set([0.99, 0.01]).tolist() == [True, True]
    assert "needs 9 patients to calibrate with, and there were 8" in certainty.note(("a", "b"))


def test_enough_patients_need_no_note() -> None:
    truth = [0, 1] * 9
    assert calibrate(np.eye(2)[truth], truth, patients_of(18)).note(("a", "b")) == ""


def test_without_calibration_there_is_no_set_and_the_reason_is_said() -> None:
    certainty = Certainty(missing_because="nobody asked.")
    assert certainty.prediction_set([0.9, 0.1]) is None
    assert certainty.note(("a", "b")) == "Not calibrated: nobody asked."


def test_comes_back_from_json_bit_for_bit() -> None:
    logits, truth, patients = simulated(np.random.default_rng(3), [0, 1] * 7, [2.0, 1.0])
    for certainty in (calibrate(logits, truth, patients, 0.8), Certainty()):
        back = Certainty.from_json(json.loads(json.dumps(certainty.to_json())))
        assert back.to_json() == certainty.to_json()


def test_probabilities_hold_for_the_classes_as_frequent_as_the_training_took_them() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [400, 100])
    logits = np.log([0.8, 0.2]) + np.zeros((500, 2)) + rng.normal(0, 0.01, (500, 2))
    as_there = calibrate(logits, truth, patients_of(500), balanced=False)
    even = calibrate(logits, truth, patients_of(500))
    assert np.exp(as_there.log_probabilities(logits)).mean(0)[0] == pytest.approx(0.8, abs=0.02)
    assert np.exp(even.log_probabilities(logits)).mean(0)[0] == pytest.approx(0.5, abs=0.02)
    assert as_there.missing_because == even.missing_because == ""


def test_few_patients_of_a_class_speak_for_few() -> None:
    truth = np.repeat([0, 1], [40, 2])
    patients = [*patients_of(40), "q", "q"]
    said = said_by(truth, patients, balanced=True)
    assert said[truth == 0].sum() == pytest.approx(said[truth == 1].sum())
    assert said.sum() == pytest.approx(4 / (1 / 40 + 1))  # between the 1 and the 41 there are
    np.testing.assert_allclose(said_by(np.arange(8) % 2, patients_of(8), True), 1)
    np.testing.assert_allclose(said_by(truth, patients, False), [*np.ones(40), 0.5, 0.5])
