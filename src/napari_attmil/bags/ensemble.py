"""Training of what people use: several models, and how sure they may be together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.bags.certainty import NOT_CHECKED, Certainty, calibrate
from napari_attmil.bags.fitting import Trainer
from napari_attmil.bags.resident_features import loaded_bags
from napari_attmil.device import Device, choose_device
from napari_attmil.images.cohort import patient_folds
from napari_attmil.settings import EnsembleSettings, MILSettings, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.fitting import EpochProgress
    from napari_attmil.images.cohort import Fold


SEED_STEP = 10_000
"""Seeds of an ensemble's models lie so far apart; those of seeds 0 and 1 then share no model."""


@dataclass(frozen=True)
class EnsembleProgress:
    """How the training of an ensemble stands after an epoch of one of its models.

    Attributes
    ----------
    done, total
        Epochs of all trainings; one that stops early makes `done` jump.
    is_calibration
        Whether the training under way only serves to calibrate.
    training, trainings
        Which of its kind it is, counted from 1, and how many of its kind there are.
    epoch
        That training's own progress.
    """

    done: int
    total: int
    is_calibration: bool
    training: int
    trainings: int
    epoch: EpochProgress

    @property
    def title(self) -> str:
        """What is under way, as a person says it: "Model 2 of 5", "Calibrating 3 of 15"."""
        kind = "Calibrating" if self.is_calibration else "Model"
        return f"{kind} {self.training} of {self.trainings}"


class EnsembleTrainer:
    """Trains models of several seeds on all samples, then calibrates them on held-out patients.

    For the calibration the samples are parted by patient into inner folds; for each, a few models
    (`EnsembleSettings.calibration_members`) are trained without it, and classify it. If the
    training is left early, `best` holds the models that are there by then; without all of the
    inner folds it is not calibrated.

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
        self._trainer = self._new_trainer(self._bags, 0)  # Refuses what cannot be trained on.
        self._folds, missing_because = _inner_folds(self._bags, self.ensemble)
        self._certainty = Certainty(
            coverage=self.ensemble.coverage, missing_because=missing_because
        )
        self._members: list[Classifier] = []
        self._kept_in = kept_in

    def epochs(self) -> Iterator[EnsembleProgress]:
        """Train the models, then calibrate; once.

        Raises
        ------
        UserError
            If a loss is not a number, or the device's memory is full.
        """
        for member in range(self.ensemble.members):
            yield from self._train(self._bags, member)
            self._members.append(self._trainer.best)
        logits = np.empty((len(self._bags), len(self.classes)))
        for number, (train, test) in enumerate(self._folds, start=1):
            held_out: list[Classifier] = []
            for member in range(self.ensemble.members_held_out):
                yield from self._train([self._bags[row] for row in train], member, number)
                held_out.append(self._trainer.best)
            for row in test:
                logits[row] = joined(held_out).logits(self._bags[row])
        if self._folds:
            truth = [self.classes.index(bag.label or "") for bag in self._bags]
            patients = [bag.patient for bag in self._bags]
            self._certainty = calibrate(logits, truth, patients, self.ensemble.coverage)

    @property
    def best(self) -> Classifier:
        """The models that are there so far.

        Raises
        ------
        UserError
            If no epoch has been finished yet.
        """
        members = self._members or [self._trainer.best]
        return replace(joined(members), certainty=self._certainty)

    def _new_trainer(self, bags: Sequence[Bag], member: int) -> Trainer:
        settings = self.settings.replace(seed=self.settings.seed + member * SEED_STEP)
        # The models of one fold have the same cells: they are prepared once.
        alike = self._trainer if member else None
        return Trainer(bags, settings, self._device, self.classes, alike)

    def _train(self, bags: Sequence[Bag], member: int, fold: int = 0) -> Iterator[EnsembleProgress]:
        """Train one model: on all samples (fold 0), or without those of an inner fold."""
        if member or fold:
            if not member:
                del self._trainer  # Its features leave the device before the next ones come.
            self._trainer = self._new_trainer(bags, member)
        members, held_out = self.ensemble.members, self.ensemble.members_held_out
        before = member if fold == 0 else members + (fold - 1) * held_out + member
        epochs = self.settings.epochs
        trainer, folder = self._trainer, self._kept_in
        for epoch in trainer.epochs() if folder is None else trainer.epochs_kept_in(folder):
            yield EnsembleProgress(
                before * epochs + epoch.done,
                (members + len(self._folds) * held_out) * epochs,
                fold > 0,
                (before - members if fold else before) + 1,
                len(self._folds) * held_out if fold else members,
                epoch,
            )


def joined(members: Sequence[Classifier]) -> Classifier:
    """Return one classifier that asks several, all of one architecture and one origin."""
    first = members[0]
    provenance = dict(first.provenance)
    if len(members) > 1:
        for name in ("epochs", "loss"):
            provenance[name] = [member.provenance.get(name) for member in members]
    models = tuple(model for member in members for model in member.models)
    return replace(first, models=models, provenance=provenance)


def _inner_folds(bags: Sequence[Bag], ensemble: EnsembleSettings) -> tuple[list[Fold], str]:
    """Return folds by patient, as many as asked for or as the smallest class has patients.

    Beside them the reason why models that lack them are not calibrated.
    """
    if not ensemble.calibrate:
        return [], NOT_CHECKED
    patients, labels = [bag.patient for bag in bags], [bag.label for bag in bags]
    of_class: dict[str | None, set[str]] = {}
    for patient, label in zip(patients, labels, strict=True):
        of_class.setdefault(label, set()).add(patient)
    smallest = min(of_class, key=lambda label: len(of_class[label]))
    if len(of_class[smallest]) < 2:
        return [], f"class {smallest!r} has a single patient, so none could be held out."
    try:
        folds = min(ensemble.folds, len(of_class[smallest]))
        return patient_folds((patients, labels), folds, seed=0), "the training was stopped early."
    except UserError as error:
        return [], str(error)  # A patient of two classes can be learnt from, but not held out.
