from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_calibration_error

from napari_attmil.bags.metrics import (
    bootstrap_weights,
    confusion_matrix,
    precision_at_recall,
    ranking_metrics,
    reliability,
    set_metrics,
    weighted_metrics,
)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([3, 1000]))
def test_metrics_are_scikit_learn_s(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(4), rng.integers(0, 4, 20)])
    # Few levels give ties, as shares of votes do.
    shares = rng.integers(1, levels + 1, (24, 4)).astype(float)
    shares /= shares.sum(1, keepdims=True)
    weights = np.stack([np.ones(24), 1.0 * rng.integers(0, 3, 24)])
    weights[1, :4] += 1
    found = weighted_metrics(truth, shares, weights)
    predicted = shares.argmax(1)
    for row, weight in enumerate(weights):
        of = {"sample_weight": weight}
        accuracy = sklearn_metrics.accuracy_score(truth, predicted, **of)
        assert found["accuracy"][row] == pytest.approx(accuracy)
        for average in ("weighted", "macro"):
            f1 = sklearn_metrics.f1_score(truth, predicted, average=average, zero_division=0, **of)
            assert found[f"f1_{average}"][row] == pytest.approx(f1)
        positive = [truth == k for k in range(4)]
        auroc = [sklearn_metrics.roc_auc_score(positive[k], shares[:, k], **of) for k in range(4)]
        assert found["auroc"][row] == pytest.approx(np.mean(auroc))
        nll = sklearn_metrics.log_loss(truth, shares, **of)
        assert found["nll"][row] == pytest.approx(nll)
        squared = np.average(((shares - np.eye(4)[truth]) ** 2).sum(1), weights=weight)
        assert found["brier"][row] == pytest.approx(squared)
        for k in range(4):
            auprc = sklearn_metrics.average_precision_score(positive[k], shares[:, k], **of)
            assert found["auprc"][row, k] == pytest.approx(auprc)


def test_ranking_metrics_of_a_small_case_by_hand() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.1])
    positive = np.array([True, False, True, False])
    auroc, auprc = ranking_metrics(score, positive, np.array([[1.0, 1, 1, 1], [1, 0, 1, 2]]))
    # Of four pairs three are won and one is tied; drawn otherwise all are won.
    assert auroc.tolist() == pytest.approx([3.5 / 4, 1])
    assert auprc.tolist() == pytest.approx([0.5 * 1 + 0.5 * 2 / 3, 1])


def test_a_bootstrap_draws_whole_patients_and_keeps_every_class() -> None:
    patients = ["p1", "p1", "p2", "p3", "q1", "q2", "q2"]
    labels = ["a"] * 4 + ["b"] * 3
    weights = bootstrap_weights(patients, labels, 500, seed=0)
    assert weights.shape == (500, 7)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 5], weights[:, 6])
    np.testing.assert_array_equal(weights[:, 0] + weights[:, 2] + weights[:, 3], 3)
    np.testing.assert_array_equal(weights[:, 4] + weights[:, 5], 2)
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.1)
    np.testing.assert_array_equal(weights, bootstrap_weights(patients, labels, 500, seed=0))


def test_calibration_error_and_reliability_are_those_of_torchmetrics_and_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    truth, shares = rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)
    error = weighted_metrics(truth, shares, np.ones((1, 200)))["ece"][0]
    theirs = multiclass_calibration_error(
        torch.from_numpy(shares), torch.from_numpy(truth), num_classes=3, n_bins=10
    )
    assert error == pytest.approx(float(theirs), abs=1e-6)
    accuracy, confidence = calibration_curve(
        shares.argmax(1) == truth, shares.max(1), n_bins=10, strategy="uniform"
    )
    bins = reliability(truth, shares)
    np.testing.assert_allclose(bins["accuracy"], accuracy)
    np.testing.assert_allclose(bins["confidence"], confidence)
    assert bins["samples"].sum() == 200


def test_set_metrics_of_a_small_case_by_hand() -> None:
    possible = [[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]]
    every = [[1, 1, 1, 1], [0, 1, 0, 1]]
    found = set_metrics([0, 1, 0, 2], possible, every)
    assert found["coverage"].tolist() == [0.75, 1]
    assert found["set_size"].tolist() == [7 / 4, 5 / 2]
    assert found["abstained"].tolist() == [0.5, 1]
    # Of two answers one is right; drawn otherwise there is none.
    np.testing.assert_array_equal(found["answered_accuracy"], [0.5, np.nan])


def test_confusions_and_precision_at_recall_are_scikit_learn_s() -> None:
    rng = np.random.default_rng(6)
    truth, shares = rng.integers(0, 3, 40), rng.integers(1, 6, (40, 3)) / 6
    np.testing.assert_array_equal(
        confusion_matrix(truth, shares),
        sklearn_metrics.confusion_matrix(truth, shares.argmax(1), labels=[0, 1, 2]),
    )
    precision, recall, _ = sklearn_metrics.precision_recall_curve(truth == 1, shares[:, 1])
    wanted = np.array([0.1, 0.35, 0.8, 1.0])
    # Theirs runs from high recall to low: the last point that still has the recall.
    theirs = [precision[np.flatnonzero(recall >= r - 1e-9)[-1]] for r in wanted]
    np.testing.assert_allclose(precision_at_recall(shares[:, 1], truth == 1, wanted), theirs)
