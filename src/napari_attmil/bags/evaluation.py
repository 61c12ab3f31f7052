"""Patient-wise cross-validation of the methods, all on the same folds and seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.bags.attribution import instance_auroc
from napari_attmil.bags.fitting import Trainer, loaded_bags
from napari_attmil.device import Device, choose_device
from napari_attmil.images.cohort import patient_folds
from napari_attmil.settings import EvaluationSettings, MILSettings, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Prediction
    from napari_attmil.bags.fitting import EpochProgress
    from napari_attmil.settings import Method


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The predictions of a cross-validation.

    Every sample is classified once a run, by a model that never saw its patient.

    Attributes
    ----------
    classes
        Names of the K classes, sorted.
    samples, patients, labels, cells
        Of the n samples: name, patient, class, number of cells.
    fold
        (runs, n) the fold in which each sample was tested.
    probabilities
        By method, (runs, n, K).
    instance_auroc
        By method, (runs, n), of the attention against the cells known to be altered; NaN where
        that is not known or a sample does not hold both kinds.
    seconds
        By method, time spent on training and classification.
    settings, evaluation
        What was asked for.
    """

    classes: tuple[str, ...]
    samples: tuple[str, ...]
    patients: tuple[str, ...]
    labels: tuple[str, ...]
    cells: tuple[int, ...]
    fold: npt.NDArray[np.int64]
    probabilities: Mapping[Method, npt.NDArray[np.float64]]
    instance_auroc: Mapping[Method, npt.NDArray[np.float64]]
    seconds: Mapping[Method, float]
    settings: MILSettings
    evaluation: EvaluationSettings


@dataclass(frozen=True, eq=False)
class EvaluationProgress:
    """How far a cross-validation has come.

    Attributes
    ----------
    done, total
        Epochs of all trainings; a training that stops early makes `done` jump.
    method, run, fold
        The training at work, runs and folds counted from 0.
    epoch
        How that training stands; None in the last progress value.
    result
        The evaluation, in the last progress value only.
    """

    done: int
    total: int
    method: Method
    run: int
    fold: int
    epoch: EpochProgress | None = None
    result: Evaluation | None = None


def cross_validate(
    bags: Sequence[Bag],
    settings: MILSettings | None = None,
    evaluation: EvaluationSettings | None = None,
    device: Device | None = None,
) -> Iterator[EvaluationProgress]:
    """Train on all folds but one, classify that one, for every fold, run and method.

    Folds are stratified by class and never part a patient. Nothing of a test patient reaches
    training, stopping or standardisation.

    Parameters
    ----------
    bags
        Labelled, with cells.
    settings
        Architecture and fitting; method and seed are set by `evaluation`.
    evaluation
        Folds, runs, methods and the first run's seed.
    device
        Where to compute; the fastest device of this machine if None.

    Raises
    ------
    UserError
        If a class has fewer patients than folds, or the bags cannot be trained on.
    """
    settings, evaluation = settings or MILSettings(), evaluation or EvaluationSettings()
    device = device or choose_device()
    trials = _trials(bags, evaluation)
    results = _Results(bags, evaluation)
    # Once for all trainings: their epochs then read features from memory.
    bags = loaded_bags(bags, settings)
    total = len(trials) * settings.epochs
    for number, trial in enumerate(trials):
        start = time.perf_counter()
        trainer = Trainer(
            [bags[row] for row in trial.train],
            settings.replace(method=trial.method, seed=evaluation.seed + trial.run),
            device,
            results.classes,
        )
        for epoch in trainer.epochs():
            done = number * settings.epochs + epoch.done
            yield EvaluationProgress(done, total, trial.method, trial.run, trial.fold, epoch)
        classifier = trainer.best
        for row in trial.test:
            results.add(trial, int(row), bags[row], classifier.classify(bags[row]))
        results.seconds[trial.method] += time.perf_counter() - start
        is_last = number == len(trials) - 1
        yield EvaluationProgress(
            (number + 1) * settings.epochs,
            total,
            trial.method,
            trial.run,
            trial.fold,
            result=results.evaluation(settings, evaluation) if is_last else None,
        )


@dataclass(frozen=True, eq=False)
class _Trial:
    """One training: what is learnt from and what is tested."""

    run: int
    fold: int
    method: Method
    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


def _trials(bags: Sequence[Bag], evaluation: EvaluationSettings) -> list[_Trial]:
    """Return all trainings; within a run every method meets the same folds."""
    if not evaluation.methods:
        raise UserError("No method was chosen; choose at least one to evaluate.")
    patients, labels = [bag.patient for bag in bags], [bag.label for bag in bags]
    return [
        _Trial(run, fold, method, train, test)
        for run in range(evaluation.runs)
        for fold, (train, test) in enumerate(
            patient_folds((patients, labels), evaluation.folds, evaluation.seed + run)
        )
        for method in evaluation.methods
    ]


class _Results:
    """The predictions so far."""

    def __init__(self, bags: Sequence[Bag], evaluation: EvaluationSettings) -> None:
        self._bags = bags
        self.classes = tuple(sorted({bag.label for bag in bags if bag.label is not None}))
        shape = (evaluation.runs, len(bags))
        self._fold = np.full(shape, -1, dtype=np.int64)
        self._probabilities = {
            method: np.full((*shape, len(self.classes)), np.nan) for method in evaluation.methods
        }
        self._instance_auroc = {method: np.full(shape, np.nan) for method in evaluation.methods}
        self.seconds: dict[Method, float] = dict.fromkeys(evaluation.methods, 0.0)

    def add(self, trial: _Trial, row: int, bag: Bag, prediction: Prediction) -> None:
        place = (trial.run, row)
        self._fold[place] = trial.fold
        self._probabilities[trial.method][place] = prediction.probabilities
        score = instance_auroc(prediction.attention, bag.altered)
        self._instance_auroc[trial.method][place] = score

    def evaluation(self, settings: MILSettings, evaluation: EvaluationSettings) -> Evaluation:
        return Evaluation(
            classes=self.classes,
            samples=tuple(bag.sample for bag in self._bags),
            patients=tuple(bag.patient for bag in self._bags),
            labels=tuple(bag.label or "" for bag in self._bags),
            cells=tuple(len(bag) for bag in self._bags),
            fold=self._fold,
            probabilities=self._probabilities,
            instance_auroc=self._instance_auroc,
            seconds=self.seconds,
            settings=settings,
            evaluation=evaluation,
        )
