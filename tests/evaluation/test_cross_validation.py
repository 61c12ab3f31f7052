from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training import trained_parts
from napari_attmil.bags.training.ensemble import EnsembleTrainer
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import Progress, StageRun, finished
from napari_attmil.core.settings import LARGEST_SEED
from napari_attmil.core.workers import JobRun, JobStep, Workers
from napari_attmil.evaluation import cross_validation as evaluation_module
from napari_attmil.evaluation.cross_validation import Evaluation, cross_validate
from napari_attmil.evaluation.outcome import Outcome
from napari_attmil.evaluation.report import evaluation_report
from napari_attmil.evaluation.rows import shuffled_between_patients
from napari_attmil.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.core.device import Device

PLAN = EvaluationSettings(folds=3, runs=2, methods=("sic", "mil-att-sic"), ensemble=False)
ONCE = EvaluationSettings(folds=2, runs=1, methods=("mil-att-sic",), ensemble=False)
PAIR = EnsembleSettings(members=2, folds=2)


@pytest.fixture(scope="module")
def quick() -> MILSettings:
    """Return settings that learn the planted pattern in a few short epochs."""
    return MILSettings(
        embedding="profile",
        method="mil-att-sic",
        components=0,
        exclusion=0,
        schedule="constant",
        bags_per_step=1,
        embedding_size=16,
        attention_size=8,
        cell_dropout=0.25,
        epochs=8,
        learning_rate=5e-3,
    )


@pytest.fixture(scope="module")
def evaluated(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> tuple[list[Any], Evaluation]:
    run = StageRun(cross_validate(planted_bags, quick, PLAN, cpu))
    return list(run), run.result


def test_progress_runs_from_the_first_epoch_to_the_last(
    evaluated: tuple[list[Any], Evaluation],
) -> None:
    steps, result = evaluated
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert {step.total for step in steps} == {2 * 3 * 2 * 8}
    assert done[-1] == steps[-1].total
    assert isinstance(result, Evaluation)


def test_no_patient_is_ever_trained_on_and_tested(
    make_bag: Any, quick: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    bags = [
        make_bag(10 * patient + sample, cells=4, label=label, patient=f"{label}{patient}")
        for label in "ab"
        for patient in range(4)
        for sample in range(1 + patient % 3)
    ]
    trainings, tested = [], list[list[str]]()

    class Watched(Trainer):
        def __init__(self, bags: list[Bag], settings: MILSettings, *others: Any) -> None:
            trainings.append((settings.method, settings.seed, [bag.sample for bag in bags]))
            tested.append([])
            super().__init__(bags, settings, *others)

    monkeypatch.setattr(trained_parts, "Trainer", Watched)
    fold = finished(cross_validate(bags, quick.replace(epochs=1), PLAN, cpu)).fold
    assert fold.min() == 0
    patient_of = {bag.sample: bag.patient for bag in bags}
    for number, (_, _, train) in enumerate(trainings):
        run, tested_fold = number // 6, number // 2 % 3
        test = [bag.sample for bag, at in zip(bags, fold[run], strict=True) if at == tested_fold]
        assert {*train, *test} == set(patient_of)
        assert not {patient_of[name] for name in train} & {patient_of[name] for name in test}
    # All methods of a run meet the same samples with the same seed.
    for sic, attention in zip(trainings[::2], trainings[1::2], strict=True):
        assert (sic[0], attention[0]) == ("sic", "mil-att-sic")
        assert sic[1:] == attention[1:]
    assert {seed for _, seed, _ in trainings} == {0, 1}


def test_every_sample_is_classified_once_a_run(evaluated: tuple[list[Any], Evaluation]) -> None:
    _, result = evaluated
    assert result.fold.shape == (2, 18)
    for method in PLAN.methods:
        np.testing.assert_allclose(result.outcomes[method].probabilities.sum(2), 1, atol=1e-5)


def test_a_planted_pattern_is_found_in_patients_never_seen(
    evaluated: tuple[list[Any], Evaluation],
) -> None:
    report = evaluation_report(evaluated[1], replicates=50)["methods"]["mil-att-sic"]
    assert report["accuracy"]["mean"] > 0.8
    assert report["auroc"]["mean"] > 0.9
    scores = report["attribution"]
    for score in ("attention", "contribution", "leave-one-out"):
        found = scores[score]["instance_auroc"]
        assert found["mean"] > 0.85
        assert found["samples"] == 12
        assert (
            scores[score]["area_between"]["mean"] > scores["random"]["area_between"]["mean"] + 0.2
        )
    assert 0.3 < scores["random"]["instance_auroc"]["mean"] < 0.7


def test_controls_give_chance_and_the_ensemble_does_not(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    plan = EvaluationSettings(folds=2, runs=1, methods=(), controls=True)
    settings = quick.replace(reference_class="a")
    result = finished(cross_validate(planted_bags, settings, plan, cpu, ensemble=PAIR))
    rows = evaluation_report(result, replicates=50)["methods"]
    assert list(rows) == ["ensemble", "shuffled-labels", "untrained"]
    for control in ("shuffled-labels", "untrained"):
        assert rows[control]["accuracy"]["mean"] < 0.6
        assert rows[control]["certainty"] is None
    assert rows["ensemble"]["accuracy"]["mean"] > 0.8
    assert rows["ensemble"]["stands_apart"]["effective_number"]["auroc"]["mean"] > 0.8
    assert rows["ensemble"]["certainty"]["coverage"]["mean"] > 0.8


def test_shuffling_keeps_a_patient_s_samples_together_and_the_number_of_each_label(
    make_bag: Any,
) -> None:
    bags = [
        make_bag(sample, cells=2, label=label, patient=f"{label}{patient}")
        for label in "abc"
        for patient in range(4)
        for sample in range(2)
    ]
    shuffled = shuffled_between_patients(bags, seed=1)
    assert [bag.sample for bag in shuffled] == [bag.sample for bag in bags]
    label_of = {bag.patient: bag.label for bag in shuffled}
    assert all(bag.label == label_of[bag.patient] for bag in shuffled)
    assert sorted(map(str, label_of.values())) == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert [bag.label for bag in shuffled] != [bag.label for bag in bags]


def outcomes_equal(first: Outcome, second: Outcome) -> bool:
    names = [field.name for field in fields(Outcome) if "seconds" not in field.name]
    return all(
        np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)
        for name in names
    )


def test_a_stopped_evaluation_goes_on_and_ends_as_if_it_had_not_stopped(
    planted_bags: list[Bag],
    quick: MILSettings,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = quick.replace(epochs=2)
    whole = finished(cross_validate(planted_bags, settings, ONCE, cpu))
    for step in cross_validate(planted_bags, settings, ONCE, cpu, resume_in=tmp_path):
        if step.text.endswith("fold 2"):
            break  # killed in the second training
    assert len(list(tmp_path.iterdir())) == 1
    resumed = StageRun(cross_validate(planted_bags, settings, ONCE, cpu, resume_in=tmp_path))
    first, *_ = resumed
    assert first.note.startswith("1 of 2 trainings were already done")
    method = "mil-att-sic"
    assert outcomes_equal(whole.outcomes[method], resumed.result.outcomes[method])

    monkeypatch.setattr(evaluation_module, "trained", None)  # nothing is left to train
    again = finished(cross_validate(planted_bags, settings, ONCE, cpu, resume_in=tmp_path))
    assert outcomes_equal(whole.outcomes[method], again.outcomes[method])


def test_two_workers_find_what_one_finds_and_keep_it(
    planted_bags: list[Bag],
    quick: MILSettings,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, plan = quick.replace(epochs=2), ONCE.replace(controls=True, ensemble=True)
    alone = finished(cross_validate(planted_bags, settings, plan, cpu, ensemble=PAIR))
    inputs = (planted_bags, settings, plan, cpu, None, tmp_path, PAIR)
    run = StageRun(cross_validate(*inputs, Workers(2)))
    steps = list(run)
    together = run.result
    done = [step.done for step in steps]
    assert done == sorted(done) and done[-1] == steps[-1].total
    assert list(together.outcomes) == list(alone.outcomes)
    for name, outcome in alone.outcomes.items():
        assert outcomes_equal(outcome, together.outcomes[name])
    monkeypatch.setattr(evaluation_module, "trained", None)  # nothing is left to train
    again = finished(cross_validate(*inputs))
    assert outcomes_equal(alone.outcomes["ensemble"], again.outcomes["ensemble"])


class LosesAWorker(JobRun[Outcome]):
    """Tells that the first job begins again when it is half done."""

    def __iter__(self) -> Generator[JobStep, None, None]:
        told = False
        for step in super().__iter__():
            yield step
            if not told and step.progress and step.progress.done >= step.progress.total / 2:
                told = True
                yield JobStep(step.number, Progress(0, 0), "Lost; going on.")


def test_progress_does_not_go_back_where_a_worker_is_lost(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_module, "JobRun", LosesAWorker)
    steps = list(cross_validate(planted_bags, quick.replace(epochs=4), ONCE, cpu))
    done = [step.done for step in steps]
    assert done == sorted(done) and done[-1] == steps[-1].total == 8
    assert [(step.done, step.note) for step in steps if step.note] == [(2, "Lost; going on.")]


def test_only_trainings_of_the_same_data_and_settings_are_taken_over(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    def first_note(bags: list[Bag], settings: MILSettings, plan: EvaluationSettings) -> str:
        note: str = next(cross_validate(bags, settings, plan, cpu, resume_in=tmp_path)).note
        return note

    settings = quick.replace(epochs=1)
    finished(cross_validate(planted_bags, settings, ONCE, cpu, resume_in=tmp_path))
    assert first_note(planted_bags, settings, ONCE).startswith("2 of 2")
    more = ONCE.replace(methods=("sic", "mil-att-sic"))
    assert first_note(planted_bags, settings, more).startswith("2 of 4")
    assert first_note(planted_bags, settings.replace(epochs=2), ONCE) == ""
    assert first_note(planted_bags, settings, ONCE.replace(seed=1)) == ""
    moved = planted_bags[0].features + np.float16(1)
    corrected = [replace(planted_bags[0], features=moved), *planted_bags[1:]]
    assert first_note(corrected, settings, ONCE) == ""
    for file in tmp_path.iterdir():
        file.write_bytes(b"half a file")
    assert first_note(planted_bags, settings, ONCE) == ""


def test_folds_from_outside_are_used_in_every_run(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    given = np.array([5, 5, 5, 7, 7, 7] * 3)
    plan = ONCE.replace(runs=2)
    settings = quick.replace(epochs=1)
    result = finished(cross_validate(planted_bags, settings, plan, cpu, folds=given))
    np.testing.assert_array_equal(result.fold, [[0, 0, 0, 1, 1, 1] * 3] * 2)
    assert result.evaluation.folds == 2
    runs = result.outcomes["mil-att-sic"].probabilities
    assert not np.array_equal(runs[0], runs[1])  # another seed


def test_each_patient_can_be_left_out_in_turn(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    bags = [
        replace(bag, sample=f"{bag.sample}-{half}", patient=f"{bag.patient}-{half}")
        for bag in planted_bags
        for half in (1, 2)
    ]
    first = next(cross_validate(bags, quick, ONCE, cpu, folds=np.arange(36)))
    assert first.total == 36 * quick.epochs


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([0] * 18, "same fold"),
        ([0] * 6 + [1] * 12, "class 'a' are in one"),
        ([0, 1] * 9, "part the samples of patient 'x'"),
    ],
)
def test_folds_that_cannot_be_used_are_refused(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, given: list[int], sentence: str
) -> None:
    bags = planted_bags
    if "patient" in sentence:
        bags = [replace(bag, patient="x") for bag in bags[:2]] + bags[2:]
    with pytest.raises(UserError, match=sentence):
        next(cross_validate(bags, quick, ONCE, cpu, folds=given))


def test_a_class_with_too_few_patients_is_refused_before_any_work(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device
) -> None:
    with pytest.raises(UserError, match="'a' has 1 patient"):
        next(cross_validate(planted_bags[5:], quick, PLAN, cpu))


def test_runs_and_models_after_the_largest_seed_have_seeds_too(
    planted_bags: list[Bag], quick: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    plan = PLAN.replace(seed=LARGEST_SEED)
    first = next(cross_validate(planted_bags, quick, plan, cpu, resume_in=tmp_path))
    assert first.text.endswith(", run 1, fold 1")
    settings = MILSettings(embedding="profile", seed=LARGEST_SEED, epochs=1)
    for _ in EnsembleTrainer(planted_bags, settings, PAIR, cpu).epochs():
        pass
