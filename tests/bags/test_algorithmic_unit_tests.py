"""Raff and Holt's algorithmic unit tests: what the bags are, and who passes or fails for sure.

All methods on all tests are measured by ``benchmarks/mil_unit_tests.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support.unit_test_bags import (
    DIMENSIONS,
    NEGATIVE,
    ORDINARY_IN_SINGLE_CONCEPT,
    POSITIVE,
    UNIT_TESTS,
    unit_test_bags,
)

from napari_attmil.bags.settings import MILSettings
from napari_attmil.bags.training.trainer import Trainer

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.core.device import Device

TORCHMIL_NAMES = {
    "single concept": "SCStandardMILDataset",
    "multi-concept": "MCStandardMILDataset",
    "false frequency": "FalseFrequencyMILDataset",
}


def vectors(bag: Bag) -> np.ndarray:
    return bag.features[:, :, 0, 0].astype(np.float64)


def poisoned(bag: Bag) -> bool:
    return bool((vectors(bag).mean(1) < -8).any())


@pytest.mark.parametrize("name", ["single concept", "multi-concept"])
def test_the_poison_changes_sides_between_training_and_test(name: str) -> None:
    for training in (True, False):
        for bag in unit_test_bags(name, 20, training, seed=0):
            assert poisoned(bag) == ((bag.label == NEGATIVE) == training)


def test_both_concepts_together_make_a_bag_positive() -> None:
    for name in ("multi-concept", "false frequency"):
        for bag in unit_test_bags(name, 40, True, seed=1):
            centres = vectors(bag).mean(1)
            has = [bool((abs(centres - mean) < 0.2).any()) for mean in (2, 3)]
            assert all(has) == (bag.label == POSITIVE)
            assert any(has)


def test_a_frequent_concept_stays_negative_in_the_test() -> None:
    for bag in unit_test_bags("false frequency", 20, False, seed=2):
        concepts = np.count_nonzero(vectors(bag).mean(1) > 1.8)
        assert concepts == 2 if bag.label == POSITIVE else 35 <= concepts < 45


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", UNIT_TESTS)
def test_bags_are_distributed_like_those_of_torchmil(name: str, training: bool) -> None:
    datasets = pytest.importorskip("torchmil.datasets")
    more = {"B": ORDINARY_IN_SINGLE_CONCEPT} if name == "single concept" else {}
    theirs = getattr(datasets, TORCHMIL_NAMES[name])(DIMENSIONS, 600, train=training, **more)
    ours = unit_test_bags(name, 600, training, seed=3)
    for label, positive in ((POSITIVE, 1), (NEGATIVE, 0)):
        own = [vectors(bag) for bag in ours if bag.label == label]
        other = [item["X"].numpy() for item in theirs if int(item["Y"]) == positive]
        for statistic in (len, np.sum, np.max, np.min):
            a, b = (np.array([statistic(bag) for bag in bags], float) for bags in (own, other))
            error = np.hypot(a.std(), b.std()) / np.sqrt(300)
            assert abs(a.mean() - b.mean()) < 4 * error + 1e-2, (label, statistic.__name__)


def area_of_test_bags(name: str, method: str, device: Device) -> float:
    """Return the area under the ROC curve of test bags, once the training bags are learnt."""
    settings = MILSettings(
        embedding="profile",
        method=method,
        components=0,
        exclusion=0,
        cell_dropout=0,
        dropout=0.1,
        learning_rate=5e-3,
        schedule="constant",
        epochs=30,
        stop_loss=0,
    )
    trainer = Trainer(unit_test_bags(name, 80, True, 4), settings, device, (NEGATIVE, POSITIVE))
    *_, last = trainer.epochs()
    assert last.accuracy > 0.9
    bags = unit_test_bags(name, 60, False, 5)
    scores = [trainer.best.logits(bag)[1] for bag in bags]
    return float(roc_auc_score([bag.label == POSITIVE for bag in bags], scores))


@pytest.mark.parametrize("method", ["mil-max", "mil-att-sic"])
def test_what_speaks_for_negative_misleads_even_these_poolings(cpu: Device, method: str) -> None:
    # Each class has a logit of its own: a cell may speak for "negative", which MIL forbids.
    assert area_of_test_bags("single concept", method, cpu) < 0.2


@pytest.mark.parametrize("method", ["mil-mean-sic", "mil-conjunctive-sic"])
def test_poolings_that_count_cells_fail_false_frequency(cpu: Device, method: str) -> None:
    assert area_of_test_bags("false frequency", method, cpu) < 0.35


def test_the_maximum_of_each_entry_passes_false_frequency(cpu: Device) -> None:
    assert area_of_test_bags("false frequency", "mil-max", cpu) > 0.6
