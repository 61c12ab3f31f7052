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

import numpy as np
import torch
from torch import Tensor

from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.bags.name_digests import names_learnt
from napari_attmil.bags.network import PreparedFeatures, packed
from napari_attmil.bags.settings import MILSettings
from napari_attmil.bags.training.answered import AnsweredCells
from napari_attmil.bags.training.losses import (
    bag_losses,
    bag_weights,
    combined_loss,
    exclusion_loss,
    rate_share,
    should_stop,
)
from napari_attmil.bags.training.preparation import check_bags, copy_fitted, prepare
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
        A trainer of the same bags and settings, except for the seed, whose preparation is reused.

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
    ) -> None:
        self.settings = settings or MILSettings()
        self.classes = tuple(classes or sorted({bag.label for bag in bags if bag.label}))
        check_bags(bags, self.classes)
        self._bags = loaded_bags(bags, self.settings)
        self._device = (device or choose_device()).for_training()
        channels = int(bags[0].features.shape[1])
        self._model = new_model(self.classes, self.settings, self._device, channels)
        self._randomness = Randomness(self.settings.seed, self._device)
        if alike is None:
            with self._randomness, self._model.threads():
                self._cells = prepare(self._model, self._bags, self.classes)
        else:
            copy_fitted(self._model, alike._model)
            self._cells = alike._cells
        self._answered = self._answered_cells()
        self._targets = torch.tensor([self.classes.index(bag.label or "") for bag in bags])
        self._weights = bag_weights(self._targets, self.settings)
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
        for epoch in range(len(self._fit_losses), self.settings.epochs):
            if should_stop(self._fit_losses, self.settings):
                return
            try:
                with self._randomness, self._model.threads():
                    progress = self._epoch(epoch)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                raise UserError(
                    f"The memory of {self._device.description} is too small for this training; "
                    "close other programs that use it, or choose the device cpu.",
                    Remedy.USE_CPU,
                ) from error
            self._keep_if_best(progress.fit_loss)
            self._fit_losses.append(progress.fit_loss)
            yield progress

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
            raise UserError(
                "There is no classifier yet; let at least one epoch of the first model finish.",
                Remedy.TRAIN_CLASSIFIER,
            )
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

    def resumable_epochs(self, folder: Path | None) -> Iterator[EpochProgress]:
        """Train as `epochs` does, but save the state about every minute to resume from it later.

        The name of the state file is a digest of everything that the training depends on, so no
        other training resumes from it. The caller deletes the folder. None saves nothing.

        Raises
        ------
        UserError
            As `epochs`, or if the folder cannot be written.
        """
        if folder is None:
            yield from self.epochs()
            return
        name = hashlib.blake2b(json.dumps(self._identity()).encode(), digest_size=12).hexdigest()
        path, saved_at = folder / f"{name}.safetensors", time.monotonic()
        if path.exists():
            # A damaged file loses its epochs, but does not prevent the training.
            with contextlib.suppress(UserError):
                self.resume(path)
        for progress in self.epochs():
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                self.save_state(path)
                saved_at = time.monotonic()
            yield progress
        self.save_state(path)

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
            "device": f"{self._device.torch().type} {self._device.precision}",
        }

    def _epoch(self, epoch: int) -> EpochProgress:
        self._model.train()
        order = torch.randperm(len(self._bags))
        sums = _Sums()
        steps = torch.split(order, self.settings.bags_per_step)
        for step, bags in enumerate(steps):
            self._set_learning_rate(epoch + step / len(steps))
            features, offsets, cell_weights = self._pack(bags.tolist())
            output = self._model(features, offsets)
            targets = self._targets[bags].to(output.logits.device)
            mil, sic = bag_losses(output, offsets, targets, self.settings, cell_weights)
            losses = combined_loss(mil, sic, epoch, self.settings, cell_weights is not None)
            if self.settings.exclusion > 0 and not self._model.method.by_type:
                other = exclusion_loss(output, offsets, targets, self._model.silent)
                losses = losses + self.settings.exclusion * other
            weights = self._weights[bags].to(losses.device)
            self._optimiser.zero_grad()
            total = (losses * weights).mean()
            if self._answered is not None:
                total = total + self.settings.answers * self._answered.loss(self._model)
            total.backward()
            self._optimiser.step()
            predicted = self._model.log_probabilities(output, offsets).argmax(1)
            sums.add(loss=losses, mil=mil, sic=sic, correct=predicted == targets)
        means = sums.means()
        if not math.isfinite(means["loss"]):
            passes = counted(epoch + 1, "pass", "passes")
            raise UserError(
                f"The loss is not a number after {passes}; choose a learning rate below "
                f"{self.settings.learning_rate:g}, or standardise the features.",
                Remedy.TRAIN_CLASSIFIER,
            )
        return EpochProgress(
            epoch + 1,
            self.settings.epochs,
            means["loss"],
            means["mil"] if self._model.method.pooling is not None else None,
            means["sic"] if self._model.method.sic else None,
            means["correct"],
        )

    def _answered_cells(self) -> AnsweredCells | None:
        """Return the cells whose answers are learnt from, if there are any."""
        if self.settings.answers == 0 or not self._model.judges_cells:
            return None
        healthy = reference_class(self.classes, self.settings.reference_class)
        return AnsweredCells.of(self._bags, self._cells.features, self.classes, healthy)

    def _set_learning_rate(self, epochs_done: float) -> None:
        share = rate_share(epochs_done / self.settings.epochs, self.settings)
        for group in self._optimiser.param_groups:
            group["lr"] = share * self.settings.learning_rate

    def _pack(self, bags: list[int]) -> tuple[PreparedFeatures, list[int], Tensor | None]:
        """Return the cells of some bags on one axis after cell dropout, offsets and weights."""
        parts = [self._cells.features[bag] for bag in bags]
        guidance = self._cells.guidance
        weights = None if guidance is None else [guidance[bag] for bag in bags]
        if self.settings.cell_dropout > 0:
            kept = [self._kept_cells(len(part)) for part in parts]
            parts = [part[rows] for part, rows in zip(parts, kept, strict=True)]
            if weights is not None:
                pairs = zip(weights, kept, strict=True)
                weights = [weight[rows.to(weight.device)] for weight, rows in pairs]
        offsets = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        return packed(parts), offsets, None if weights is None else torch.cat(weights)

    def _kept_cells(self, cells: int) -> Tensor:
        kept = max(1, round(cells * (1 - self.settings.cell_dropout)))
        return torch.randperm(cells)[:kept].sort().values

    def _keep_if_best(self, loss: float) -> None:
        if loss < min(self._fit_losses, default=math.inf):
            state = self._model.state_dict()
            self._best_weights = {name: tensor.cpu().clone() for name, tensor in state.items()}


class _Sums:
    """Sums of per-bag values over an epoch, copied from the device only at its end."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, **values: Tensor) -> None:
        self._count += len(next(iter(values.values())))
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().float().sum()

    def means(self) -> dict[str, float]:
        return {name: float(total) / self._count for name, total in self._sums.items()}
