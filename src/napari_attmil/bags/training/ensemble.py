"""Training of an ensemble: several models and their joint calibration."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_attmil.bags.bag_folder import BagFolder
from napari_attmil.bags.certainty import NOT_CHECKED, STOPPED_EARLY, Certainty, calibrate, fit_votes
from napari_attmil.bags.held_out import HeldOut, held_out_probabilities
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training.drawn_cells import BagSizes
from napari_attmil.bags.training.epoch import learn_together
from napari_attmil.bags.training.inner_folds import inner_folds
from napari_attmil.bags.training.planned_trainings import (
    Part,
    PlannedTraining,
    Stage,
    parts_of,
    planned_trainings,
)
from napari_attmil.bags.training.preparation import check_bags
from napari_attmil.bags.training.resident_features import loaded_bags
from napari_attmil.bags.training.trained_parts import TrainedPart, joined, trained_part
from napari_attmil.bags.training.trainer import NO_MODEL, EpochProgress
from napari_attmil.core import (
    ONE_WORKER,
    Device,
    JobRun,
    Progress,
    Remedy,
    UserError,
    Workers,
    choose_device,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.methods import Method
    from napari_attmil.core import Job

TOGETHER = 10
"""Most models that are trained at once. A step of ten took less time a model than one of five and
one alone (`docs/MEASUREMENTS.md`); more were not measured, and a training that is stopped has less
to show the more models learn at once."""

TITLES: Final[dict[Stage, str]] = {"model": "Model", "calibration": "Calibrating"}
TITLES_OF_SEVERAL: Final[dict[Stage, str]] = TITLES | {"model": "Models"}


@dataclass(frozen=True)
class EnsembleProgress:
    """The progress of an ensemble's training after an epoch of one of its models.

    Attributes
    ----------
    done, total
        Epochs of all trainings; `done` jumps when a training stops early.
    stage
        The purpose of the current training.
    training, trainings
        Its number within the stage, counted from 1, and the number of trainings in the stage.
    epoch
        The progress of the current training; of several at a time, of the first. It is the same
        object as before where another one has come further.
    together
        The first and the last number of the trainings that advance at once.
    note
        A sentence for the user on what went wrong and was mended; mostly empty.
    """

    done: int
    total: int
    stage: Stage
    training: int
    trainings: int
    epoch: EpochProgress
    together: tuple[int, int] | None = None
    note: str = ""

    @property
    def title(self) -> str:
        """A title: "Model 2 of 5", "Calibrating 3 of 15", "Models 1 to 5 of 20"."""
        first, last = self.together or (self.training, self.training)
        if first == last:
            return f"{TITLES[self.stage]} {first} of {self.trainings}"
        return f"{TITLES_OF_SEVERAL[self.stage]} {first} to {last} of {self.trainings}"


class EnsembleTrainer:
    """Trains models of several seeds on all samples, then calibrates them on held-out patients.

    For the calibration, samples are split by patient into inner folds. For each fold, a few models
    (`EnsembleSettings.calibration_members`) are trained without it and then classify it. The
    held-out patients also decide the vote of the composition model (see `cell_types`), which is
    trained in each fold as well. If the training is stopped early, `best` returns the models
    trained so far; unless all inner folds are finished, it is not calibrated and has no
    composition model.

    Parameters
    ----------
    bags
        As for `Trainer`.
    settings
        Architecture and fitting of each model; the seed is that of the first.
    ensemble
        The number of models, and their calibration.
    device
        Where to compute; the fastest device of this machine if None.
    classes
        Names of the classes, if there are more than occur in these bags; sorted labels if None.
    state_folder
        Folder for the states of trainings, from which interrupted ones resume; see
        `resumable_together`.
    workers
        Where the models are trained; they are the same for any number of workers.

    Raises
    ------
    UserError
        If the bags cannot be trained on; the message says why.
    """

    def __init__(
        self,
        bags: Sequence[Bag],
        settings: MILSettings | None = None,
        ensemble: EnsembleSettings | None = None,
        device: Device | None = None,
        classes: Sequence[str] | None = None,
        state_folder: Path | None = None,
        workers: Workers = ONE_WORKER,
    ) -> None:
        self.settings, self.ensemble = settings or MILSettings(), ensemble or EnsembleSettings()
        self.classes = tuple(classes or sorted({bag.label for bag in bags if bag.label}))
        self._device = workers.device_for(device or choose_device())
        # Once for all trainings: their epochs then read features from memory.
        self._bags = loaded_bags(bags, self.settings) if bags else []
        check_bags(self._bags, self.classes)
        folds, why_none = (
            inner_folds(self._bags, self.ensemble.folds)
            if self.ensemble.calibrate
            else ([], NOT_CHECKED)
        )
        self._certainty = Certainty(
            coverage=self.ensemble.coverage, missing_because=why_none or STOPPED_EARLY
        )
        self._votes = np.ones(1)
        self._held_out: HeldOut | None = None
        self._folds, self._state_folder, self._workers = folds, state_folder, workers
        self._plans = planned_trainings(self.settings, self.ensemble, len(bags), folds)
        self._parts = self._planned_parts()
        self._trained: dict[int, TrainedPart] = {}

    def epochs(self) -> Generator[EnsembleProgress, None, None]:
        """Train the models, then calibrate them; can be called once.

        Raises
        ------
        UserError
            If a loss is not a number, or the device's memory is full.
        """
        with contextlib.ExitStack() as stack:
            bags: Sequence[Bag] = self._bags
            if self._workers.are_processes:
                bags = BagFolder.write(stack.enter_context(self._workers.folder()) / "bags", bags)
            run = JobRun([self._job(part, bags) for part in self._parts], self._workers)
            self._trained, done, note = run.results, [0] * len(self._parts), ""
            under_way: dict[int, EnsembleProgress] = {}
            for step in stack.enter_context(contextlib.closing(iter(run))):
                part, note = self._parts[step.number], step.note or note
                if step.progress is None:
                    done[step.number] = len(part.plans) * self.settings.epochs
                    under_way.pop(step.number, None)
                elif step.progress.detail is not None:
                    # The work of a lost worker begins again; what is shown does not go back.
                    done[step.number] = max(step.progress.done, done[step.number])
                    under_way[step.number] = self._progress(part, step.progress)
                    # Several would take turns in what is shown.
                    first = under_way[min(under_way)]
                    yield replace(first, done=sum(done), note=note)
                    note = ""
        if self._folds:
            self._calibrate()

    @property
    def has_model(self) -> bool:
        """Whether an epoch of a model is finished, so that `best` returns a classifier."""
        return self._of_all() is not None

    @property
    def best(self) -> Classifier:
        """The models trained so far.

        Raises
        ------
        UserError
            If no epoch has been finished yet.
        """
        found = self._of_all()
        if found is None:
            raise UserError(NO_MODEL, Remedy.TRAIN_CLASSIFIER)
        members, *composition = found
        classifier = replace(members, certainty=self._certainty, held_out=self._held_out)
        if not composition or len(self._votes) == 1 or self._votes[1] == 0:
            return classifier
        of_members, of_composition = self._votes.tolist()
        count = len(members.models)
        return replace(
            classifier,
            models=(*members.models, *composition[0].models),
            votes=(*[of_members / count] * count, of_composition),
        )

    def _planned_parts(self) -> list[Part]:
        """Return the planned trainings in parts, so many that each worker has one."""
        if not self._workers.are_processes:
            return parts_of(self._groups(TOGETHER), None)
        most = min(TOGETHER, math.ceil(len(self._plans) / self._workers.number))
        return parts_of(self._groups(most), most)

    def _groups(self, most: int) -> Iterator[tuple[PlannedTraining, ...]]:
        """Yield the planned trainings in groups of at most `most` that are trained at once."""
        for (rows, _), of_kind in groupby(self._plans, lambda plan: plan.kind):
            plans = tuple(of_kind)
            lengths = [len(self._bags[row]) for row in rows]
            sizes = BagSizes.of(lengths, plans[0].settings.cell_dropout)
            size = most if learn_together(plans[0].settings, sizes) else 1
            for start in range(0, len(plans), size):
                yield plans[start : start + size]

    def _job(self, part: Part, bags: Sequence[Bag]) -> Job[TrainedPart]:
        seed = self.settings.seed
        return partial(
            trained_part, part, bags, self._device, self.classes, seed, self._state_folder
        )

    def _progress(self, part: Part, at: Progress) -> EnsembleProgress:
        """Return the progress after an epoch of one of a part's trainings."""
        first, number, last = (part.first + place for place in at.detail["numbers"])
        stage = self._plans[number].stage
        same = [place for place, plan in enumerate(self._plans) if plan.stage == stage]
        total = len(self._plans) * self.settings.epochs
        epoch = EpochProgress(**at.detail["epoch"])
        place, *together = (same.index(one) + 1 for one in (number, first, last))
        span = (together[0], together[1])
        return EnsembleProgress(at.done, total, stage, place, len(same), epoch, span)

    def _of_all(self) -> list[Classifier] | None:
        """Return one classifier for each kind of model trained on all samples, if there is one.

        Models whose training was stopped are better than none, but not than whole ones.
        """
        rows = self._plans[0].rows
        begun = [
            classifier
            for part, trained in self._parts_trained_on(rows)
            for classifier in trained.begun
        ]
        return self._by_kind(rows) or ([joined(begun)] if begun else None)

    def _parts_trained_on(self, rows: tuple[int, ...]) -> Iterator[tuple[Part, TrainedPart]]:
        for number, part in enumerate(self._parts):
            if part.plans[0].rows == rows and number in self._trained:
                yield part, self._trained[number]

    def _by_kind(self, rows: tuple[int, ...]) -> list[Classifier]:
        """Return one classifier for each kind of model trained on these samples."""
        kinds: dict[Method, list[Classifier]] = {}
        for part, trained in self._parts_trained_on(rows):
            for plan, classifier in zip(part.plans, trained.whole, strict=False):
                kinds.setdefault(plan.settings.method, []).append(classifier)
        return [joined(classifiers) for classifiers in kinds.values()]

    def _calibrate(self) -> None:
        """Fit votes and calibration to the held-out patients."""
        kinds = len({plan.settings.method for plan in self._plans})
        logits = np.empty((kinds, len(self._bags), len(self.classes)))
        for train, held_out in self._folds:
            classifiers = self._by_kind(tuple(train.tolist()))
            for row in held_out:
                logits[:, row] = [one.logits(self._bags[row]) for one in classifiers]
        truth = [self.classes.index(bag.label or "") for bag in self._bags]
        patients = [bag.patient for bag in self._bags]
        balanced = self.settings.balance_classes
        self._votes = fit_votes(logits, truth, patients, balanced)
        voted = np.tensordot(self._votes, logits, axes=1)
        self._certainty = calibrate(voted, truth, patients, self.ensemble.coverage, balanced)
        shares = held_out_probabilities(logits, truth, patients, self._folds, balanced)
        self._held_out = HeldOut.of(self._bags, truth, shares)
