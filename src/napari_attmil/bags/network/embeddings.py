"""From the feature maps of one cell to its embedding vector h (eq. 3): one recipe a preset.

A recipe has a part without parameters, done once before a training, and layers that learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_attmil.bags.network.convolution import MapDropout, TiledConv2d
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAP_SIDE = 14
"""Rows and columns of the maps that the published convolutions take."""

RINGS = (0.29, 0.5, 0.71, 0.93)
"""Radii, as shares of half a map's side, between the rings that a profile looks at."""

PROFILE_LENGTH = 2 * (len(RINGS) + 1) + 1
"""Numbers that a profile keeps of every map: mean and spread of each ring, and the maximum."""


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
        From channels (of a profile: numbers a cell), length of h and dropout to the convolutions,
        which run in the device's precision, and the fully connected layer, which runs in float32.
    """

    shape: tuple[int, int]
    prepare: Callable[[Tensor], Tensor]
    standardised_over: tuple[int, ...]
    build: Callable[[int, int, float], tuple[nn.Module, nn.Module]]

    def prepared(self, features: Tensor) -> Tensor:
        """Return features as the layers take them; prepared ones as they are."""
        return features if features.shape[2:] == self.shape else self.prepare(features)

    def map_means(self, prepared: Tensor) -> Tensor:
        """Return (n, channels) means: of prepared maps, or of the rings of a profile."""
        means = prepared[:, :, : len(RINGS) + 1] if self.is_profile else prepared
        return means.mean((2, 3))

    @property
    def is_profile(self) -> bool:
        """Whether numbers are kept of every map, and not the map itself."""
        return self.shape[1] == 1

    def statistics_shape(self, channels: int) -> tuple[int, int, int]:
        """Return the shape of the prepared features' mean and standard deviation."""
        rows, columns = self.shape
        return (
            channels,
            1 if 2 in self.standardised_over else rows,
            1 if 3 in self.standardised_over else columns,
        )


def profile(features: Tensor) -> Tensor:
    """Return (n, channels, 11, 1): every map's course from the cell's centre to its rim.

    The mean in each of five rings, the standard deviation in each, and the map's maximum. They
    hardly change when a cell is turned, and tell a pale centre, a target's eye or a dark rim.
    """
    maps = features.float().flatten(2)
    rings = _rings(features.shape[-2:]).to(maps.device)
    means = maps @ rings.T
    spreads = (maps.square() @ rings.T - means.square()).clamp(min=0).sqrt()
    parts = torch.cat([means, spreads, maps.amax(2, keepdim=True)], dim=2)
    return parts[..., None].to(features.dtype)


def _rings(shape: Sequence[int]) -> Tensor:
    """Return (5, rows * columns) the weights of a map's places in each ring; rows sum to 1.

    A ring too narrow for a small map to hold a place of is the whole map.
    """
    rows, columns = (torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1) for side in shape)
    radius = torch.hypot(rows[:, None], columns[None, :]).flatten()
    ring = torch.bucketize(radius, torch.tensor(RINGS))
    weights = torch.stack([(ring == number).float() for number in range(len(RINGS) + 1)])
    weights[weights.sum(1) == 0] = 1
    return weights / weights.sum(1, keepdim=True)


def _whole_maps(features: Tensor) -> Tensor:
    raise UserError(
        f"The features have maps of {features.shape[-2]}x{features.shape[-1]}, but this embedding "
        f"needs {MAP_SIDE}x{MAP_SIDE}; compute the features so, or choose the embedding profile."
    )


def _profile_layers(inputs: int, size: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Return the project's own embedding: hardly any parameters, for cohorts of few samples."""
    connected = nn.Linear(inputs, size)
    return nn.Flatten(), nn.Sequential(connected, nn.ReLU(), nn.Dropout(dropout))


def _three_conv(channels: int, size: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Return the embedding of the published code."""
    convolutions = nn.Sequential(
        TiledConv2d(channels, 128),
        nn.ReLU(),
        MapDropout(dropout),
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
    layers: list[nn.Module] = [TiledConv2d(channels, 128), nn.ReLU(), MapDropout(dropout)]
    for incoming in (128, 64, 64, 64):
        layers += [nn.Conv2d(incoming, 64, 3), nn.ReLU()]
    convolutions = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten())
    return convolutions, nn.Sequential(nn.Linear(64 * 2 * 2, size), nn.ReLU())


EMBEDDINGS = {
    "profile": Embedding((PROFILE_LENGTH, 1), profile, (0,), _profile_layers),
    "three-conv": Embedding((MAP_SIDE, MAP_SIDE), _whole_maps, (0, 2, 3), _three_conv),
    "five-conv": Embedding((MAP_SIDE, MAP_SIDE), _whole_maps, (0, 2, 3), _five_conv),
}
