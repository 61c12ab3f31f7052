from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.bags.attribution.what_if import RANDOM_ORDERS, WhatIf
from napari_attmil.bags.network.prepared_features import PreparedFeatures
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device


def trained(bags: list[Bag], settings: MILSettings, device: Device) -> Classifier:
    trainer = Trainer(bags, settings, device)
    for _ in trainer.epochs():
        pass
    return trainer.best


@pytest.fixture(scope="module")
def classifier(planted_bags: list[Bag], small: MILSettings, cpu: Device) -> Classifier:
    return trained(planted_bags, small, cpu)


@pytest.fixture(scope="module")
def diseased(planted_bags: list[Bag]) -> Bag:
    return planted_bags[8]


def test_without_some_cells_is_what_the_classifier_says_of_the_others(
    classifier: Classifier, diseased: Bag
) -> None:
    others = ~np.isin(diseased.cell_id, [3, 7])
    expected = classifier.classify(diseased[others]).probabilities
    moved = WhatIf(classifier, diseased).without([7, 3])
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_without_no_cell_nothing_moves(classifier: Classifier, diseased: Bag) -> None:
    expected = classifier.classify(diseased).probabilities
    np.testing.assert_allclose(WhatIf(classifier, diseased).without([]), expected, atol=1e-5)


def test_taking_all_cells_away_is_refused_in_words(classifier: Classifier, diseased: Bag) -> None:
    with pytest.raises(UserError, match=r"All 20 cells .* leave at least one"):
        WhatIf(classifier, diseased).without(diseased.cell_id)


def test_curve_takes_the_highest_cells_away_one_by_one(
    classifier: Classifier, diseased: Bag
) -> None:
    what_if = WhatIf(classifier, diseased)
    score = np.zeros(20)
    score[[4, 9]] = 1, 2
    curve = what_if.curve(score, most=2)
    assert curve.cell_id.tolist() == diseased.cell_id[[9, 4]].tolist()
    taken = [curve.cell_id[:count] for count in range(3)]
    expected = [what_if.without(cells) for cells in taken]
    np.testing.assert_allclose(curve.probabilities, expected, rtol=1e-9)


def test_planted_cells_move_the_probability_more_than_random_ones(
    classifier: Classifier, diseased: Bag
) -> None:
    assert diseased.altered is not None and diseased.label is not None
    own = classifier.classes.index(diseased.label)
    curve = WhatIf(classifier, diseased).curve(diseased.altered, most=3)
    assert curve.probabilities[3, own] < curve.random_low[3, own]
    assert curve.random_low[3, own] <= curve.random_mean[3, own] <= curve.random_high[3, own]


def test_curve_of_a_small_sample_leaves_one_cell(classifier: Classifier, diseased: Bag) -> None:
    curve = WhatIf(classifier, diseased[:3]).curve([1, 2, 3])
    assert curve.probabilities.shape == curve.random_mean.shape == (3, 3)
    alone = WhatIf(classifier, diseased[:1]).curve([1])
    assert alone.cell_id.shape == (0,) and alone.probabilities.shape == (1, 3)


def test_same_seed_gives_the_same_random_orders(classifier: Classifier, diseased: Bag) -> None:
    what_if = WhatIf(classifier, diseased)
    score = np.arange(20)
    first, second = what_if.curve(score, seed=1), what_if.curve(score, seed=1)
    np.testing.assert_array_equal(first.random_mean, second.random_mean)
    assert RANDOM_ORDERS >= 20  # or the 5 % quantile is an extrapolation


def test_distance_from_healthy_is_the_anomaly_score_of_each_cell(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    settings = small.replace(method="mil-anomaly-sic", epochs=1, reference_class="a")
    classifier = trained(planted_bags, settings, cpu)
    bag = planted_bags[8]
    distance = WhatIf(classifier, bag).distance_from_healthy()
    embeddings = classifier.models[0].embed(PreparedFeatures.of_bag(bag.features))
    assert distance is not None
    np.testing.assert_allclose(distance, embeddings[:, -1].detach().numpy(), rtol=1e-5)
    assert bag.altered is not None
    assert distance[bag.altered].min() > np.median(distance)


def test_distance_from_healthy_is_unknown_to_other_methods(
    classifier: Classifier, diseased: Bag
) -> None:
    assert WhatIf(classifier, diseased).distance_from_healthy() is None
