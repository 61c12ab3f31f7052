from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from napari_attmil.bags.attribution import subsets as attribution
from napari_attmil.bags.attribution.measures import (
    CURVE_STEPS,
    TOP_CELLS,
    instance_ranking,
    rank_agreement,
    removal,
    top_contribution,
    top_overlap,
)
from napari_attmil.bags.attribution.subsets import SubsetClassifier, cell_scores, leave_one_out
from napari_attmil.bags.certainty import Certainty
from napari_attmil.bags.training.trained_parts import joined
from napari_attmil.bags.training.trainer import Trainer

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device


@pytest.fixture(scope="module", params=["mil-att-sic", "sic", "mil-multi-top-sic"])
def classifier(
    request: Any, planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> Classifier:
    """Return two calibrated models."""
    members = []
    for seed in (0, 1):
        settings = small.replace(method=request.param, epochs=3, seed=seed)
        trainer = Trainer(planted_bags, settings, cpu)
        for _ in trainer.epochs():
            pass
        members.append(trainer.best)
    return replace(joined(members), certainty=Certainty(temperature=0.5))


def test_a_subset_is_what_the_classifier_says_of_a_bag_of_these_cells(
    classifier: Classifier, planted_bags: list[Bag], monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = planted_bags[8]
    parts = [np.arange(20), np.array([3]), np.array([7, 2, 11]), np.arange(5, 20)]
    subsets = SubsetClassifier(classifier).subsets(bag)
    whole = subsets.log_probabilities(parts)
    for part, log_probability in zip(parts, whole, strict=True):
        alone = classifier.classify(bag[part]).probabilities
        np.testing.assert_allclose(np.exp(log_probability), alone, atol=1e-5)
    monkeypatch.setattr(attribution, "CELLS_POOLED", 4)
    np.testing.assert_allclose(subsets.log_probabilities(parts), whole, rtol=1e-9)


def test_leave_one_out_ranks_cells_as_the_probability_without_them(
    classifier: Classifier, planted_bags: list[Bag]
) -> None:
    bag = planted_bags[8]
    prediction = classifier.classify(bag)
    predicted = int(prediction.probabilities.argmax())
    drop = leave_one_out(SubsetClassifier(classifier).subsets(bag), len(bag), predicted)
    without = [
        classifier.classify(bag[np.delete(np.arange(20), cell)]).probabilities[predicted]
        for cell in range(20)
    ]
    before = prediction.probabilities[predicted]
    log_odds = np.log(before / (1 - before)) - np.log(without / (1 - np.array(without)))
    np.testing.assert_allclose(drop, log_odds, atol=1e-3)


def test_leave_one_out_of_one_cell_is_0_and_of_very_many_is_not_tried(
    classifier: Classifier, planted_bags: list[Bag], monkeypatch: pytest.MonkeyPatch
) -> None:
    subsets = SubsetClassifier(classifier).subsets(planted_bags[0])
    assert leave_one_out(subsets, 1, 0).tolist() == [0]
    monkeypatch.setattr(attribution, "MOST_CELLS_LEFT_OUT", 19)
    assert np.isnan(leave_one_out(subsets, 20, 0)).all()


def test_every_score_has_one_value_a_cell_and_random_depends_on_the_seed_alone(
    classifier: Classifier, planted_bags: list[Bag]
) -> None:
    bag, other = planted_bags[8], planted_bags[2]
    scores, again, others = (
        cell_scores(
            classifier.classify(one),
            SubsetClassifier(classifier).subsets(one),
            np.random.default_rng(seed),
        )
        for one, seed in ((bag, 0), (other, 0), (bag, 1))
    )
    assert {len(values) for values in scores.values()} == {20}
    np.testing.assert_array_equal(scores["random"], again["random"])
    assert not np.array_equal(scores["random"], others["random"])


class Counted:
    """Says 1 if cell 0 is kept, and else a tenth of the share of 20 cells that are kept."""

    def log_probabilities(self, subsets: list[np.ndarray]) -> np.ndarray:
        kept = [1.0 if 0 in rows else len(rows) / 200 for rows in subsets]
        return np.log(np.array([[1 - p + 1e-12, p] for p in kept]))


def test_removal_follows_the_order_of_the_score() -> None:
    best = removal(Counted(), -np.arange(20.0), predicted=1)  # type: ignore[arg-type]
    assert best.deletion[:3].tolist() == pytest.approx([1, 19 / 200, 18 / 200])
    assert best.deletion[-1] == pytest.approx(1 / 200)  # one cell is always kept
    assert best.insertion.tolist() == pytest.approx([1] * (CURVE_STEPS + 1))
    assert best.necessity == pytest.approx(12 / 200)
    assert best.sufficiency == pytest.approx(1)
    worst = removal(Counted(), np.arange(20.0), predicted=1)  # type: ignore[arg-type]
    assert worst.deletion.tolist() == pytest.approx([1] * (CURVE_STEPS + 1))
    assert worst.necessity == pytest.approx(1)
    assert worst.sufficiency == pytest.approx(TOP_CELLS / 200)
    assert best.area_between == pytest.approx(-worst.area_between, abs=0.05)
    assert best.area_between > 0.9


def test_removal_of_an_unknown_score_is_unknown() -> None:
    unknown = removal(Counted(), np.full(20, np.nan), predicted=1)  # type: ignore[arg-type]
    assert np.isnan([unknown.necessity, unknown.sufficiency, unknown.area_between]).all()


@pytest.mark.parametrize("levels", [3, 1000])
def test_instance_ranking_is_scikit_learn_s(levels: int) -> None:
    rng = np.random.default_rng(levels)
    score, altered = rng.integers(0, levels, 40).astype(float), rng.random(40) < 0.2
    auroc, precision, ndcg = instance_ranking(score, altered)
    assert auroc == pytest.approx(roc_auc_score(altered, score))
    assert precision == pytest.approx(average_precision_score(altered, score))
    assert ndcg == pytest.approx(ndcg_score([altered], [score], k=int(altered.sum())))


@pytest.mark.parametrize("altered", [None, [False] * 3, [True] * 3])
def test_instance_ranking_needs_both_kinds_of_cells(altered: list[bool] | None) -> None:
    truth = None if altered is None else np.array(altered)
    assert np.isnan(instance_ranking([0.1, 0.2, 0.7], truth)).all()


def test_top_contribution_is_the_strongest_pull_away_from_healthy() -> None:
    contribution = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 3.5], [0.0, 0.5, -1.0]])
    assert top_contribution(contribution, reference=0) == 1
    assert top_contribution(contribution, reference=1) == 3.5
    shifted = contribution + np.array([[5.0], [-2.0], [1.0]])
    assert top_contribution(shifted, reference=0) == 1


def test_runs_agree_by_rank_and_by_their_top_cells() -> None:
    rng = np.random.default_rng(0)
    runs = rng.random((3, 12))
    pairs = [spearmanr(runs[a], runs[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert rank_agreement(runs) == pytest.approx(np.mean(pairs))
    # Twelve cells, the eight highest of each: four are shared and twelve are in either.
    rising = np.arange(12.0)
    assert top_overlap(np.stack([rising, -rising])) == pytest.approx(4 / 12)
    assert top_overlap(np.stack([rising, rising])) == 1
    assert np.isnan(rank_agreement(runs[:1]))
    assert np.isnan(rank_agreement(np.stack([rising, np.zeros(12)])))
    assert np.isnan(top_overlap(runs[:, :8]))  # all cells are the top ones
