from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training import cross_guidance, trainer as fitting
from napari_attmil.bags.training.cross_guidance import CrossGuidance
from napari_attmil.bags.training.ensemble import EnsembleTrainer
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import finished
from napari_attmil.evaluation.cross_validation import cross_validate
from napari_attmil.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.core.device import Device

CLASSES = ("a", "b", "c")
ALONE = EnsembleSettings(members=1, calibrate=False)


@pytest.fixture(scope="module")
def guided(small: MILSettings) -> MILSettings:
    return small.replace(reference_class="a", epochs=4)


def test_cells_that_unseen_patients_share_guide_more_than_odd_ones_alone(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    settings = guided.replace(epochs=24)
    trainer = Trainer(planted_bags, settings, cpu)
    assert trainer.guidance is not None
    before = list(trainer.guidance)
    list(CrossGuidance(planted_bags, settings, cpu, CLASSES).epochs(trainer))
    found = []
    for bag, old, new in zip(planted_bags, before, trainer.guidance, strict=True):
        assert new.mean().item() == pytest.approx(1)
        assert bag.altered is not None
        if bag.label == "a":
            assert (new == 1).all(), "no cell of a healthy sample counts more than another"
        else:
            assert new[bag.altered].mean() > old[bag.altered].mean()
            found += bag.altered[np.argsort(-new.numpy())[:3]].tolist()
    assert np.mean(found) > 0.8


def test_no_cell_is_judged_by_a_model_that_saw_its_patient(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []
    asked: list[str] = []

    class Watched(Trainer):
        def __init__(self, bags: list[Bag], *others: Any) -> None:
            learnt.append({bag.patient for bag in bags})
            super().__init__(bags, *others)

    judged = CrossGuidance._judged

    def watched(self: CrossGuidance, classifier: Any, bag: Bag) -> Any:
        assert bag.patient not in learnt[-1]
        asked.append(bag.patient)
        return judged(self, classifier, bag)

    monkeypatch.setattr(cross_guidance, "Trainer", Watched)
    monkeypatch.setattr(CrossGuidance, "_judged", watched)
    guidance = CrossGuidance(planted_bags, guided, cpu, CLASSES)
    numbers = [number for number, _ in guidance.epochs(Trainer(planted_bags, guided, cpu))]
    assert guidance.trainings == 6 and len(learnt) == 6
    assert numbers == [number for number in range(6) for _ in range(2)]
    assert sorted(asked) == sorted(2 * [bag.patient for bag in planted_bags])


def test_a_held_out_fold_guides_none_of_the_models_that_judge_it(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []

    class Watched(Trainer):
        def __init__(self, bags: list[Bag], *others: Any) -> None:
            learnt.append({bag.patient for bag in bags})
            super().__init__(bags, *others)

    monkeypatch.setattr(cross_guidance, "Trainer", Watched)
    ensemble = EnsembleSettings(members=1, folds=2, composition=False)
    steps = list(EnsembleTrainer(planted_bags, guided, ensemble, cpu).epochs())
    # 6 guide the model of all patients, then 6 in either half, which are of 3 patients a class.
    sizes = [len(patients) for patients in learnt]
    assert sizes == [12] * 6 + [6] * 12
    assert not set[str]().union(*learnt[6:12]) & set[str]().union(*learnt[12:])
    titles = list(dict.fromkeys(step.title for step in steps))
    assert titles == [
        *(f"Finding telling cells {n} of 6" for n in range(1, 7)),
        "Model 1 of 1",
        *(f"Calibrating {n} of 14" for n in range(1, 15)),
    ]
    assert [step.done for step in steps] == list(range(1, steps[0].total + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"guidance_rounds": 0},
        {"guidance": 0},
        {"method": "mil-att-sic"},
        {"reference_class": ""},
    ],
)
def test_what_is_not_guided_trains_no_more_models(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device, changes: dict[str, Any]
) -> None:
    settings = guided.replace(**changes)
    assert CrossGuidance(planted_bags, settings, cpu, CLASSES).trainings == 0
    trainer = EnsembleTrainer(planted_bags, settings, ALONE, cpu)
    assert next(trainer.epochs()).title == "Model 1 of 1"


def test_a_class_with_one_patient_is_guided_by_oddness_alone(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    bags = [bag if bag.label != "b" else replace(bag, patient="b") for bag in planted_bags]
    steps = list(EnsembleTrainer(bags, guided, ALONE, cpu).epochs())
    assert {step.title for step in steps} == {"Model 1 of 1"}


def test_a_guided_training_that_was_killed_ends_the_same(
    planted_bags: list[Bag],
    guided: MILSettings,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", -1.0)
    whole = EnsembleTrainer(planted_bags, guided, ALONE, cpu)
    all_steps = list(whole.epochs())
    killed = EnsembleTrainer(planted_bags, guided, ALONE, cpu, kept_in=tmp_path)
    for _ in zip(range(9), killed.epochs(), strict=False):
        pass
    again = EnsembleTrainer(planted_bags, guided, ALONE, cpu, kept_in=tmp_path)
    assert len(list(again.epochs())) == len(all_steps) - 9
    bag = planted_bags[-1]
    assert np.array_equal(whole.best.logits(bag), again.best.logits(bag))


def test_stopped_while_telling_cells_are_sought_there_is_no_classifier(
    planted_bags: list[Bag], guided: MILSettings, cpu: Device
) -> None:
    trainer = EnsembleTrainer(planted_bags, guided, ALONE, cpu)
    next(trainer.epochs())
    with pytest.raises(UserError, match="let at least one epoch of the first model finish"):
        _ = trainer.best


def test_single_models_of_an_evaluation_are_guided_too(
    planted_bags: list[Bag],
    guided: MILSettings,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guides = []
    monkeypatch.setattr(Trainer, "guide", lambda self, weights: guides.append(len(weights)))
    plan = EvaluationSettings(folds=2, runs=1, methods=("mil-multi-top-sic",), ensemble=False)
    finished(cross_validate(planted_bags, guided, plan, cpu))
    # Two rounds of three parts learn from 6 of 9 samples; the result guides the model of all 9.
    assert guides == 2 * ([6] * 6 + [9])
