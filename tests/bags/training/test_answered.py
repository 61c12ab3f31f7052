from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from napari_attmil.bags.network.prepared_features import PreparedFeatures
from napari_attmil.bags.settings import EnsembleSettings
from napari_attmil.bags.training import answered
from napari_attmil.bags.training.answered import AnsweredCells, told_classes
from napari_attmil.bags.training.ensemble import EnsembleTrainer
from napari_attmil.bags.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device

CLASSES = ("a", "b", "c")


def said(bag: Bag, **answers: str) -> Bag:
    """Return a bag with answers about cells, by "_" and their positions."""
    array = np.full(len(bag), "", dtype="<U20")
    for place, answer in answers.items():
        array[int(place[1:])] = answer
    return replace(bag, answers=array)


def truly(bag: Bag, cells: slice = slice(None)) -> Bag:
    """Return a bag with the truth about some cells as answers."""
    assert bag.altered is not None
    answers = np.full(len(bag), "", dtype="<U20")
    answers[cells] = np.where(bag.altered, "altered", "not altered")[cells]
    return replace(bag, answers=answers)


def denying(bag: Bag) -> Bag:
    """Return a bag with the answer about its altered cells that they are not."""
    assert bag.altered is not None
    return said(bag, **{f"_{cell}": "not altered" for cell in np.flatnonzero(bag.altered)})


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return trainer.best.models[0].state_dict()


def trained(bags: list[Bag], settings: MILSettings, cpu: Device) -> dict[str, torch.Tensor]:
    trainer = Trainer(bags, settings, cpu)
    list(trainer.epochs())
    return weights_of(trainer)


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture
def guided(small: MILSettings) -> MILSettings:
    return small.replace(reference_class="a", epochs=4)


def test_altered_cell_is_of_its_sample_s_class_and_a_named_class_of_that(
    make_bag: Callable[..., Bag],
) -> None:
    bag = said(
        make_bag(1, label="b"),
        _0="altered",
        _1="not altered",
        _2="altered: c",
        _3="altered: a",
        _4="cannot tell",
        _5="altered: unheard of",
    )
    assert told_classes(bag, CLASSES, "a")[:7] == ["b", "", "c", "", None, None, None]
    healthy = said(make_bag(1, label="a"), _0="altered", _1="altered: b")
    assert told_classes(healthy, CLASSES, "a")[:3] == [None, "b", None]


def test_both_kinds_count_the_same_and_the_healthy_class_not_at_all(
    make_bag: Callable[..., Bag],
) -> None:
    bag = said(make_bag(1, label="b"), _0="altered", _1="not altered", _2="not altered")
    cells = AnsweredCells.of([bag], [PreparedFeatures.of_bag(bag.features)], CLASSES, "a")
    assert cells is not None
    np.testing.assert_allclose(
        cells.weights, [[0, 0.5, 0], [0, 0.125, 0.125], [0, 0.125, 0.125]], atol=1e-7
    )
    np.testing.assert_allclose(cells.targets, [[0.05, 1, 0.05], [0.05] * 3, [0.05] * 3], atol=1e-7)


@pytest.mark.parametrize("at_once", [1, 512])
def test_loss_is_the_weighted_cross_entropy_of_the_cells_own_logits(
    make_bag: Callable[..., Bag],
    guided: MILSettings,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    monkeypatch.setattr(answered, "AT_ONCE", at_once)
    bags = [make_bag(1, label="a"), said(make_bag(2, label="b"), _3="altered")]
    trainer = Trainer(bags, guided, cpu)
    cells, model = trainer._answered, trainer._model.eval()
    assert cells is not None and len(cells) == 1
    with torch.no_grad():
        logit = model(trainer._cells.features[1], [0, 12]).instance_logits[3, 1].item()
        loss = cells.loss(model).item()
    share = expit(logit)
    assert loss == pytest.approx(-np.log(share), rel=1e-4)


def test_answered_cells_are_told_apart_better(
    make_bag: Callable[..., Bag], guided: MILSettings, cpu: Device
) -> None:
    """Cells with the pattern of "b" speak for it, unless somebody says that they are normal."""
    bags = [make_bag(seed, 20, label, planted=4) for label in "ab" for seed in range(3)]
    settings = guided.replace(epochs=15)

    def scores(bags: list[Bag]) -> np.ndarray:
        trainer = Trainer(bags, settings, cpu)
        list(trainer.epochs())
        model = trainer.best.models[0]
        features = model.fixed_part(PreparedFeatures.of_bag(bags[-1].features))
        with torch.no_grad():
            return model(features, [0, 20]).instance_logits[:, 1].numpy()

    denied = [denying(bag) for bag in bags]
    altered = bags[-1].altered
    assert altered is not None
    assert scores(bags)[altered].mean() > scores(denied)[altered].mean() + 1
    assert scores([truly(b) for b in bags])[altered].min() > 0


def test_training_without_a_useful_answer_is_bit_for_bit_the_one_without_answers(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    before = trained(planted_bags, guided, cpu)
    unsure = [said(bag, _0="cannot tell") for bag in planted_bags]
    told = [truly(bag) for bag in planted_bags]
    assert are_equal(before, trained(unsure, guided, cpu))
    assert are_equal(before, trained(told, guided.replace(answers=0), cpu))
    assert not are_equal(before, trained(told, guided, cpu))


@pytest.mark.parametrize("method", ["mil-att-sic", "sic", "mil-max", "composition"])
def test_methods_that_do_not_judge_cells_ignore_answers(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device, method: Any
) -> None:
    settings = guided.replace(method=method, epochs=2)
    told = [truly(bag) for bag in planted_bags]
    assert are_equal(trained(planted_bags, settings, cpu), trained(told, settings, cpu))


def test_no_answer_about_a_held_out_patient_reaches_a_training_of_its_fold(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    """Answers about one patient change every model that learns from it, and no other."""
    settings = guided.replace(epochs=2, components=8)
    ensemble = EnsembleSettings(members=1, folds=3, composition=False)
    told = [truly(bag) for bag in planted_bags]
    patient = 7
    changed = list(told)
    changed[patient] = said(told[patient], _0="altered")
    runs = [EnsembleTrainer(bags, settings, ensemble, cpu) for bags in (told, changed)]
    for run in runs:
        list(run.epochs())
    one, other = (
        [c.models[0].state_dict() for part in run._trained.values() for c in part.whole]
        for run in runs
    )
    learns = [patient in plan.rows for plan in runs[0]._plans]
    assert sorted(learns) == [False, True, True, True]
    assert [not are_equal(*pair) for pair in zip(one, other, strict=True)] == learns


def test_a_training_is_another_one_with_other_answers(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    told = [truly(bag) for bag in planted_bags]
    names = [Trainer(bags, guided, cpu)._identity()["samples"] for bags in (planted_bags, told)]
    assert names[0] != names[1]


def test_a_part_of_a_bag_has_the_answers_of_its_cells(make_bag: Callable[..., Bag]) -> None:
    bag = said(make_bag(1), _3="altered", _5="not altered")
    part = bag[[3, 5]].answers
    assert part is not None and part.tolist() == ["altered", "not altered"]
    with pytest.raises(ValueError, match="answers"):
        replace(bag, answers=np.array(["altered"]))


def test_classifier_knows_how_many_answers_it_learnt_from(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    trainer = Trainer([truly(bag, slice(2)) for bag in planted_bags], guided, cpu)
    list(trainer.epochs())
    # "Altered" of the healthy class names no disease, but none of its cells is altered.
    assert trainer.best.provenance["answers"] == 36
