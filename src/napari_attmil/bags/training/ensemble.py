"""Training of an ensemble: several models and their joint calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from napari_attmil.bags.certainty import NOT_CHECKED, STOPPED_EARLY, Certainty, calibrate, fit_votes
from napari_attmil.bags.held_out import HeldOut, held_out_probabilities
from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.presets import with_method
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training.drawn_cells import BagSizes
from napari_attmil.bags.training.epoch import learn_together
from napari_attmil.bags.training.inner_folds import inner_folds
from napari_attmil.bags.training.preparation import share_components
from napari_attmil.bags.training.resident_features import loaded_bags
from napari_attmil.bags.training.trainer import Trainer, resumable_together
from napari_attmil.core import Device, choose_device, later_seed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.methods import Method
    from napari_attmil.bags.training.trainer import EpochProgress
    from napari_attmil.images import Fold

SEED_STEP = 10_000
"""Distance between the seeds of an ensemble's models: ensembles of seeds 0 and 1 share no model."""

TOGETHER = 10
"""Most models that are trained at once. A step of ten took less time a model than one of five and
one alone (`docs/MEASUREMENTS.md`); more were not measured, and a training that is stopped has less
to show the more models learn at once."""

Stage = Literal["model", "calibration"]
TITLES: Final[dict[Stage, str]] = {"model": "Model", "calibration": "Calibrating"}
TITLES_OF_SEVERAL: Final[dict[Stage, str]] = TITLES | {"model": "Models"}


@dataclass(frozen=True)
class PlannedTraining:
    """A planned training of one model.

    Attributes
    ----------
    stage
        Its purpose: a model of the ensemble, or one for its calibration.
    rows
        Positions of the training samples.
    settings
        Architecture, fitting and seed.
    """

    stage: Stage
    rows: tuple[int, ...]
    settings: MILSettings

    @property
    def kind(self) -> tuple[tuple[int, ...], Method]:
        """What it has in common with models that differ only by their seed."""
        return self.rows, self.settings.method


def planned_trainings(
    settings: MILSettings, ensemble: EnsembleSettings, samples: int, folds: Sequence[Fold]
) -> list[PlannedTraining]:
    """Return all trainings in their order, those of one kind together.

    Parameters
    ----------
    settings
        Of the first model.
    ensemble
        The number of models.
    samples
        The number of training samples.
    folds
        Training and held-out samples of each inner fold; empty without calibration.
    """
    seeds = [later_seed(settings.seed, number * SEED_STEP) for number in range(ensemble.members)]
    models = [settings.replace(seed=seed) for seed in seeds]
    # Only held-out patients can tell its vote.
    others = [with_method(settings, "composition")] * asks_composition(settings, ensemble)
    plans = [
        PlannedTraining("model", tuple(range(samples)), own)
        for own in models + others * bool(folds)
    ]
    for train, _ in folds:
        rows = tuple(train.tolist())
        few = models[: ensemble.members_held_out] + others
        plans += [PlannedTraining("calibration", rows, own) for own in few]
    return plans


def asks_composition(settings: MILSettings, ensemble: EnsembleSettings) -> bool:
    """Return whether a composition model is trained beside the others."""
    is_other = settings.components > 0 and not METHODS[settings.method].by_type
    return ensemble.composition and ensemble.calibrate and is_other


def most_epochs(settings: MILSettings, ensemble: EnsembleSettings) -> int:
    """Return the maximum number of epochs of all trainings of an ensemble."""
    folds = [(np.arange(0), np.arange(0))] * (ensemble.folds * ensemble.calibrate)
    return len(planned_trainings(settings, ensemble, 0, folds)) * settings.epochs


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
        The progress of the current training.
    together
        The first and the last number of the trainings that advance at once.
    """

    done: int
    total: int
    stage: Stage
    training: int
    trainings: int
    epoch: EpochProgress
    together: tuple[int, int] | None = None

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
    ) -> None:
        self.settings, self.ensemble = settings or MILSettings(), ensemble or EnsembleSettings()
        self.classes = tuple(classes or sorted({bag.label for bag in bags if bag.label}))
        self._device = device or choose_device()
        # Once for all trainings: their epochs then read features from memory.
        self._bags = loaded_bags(bags, self.settings) if bags else []
        # Raises an error if the bags cannot be trained on.
        self._trainers = [self._new_trainer(self._bags, self.settings)]
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
        self._folds, self._state_folder = folds, state_folder
        self._plans = planned_trainings(self.settings, self.ensemble, len(bags), folds)
        self._trained: list[Classifier] = []

    def epochs(self) -> Generator[EnsembleProgress, None, None]:
        """Train the models, then calibrate them; can be called once.

        Raises
        ------
        UserError
            If a loss is not a number, or the device's memory is full.
        """
        for numbers in self._groups():
            self._prepare(numbers)
            for place, epoch in resumable_together(self._trainers, self._state_folder):
                yield self._progress(numbers, place, epoch)
            self._trained += [trainer.best for trainer in self._trainers]
        if self._folds:
            self._calibrate()

    @property
    def has_model(self) -> bool:
        """Whether an epoch of a model is finished, so that `best` returns a classifier."""
        return bool(self._trained) or self._trainers[0].epochs_done > 0

    @property
    def best(self) -> Classifier:
        """The models trained so far.

        Raises
        ------
        UserError
            If no epoch has been finished yet.
        """
        if not self._trained:
            begun = [one.best for one in self._trainers if one.epochs_done] or [
                self._trainers[0].best
            ]
            return replace(joined(begun), certainty=self._certainty)
        members, *composition = self._by_kind(self._plans[0].rows)
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

    def _groups(self) -> Iterator[list[int]]:
        """Yield the numbers of planned trainings that are trained at once."""
        of_kind = groupby(range(len(self._plans)), lambda number: self._plans[number].kind)
        for (rows, _), kind in of_kind:
            numbers = list(kind)
            settings = self._plans[numbers[0]].settings
            lengths = [len(self._bags[row]) for row in rows]
            quick = learn_together(settings, BagSizes.of(lengths, settings.cell_dropout))
            yield from batched(numbers, TOGETHER if quick else 1)

    def _prepare(self, numbers: Sequence[int]) -> None:
        """Create the trainers of planned trainings that are trained at once."""
        plans = [self._plans[number] for number in numbers]
        bags = [self._bags[row] for row in plans[0].rows]
        if numbers[0] == 0:
            first = self._trainers[0]
        else:
            before, now = self._plans[numbers[0] - 1], plans[0]
            is_alike = now.kind == before.kind or share_components(before.settings, now.settings)
            if now.rows == before.rows and is_alike:
                # They share the cells, which are prepared only once.
                first = self._new_trainer(bags, now.settings, self._trainers[0])
            else:
                self._trainers = []  # Frees features on the device before the next are loaded.
                first = self._new_trainer(bags, now.settings)
        others = [self._new_trainer(bags, plan.settings, first) for plan in plans[1:]]
        self._trainers = [first, *others]

    def _progress(
        self, numbers: Sequence[int], place: int, epoch: EpochProgress
    ) -> EnsembleProgress:
        """Return the overall progress after an epoch of one of the trainings that run at once."""
        stage = self._plans[numbers[0]].stage
        same = [number for number, plan in enumerate(self._plans) if plan.stage == stage]
        places = [same.index(number) + 1 for number in numbers]
        done = numbers[0] * self.settings.epochs + (epoch.done - 1) * len(numbers) + place + 1
        total = len(self._plans) * self.settings.epochs
        together = (places[0], places[-1])
        return EnsembleProgress(done, total, stage, places[place], len(same), epoch, together)

    def _by_kind(self, rows: tuple[int, ...]) -> list[Classifier]:
        """Return one classifier for each kind of model trained on these samples."""
        trained = zip(self._plans, self._trained, strict=False)
        kinds = groupby(trained, lambda one: one[0].kind)
        return [
            joined([classifier for _, classifier in of_kind])
            for kind, of_kind in kinds
            if kind[0] == rows
        ]

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

    def _new_trainer(
        self, bags: Sequence[Bag], settings: MILSettings, alike: Trainer | None = None
    ) -> Trainer:
        seed = self.settings.seed
        return Trainer(bags, settings, self._device, self.classes, alike, seed)


def batched(numbers: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield the numbers in lists of at most `size`."""
    for start in range(0, len(numbers), size):
        yield list(numbers[start : start + size])


def joined(members: Sequence[Classifier]) -> Classifier:
    """Return several classifiers of one architecture and origin as one classifier."""
    first = members[0]
    provenance = dict(first.provenance)
    if len(members) > 1:
        for name in ("epochs", "loss"):
            provenance[name] = [member.provenance.get(name) for member in members]
    models = tuple(model for member in members for model in member.models)
    return replace(first, models=models, provenance=provenance)
