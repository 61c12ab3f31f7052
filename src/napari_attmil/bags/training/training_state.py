"""The saved state of a training, from which it resumes as if it had never been interrupted."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from napari_attmil.core import Checkpoint, Device, UserError, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from napari_attmil.bags.bag import Bag

KIND = "training"
TRAINING_VERSION: Final = 4
"""Increased by hand when a change to training, evaluation or features changes numbers.

Unfinished trainings and stored trials of another version are repeated. A recorded training in the
tests fails when numbers have changed but this version has not.
"""

Tensors = dict[str, "Tensor"]


def save_training(
    path: Path,
    groups: Mapping[str, Tensors],
    fit_losses: Sequence[float],
    belongs_to: Mapping[str, Any],
) -> None:
    """Write the state of a training whole or not at all.

    Parameters
    ----------
    path
        Usually ``*.safetensors``; an existing file is replaced.
    groups
        The tensors by group and name.
    fit_losses
        One for each finished epoch.
    belongs_to
        What identifies the training, as plain JSON values.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    tensors = {f"{group}/{n}": tensor for group, own in groups.items() for n, tensor in own.items()}
    settings = {"belongs_to": dict(belongs_to), "fit_losses": list(fit_losses)}
    save_checkpoint(path, Checkpoint(KIND, tensors, settings))


def load_training(
    path: Path, belongs_to: Mapping[str, Any]
) -> tuple[Mapping[str, Tensors], list[float]]:
    """Read the groups of tensors and the losses that `save_training` wrote for this training.

    Raises
    ------
    UserError
        If the file is missing or damaged, or belongs to another training.
    """
    checkpoint = load_checkpoint(path, KIND)
    for what, value in belongs_to.items():
        if checkpoint.settings["belongs_to"].get(what) != value:
            raise UserError(
                f"{path} is a training with other {what} than this one; resume it with those "
                "it was started with, or start a new one."
            )
    groups: dict[str, Tensors] = defaultdict(dict)
    for name, tensor in checkpoint.weights.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor
    return groups, list(checkpoint.settings["fit_losses"])


def digest_of(bags: Sequence[Bag]) -> str:
    """Return a digest of names, labels and boxes, and of one cell's features per bag.

    Reading all features from the disk would take minutes; images and boxes determine them.
    """
    digest = hashlib.blake2b(digest_size=16)
    for bag in bags:
        parts = (bag.sample, bag.patient, bag.label, bag.reader_digest, bag.feature_settings)
        digest.update(repr(parts).encode())
        digest.update(bag.cell_id.tobytes())
        if bag.boxes is not None:
            digest.update(bag.boxes.digest().encode())  # A box that was moved keeps its id.
        digest.update(bag.features[:1].tobytes())
        if bag.answers is not None and (bag.answers != "").any():
            digest.update(repr(bag.answers.tolist()).encode())
    return digest.hexdigest()


class Randomness(contextlib.AbstractContextManager[None]):
    """A separate random state that replaces torch's global state within a ``with`` block."""

    def __init__(self, seed: int, device: Device) -> None:
        self._devices = [device.torch()] if device.torch().type == "cuda" else []
        self._stack = contextlib.ExitStack()
        self.states = [
            torch.Generator(place).manual_seed(seed).get_state()
            for place in (torch.device("cpu"), *self._devices)
        ]

    def __enter__(self) -> None:
        self._stack.enter_context(torch.random.fork_rng(devices=self._devices))
        torch.set_rng_state(self.states[0])
        for device, state in zip(self._devices, self.states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)

    def __exit__(self, *_: object) -> None:
        on_devices = [torch.cuda.get_rng_state(device) for device in self._devices]
        self.states = [torch.get_rng_state(), *on_devices]
        self._stack.close()
