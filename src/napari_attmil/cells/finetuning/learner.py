"""A step of training a detector, the average of its weights, and its state for resuming."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_attmil.core import compute_threads, moments_of, set_moments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.cells.detection import CellRCNN
    from napari_attmil.core import Device, Float32Array

LARGEST_GRADIENT = 5.0
WEIGHT_DECAY = 0.03


@dataclass
class Learner:
    """A detector that learns.

    Attributes
    ----------
    network
        As it is after the last step.
    average
        Exponential average over the steps; it is steadier, and becomes the result.
    optimiser
        AdamW on the network.
    device
        Where it computes.
    step
        Steps taken.
    """

    network: CellRCNN
    average: CellRCNN
    optimiser: torch.optim.AdamW
    device: Device
    step: int = 0

    @classmethod
    def of(cls, network: CellRCNN, device: Device, frozen_statistics: bool = False) -> Learner:
        """Prepare a network for training.

        Parameters
        ----------
        network
            Its weights are where the training begins.
        device
            Where to compute.
        frozen_statistics
            Do not update the statistics of batch normalisation: a few images are not enough.
        """
        device = device.for_training()
        network = network.to(device.torch()).to(memory_format=torch.channels_last).train()
        if frozen_statistics:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=WEIGHT_DECAY)
        return cls(network, copy.deepcopy(network).eval(), optimiser, device)

    def learn(
        self,
        crops: Sequence[tuple[Float32Array, Float32Array]],
        rate: float,
        average_decay: float,
    ) -> dict[str, float]:
        """Take one step.

        Parameters
        ----------
        crops
            Normalised (h, w) images of one size with their (n, 4) boxes.
        rate
            Learning rate of this step.
        average_decay
            What the average keeps of itself; less in the first steps.

        Returns
        -------
        dict
            The four losses of Faster R-CNN by name.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images, targets = _batch(crops, self.device.torch())
        with compute_threads():
            with self.device.autocast():
                losses = self.network.losses(images, targets)
            self.optimiser.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
            self.optimiser.step()
        self.step += 1
        self._move_average(min(average_decay, (1 + self.step) / (10 + self.step)))
        return {name: float(value.detach()) for name, value in losses.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all that a later `restore` needs."""
        groups = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "moments": moments_of(self.optimiser),
        }
        return {f"{group}/{name}": t for group, part in groups.items() for name, t in part.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor], step: int) -> None:
        """Return to the state that `tensors` described after `step` steps."""
        groups: dict[str, dict[str, torch.Tensor]] = {"network": {}, "average": {}, "moments": {}}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        self.network.load_state_dict(groups["network"])
        self.average.load_state_dict(groups["average"])
        set_moments(self.optimiser, groups["moments"])
        self.step = step

    def _move_average(self, decay: float) -> None:
        with torch.no_grad():
            present = self.network.state_dict()
            for name, tensor in self.average.state_dict().items():
                if tensor.dtype.is_floating_point:
                    tensor.lerp_(present[name], 1 - decay)
                else:
                    tensor.copy_(present[name])


def learning_rate(peak: float, warm_up_steps: int, step: int, progress: float) -> float:
    """Return the rate after `step` steps and a share of the training: warm-up, cosine to 0."""
    warm_up = min(1.0, (step + 1) / warm_up_steps)
    return peak * warm_up * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _batch(
    crops: Sequence[tuple[Float32Array, Float32Array]], place: torch.device
) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    images = torch.stack([torch.from_numpy(crop)[None] for crop, _ in crops]).to(place)
    targets = [
        {
            "boxes": torch.from_numpy(xyxy).to(place),
            "labels": torch.ones(len(xyxy), dtype=torch.int64, device=place),
        }
        for _, xyxy in crops
    ]
    return images.contiguous(memory_format=torch.channels_last), targets
