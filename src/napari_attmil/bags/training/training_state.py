"""A training on disk: all that it takes to go on as if it had never been interrupted."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from napari_attmil.core import Checkpoint, UserError, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_attmil.bags.bag import Bag
    from napari_attmil.core import Device

KIND = "training"
TRAINING_VERSION: Final = 2
"""Raised by hand when the code of a training, of a test or of features gives other numbers.

Unfinished trainings and kept trials of another version are done anew. A recorded training in the
tests says when numbers have changed and this has not.
"""

Tensors = dict[str, "Tensor"]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """How a training stands between two epochs.

    Attributes
    ----------
    weights, best_weights
        The model's, as they are and as they were after the best epoch; the latter are empty
        before the first.
    moments
        The optimiser's, named ``<number of the parameter>.<name>``.
    random
        The random states of the processor and of the GPU, named by number.
    fit_losses
        One an epoch.
    """

    weights: Tensors
    best_weights: Tensors
    moments: Tensors
    random: Tensors
    fit_losses: list[float]

    def save(self, path: Path, belongs_to: Mapping[str, Any]) -> None:
        """Write the state whole or not at all.

        Parameters
        ----------
        path
            Usually ``*.safetensors``; replaced if it is there.
        belongs_to
            What is trained on what, as plain JSON values.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        tensors = {
            f"{group}/{name}": tensor
            for group in ("weights", "best_weights", "moments", "random")
            for name, tensor in getattr(self, group).items()
        }
        settings = {"belongs_to": dict(belongs_to), "fit_losses": self.fit_losses}
        save_checkpoint(path, Checkpoint(KIND, tensors, settings))

    @classmethod
    def load(cls, path: Path, belongs_to: Mapping[str, Any]) -> TrainingState:
        """Read a state that belongs to just this training.

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
                    "it was begun with, or begin anew."
                )
        groups: dict[str, Tensors] = {
            group: {} for group in ("weights", "best_weights", "moments", "random")
        }
        for name, tensor in checkpoint.weights.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        return cls(**groups, fit_losses=list(checkpoint.settings["fit_losses"]))


def digest_of(bags: Sequence[Bag]) -> str:
    """Return a digest of names, labels and boxes, and of one cell's features a bag.

    All features would take minutes to read from the disk; they follow from images and boxes.
    """
    digest = hashlib.blake2b(digest_size=16)
    for bag in bags:
        parts = (bag.sample, bag.patient, bag.label, bag.detector_digest, bag.feature_settings)
        digest.update(repr(parts).encode())
        digest.update(bag.cell_id.tobytes())
        if bag.boxes is not None:
            digest.update(bag.boxes.digest().encode())  # A box that was moved keeps its id.
        digest.update(bag.features[:1].tobytes())
    return digest.hexdigest()


class Randomness(contextlib.AbstractContextManager[None]):
    """A random state of its own, put in torch's place for a while and taken back after."""

    def __init__(self, seed: int, device: Device) -> None:
        self._devices = [device.torch()] if device.torch().type == "cuda" else []
        self._stack = contextlib.ExitStack()
        self.states = [
            torch.Generator(place).manual_seed(seed).get_state()
            for place in (torch.device("cpu"), *self._devices)
        ]

    def __enter__(self) -> None:
        self._stack.enter_context(torch.random.fork_rng(devices=self._devices))
        # Some of cudnn's algorithms add in an order of their own choice.
        self._stack.enter_context(torch.backends.cudnn.flags(deterministic=True, benchmark=False))
        torch.set_rng_state(self.states[0])
        for device, state in zip(self._devices, self.states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)

    def __exit__(self, *_: object) -> None:
        self.states = self._read()
        self._stack.close()

    def _read(self) -> list[Tensor]:
        on_devices = [torch.cuda.get_rng_state(device) for device in self._devices]
        return [torch.get_rng_state(), *on_devices]
