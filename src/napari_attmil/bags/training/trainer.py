"""Training of a classifier, epoch by epoch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.bags.name_digests import names_learnt
from napari_attmil.bags.settings import MILSettings
from napari_attmil.bags.training.answered import AnsweredCells
from napari_attmil.bags.training.drawn_cells import BagSizes
from napari_attmil.bags.training.epoch import Learner, train_epoch
from napari_attmil.bags.training.losses import bag_weights, should_stop
from napari_attmil.bags.training.preparation import (
    PreparedCells,
    check_bags,
    copy_fitted,
    prepare,
)
from napari_attmil.bags.training.resident_features import loaded_bags
from napari_attmil.bags.training.training_state import (
    TRAINING_VERSION,
    Randomness,
    digest_of,
    load_training,
    save_training,
)
from napari_attmil.core import (
    Device,
    Remedy,
    UserError,
    choose_device,
    counted,
    is_out_of_memory,
    moments_of,
    set_moments,
)
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag

NO_MODEL = "There is no classifier yet; let at least one epoch of the first model finish."
SAVE_EVERY_S = 60.0
"""An interrupted training loses at most this much, or one epoch."""


@dataclass(frozen=True)
class EpochProgress:
    """How the training stands after an epoch.

    Attributes
    ----------
    done, total
        Finished epochs, and the maximum; the stopping rule may end the training earlier.
    loss
        Mean loss of eq. 8 over the samples, measured during the epoch.
    mil_loss, sic_loss
        Its parts; None where the method has no such branch.
    accuracy
        Share of the training samples classified correctly during the epoch, 0 to 1.
    """

    done: int
    total: int
    loss: float
    mil_loss: float | None
    sic_loss: float | None
    accuracy: float

    @property
    def fit_loss(self) -> float:
        """The loss that selects the best epoch: the bags', or for SIC alone the cells'."""
        fit_loss = self.sic_loss if self.mil_loss is None else self.mil_loss
        return math.nan if fit_loss is None else fit_loss


class Trainer:
    """Fits a classifier to labelled bags (paper, sections 2.5 and 3).

    Parameters
    ----------
    bags
        At least two classes; every bag with a label and cells, all features computed alike.
    settings
        Architecture and fitting; the project's default if None.
    device
        Where to compute; the fastest device of this machine if None.
    classes
        Names of the classes, if there are more than occur in these bags; sorted labels if None.
    alike
        A trainer of the same bags whose preparation is reused: with the same settings except for
        the seed, or with others that have the same principal components.
    preparation_seed
        Of what is fitted before the first epoch; that of the settings if None. Models of an
        ensemble share it, so that they see cells alike.

    Raises
    ------
    UserError
        If the bags cannot be trained on; the message says why.
    """

    def __init__(
        self,
        bags: Sequence[Bag],
        settings: MILSettings | None = None,
        device: Device | None = None,
        classes: Sequence[str] | None = None,
        alike: Trainer | None = None,
        preparation_seed: int | None = None,
    ) -> None:
        self.settings = settings or MILSettings()
        self.classes = tuple(classes or sorted({bag.label for bag in bags if bag.label}))
        check_bags(bags, self.classes)
        self._bags = loaded_bags(bags, self.settings)
        self._device = (device or choose_device()).for_training()
        channels = int(bags[0].features.shape[1])
        self._model = new_model(self.classes, self.settings, self._device, channels)
        seed = self.settings.seed if preparation_seed is None else preparation_seed
        self._preparation_seed = seed
        self._sizes = BagSizes.of([len(bag) for bag in bags], self.settings.cell_dropout)
        self._cells = self._prepared(alike)
        self._targets = torch.tensor([self.classes.index(bag.label or "") for bag in bags])
        self._weights = bag_weights(self._targets, self.settings)
        self._randomness = Randomness(self.settings.seed, self._device)
        self._answered = self._answered_cells()
        self._optimiser = torch.optim.Adam(
            self._model.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            amsgrad=True,
            fused=self._device.torch().type != "mps",
        )
        self._fit_losses: list[float] = []
        self._best_weights: dict[str, Tensor] | None = None

    def epochs(self) -> Iterator[EpochProgress]:
        """Train until the stopping rule or the last epoch; can be left and resumed.

        Raises
        ------
        UserError
            If the loss is not a number, or the device's memory is full.
        """
        for _, progress in epochs_together([self]):
            yield progress

    @property
    def is_done(self) -> bool:
        """Whether the last epoch is over, or the stopping rule holds."""
        is_over = len(self._fit_losses) >= self.settings.epochs
        return is_over or should_stop(self._fit_losses, self.settings)

    @property
    def epochs_done(self) -> int:
        """The number of finished epochs."""
        return len(self._fit_losses)

    @property
    def best(self) -> Classifier:
        """The classifier after the epoch with the lowest loss so far.

        Raises
        ------
        UserError
            If no epoch has been finished yet.
        """
        if self._best_weights is None:
            raise UserError(NO_MODEL, Remedy.TRAIN_CLASSIFIER)
        return self._classifier(self._best_weights)

    @property
    def untrained(self) -> Classifier:
        """The classifier before the first epoch: prepared, but with random weights."""
        if self._fit_losses:
            raise ValueError("An epoch is finished; the untrained weights are gone.")
        return self._classifier(self._model.state_dict())

    def _classifier(self, weights: Mapping[str, Tensor]) -> Classifier:
        channels = self._model.channels
        model = new_model(self.classes, self.settings, self._device, channels)
        model.load_state_dict(weights)
        provenance = {
            "samples": len(self._bags),
            "samples_of_classes": [
                sum(bag.label == name for bag in self._bags) for name in self.classes
            ],
            "patients": len({bag.patient for bag in self._bags}),
            "cells": sum(len(bag) for bag in self._bags),
            "epochs": len(self._fit_losses),
            "loss": min(self._fit_losses, default=None),
            "learnt_from": names_learnt(
                name for bag in self._bags for name in (bag.patient, bag.sample)
            ),
        }
        if self._answered is not None:
            provenance["answers"] = len(self._answered)
        first = self._bags[0]
        return Classifier(
            (model.eval(),),
            self.classes,
            first.reader_digest,
            first.feature_settings,
            provenance=provenance,
        )

    def state_file(self, folder: Path) -> Path:
        """Return the file of this training's state, which no other training resumes from.

        Its name is a digest of everything that the training depends on.
        """
        name = hashlib.blake2b(json.dumps(self._identity()).encode(), digest_size=12).hexdigest()
        return folder / f"{name}.safetensors"

    def save_state(self, path: Path) -> None:
        """Write everything that `resume` needs, whole or not at all; between two epochs.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        groups = {
            "weights": self._model.state_dict(),
            "best_weights": self._best_weights or {},
            "moments": moments_of(self._optimiser),
            "random": {str(number): state for number, state in enumerate(self._randomness.states)},
        }
        save_training(path, groups, self._fit_losses, self._identity())

    def resume(self, path: Path) -> None:
        """Continue from a saved state; the result is bit for bit that of an uninterrupted training.

        Raises
        ------
        UserError
            If the file is missing or damaged, or belongs to other bags, settings or devices.
        """
        groups, self._fit_losses = load_training(path, self._identity())
        self._model.load_state_dict(groups["weights"])
        set_moments(self._optimiser, groups["moments"])
        states = groups["random"]
        self._randomness.states = [states[str(number)] for number in range(len(states))]
        self._best_weights = groups["best_weights"] or None

    def _identity(self) -> dict[str, Any]:
        return {
            "training version": TRAINING_VERSION,
            "samples": digest_of(self._bags),
            "classes": list(self.classes),
            "settings": self.settings.model_dump(mode="json"),
            "preparation seed": self._preparation_seed,
            "device": f"{self._device.torch().type} {self._device.precision}",
        }

    @property
    def _learner(self) -> Learner:
        return Learner(
            self.settings,
            self._model,
            self._optimiser,
            self._randomness,
            self._cells,
            self._sizes,
            self._targets,
            self._weights,
            self._answered,
        )

    def _finish_epoch(self, means: Mapping[str, float]) -> EpochProgress:
        """Take over what an epoch gave."""
        epochs = len(self._fit_losses) + 1
        if not math.isfinite(means["loss"]):
            raise UserError(
                f"The loss is not a number after {counted(epochs, 'pass', 'passes')}; choose "
                f"a learning rate below {self.settings.learning_rate:g}, or standardise the "
                "features.",
                Remedy.TRAIN_CLASSIFIER,
            )
        progress = EpochProgress(
            epochs,
            self.settings.epochs,
            means["loss"],
            means["mil"] if self._model.method.pooling is not None else None,
            means["sic"] if self._model.method.sic else None,
            means["correct"],
        )
        self._keep_if_best(progress.fit_loss)
        self._fit_losses.append(progress.fit_loss)
        return progress

    def _prepared(self, alike: Trainer | None) -> PreparedCells:
        """Fit what does not learn."""
        with Randomness(self._preparation_seed, self._device), self._model.threads():
            if alike is None:
                return prepare(self._model, self._bags, self.classes, self._preparation_seed)
            if alike.settings.method != self.settings.method:
                other = (alike._model, alike._cells)
                seed = self._preparation_seed
                return prepare(self._model, self._bags, self.classes, seed, other)
        copy_fitted(self._model, alike._model)
        return alike._cells

    def _answered_cells(self) -> AnsweredCells | None:
        """Return the cells whose answers are learnt from, if there are any."""
        if self.settings.answers == 0 or not self._model.judges_cells:
            return None
        healthy = reference_class(self.classes, self.settings.reference_class)
        return AnsweredCells.of(self._bags, self._cells.features, self.classes, healthy)

    def _keep_if_best(self, loss: float) -> None:
        if loss < min(self._fit_losses, default=math.inf):
            state = self._model.state_dict()
            self._best_weights = {name: tensor.cpu().clone() for name, tensor in state.items()}


def epochs_together(trainers: Sequence[Trainer]) -> Iterator[tuple[int, EpochProgress]]:
    """Train until the stopping rules or the last epochs; can be left and resumed.

    Parameters
    ----------
    trainers
        One; or several of the same bags and settings, except for the seed, that `learn_together`.

    Yields
    ------
    int, EpochProgress
        For each trainer its position and its progress, once all have finished an epoch.

    Raises
    ------
    UserError
        If a loss is not a number, or the device's memory is full.
    """
    while left := [trainer for trainer in trainers if not trainer.is_done]:
        # Some may be ahead, from a state that was saved later.
        epoch = min(trainer.epochs_done for trainer in left)
        now = [trainer for trainer in left if trainer.epochs_done == epoch]
        try:
            with now[0]._model.threads():
                means = train_epoch([trainer._learner for trainer in now], epoch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"The memory of {now[0]._device.description} is too small for this training; "
                "close other programs that use it, or choose the device cpu.",
                Remedy.USE_CPU,
            ) from error
        steps = [trainer._finish_epoch(own) for trainer, own in zip(now, means, strict=True)]
        yield from zip(map(list(trainers).index, now), steps, strict=True)


def resumable_together(
    trainers: Sequence[Trainer], folder: Path | None
) -> Iterator[tuple[int, EpochProgress]]:
    """Train as `epochs_together` does, but save the states about every minute to resume from them.

    The caller deletes the folder. None saves nothing.

    Raises
    ------
    UserError
        As `epochs_together`, or if the folder cannot be written.
    """
    if folder is None:
        yield from epochs_together(trainers)
        return
    paths, saved_at = [trainer.state_file(folder) for trainer in trainers], time.monotonic()
    for trainer, path in zip(trainers, paths, strict=True):
        if path.exists():
            # A damaged file loses its epochs, but does not prevent the training.
            with contextlib.suppress(UserError):
                trainer.resume(path)
    for step in epochs_together(trainers):
        if time.monotonic() - saved_at > SAVE_EVERY_S:
            for trainer, path in zip(trainers, paths, strict=True):
                trainer.save_state(path)
            saved_at = time.monotonic()
        yield step
    for trainer, path in zip(trainers, paths, strict=True):
        trainer.save_state(path)
