from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from napari_attmil.bags import evaluation as evaluation_module
from napari_attmil.bags.evaluation import Evaluation, cross_validate
from napari_attmil.bags.evaluation_report import evaluation_report, markdown, write_report
from napari_attmil.bags.fitting import Trainer
from napari_attmil.settings import EvaluationSettings, MILSettings, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.device import Device

PLAN = EvaluationSettings(folds=3, runs=2, methods=("sic", "mil-att-sic"))


@pytest.fixture(scope="module")
def evaluated(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> tuple[list[Any], Evaluation]:
    steps = list(cross_validate(planted_bags, small.replace(epochs=8), PLAN, cpu))
    return steps, steps[-1].result


def test_progress_runs_from_the_first_epoch_to_the_last(
    evaluated: tuple[list[Any], Evaluation],
) -> None:
    steps, _ = evaluated
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert {step.total for step in steps} == {2 * 3 * 2 * 8}
    assert done[-1] == steps[-1].total
    assert [step.result is None for step in steps] == [True] * (len(steps) - 1) + [False]


def test_no_patient_is_ever_trained_on_and_tested(
    make_bag: Any, small: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    bags = [
        make_bag(10 * patient + sample, cells=4, label=label, patient=f"{label}{patient}")
        for label in "ab"
        for patient in range(4)
        for sample in range(1 + patient % 3)
    ]
    trainings, tested = [], []

    class Watched(Trainer):
        def __init__(self, bags: list[Bag], settings: MILSettings, *others: Any) -> None:
            trainings.append((settings.method, settings.seed, [bag.sample for bag in bags]))
            tested.append([])
            super().__init__(bags, settings, *others)

    monkeypatch.setattr(evaluation_module, "Trainer", Watched)
    *_, last = cross_validate(bags, small.replace(epochs=1), PLAN, cpu)
    fold = last.result.fold
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
        np.testing.assert_allclose(result.probabilities[method].sum(2), 1, atol=1e-5)


def test_a_planted_pattern_is_found_in_patients_never_seen(
    evaluated: tuple[list[Any], Evaluation],
) -> None:
    report = evaluation_report(evaluated[1], replicates=50)["methods"]["mil-att-sic"]
    assert report["accuracy"]["mean"] > 0.8
    assert report["auroc"]["mean"] > 0.9
    assert report["instance_auroc"]["mean"] > 0.85
    assert report["instance_auroc"]["random"] == 0.5
    assert report["instance_auroc"]["samples"] == 12


def test_shuffled_labels_give_chance(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    labels = np.random.default_rng(3).permutation([bag.label for bag in planted_bags])
    bags = [replace(bag, label=label) for bag, label in zip(planted_bags, labels, strict=True)]
    plan = EvaluationSettings(folds=3, runs=2, methods=("mil-att-sic",))
    *_, last = cross_validate(bags, small.replace(epochs=4), plan, cpu)
    figures = evaluation_report(last.result, replicates=50)["methods"]["mil-att-sic"]
    assert figures["accuracy"]["mean"] < 0.6
    assert 0.2 < figures["auroc"]["mean"] < 0.75


def test_the_same_seed_gives_the_same_evaluation(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    plan = EvaluationSettings(folds=2, runs=1, methods=("mil-max-sic",))
    settings = small.replace(epochs=2)
    first, second = (
        list(cross_validate(planted_bags, settings, plan, cpu))[-1].result for _ in range(2)
    )
    np.testing.assert_array_equal(
        first.probabilities["mil-max-sic"], second.probabilities["mil-max-sic"]
    )


def test_a_class_with_too_few_patients_is_refused_before_any_work(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    with pytest.raises(UserError, match="'a' has 1 patient"):
        next(cross_validate(planted_bags[5:], small, PLAN, cpu))


@pytest.fixture
def by_hand() -> Evaluation:
    """Return two runs over six patients of two classes; one sample is missed in the second."""
    right, wrong = [0.9, 0.1], [0.4, 0.6]
    first = np.array([right] * 3 + [[0.2, 0.8]] * 3)
    second = first.copy()
    second[0] = wrong
    return Evaluation(
        classes=("healthy", "sickle"),
        samples=tuple("stuvwx"),
        patients=tuple("STUVWX"),
        labels=("healthy",) * 3 + ("sickle",) * 3,
        cells=(10,) * 6,
        fold=np.array([[0, 1, 2, 0, 1, 2]] * 2),
        probabilities={"mil-max": np.stack([first, second])},
        instance_auroc={"mil-max": np.array([[np.nan] * 3 + [0.6, 0.7, 0.8]] * 2)},
        seconds={"mil-max": 1.25},
        settings=MILSettings(),
        evaluation=EvaluationSettings(folds=3, runs=2, methods=("mil-max",)),
    )


def test_figures_are_means_and_deviations_over_runs(by_hand: Evaluation) -> None:
    figures = evaluation_report(by_hand)["methods"]["mil-max"]
    assert figures["accuracy"]["mean"] == pytest.approx((1 + 5 / 6) / 2)
    assert figures["accuracy"]["std"] == pytest.approx(np.std([1, 5 / 6], ddof=1))
    missed = f1_score([0] * 3 + [1] * 3, [1, 0, 0, 1, 1, 1], average="macro")
    assert figures["f1_macro"]["mean"] == pytest.approx((1 + missed) / 2)
    assert figures["auroc"]["mean"] == 1
    assert figures["auprc"]["sickle"]["mean"] == 1
    assert figures["instance_auroc"]["mean"] == pytest.approx(0.7)
    assert figures["instance_auroc"]["samples"] == 3
    # The patient missed in one run of two is drawn 0 to 3 times.
    assert figures["accuracy"]["interval"] == pytest.approx([0.75, 1])


def test_one_run_has_no_deviation(by_hand: Evaluation) -> None:
    once = replace(
        by_hand,
        fold=by_hand.fold[:1],
        probabilities={"mil-max": by_hand.probabilities["mil-max"][:1]},
        instance_auroc={"mil-max": np.full((1, 6), np.nan)},
    )
    report = evaluation_report(once)
    figures = report["methods"]["mil-max"]
    assert figures["accuracy"]["std"] is None
    assert figures["instance_auroc"] is None
    assert "| MIL + max | 1.00 | 1.00 | 1.00 | – |" in markdown(report)


def test_predictions_name_patient_sample_and_fold(by_hand: Evaluation) -> None:
    predictions = evaluation_report(by_hand)["predictions"]
    assert len(predictions) == 12
    assert predictions[6] == {
        "method": "mil-max",
        "run": 1,
        "fold": 0,
        "patient": "S",
        "sample": "s",
        "label": "healthy",
        "predicted": "sickle",
        "probabilities": {"healthy": 0.4, "sickle": 0.6},
        "instance_auroc": None,
    }


def test_the_report_says_what_a_reader_must_know(by_hand: Evaluation) -> None:
    report = evaluation_report(by_hand, notes=["Sample 'y' has no cells and was left out."])
    notes = "\n".join(report["notes"])
    assert "'y' has no cells" in notes
    assert "Class 'healthy' has 3 patients for 3 folds: one test patient a fold" in notes
    assert "not for diagnosis" in notes
    text = markdown(report)
    assert all(note in text for note in report["notes"])
    assert "| Method | Accuracy | F1 Score | AU ROC | Instance AU ROC |" in text
    assert "| MIL + max | 0.92 ± 0.12 |" in text


def test_both_files_are_written(by_hand: Evaluation, tmp_path: Path) -> None:
    json_path, markdown_path = write_report(by_hand, tmp_path / "reports")
    report = json.loads(json_path.read_text(encoding="utf-8"))
    assert report["cohort"] == {
        "samples": 6,
        "patients": 6,
        "cells": 60,
        "classes": {
            "healthy": {"patients": 3, "samples": 3},
            "sickle": {"patients": 3, "samples": 3},
        },
    }
    assert markdown_path.read_text(encoding="utf-8").startswith("# Cross-validation")
