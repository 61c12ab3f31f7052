from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from napari_attmil.bags.classifier import Classifier
from napari_attmil.bags.network.attention_mil import AttentionMIL
from napari_attmil.bags.network.packing import Packing
from napari_attmil.bags.network.prepared_features import PreparedFeatures
from napari_attmil.bags.presets import mil_preset
from napari_attmil.bags.training.guidance import (
    ODD_SHARE,
    oddness,
    weights_by_rank,
)
from napari_attmil.bags.training.losses import exclusion_loss
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.model_files import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device

HEALTHY = "a"


def weights_of(features: list[PreparedFeatures], bags: list[Bag]) -> list[torch.Tensor]:
    odd = oddness(features, [bag.label == HEALTHY for bag in bags])
    return [weights_by_rank(score) for score in odd]


@pytest.fixture
def weights(planted_bags: list[Bag]) -> list[torch.Tensor]:
    return weights_of([PreparedFeatures.of_bag(bag.features) for bag in planted_bags], planted_bags)


def test_cells_that_no_healthy_sample_has_count_most(
    planted_bags: list[Bag], weights: list[torch.Tensor]
) -> None:
    for bag, weight in zip(planted_bags, weights, strict=True):
        if bag.label == HEALTHY:
            assert (weight == 1).all()
        else:
            assert bag.altered is not None
            assert set(np.argsort(-weight.numpy())[:3]) == set(np.flatnonzero(bag.altered))


def test_weights_have_the_mean_1_in_every_sample(weights: list[torch.Tensor]) -> None:
    assert [weight.mean().item() for weight in weights] == pytest.approx([1] * len(weights))


def test_cells_that_score_the_same_weigh_the_same() -> None:
    score = torch.tensor([1.0, 5, 1, 0, 1, 5])
    weight = weights_by_rank(score, alike=0.5)
    place = rankdata(-score.numpy()) - 1  # The mean of ties.
    odd = np.exp(-place / (ODD_SHARE * len(score)))
    np.testing.assert_allclose(weight, 0.5 + 0.5 * odd / odd.mean(), rtol=1e-5)


def test_profiles_give_the_weights_of_their_maps(
    planted_bags: list[Bag], weights: list[torch.Tensor]
) -> None:
    profiles = [PreparedFeatures.of_bag(bag.features).as_rows() for bag in planted_bags]
    again = weights_of(profiles, planted_bags)
    for bag, first, second in zip(planted_bags, weights, again, strict=True):
        assert set(first.topk(3).indices.tolist()) == set(second.topk(3).indices.tolist()), bag


def test_odd_cells_guide_only_where_healthy_samples_are_known(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    """The first epoch of a guided training has the guided branch's loss, and no other."""

    def first_loss(**changes: object) -> float:
        trainer = Trainer(planted_bags, small.replace(cell_dropout=0, **changes), cpu)
        return next(iter(trainer.epochs())).loss

    plain = first_loss(guidance=0)
    assert first_loss() == plain, "no class is called healthy"
    assert first_loss(reference_class=HEALTHY, healthy_is_the_rest=False) != plain
    assert first_loss(method="mil-att-sic", reference_class=HEALTHY) == first_loss(
        method="mil-att-sic", reference_class=HEALTHY, guidance=0
    ), "the methods of Table 1 keep the paper's branch"


def test_a_fold_without_healthy_samples_is_trained_without_guidance(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    sick = [bag for bag in planted_bags if bag.label != HEALTHY]
    settings = small.replace(reference_class=HEALTHY, epochs=1)
    trainer = Trainer(sick, settings, cpu, classes=("a", "b", "c"))
    assert np.isfinite(next(iter(trainer.epochs())).loss)


def test_what_speaks_for_no_class_speaks_for_healthy(
    small: MILSettings, make_bag: Callable[..., Bag]
) -> None:
    model = AttentionMIL(3, small.replace(components=0), channels=8, reference=0).eval()
    features = PreparedFeatures.of_bag(make_bag(1, 9).features)
    output = model(features, [0, 4, 9])
    assert torch.allclose(output.contribution.sum(1), torch.zeros(9), atol=1e-6)
    with torch.no_grad():
        model.pooling.head.weight[0] += 5
    changed = model(features, [0, 4, 9])
    assert torch.allclose(changed.logits, output.logits), "its own weights say nothing"


def test_cells_of_the_sick_may_be_healthy(small: MILSettings, make_bag: Callable[..., Bag]) -> None:
    model = AttentionMIL(2, small.replace(components=0), channels=8, reference=0).eval()
    output = model(PreparedFeatures.of_bag(make_bag(1, 9).features), [0, 4, 9])
    packing, targets = Packing.of([4, 5]), torch.tensor([0, 1])
    healthy, sick = exclusion_loss(output.instance_logits, packing, targets, model.silent)
    assert sick == 0
    assert healthy > 0


@pytest.mark.parametrize("retired", [{}, {"guidance_rounds": 2}])
def test_a_classifier_of_an_earlier_version_says_what_it_said(
    planted_bags: list[Bag],
    small: MILSettings,
    cpu: Device,
    tmp_path: Path,
    retired: dict[str, int],
) -> None:
    settings = small.replace(
        epochs=1, reference_class=HEALTHY, guidance=0, healthy_is_the_rest=False
    )
    trainer = Trainer(planted_bags, settings, cpu)
    list(trainer.epochs())
    path = tmp_path / "old.safetensors"
    trainer.best.save(path)
    checkpoint = load_checkpoint(path, "classifier")
    for name in ("guidance", "healthy_is_the_rest"):
        del checkpoint.settings["mil"][name]
    checkpoint.settings["mil"].update(retired)
    save_checkpoint(path, checkpoint)
    bag = planted_bags[-1]
    before, after = trainer.best.classify(bag), Classifier.load(path, cpu).classify(bag)
    assert np.array_equal(before.contribution, after.contribution)


def test_published_presets_are_not_guided() -> None:
    for name in ("paper", "marrlab-code"):
        settings = mil_preset(name)
        assert settings.guidance == 0
        assert not settings.healthy_is_the_rest
