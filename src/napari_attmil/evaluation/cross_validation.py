"""Patient-wise cross-validation of several methods on the same folds and seeds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.bags import Bag, BagFolder, EnsembleSettings, MILSettings
from napari_attmil.bags.training import loaded_bags
from napari_attmil.core import (
    ONE_WORKER,
    Device,
    Job,
    JobRun,
    Progress,
    StageRun,
    Workers,
    choose_device,
    later_seed,
)
from napari_attmil.evaluation.outcome import Outcome, tested
from napari_attmil.evaluation.rows import Row, epochs_of, evaluation_rows, trained
from napari_attmil.evaluation.settings import EvaluationSettings
from napari_attmil.evaluation.trials import (
    Trial,
    TrialFolder,
    folds_of_runs,
    joined_outcomes,
    trials_of,
    write_outcome,
)
from napari_attmil.images import reference_class

if TYPE_CHECKING:
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
        The class of healthy samples; None if no name is recognised as such.
    samples, patients, labels, cells
        Of the n samples: name, patient, class, number of cells.
    fold
        (runs, n) the fold in which each sample was tested.
    rows
        What was compared.
    outcomes
        Predictions and measures of (runs, n) samples, by the row's name.
    settings, evaluation, ensemble
        All settings; `settings.method` is the method of the ensemble and of the controls.
    reader_digest, feature_settings
        What the cells' features were computed with.
    device
        Description of the device.
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
    reader_digest: str
    feature_settings: FeatureSettings
    device: str


def cross_validate(
    bags: Sequence[Bag],
    settings: MILSettings | None = None,
    evaluation: EvaluationSettings | None = None,
    device: Device | None = None,
    folds: npt.ArrayLike | None = None,
    resume_in: Path | None = None,
    ensemble: EnsembleSettings | None = None,
    workers: Workers = ONE_WORKER,
) -> Generator[Progress, None, Evaluation]:
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
        Folds, runs, methods, and the first run's seed.
    device
        Where to compute; the fastest device of this machine if None.
    folds
        (n,) the fold of every sample, for a cohort with a predefined split; runs then differ only
        by their seed. None splits by patient, differently in every run.
    resume_in
        A folder where the results of finished trainings are stored, so that an interrupted
        evaluation resumes from there; None stores nothing.
    ensemble
        The number of models of the ensemble, and their calibration.
    workers
        Where trainings are done; the figures are the same for any number of them.

    Raises
    ------
    UserError
        If a class has fewer patients than folds, or the bags cannot be trained on.
    """
    work = _Work(
        bags,
        settings or MILSettings(),
        evaluation or EvaluationSettings(),
        ensemble or EnsembleSettings(),
        workers.device_for(device or choose_device()),
        folds,
    )
    folder, outcomes = None, {}
    if resume_in is not None:
        folder = TrialFolder(resume_in, work.settings_of, work.ensemble, work.bags, work.device)
        read = ((number, folder.read(trial)) for number, trial in enumerate(work.trials))
        outcomes = {number: outcome for number, outcome in read if outcome is not None}
    shares: dict[int, float] = dict.fromkeys(outcomes, 1)
    if outcomes:
        found = f"{len(outcomes)} of {len(work.trials)} trainings"
        note = f"{found} were already done; see {resume_in}."
        yield work.progress(min(outcomes), shares, note)
    left = [number for number in range(len(work.trials)) if number not in outcomes]
    with contextlib.ExitStack() as stack:
        bags = work.bags
        if workers.are_processes:
            bags = BagFolder.write(stack.enter_context(workers.folder()) / "bags", bags)
        run = JobRun([work.job(number, bags, folder) for number in left], workers)
        for step in stack.enter_context(contextlib.closing(iter(run))):
            number, at = left[step.number], step.progress
            share = 1 if at is None else at.done / max(at.total, 1)
            # The training of a lost worker begins again; what is shown does not go back.
            shares[number] = max(share, shares.get(number, 0))
            yield work.progress(number, shares, step.note)
    outcomes |= {left[place]: outcome for place, outcome in run.results.items()}
    return work.evaluation(dict(sorted(outcomes.items())))


class _Work:
    """A planned evaluation; a UserError if it is not possible."""

    def __init__(
        self,
        bags: Sequence[Bag],
        settings: MILSettings,
        evaluation: EvaluationSettings,
        ensemble: EnsembleSettings,
        device: Device,
        folds: npt.ArrayLike | None,
    ) -> None:
        self.settings, self.ensemble, self.device = settings, ensemble, device
        self.rows = evaluation_rows(settings, evaluation, ensemble)
        self.fold = folds_of_runs(bags, evaluation, folds)
        self.trials = trials_of(self.fold, self.rows)
        self.evaluation_settings = evaluation.replace(folds=int(self.fold.max()) + 1)
        self.classes = tuple(sorted({bag.label for bag in bags if bag.label is not None}))
        self.reference = reference_class(self.classes, settings.reference_class)
        # Once for all trainings: their epochs then read features from memory.
        self.bags = loaded_bags(bags, settings)

    def settings_of(self, trial: Trial) -> MILSettings:
        """Return the settings of a trial's training."""
        seed = later_seed(self.evaluation_settings.seed, trial.run)
        return self.settings.replace(method=trial.row.method, seed=seed)

    def job(self, number: int, bags: Sequence[Bag], folder: TrialFolder | None) -> Job[Outcome]:
        """Return the training and test of one trial."""
        trial = self.trials[number]
        return partial(
            outcome_of_trial,
            trial,
            bags,
            self.settings_of(trial),
            self.ensemble,
            self.device,
            self.classes,
            self.reference,
            None if folder is None else folder.path(trial),
        )

    def progress(self, number: int, shares: Mapping[int, float], note: str = "") -> Progress:
        """Return the overall progress when shares of trials are done, as that of one is told."""
        trial = self.trials[number]
        epochs = [epochs_of(trial.row, self.settings, self.ensemble) for trial in self.trials]
        done = round(sum(share * epochs[number] for number, share in shares.items()))
        where = f"{trial.row.title}, run {trial.run + 1}, fold {trial.fold + 1}"
        return Progress(done, sum(epochs), f"Cross-validating: {where}", note=note)

    def evaluation(self, outcomes: Mapping[int, Outcome]) -> Evaluation:
        """Return the result from the outcomes of all trials."""
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
            reader_digest=self.bags[0].reader_digest,
            feature_settings=self.bags[0].feature_settings,
            device=f"{self.device.description}, {self.device.precision}",
        )


def outcome_of_trial(
    trial: Trial,
    bags: Sequence[Bag],
    settings: MILSettings,
    ensemble: EnsembleSettings,
    device: Device,
    classes: Sequence[str],
    reference: str | None,
    path: Path | None,
) -> Generator[Progress, None, Outcome]:
    """Train and test one trial; store what is found in a file, if there is a path for it."""
    start = time.perf_counter()
    train = [bags[row] for row in trial.train]
    run = StageRun(trained(trial.row, train, settings, ensemble, device, classes))
    epochs = 0
    for share in run:
        epochs += 1
        yield Progress(round(1000 * share), 1000)
    seconds_trained = time.perf_counter() - start
    test = [bags[row] for row in trial.test]
    healthy = None if reference is None else classes.index(reference)
    outcome = tested(run.result, test, healthy, (settings.seed, trial.fold))
    of_each = np.ones(len(test))
    outcome = replace(
        outcome,
        seconds=of_each * (time.perf_counter() - start) / len(test),
        epoch_seconds=of_each * seconds_trained / max(1, epochs),
    )
    if path is not None:
        write_outcome(path, outcome)
    return outcome
