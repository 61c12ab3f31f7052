"""Patient-wise cross-validation of all that is compared, on the same folds and seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_attmil.bags import EnsembleSettings, MILSettings
from napari_attmil.bags.training import loaded_bags
from napari_attmil.core import Device, StageRun, choose_device, later_seed
from napari_attmil.evaluation.outcome import Outcome, tested
from napari_attmil.evaluation.rows import Row, epochs_of, evaluation_rows, trained
from napari_attmil.evaluation.settings import EvaluationSettings
from napari_attmil.evaluation.trials import (
    Trial,
    TrialFolder,
    folds_of_runs,
    joined_outcomes,
    trials_of,
)
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.bags import Bag
    from napari_attmil.bags.training import EpochProgress
    from napari_attmil.cells import FeatureSettings


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a cross-validation found.

    Every sample is classified once a run, by a model that never saw its patient.

    Attributes
    ----------
    classes
        Names of the K classes, sorted.
    reference
        The class of healthy samples; None if no name tells.
    samples, patients, labels, cells
        Of the n samples: name, patient, class, number of cells.
    fold
        (runs, n) the fold in which each sample was tested.
    rows
        What was compared.
    outcomes
        By name of a row, its predictions and measures, of (runs, n) samples.
    settings, evaluation, ensemble
        What was asked for; `settings.method` is the method of the ensemble and of the controls.
    detector_digest, feature_settings
        What the cells' features were computed with.
    device
        Where, as a person calls it.
    """

    classes: tuple[str, ...]
    reference: str | None
    samples: tuple[str, ...]
    patients: tuple[str, ...]
    labels: tuple[str, ...]
    cells: tuple[int, ...]
    fold: npt.NDArray[np.int64]
    rows: tuple[Row, ...]
    outcomes: Mapping[str, Outcome]
    settings: MILSettings
    evaluation: EvaluationSettings
    ensemble: EnsembleSettings
    detector_digest: str
    feature_settings: FeatureSettings
    device: str


@dataclass(frozen=True, eq=False)
class EvaluationProgress:
    """How far a cross-validation has come.

    Attributes
    ----------
    done, total
        Epochs of all trainings; a training that stops early makes `done` jump.
    row, run, fold
        The training at work, runs and folds counted from 0.
    epoch
        How that training stands; None once it is finished.
    note
        What the person should know, for instance what an earlier evaluation had done; else empty.
    """

    done: int
    total: int
    row: Row
    run: int
    fold: int
    epoch: EpochProgress | None = None
    note: str = ""


def cross_validate(
    bags: Sequence[Bag],
    settings: MILSettings | None = None,
    evaluation: EvaluationSettings | None = None,
    device: Device | None = None,
    folds: npt.ArrayLike | None = None,
    resume_in: Path | None = None,
    ensemble: EnsembleSettings | None = None,
) -> Generator[EvaluationProgress, None, Evaluation]:
    """Train on all folds but one, classify that one, for every fold, run and row.

    Folds are stratified by class and never part a patient. Nothing of a test patient reaches
    training, stopping, standardisation or calibration.

    Parameters
    ----------
    bags
        Labelled, with cells.
    settings
        Architecture and fitting; the seed is set by `evaluation`, and so are the methods of
        single models.
    evaluation
        Folds, runs, what is compared, and the first run's seed.
    device
        Where to compute; the fastest device of this machine if None.
    folds
        (n,) the fold of every sample, for a cohort that must be split in a way of its own; runs
        then differ by their seed only. None splits by patient, anew for every run.
    resume_in
        A folder in which finished trainings are kept, so that an evaluation that was stopped
        goes on where it stood; None keeps nothing.
    ensemble
        How many models are trained for people to use, and how they are calibrated.

    Raises
    ------
    UserError
        If a class has fewer patients than folds, or the bags cannot be trained on.
    """
    work = _Work.of(
        bags,
        settings or MILSettings(),
        evaluation or EvaluationSettings(),
        ensemble or EnsembleSettings(),
        device or choose_device(),
        folds,
    )
    folder = None if resume_in is None else work.trial_folder(resume_in)
    outcomes = {} if folder is None else work.kept(folder)
    if outcomes:
        found = f"{len(outcomes)} of {len(work.trials)} trainings"
        yield work.progress(0, 0, note=f"{found} were already done and are kept in {resume_in}.")
    for number, trial in enumerate(work.trials):
        if number not in outcomes:
            outcomes[number] = yield from work.outcome(number)
            if folder is not None:
                folder.write(trial, outcomes[number])
        yield work.progress(number, 1)
    return work.evaluation(outcomes)


@dataclass(frozen=True, eq=False)
class _Work:
    """What is to be done."""

    bags: Sequence[Bag]
    settings: MILSettings
    evaluation_settings: EvaluationSettings
    ensemble: EnsembleSettings
    device: Device
    classes: tuple[str, ...]
    reference: str | None
    fold: npt.NDArray[np.int64]
    rows: tuple[Row, ...]
    trials: list[Trial]

    @classmethod
    def of(
        cls,
        bags: Sequence[Bag],
        settings: MILSettings,
        evaluation: EvaluationSettings,
        ensemble: EnsembleSettings,
        device: Device,
        folds: npt.ArrayLike | None,
    ) -> Self:
        """Plan an evaluation, refusing what cannot be done."""
        rows = evaluation_rows(settings, evaluation, ensemble)
        fold = folds_of_runs(bags, evaluation, folds)
        classes = tuple(sorted({bag.label for bag in bags if bag.label is not None}))
        return cls(
            # Once for all trainings: their epochs then read features from memory.
            loaded_bags(bags, settings),
            settings,
            evaluation.replace(folds=int(fold.max()) + 1),
            ensemble,
            device,
            classes,
            reference_class(classes, settings.reference_class),
            fold,
            rows,
            trials_of(fold, rows),
        )

    def trial_folder(self, folder: Path) -> TrialFolder:
        """Return where finished trainings are kept."""
        return TrialFolder(folder, self.settings_of, self.ensemble, self.bags, self.device)

    def kept(self, folder: TrialFolder) -> dict[int, Outcome]:
        """Return what is already there, by number of the trial."""
        read = ((number, folder.read(trial)) for number, trial in enumerate(self.trials))
        return {number: outcome for number, outcome in read if outcome is not None}

    def settings_of(self, trial: Trial) -> MILSettings:
        """Return what a trial is trained with."""
        seed = later_seed(self.evaluation_settings.seed, trial.run)
        return self.settings.replace(method=trial.row.method, seed=seed)

    def outcome(self, number: int) -> Generator[EvaluationProgress, None, Outcome]:
        """Train and test one trial."""
        start, trial = time.perf_counter(), self.trials[number]
        settings = self.settings_of(trial)
        train = [self.bags[row] for row in trial.train]
        run = StageRun(
            trained(trial.row, train, settings, self.ensemble, self.device, self.classes)
        )
        epochs = 0
        for share, epoch in run:
            epochs += 1
            yield self.progress(number, share, epoch)
        seconds_trained = time.perf_counter() - start
        test = [self.bags[row] for row in trial.test]
        reference = None if self.reference is None else self.classes.index(self.reference)
        outcome = tested(run.result, test, reference, (settings.seed, trial.fold))
        of_each = np.ones(len(test))
        return replace(
            outcome,
            seconds=of_each * (time.perf_counter() - start) / len(test),
            epoch_seconds=of_each * seconds_trained / max(1, epochs),
        )

    def progress(
        self,
        number: int,
        share: float,
        epoch: EpochProgress | None = None,
        note: str = "",
    ) -> EvaluationProgress:
        """Return how far the work has come when a share of a trial is done."""
        trial = self.trials[number]
        epochs = [epochs_of(trial.row, self.settings, self.ensemble) for trial in self.trials]
        done = sum(epochs[:number]) + round(share * epochs[number])
        return EvaluationProgress(done, sum(epochs), trial.row, trial.run, trial.fold, epoch, note)

    def evaluation(self, outcomes: Mapping[int, Outcome]) -> Evaluation:
        """Return the result, once every trial has its outcome."""
        cells = tuple(len(bag) for bag in self.bags)
        found = [(self.trials[number], outcome) for number, outcome in outcomes.items()]
        return Evaluation(
            classes=self.classes,
            reference=self.reference,
            samples=tuple(bag.sample for bag in self.bags),
            patients=tuple(bag.patient for bag in self.bags),
            labels=tuple(bag.label or "" for bag in self.bags),
            cells=cells,
            fold=self.fold,
            rows=self.rows,
            outcomes={
                row.name: joined_outcomes([f for f in found if f[0].row == row], self.fold, cells)
                for row in self.rows
            },
            settings=self.settings,
            evaluation=self.evaluation_settings,
            ensemble=self.ensemble,
            detector_digest=self.bags[0].detector_digest,
            feature_settings=self.bags[0].feature_settings,
            device=f"{self.device.description}, {self.device.precision}",
        )
