"""From the feature maps of one cell to its embedding vector h (eq. 3): one recipe a preset.

A recipe has a part without parameters, done once before a training, and layers that learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_attmil.bags.convolution import TiledConv2d
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

MAP_SIDE = 14
"""Rows and columns of the maps that the published convolutions take."""

PROFILE = ("mean", "standard deviation", "maximum", "mean of the middle")
"""What the project's own embedding keeps of every map."""


@dataclass(frozen=True)
class Embedding:
    """How cells are embedded.

    Attributes
    ----------
    shape
        What is kept of every feature map: (rows, columns).
    prepare
        (n, channels, s, s) to (n, channels, *shape), in the type given.
    standardised_over
        Axes of the prepared features that share a mean and a standard deviation.
    build
        From channels, length of h and dropout to the convolutions, which run in the device's
        precision, and the fully connected layer, which runs in float32.
    """

    shape: tuple[int, int]
    prepare: Callable[[Tensor], Tensor]
    standardised_over: tuple[int, ...]
    build: Callable[[int, int, float], tuple[nn.Module, nn.Module]]

    def prepared(self, features: Tensor) -> Tensor:
        """Return features as the layers take them; prepared ones as they are."""
        return features if features.shape[2:] == self.shape else self.prepare(features)

    def map_means(self, prepared: Tensor) -> Tensor:
        """Return the (n, channels) mean of every feature map of prepared features."""
        # A profile begins with the mean.
        return prepared[:, :, 0, 0] if self.shape[1] == 1 else prepared.mean((2, 3))

    def statistics_shape(self, channels: int) -> tuple[int, int, int]:
        """Return the shape of the prepared features' mean and standard deviation."""
        rows, columns = self.shape
        return (
            channels,
            1 if 2 in self.standardised_over else rows,
            1 if 3 in self.standardised_over else columns,
        )


def profile(features: Tensor) -> Tensor:
    """Return (n, channels, 4, 1): mean, deviation, maximum and middle of every map.

    They do not change when a cell is turned, and the middle tells a cell's centre from its rim.
    """
    maps = features.float()
    edge = maps.shape[-1] * 2 // 7
    middle = maps[..., edge : maps.shape[-2] - edge, edge : maps.shape[-1] - edge]
    places = (-2, -1)
    parts = [
        maps.mean(places),
        maps.std(places, correction=0),
        maps.amax(places),
        middle.mean(places),
    ]
    return torch.stack(parts, dim=2)[..., None].to(features.dtype)


def _whole_maps(features: Tensor) -> Tensor:
    raise UserError(
        f"The features have maps of {features.shape[-2]}x{features.shape[-1]}, but this embedding "
        f"needs {MAP_SIDE}x{MAP_SIDE}; compute the features so, or choose the embedding profile."
    )


def _profile_layers(channels: int, size: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Return the project's own embedding: hardly any parameters, for cohorts of few samples."""
    connected = nn.Linear(channels * len(PROFILE), size)
    return nn.Flatten(), nn.Sequential(connected, nn.ReLU(), nn.Dropout(dropout))


def _three_conv(channels: int, size: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Return the embedding of the published code (METHOD.md, section 2)."""
    convolutions = nn.Sequential(
        TiledConv2d(channels, 128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(128, 64, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    return convolutions, nn.Sequential(nn.Linear(32 * 4 * 4, size), nn.ReLU())


def _five_conv(channels: int, size: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Return the embedding of the paper.

    The paper gives the number of convolutions, the dropout and the pooling, but neither widths
    nor kernels nor the activation of h: 3x3 without padding, the published code's widths of its
    first two layers and its ReLU are our choice.
    """
    layers: list[nn.Module] = [TiledConv2d(channels, 128), nn.ReLU(), nn.Dropout(dropout)]
    for incoming in (128, 64, 64, 64):
        layers += [nn.Conv2d(incoming, 64, 3), nn.ReLU()]
    convolutions = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten())
    return convolutions, nn.Sequential(nn.Linear(64 * 2 * 2, size), nn.ReLU())


EMBEDDINGS = {
    "profile": Embedding((len(PROFILE), 1), profile, (0,), _profile_layers),
    "three-conv": Embedding((MAP_SIDE, MAP_SIDE), _whole_maps, (0, 2, 3), _three_conv),
    "five-conv": Embedding((MAP_SIDE, MAP_SIDE), _whole_maps, (0, 2, 3), _five_conv),
}
