from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from napari_attmil.bags.attribution import instance_auroc
from napari_attmil.bags.metrics import bootstrap_weights, ranking_metrics, weighted_metrics


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


def test_instance_auroc_counts_pairs_in_the_right_order() -> None:
    # Altered .5 and .2 against .3 and .1: three pairs of four.
    assert instance_auroc([0.5, 0.3, 0.2, 0.1], [True, False, True, False]) == 0.75
    assert instance_auroc([0.25] * 4, [True, False, True, False]) == 0.5


@pytest.mark.parametrize("altered", [None, [False] * 3, [True] * 3])
def test_instance_auroc_needs_both_kinds_of_cells(altered: list[bool] | None) -> None:
    assert np.isnan(instance_auroc([0.1, 0.2, 0.7], altered))
