"""Training of what people use: several models, and how sure they may be together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from napari_attmil.bags.certainty import NOT_CHECKED, STOPPED_EARLY, Certainty, calibrate, fit_votes
from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.presets import with_method
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training.inner_folds import inner_folds
from napari_attmil.bags.training.resident_features import loaded_bags
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core import Device, choose_device, later_seed

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.methods import Method
    from napari_attmil.bags.training.trainer import EpochProgress
    from napari_attmil.images import Fold

SEED_STEP = 10_000
"""Seeds of an ensemble's models lie so far apart; those of seeds 0 and 1 then share no model."""


Stage = Literal["model", "calibration"]
TITLES: Final[dict[Stage, str]] = {"model": "Model", "calibration": "Calibrating"}


@dataclass(frozen=True)
class PlannedTraining:
    """A model that is to be trained.

    Attributes
    ----------
    stage
        What for: to classify, or only to calibrate the models that do.
    rows
        Positions of the samples that it learns from.
    settings
        Architecture, fitting and seed.
    """

    stage: Stage
    rows: tuple[int, ...]
    settings: MILSettings

    @property
    def kind(self) -> tuple[tuple[int, ...], Method]:
        """What it shares with models that differ from it by their seed only."""
        return self.rows, self.settings.method


def planned_trainings(
    settings: MILSettings, ensemble: EnsembleSettings, samples: int, folds: Sequence[Fold]
) -> list[PlannedTraining]:
    """Return all trainings in their order, those of one kind together.

    Parameters
    ----------
    settings
        Of the first.
    ensemble
        How many models.
    samples
        How many there are to learn from.
    folds
        Which of them are learnt from and held out in each inner fold; none without calibration.
    """
    seeds = [later_seed(settings.seed, number * SEED_STEP) for number in range(ensemble.members)]
    models = [settings.replace(seed=seed) for seed in seeds]
    # Without held-out patients nothing says how much it counts.
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
    """Return whether a model joins the others that knows only what samples are made of."""
    is_other = settings.components > 0 and not METHODS[settings.method].by_type
    return ensemble.composition and ensemble.calibrate and is_other


def most_epochs(settings: MILSettings, ensemble: EnsembleSettings) -> int:
    """Return for how many epochs an ensemble is trained, at most."""
    folds = [(np.arange(0), np.arange(0))] * (ensemble.folds * ensemble.calibrate)
    return len(planned_trainings(settings, ensemble, 0, folds)) * settings.epochs


@dataclass(frozen=True)
class EnsembleProgress:
    """How the training of an ensemble stands after an epoch of one of its models.

    Attributes
    ----------
    done, total
        Epochs of all trainings; one that stops early makes `done` jump.
    stage
        What the training under way is for.
    training, trainings
        Which of its kind it is, counted from 1, and how many of its kind there are.
    epoch
        That training's own progress.
    """

    done: int
    total: int
    stage: Stage
    training: int
    trainings: int
    epoch: EpochProgress

    @property
    def title(self) -> str:
        """What is under way, as a person says it: "Model 2 of 5", "Calibrating 3 of 15"."""
        return f"{TITLES[self.stage]} {self.training} of {self.trainings}"


class EnsembleTrainer:
    """Trains models of several seeds on all samples, then calibrates them on held-out patients.

    For the calibration the samples are split by patient into inner folds; for each, a few models
    (`EnsembleSettings.calibration_members`) are trained without it, and classify it. The held-out
    patients also decide how much a model counts that sees only what a sample is made of
    (`cell_types`), which is trained with each of these. If the training is left early, `best` holds
    the models that are there by then; without all of the inner folds it is not calibrated, and that
    model is left out.

    Parameters
    ----------
    bags
        As for `Trainer`.
    settings
        Architecture and fitting of each model; its seed is that of the first.
    ensemble
        How many models, and how they are calibrated.
    device
        Where to compute; the fastest device of this machine if None.
    classes
        Names of the classes, if there are more than these bags show; sorted labels if None.
    kept_in
        Folder where the trainings are kept, so that the same ones, killed, go on from there; see
        `Trainer.epochs_kept_in`.

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
        kept_in: Path | None = None,
    ) -> None:
        self.settings, self.ensemble = settings or MILSettings(), ensemble or EnsembleSettings()
        self.classes = tuple(classes or sorted({bag.label for bag in bags if bag.label}))
        self._device = device or choose_device()
        # Once for all trainings: their epochs then read features from memory.
        self._bags = loaded_bags(bags, self.settings) if bags else []
        # Refuses what cannot be trained on.
        self._trainer = self._new_trainer(self._bags, self.settings)
        folds, why_none = (
            inner_folds(self._bags, self.ensemble.folds)
            if self.ensemble.calibrate
            else ([], NOT_CHECKED)
        )
        self._certainty = Certainty(
            coverage=self.ensemble.coverage, missing_because=why_none or STOPPED_EARLY
        )
        self._votes = np.ones(1)
        self._folds, self._kept_in = folds, kept_in
        self._plans = planned_trainings(self.settings, self.ensemble, len(bags), folds)
        self._trained: list[Classifier] = []

    def epochs(self) -> Generator[EnsembleProgress, None, None]:
        """Train the models, then calibrate; once.

        Raises
        ------
        UserError
            If a loss is not a number, or the device's memory is full.
        """
        for number in range(len(self._plans)):
            if number > 0:
                self._prepare(number)
            for epoch in self._trainer.epochs_kept_in(self._kept_in):
                yield self._progress(number, epoch)
            self._trained.append(self._trainer.best)
        if self._folds:
            self._calibrate()

    @property
    def has_model(self) -> bool:
        """Whether an epoch of a model is finished, so that `best` can be asked for."""
        return bool(self._trained) or self._trainer.epochs_done > 0

    @property
    def best(self) -> Classifier:
        """The models that are there so far.

        Raises
        ------
        UserError
            If no epoch has been finished yet.
        """
        if not self._trained:
            return replace(self._trainer.best, certainty=self._certainty)
        members, *composition = self._by_kind(self._plans[0].rows)
        classifier = replace(members, certainty=self._certainty)
        if not composition or len(self._votes) == 1 or self._votes[1] == 0:
            return classifier
        of_members, of_composition = self._votes.tolist()
        count = len(members.models)
        return replace(
            classifier,
            models=(*members.models, *composition[0].models),
            votes=(*[of_members / count] * count, of_composition),
        )

    def _prepare(self, number: int) -> None:
        """Let `_trainer` be that of another planned training."""
        before, plan = self._plans[number - 1], self._plans[number]
        bags = [self._bags[row] for row in plan.rows]
        if plan.kind == before.kind:
            # They have the same cells, which are prepared once.
            self._trainer = self._new_trainer(bags, plan.settings, self._trainer)
        else:
            del self._trainer  # Its features leave the device before the next ones come.
            self._trainer = self._new_trainer(bags, plan.settings)

    def _progress(self, number: int, epoch: EpochProgress) -> EnsembleProgress:
        """Return how all stands after an epoch of one of the planned trainings."""
        stage = self._plans[number].stage
        place, of = (
            sum(plan.stage == stage for plan in plans)
            for plans in (self._plans[: number + 1], self._plans)
        )
        done = number * self.settings.epochs + epoch.done
        total = len(self._plans) * self.settings.epochs
        return EnsembleProgress(done, total, stage, place, of, epoch)

    def _by_kind(self, rows: tuple[int, ...]) -> list[Classifier]:
        """Return the trained models that learnt from some samples, those of one kind as one."""
        trained = zip(self._plans, self._trained, strict=False)
        kinds = groupby(trained, lambda one: one[0].kind)
        return [
            joined([classifier for _, classifier in of_kind])
            for kind, of_kind in kinds
            if kind[0] == rows
        ]

    def _calibrate(self) -> None:
        """Learn from held-out patients how much each kind of models counts, and how sure it is."""
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

    def _new_trainer(
        self, bags: Sequence[Bag], settings: MILSettings, alike: Trainer | None = None
    ) -> Trainer:
        return Trainer(bags, settings, self._device, self.classes, alike)


def joined(members: Sequence[Classifier]) -> Classifier:
    """Return one classifier that asks several, all of one architecture and one origin."""
    first = members[0]
    provenance = dict(first.provenance)
    if len(members) > 1:
        for name in ("epochs", "loss"):
            provenance[name] = [member.provenance.get(name) for member in members]
    models = tuple(model for member in members for model in member.models)
    return replace(first, models=models, provenance=provenance)
