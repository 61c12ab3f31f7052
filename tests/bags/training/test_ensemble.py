from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator
from copy import deepcopy
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from napari_attmil.bags.classifier import KIND, Classifier
from napari_attmil.bags.name_digests import name_digest
from napari_attmil.bags.network.prepared_features import PreparedFeatures
from napari_attmil.bags.prediction import agreed_attention
from napari_attmil.bags.settings import EnsembleSettings
from napari_attmil.bags.training import (
    ensemble as ensemble_module,
    trained_parts,
    trainer as fitting,
)
from napari_attmil.bags.training.ensemble import EnsembleTrainer
from napari_attmil.bags.training.planned_trainings import parts_of, planned_trainings
from napari_attmil.bags.training.trainer import EpochProgress, Trainer
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import load_checkpoint
from napari_attmil.core.progress import Progress
from napari_attmil.core.workers import JobStep, Workers

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device

TWO = EnsembleSettings(members=2, folds=2, composition=False)
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def quick(small: MILSettings) -> MILSettings:
    return small.replace(epochs=2)


def trained(
    bags: list[Bag], settings: MILSettings, device: Device, ensemble: EnsembleSettings = TWO
) -> Classifier:
    trainer = EnsembleTrainer(bags, settings, ensemble, device)
    for _ in trainer.epochs():
        pass
    return trainer.best


@pytest.fixture(scope="module")
def classifier(planted_bags: list[Bag], quick: MILSettings, cpu: Device) -> Classifier:
    return trained(planted_bags, quick, cpu)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble_module, "TOGETHER", 1)


def same_weights(one: Classifier, other: Classifier) -> bool:
    pairs = zip(one.models, other.models, strict=True)
    return all(
        torch.equal(tensor, b.state_dict()[name])
        for a, b in pairs
        for name, tensor in a.state_dict().items()
    )


def test_training_gives_calibrated_models_of_their_own(classifier: Classifier) -> None:
    assert len(classifier.models) == 2 and classifier.certainty.is_calibrated
    assert classifier.certainty.patients == (6, 6, 6)
    first, second = (model.state_dict() for model in classifier.models)
    assert not torch.equal(first["pooling.head.weight"], second["pooling.head.weight"])


def test_progress_says_which_training_of_how_many(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    steps = list(EnsembleTrainer(planted_bags, quick, TWO, cpu).epochs())
    titles = list(dict.fromkeys(step.title for step in steps))
    assert titles == ["Models 1 to 2 of 2", "Calibrating 1 to 2 of 4", "Calibrating 3 to 4 of 4"]
    assert [step.training for step in steps] == [1, 2] * 4 + [3, 4] * 2
    assert [step.done for step in steps] == list(range(1, 13))
    assert {step.total for step in steps} == {12}


def test_probabilities_are_those_of_the_mean_of_the_models_logits(
    classifier: Classifier, make_bag: Any
) -> None:
    bag = make_bag(77, label="b", planted=2)
    alone = [replace(classifier, models=(model,)).logits(bag) for model in classifier.models]
    temperature, offset = classifier.certainty.temperature, np.array(classifier.certainty.offset)
    expected = np.exp(log_softmax(np.mean(alone, axis=0) / temperature + offset))
    prediction = classifier.classify(bag)
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-5)
    for member, logits in zip(prediction.member_probabilities, alone, strict=True):
        of_member = np.exp(log_softmax(logits / temperature + offset))
        np.testing.assert_allclose(member, of_member, rtol=1e-5)


def test_contributions_and_constants_are_the_log_probabilities(
    classifier: Classifier, make_bag: Any
) -> None:
    bias = np.mean([model.bias.detach().numpy() for model in classifier.models], axis=0)
    certainty = classifier.certainty
    for seed in range(5):
        prediction = classifier.classify(make_bag(seed, cells=9 + seed))
        sums = prediction.contribution.sum(0) + bias / certainty.temperature + certainty.offset
        rest = np.log(prediction.probabilities) - sums
        np.testing.assert_allclose(rest, rest[0], atol=1e-5)


def test_agreement_counts_the_models_that_name_the_predicted_class(
    classifier: Classifier, make_bag: Any
) -> None:
    prediction = replace(
        classifier.classify(make_bag(1)),
        probabilities=np.array([0.2, 0.5, 0.3]),
        member_probabilities=np.array([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.2, 0.6, 0.2]]),
    )
    assert prediction.agreeing == 2
    assert replace(prediction, member_probabilities=np.empty((0, 3), np.float32)).agreeing == 0


@pytest.mark.parametrize(
    ("bounds", "kept", "abstains"),
    [
        ((0, 0, 0), ("b", "c", "a"), True),
        ((0.3, 0.4, 0.1), ("b", "c"), True),
        ((0.3, 0.4, 0.4), ("b",), False),
        (None, None, False),
    ],
)
def test_a_set_of_several_classes_is_an_abstention(
    classifier: Classifier,
    make_bag: Any,
    bounds: tuple[float, ...] | None,
    kept: tuple[str, ...] | None,
    abstains: bool,
) -> None:
    certainty = replace(
        classifier.certainty,
        temperature=1e9,  # the models' logits say nothing: the offsets are the log probabilities
        offset=tuple(np.log([0.2, 0.5, 0.3])),
        least_probability=bounds,
    )
    prediction = replace(classifier, certainty=certainty).classify(make_bag(1))
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.5, 0.3], rtol=1e-5)
    assert prediction.prediction_set == kept
    assert prediction.abstains == abstains


def test_effective_number_of_cells_is_that_of_equal_weights(
    classifier: Classifier, make_bag: Any
) -> None:
    prediction = classifier.classify(make_bag(1, cells=4))
    for attention, cells in (([0.25] * 4, 4), ([1, 0, 0, 0], 1), ([0.5, 0.5, 0, 0], 2)):
        assert replace(prediction, attention=np.array(attention)).effective_cells == cells


def test_a_saved_ensemble_comes_back_bit_for_bit(
    classifier: Classifier, make_bag: Any, tmp_path: Path, cpu: Device
) -> None:
    classifier.save(tmp_path / "m.safetensors")
    loaded = Classifier.load(tmp_path / "m.safetensors", cpu)
    assert same_weights(loaded, classifier)
    assert loaded.certainty.to_json() == classifier.certainty.to_json()
    assert len(loaded.provenance["loss"]) == len(loaded.provenance["epochs"]) == 2
    bag = make_bag(77, label="b", planted=2)
    before, after = classifier.classify(bag), loaded.classify(bag)
    for field in ("probabilities", "member_probabilities", "attention", "contribution"):
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))
    assert (after.prediction_set, after.coverage, after.note) == (
        before.prediction_set,
        before.coverage,
        before.note,
    )
    assert classifier.held_out is not None and loaded.held_out is not None
    assert loaded.held_out.to_json() == classifier.held_out.to_json()


def test_held_out_patients_are_all_there_each_with_what_was_said_without_it(
    planted_bags: list[Bag], classifier: Classifier, cpu: Device
) -> None:
    held_out = classifier.held_out
    assert held_out is not None and len(held_out.of_patients) == 18
    assert held_out.confusion().sum(1).tolist() == [6, 6, 6]
    assert classifier.on_new_patients.startswith(f"{held_out.right} of 18 held-out patients right")
    bag = planted_bags[0]
    of_bag = held_out.of_sample(bag.sample, bag.patient)
    prediction = classifier.classify(bag)
    assert prediction.was_trained_on and of_bag is not None
    np.testing.assert_array_equal(prediction.held_out, of_bag)
    new = classifier.classify(replace(bag, sample="new", patient="new"))
    assert not new.was_trained_on and new.held_out is None


def test_a_file_of_before_held_out_figures_says_that_it_has_none(
    classifier: Classifier, tmp_path: Path, cpu: Device
) -> None:
    replace(classifier, held_out=None).save(tmp_path / "old.safetensors")
    assert "held_out" not in load_checkpoint(tmp_path / "old.safetensors", KIND).settings
    old = Classifier.load(tmp_path / "old.safetensors", cpu)
    assert old.held_out is None and old.certainty.is_calibrated
    assert old.on_new_patients == (
        "An earlier version wrote this file without its held-out figure; `attmil evaluate` "
        "measures it."
    )


def test_same_seed_gives_the_same_ensemble_and_the_next_seed_shares_no_model(
    classifier: Classifier, planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    again = trained(planted_bags, quick, cpu)
    assert same_weights(again, classifier)
    assert again.certainty.to_json() == classifier.certainty.to_json()
    single = TWO.replace(calibrate=False)
    other = trained(planted_bags, quick.replace(seed=1), cpu, single)
    for model in other.models:
        for known in classifier.models:
            weight = model.state_dict()["pooling.head.weight"]
            assert not torch.equal(weight, known.state_dict()["pooling.head.weight"])


@pytest.mark.parametrize(
    ("epochs", "models"),
    [(1, 1), (2, 1), (3, 1), (4, 2), (11, 2)],  # 2 epochs a model, then 8 to calibrate
)
@pytest.mark.usefixtures("one_by_one")
def test_stopped_training_keeps_the_models_that_are_there_and_says_they_are_uncalibrated(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, epochs: int, models: int
) -> None:
    trainer = EnsembleTrainer(planted_bags, quick, TWO, cpu)
    steps = trainer.epochs()
    for _ in range(epochs):
        next(steps)
    if epochs % 2 == 0:
        next(steps)  # the model is taken over when its training has ended
    assert isinstance(steps, Generator)
    steps.close()
    kept = trainer.best
    assert len(kept.models) == models
    prediction = kept.classify(replace(planted_bags[0], sample="new", patient="new"))
    assert prediction.prediction_set is None and not prediction.abstains
    assert prediction.note == "Not calibrated: the training was stopped early."
    assert kept.on_new_patients == "No figure for new patients: the training was stopped early."


@pytest.mark.parametrize("killed_after", [1, 2, 7])
def test_a_killed_ensemble_goes_on_where_it_stood_and_ends_the_same(
    planted_bags: list[Bag],
    quick: MILSettings,
    classifier: Classifier,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_after: int,
) -> None:
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", -1.0)
    killed = EnsembleTrainer(planted_bags, quick, TWO, cpu, state_folder=tmp_path)
    for _ in itertools.islice(killed.epochs(), killed_after):
        pass
    again = EnsembleTrainer(planted_bags, quick, TWO, cpu, state_folder=tmp_path)
    # Two models are trained at once, and their states are saved together.
    saved = 2 * -(-killed_after // 2)
    assert len(list(again.epochs())) == (2 + 2 * 2) * 2 - saved
    assert same_weights(again.best, classifier)
    assert again.best.certainty.to_json() == classifier.certainty.to_json()


@pytest.mark.parametrize("epochs", [1, 2])
def test_stopped_within_its_first_models_a_training_keeps_all_that_have_begun(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, epochs: int
) -> None:
    trainer = EnsembleTrainer(planted_bags, quick, TWO, cpu)
    assert not trainer.has_model
    for _ in itertools.islice(trainer.epochs(), epochs):
        pass
    assert trainer.has_model
    assert trainer.best.provenance["epochs"] == [1, 1]
    assert len(trainer.best.models) == 2 and not trainer.best.certainty.is_calibrated


def test_models_trained_at_once_are_those_trained_one_by_one_bit_for_bit(
    planted_bags: list[Bag],
    quick: MILSettings,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One stops early; some cells are left out, and bags of different length are padded.
    bags = [bag[: 5 + number % 4] for number, bag in enumerate(planted_bags)]
    settings = quick.replace(dropout=0.3, cell_dropout=0.3, bags_per_step=4, epochs=6)
    three = EnsembleSettings(members=3, folds=2)
    at_once = trained(bags, settings, cpu, three)
    monkeypatch.setattr(ensemble_module, "TOGETHER", 1)
    one_by_one = trained(bags, settings, cpu, three)
    assert same_weights(at_once, one_by_one)
    assert at_once.certainty.to_json() == one_by_one.certainty.to_json()
    alone = EnsembleSettings(members=3, calibrate=False)
    third = [
        step.epoch.fit_loss
        for step in EnsembleTrainer(bags, settings, alone, cpu).epochs()
        if step.epoch.done == 3
    ]
    monkeypatch.setattr(ensemble_module, "TOGETHER", 2)
    stops = settings.replace(stop_loss=float(np.median(third)), stop_epochs=1)
    pairs = trained(bags, stops, cpu, alone)
    monkeypatch.setattr(ensemble_module, "TOGETHER", 1)
    singles = trained(bags, stops, cpu, alone)
    assert len(set(pairs.provenance["epochs"])) > 1, "not all of them stop early"
    assert pairs.provenance["epochs"] == singles.provenance["epochs"]
    assert same_weights(pairs, singles)


def test_models_of_bags_of_very_different_length_are_trained_one_by_one(
    make_bag: Any, quick: MILSettings, cpu: Device
) -> None:
    bags = [make_bag(seed, cells=4, label="ab"[seed % 2]) for seed in range(12)]
    ensemble = EnsembleSettings(members=2, calibrate=False)
    titles = {step.title for step in EnsembleTrainer(bags, quick, ensemble, cpu).epochs()}
    assert titles == {"Models 1 to 2 of 2"}
    bags[0] = make_bag(0, cells=400, label="a")
    titles = {step.title for step in EnsembleTrainer(bags, quick, ensemble, cpu).epochs()}
    assert titles == {"Model 1 of 2", "Model 2 of 2"}


def test_two_workers_train_the_models_of_one(
    planted_bags: list[Bag],
    quick: MILSettings,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One worker trains seven at once, several at most six, and the seventh in another process.
    several = TWO.replace(members=7, calibration_members=1, composition=True)
    alone = trained(planted_bags, quick, cpu, several)
    trainer = EnsembleTrainer(
        planted_bags, quick, several, cpu, state_folder=tmp_path, workers=Workers(2)
    )
    steps = list(trainer.epochs())
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert {step.total for step in steps} == {(8 + 2 * 2) * quick.epochs}
    assert same_weights(trainer.best, alone)
    assert trainer.best.certainty.to_json() == alone.certainty.to_json()
    assert trainer.best.provenance == alone.provenance
    assert len(list(tmp_path.glob("*.safetensors"))) == 8 + 2 * 2
    monkeypatch.setattr(fitting, "train_epoch", None)  # nothing is left to train
    again = EnsembleTrainer(planted_bags, quick, several, cpu, state_folder=tmp_path)
    assert list(again.epochs()) == []
    assert same_weights(again.best, alone)


def test_of_trainings_at_a_time_the_first_is_shown_until_it_ends(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(part: int, numbers: tuple[int, int, int], done: int) -> JobStep:
        epoch = EpochProgress(done, 60, 1 / done, None, None, 0.5)
        return JobStep(part, Progress(done, 240, "", {"numbers": numbers, "epoch": asdict(epoch)}))

    class Run:
        def __init__(self, jobs: list[Any], workers: Workers) -> None:
            assert len(jobs) == 2 and workers == Workers(2)
            self.results: dict[int, Any] = {}

        def __iter__(self) -> Generator[JobStep, None, None]:
            yield told(0, (0, 0, 3), 1)
            yield told(1, (0, 1, 2), 1)
            yield told(0, (0, 2, 3), 3)
            yield told(1, (0, 0, 2), 5)
            yield JobStep(0, None)
            yield told(1, (0, 0, 2), 8)

    monkeypatch.setattr(ensemble_module, "JobRun", Run)
    seven = EnsembleSettings(members=7, calibrate=False)
    settings = quick.replace(epochs=60)
    steps = list(EnsembleTrainer(planted_bags, settings, seven, cpu, workers=Workers(2)).epochs())
    assert [step.title for step in steps] == ["Models 1 to 4 of 7"] * 4 + ["Models 5 to 7 of 7"]
    assert [step.done for step in steps] == [1, 2, 4, 8, 248]
    assert [step.epoch.done for step in steps] == [1, 1, 3, 3, 8]
    assert steps[1].epoch is steps[0].epoch


def test_two_workers_that_are_stopped_give_the_models_they_have(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    long = quick.replace(epochs=5000)
    trainer = EnsembleTrainer(planted_bags, long, TWO, cpu, workers=Workers(2))
    with contextlib.closing(trainer.epochs()) as steps:
        assert not trainer.has_model
        next(steps)
    assert trainer.has_model and len(trainer.best.models) == 2
    assert max(trainer.best.provenance["epochs"]) < 5000


def test_each_worker_has_a_part_and_a_composition_goes_with_the_models_of_its_samples(
    quick: MILSettings,
) -> None:
    ensemble = EnsembleSettings(members=5, calibration_members=2, folds=2)
    folds = [(np.arange(3), np.arange(3, 6)), (np.arange(3, 6), np.arange(3))]
    plans = planned_trainings(quick, ensemble, 6, folds)
    assert [plan.settings.method for plan in plans].count("composition") == 3
    numbers = [[0, 1, 2], [3, 4], [5], [6, 7], [8], [9, 10], [11]]
    groups = [tuple(plans[n] for n in some) for some in numbers]
    assert [(part.first, len(part.plans)) for part in parts_of(groups, 3)] == [
        (0, 3),
        (3, 3),
        (6, 3),
        (9, 3),
    ]
    assert [(part.first, len(part.plans)) for part in parts_of(groups, None)] == [
        (0, 6),
        (6, 3),
        (9, 3),
    ]
    one_by_one = [(plan,) for plan in plans]
    assert [len(part.plans) for part in parts_of(one_by_one, 2)] == [2, 2, 2, 3, 3]


def test_a_sample_that_was_learnt_from_is_told_apart_from_a_new_one(
    planted_bags: list[Bag], classifier: Classifier
) -> None:
    known, new = planted_bags[0], replace(planted_bags[0], sample="x", patient="y")
    assert "shows what it has learnt" in classifier.classify(known).note
    assert "shows what it has learnt" in classifier.classify(replace(known, sample="x")).note
    named = replace(classifier, provenance={"learnt_from": [*map(name_digest, ("P/s1", "s1"))]})
    nested, another = replace(new, sample="study/healthy/P/s1"), replace(new, sample="Q/s1")
    assert "shows what it has learnt" in named.classify(nested).note
    assert "shows what it has learnt" not in named.classify(another).note
    assert "shows what it has learnt" not in classifier.classify(new).note
    assert known.patient not in str(classifier.provenance)


def test_no_classifier_before_the_first_epoch(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    with pytest.raises(UserError, match="let at least one epoch of the first model finish"):
        _ = EnsembleTrainer(planted_bags, quick, TWO, cpu).best


def test_no_model_classifies_a_patient_it_has_learnt_from(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []
    patients_of: dict[int, set[str]] = {}
    asked: list[str] = []

    class Watched(Trainer):
        def __init__(self, bags: list[Bag], *others: Any) -> None:
            super().__init__(bags, *others)
            learnt.append({bag.patient for bag in bags})

        @property
        def best(self) -> Classifier:
            classifier = super().best
            patients_of[id(classifier.models[0])] = {bag.patient for bag in self._bags}
            return classifier

    def logits(self: Classifier, bag: Bag) -> np.ndarray:
        asked.append(bag.patient)
        assert len(self.models) == 2
        for model in self.models:
            assert bag.patient not in patients_of[id(model)]
            assert model.classes == 3
        return np.zeros(3)

    monkeypatch.setattr(trained_parts, "Trainer", Watched)
    monkeypatch.setattr(Classifier, "logits", logits)
    second_samples = [replace(bag, sample=f"{bag.sample}-2") for bag in planted_bags[::3]]
    trained([*planted_bags, *second_samples], quick, cpu)
    assert sorted(asked) == sorted(bag.patient for bag in [*planted_bags, *second_samples])
    assert [patients == learnt[0] for patients in learnt] == [True, True, *[False] * 4]
    assert learnt[2] == learnt[3] and learnt[4] == learnt[5]
    assert len(learnt[2] & learnt[4]) == 0 and learnt[2] | learnt[4] == learnt[0]


def test_a_held_out_patient_changes_nothing_in_the_models_that_classify_it(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_out(bags: list[Bag]) -> dict[str, Classifier]:
        """Return by patient who classified it; only its own sample is ever shown to them."""
        found: dict[str, Classifier] = {}

        def logits(self: Classifier, bag: Bag) -> np.ndarray:
            found[bag.patient] = self
            return np.zeros(3)

        monkeypatch.setattr(Classifier, "logits", logits)
        trained(bags, quick, cpu)
        return found

    strange = replace(planted_bags[0], features=planted_bags[0].features * 50 + 7)
    before, after = held_out(planted_bags), held_out([strange, *planted_bags[1:]])
    assert same_weights(before[strange.patient], after[strange.patient])
    assert sum(not same_weights(before[name], after[name]) for name in before) >= 9


def test_a_class_of_one_patient_is_learnt_without_calibration_and_this_is_said(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    classifier = trained(planted_bags[:13], quick, cpu)
    assert len(classifier.models) == 2
    note = classifier.classify(planted_bags[0]).note
    assert note.endswith(
        "Not calibrated: class 'c' has a single patient, so none could be held out."
    )


def test_a_patient_of_two_classes_is_learnt_without_calibration_and_this_is_said(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    both = [replace(planted_bags[0], patient="P"), replace(planted_bags[6], patient="P")]
    classifier = trained([*planted_bags, *both], quick, cpu)
    assert "'P'" in classifier.classify(planted_bags[0]).note


def test_folds_are_fewer_where_a_class_has_fewer_patients(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    trainer = EnsembleTrainer(planted_bags[:14], quick, EnsembleSettings(members=1, folds=5), cpu)
    # Each time the model and the composition.
    assert next(trainer.epochs()).total == (2 + 2 * 2) * quick.epochs


@pytest.mark.parametrize("bags", [0, 6])
def test_bags_that_cannot_be_trained_on_are_refused_at_once(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, bags: int
) -> None:
    with pytest.raises(UserError, match="at least 2 classes"):
        EnsembleTrainer(planted_bags[:bags], quick, TWO, cpu)


def test_a_calibration_fold_needs_no_more_models_than_asked_for(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    asked = TWO.replace(members=3, calibration_members=1)
    steps = list(EnsembleTrainer(planted_bags, quick, asked, cpu).epochs())
    titles = list(dict.fromkeys(step.title for step in steps))
    assert titles == ["Models 1 to 3 of 3"] + [f"Calibrating {n} of 2" for n in (1, 2)]
    assert [step.done for step in steps] == list(range(1, 11))
    assert {step.total for step in steps} == {10}


def test_attention_is_what_the_models_agree_on(classifier: Classifier, make_bag: Any) -> None:
    bag = make_bag(5, label="b", planted=2)
    with torch.inference_mode():
        outputs = [
            model(PreparedFeatures.of_bag(bag.features), [0, len(bag)])
            for model in classifier.models
        ]
    expected = np.mean([output.weight.numpy() ** 0.5 for output in outputs], axis=0) ** 2
    expected += classifier.models[0].least_weight
    attention = classifier.classify(bag).attention
    np.testing.assert_allclose(attention, expected / expected.sum(), rtol=1e-3)
    alone = replace(classifier, models=classifier.models[:1]).classify(bag).attention
    np.testing.assert_allclose(alone, outputs[0].attention.numpy(), rtol=1e-3)


def test_one_model_that_ignores_a_cell_has_no_veto() -> None:
    agreed = agreed_attention([np.array([0.0, 0.01, 0.99]), np.array([0.9, 0.01, 0.09])])
    assert agreed.argsort().tolist() == [1, 0, 2]


def test_what_the_models_share_is_kept_once(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, make_bag: Any, tmp_path: Path
) -> None:
    several = trained(planted_bags, quick, cpu)
    several.save(tmp_path / "two.safetensors")
    kept = load_checkpoint(tmp_path / "two.safetensors", KIND).weights
    assert "0.components.directions" in kept and "1.components.directions" not in kept
    assert "1.pooling.head.weight" in kept
    loaded, bag = Classifier.load(tmp_path / "two.safetensors", cpu), make_bag(3)
    assert same_weights(loaded, several)
    for shared, model in zip(loaded.embeddings(bag), several.models, strict=True):
        torch.testing.assert_close(shared, model.embed(PreparedFeatures.of_bag(bag.features)))


def test_models_that_see_cells_differently_are_asked_one_by_one(
    classifier: Classifier, make_bag: Any
) -> None:
    bag = make_bag(4)
    other = deepcopy(classifier.models[1])
    other.feature_mean += 1
    mixed = replace(classifier, models=(classifier.models[0], other))
    _, second = mixed.embeddings(bag)
    _, alike = classifier.embeddings(bag)
    torch.testing.assert_close(second, other.embed(PreparedFeatures.of_bag(bag.features)))
    assert not torch.allclose(second, alike)
