"""Training of what people use: several models, and how sure they may be together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.bags.certainty import Certainty, calibrate
from napari_attmil.bags.fitting import Trainer, loaded_bags
from napari_attmil.device import Device, choose_device
from napari_attmil.images.cohort import patient_folds
from napari_attmil.settings import EnsembleSettings, MILSettings, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.fitting import EpochProgress
    from napari_attmil.images.cohort import Fold


@dataclass(frozen=True)
class EnsembleProgress:
    """How the training of an ensemble stands after an epoch of one of its models.

    Attributes
    ----------
    done, total
        Epochs of all trainings; one that stops early makes `done` jump.
    training, trainings
        Which training this is, counted from 1, and how many there are.
    is_calibration
        Whether it is one of those that only serve to calibrate.
    epoch
        That training's own progress.
    """

    done: int
    total: int
    training: int
    trainings: int
    is_calibration: bool
    epoch: EpochProgress


class EnsembleTrainer:
    """Trains models of several seeds on all samples, then calibrates them on held-out patients.

    For the calibration the samples are parted by patient into inner folds; for each, as many
    models are trained without it, and classify it. If the training is left early, `best` holds
    the models that are there by then; without all of the inner folds it is not calibrated.

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
    ) -> None:
        self.settings, self.ensemble = settings or MILSettings(), ensemble or EnsembleSettings()
        self.classes = tuple(classes or sorted({bag.label for bag in bags if bag.label}))
        self._device = device or choose_device()
        self._trainer = self._new_trainer(bags, 0)  # Refuses what cannot be trained on.
        self._bags = loaded_bags(bags, self.settings)
        self._folds = _inner_folds(self._bags, self.ensemble)
        self._members: list[Classifier] = []
        self._logits = np.full((len(bags), len(self.classes)), np.nan)
        self._certainty = Certainty(coverage=self.ensemble.coverage)

    @property
    def trainings(self) -> int:
        """How many trainings there are in all."""
        return self.ensemble.members * (1 + len(self._folds))

    def epochs(self) -> Iterator[EnsembleProgress]:
        """Train the models, then calibrate.

        Raises
        ------
        UserError
            If a loss is not a number, or the device's memory is full.
        """
        for member in range(self.ensemble.members):
            if member:
                self._trainer = self._new_trainer(self._bags, member)
            yield from self._train(member)
            self._members.append(self._trainer.best)
        for number, (train, test) in enumerate(self._folds, start=1):
            held_out: list[Classifier] = []
            for member in range(self.ensemble.members):
                self._trainer = self._new_trainer([self._bags[row] for row in train], member)
                yield from self._train(number * self.ensemble.members + member)
                held_out.append(self._trainer.best)
            together = joined(held_out)
            for row in test:
                self._logits[row] = together.logits(self._bags[row])
        if self._folds:
            truth = [self.classes.index(bag.label or "") for bag in self._bags]
            patients = [bag.patient for bag in self._bags]
            self._certainty = calibrate(self._logits, truth, patients, self.ensemble.coverage)

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
        settings = self.settings.replace(seed=self.settings.seed + member)
        return Trainer(bags, settings, self._device, self.classes)

    def _train(self, training: int) -> Iterator[EnsembleProgress]:
        epochs = self.settings.epochs
        for epoch in self._trainer.epochs():
            yield EnsembleProgress(
                training * epochs + epoch.done,
                self.trainings * epochs,
                training + 1,
                self.trainings,
                training >= self.ensemble.members,
                epoch,
            )


def joined(members: Sequence[Classifier]) -> Classifier:
    """Return one classifier that asks several, all of one architecture and one origin."""
    first = members[0]
    losses = [member.provenance.get("loss") for member in members]
    provenance = dict(first.provenance) | ({"loss": losses} if len(members) > 1 else {})
    models = tuple(model for member in members for model in member.models)
    return replace(first, models=models, provenance=provenance)


def _inner_folds(bags: Sequence[Bag], ensemble: EnsembleSettings) -> list[Fold]:
    """Return folds by patient, as many as asked for or as the smallest class has patients."""
    if not ensemble.calibrate:
        return []
    patients, labels = [bag.patient for bag in bags], [bag.label for bag in bags]
    of_class = {
        label: {p for p, own in zip(patients, labels, strict=True) if own == label}
        for label in set(labels)
    }
    folds = min(ensemble.folds, *(len(names) for names in of_class.values()))
    if folds < 2:
        return []
    try:
        return patient_folds((patients, labels), folds, seed=0)
    except UserError:
        return []  # A patient of two classes: models can be trained, but not held against it.
