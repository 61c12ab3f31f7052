"""Training of what people use: several models, and how sure they may be together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from napari_attmil.bags.certainty import NOT_CHECKED, STOPPED_EARLY, Certainty, calibrate, fit_votes
from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.presets import with_method
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training.cross_guidance import CrossGuidance
from napari_attmil.bags.training.inner_folds import inner_folds
from napari_attmil.bags.training.resident_features import loaded_bags
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core import Device, choose_device, later_seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.training.trainer import EpochProgress

SEED_STEP = 10_000
"""Seeds of an ensemble's models lie so far apart; those of seeds 0 and 1 then share no model."""


Stage = Literal["guidance", "model", "calibration"]
TITLES: Final[dict[Stage, str]] = {
    "guidance": "Finding telling cells",
    "model": "Model",
    "calibration": "Calibrating",
}


@dataclass(frozen=True)
class EnsembleProgress:
    """How the training of an ensemble stands after an epoch of one of its models.

    Attributes
    ----------
    done, total
        Epochs of all trainings; one that stops early makes `done` jump.
    stage
        What the training under way is for: to find the cells that the models learn most from, to
        classify, or only to calibrate those that do.
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

    Before them `CrossGuidance` finds the cells that they learn most from. For the calibration the
    samples are parted by patient into inner folds; for each, a few models
    (`EnsembleSettings.calibration_members`) are trained without it, and classify it. The patients
    also say how much a model counts that knows only what a sample is made of (`cell_types`), which
    is trained with each of these. If the training is left early, `best` holds the models that are
    there by then; without all of the inner folds it is not calibrated, and that model left out.

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
        self._held_out = [test for _, test in folds]
        self._certainty = Certainty(
            coverage=self.ensemble.coverage, missing_because=why_none or STOPPED_EARLY
        )
        calibrated = bool(folds)
        self._parts = [self._part(self._bags, self.ensemble.members, calibrated)]
        for train, _ in folds:
            few = [self._bags[row] for row in train]
            self._parts.append(self._part(few, self.ensemble.members_held_out, calibrated))
        self._votes = np.ones(1)
        self._kept_in = kept_in

    def epochs(self) -> Iterator[EnsembleProgress]:
        """Train the models, then calibrate; once.

        Raises
        ------
        UserError
            If a loss is not a number, or the device's memory is full.
        """
        yield from self._train(0)
        logits = np.empty((self._parts[0].kinds, len(self._bags), len(self.classes)))
        for number, held_out in enumerate(self._held_out, start=1):
            del self._trainer  # Its features leave the device before the next ones come.
            self._trainer = self._new_trainer(self._parts[number].bags, self.settings)
            yield from self._train(number)
            for row in held_out:
                kinds = self._parts[number].trained_by_kind
                logits[:, row] = [joined(kind).logits(self._bags[row]) for kind in kinds]
        if self._held_out:
            truth = [self.classes.index(bag.label or "") for bag in self._bags]
            patients = [bag.patient for bag in self._bags]
            balanced = self.settings.balance_classes
            self._votes = fit_votes(logits, truth, patients, balanced)
            voted = np.tensordot(self._votes, logits, axes=1)
            self._certainty = calibrate(voted, truth, patients, self.ensemble.coverage, balanced)

    @property
    def has_model(self) -> bool:
        """Whether an epoch of a model is finished, so that `best` can be asked for."""
        return bool(self._parts[0].trained) or self._trainer.epochs_done > 0

    @property
    def best(self) -> Classifier:
        """The models that are there so far.

        Raises
        ------
        UserError
            If no epoch has been finished yet.
        """
        members, *composition = self._parts[0].trained_by_kind or [[self._trainer.best]]
        classifier = replace(joined(members), certainty=self._certainty)
        if not composition or len(self._votes) == 1 or self._votes[1] == 0:
            return classifier
        of_members, of_composition = self._votes.tolist()
        return replace(
            classifier,
            models=(*classifier.models, *joined(composition[0]).models),
            votes=(*[of_members / len(members)] * len(members), of_composition),
        )

    def _part(self, bags: Sequence[Bag], members: int, calibrated: bool) -> _Part:
        plans = model_plans(self.settings, self.ensemble, members, calibrated)
        guidance = CrossGuidance(bags, self.settings, self._device, self.classes)
        return _Part(bags, guidance, plans)

    def _train(self, number: int) -> Iterator[EnsembleProgress]:
        """Guide the models of a part, then train them; `_trainer` is the first of them."""
        part = self._parts[number]
        for training, epoch in part.guidance.epochs(self._trainer, self._kept_in):
            yield self._progress(number, training, epoch)
        for model, settings in enumerate(part.plans):
            if model and settings.method == self._trainer.settings.method:
                # Models of one kind have the same cells: they are prepared once.
                self._trainer = self._new_trainer(part.bags, settings, self._trainer)
            elif model:
                del self._trainer
                self._trainer = self._new_trainer(part.bags, settings)
            for epoch in self._trainer.epochs_kept_in(self._kept_in):
                yield self._progress(number, part.guidance.trainings + model, epoch)
            part.trained.append(self._trainer.best)

    def _progress(self, number: int, training: int, epoch: EpochProgress) -> EnsembleProgress:
        """Return how all stands after an epoch of one of the trainings of a part."""
        part, before = self._parts[number], self._parts[:number]
        done = sum(other.epochs for other in before) + part.epochs_before(training) + epoch.done
        total = sum(part.epochs for part in self._parts)
        guiding = part.guidance.trainings
        if number > 0:
            place = sum(other.trainings for other in before[1:]) + training + 1
            of = sum(other.trainings for other in self._parts[1:])
            return EnsembleProgress(done, total, "calibration", place, of, epoch)
        if training < guiding:
            return EnsembleProgress(done, total, "guidance", training + 1, guiding, epoch)
        place = training - guiding + 1
        return EnsembleProgress(done, total, "model", place, len(part.plans), epoch)

    def _new_trainer(
        self, bags: Sequence[Bag], settings: MILSettings, alike: Trainer | None = None
    ) -> Trainer:
        return Trainer(bags, settings, self._device, self.classes, alike)


def model_plans(
    settings: MILSettings, ensemble: EnsembleSettings, members: int, calibrated: bool
) -> list[MILSettings]:
    """Return the settings of all models that are trained on the same samples.

    Parameters
    ----------
    settings
        Of the first.
    ensemble
        Whether they are joined by one that knows only what samples are made of.
    members
        How many of the settings' own kind.
    calibrated
        Whether held-out patients say how much that one counts; without them it is not asked.
    """
    seeds = [later_seed(settings.seed, member * SEED_STEP) for member in range(members)]
    plans = [settings.replace(seed=seed) for seed in seeds]
    is_other = settings.components > 0 and not METHODS[settings.method].by_type
    if ensemble.composition and calibrated and is_other:
        plans.append(with_method(settings, "composition"))
    return plans


@dataclass(frozen=True, eq=False)
class _Part:
    """Models that are trained on the same samples, after those that guide them.

    Attributes
    ----------
    bags
        All samples of the training, or those outside an inner fold.
    guidance
        Finds the cells that the models learn most from.
    plans
        Settings of each model, those of one kind together.
    trained
        Those that are ready.
    """

    bags: Sequence[Bag]
    guidance: CrossGuidance
    plans: Sequence[MILSettings]
    trained: list[Classifier] = field(default_factory=list)

    @property
    def kinds(self) -> int:
        return len({plan.method for plan in self.plans})

    @property
    def trained_by_kind(self) -> list[list[Classifier]]:
        return [list(kind) for _, kind in groupby(self.trained, lambda one: one.settings.method)]

    @property
    def trainings(self) -> int:
        return self.guidance.trainings + len(self.plans)

    @property
    def epochs(self) -> int:
        return self.epochs_before(self.trainings)

    def epochs_before(self, training: int) -> int:
        """Return how many epochs are over, at most, when one of the trainings begins."""
        guiding = min(training, self.guidance.trainings)
        models = (training - guiding) * self.plans[0].epochs
        return guiding * self.guidance.epochs_each + models


def joined(members: Sequence[Classifier]) -> Classifier:
    """Return one classifier that asks several, all of one architecture and one origin."""
    first = members[0]
    provenance = dict(first.provenance)
    if len(members) > 1:
        for name in ("epochs", "loss"):
            provenance[name] = [member.provenance.get(name) for member in members]
    models = tuple(model for member in members for model in member.models)
    return replace(first, models=models, provenance=provenance)
