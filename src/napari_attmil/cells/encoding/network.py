"""The network that turns the picture of one cell into a vector.

Its body is EfficientNet-Lite0 (Liu 2020; Tan and Le 2019): inverted residual blocks without squeeze
and excitation, with ReLU6. Three stages, from fine to coarse, give the mean and the maximum of
their maps, and one linear layer makes the vector of them.

With an odd side, every stride samples a grid that is symmetric about the middle of the picture, so
that a turned or mirrored cell is sampled at the same places.
"""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIDE_PX: Final = 65
"""Side of the square pictures of cells; odd, see above."""
VECTOR_SIZE: Final = 256
"""Length of a cell's vector."""
STAGES: Final = (
    # blocks, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
LOOKED_AT: Final = (2, 4, 6)
"""Stages whose maps enter the vector."""
STEM_CHANNELS: Final = 32


class EncoderNetwork(nn.Module):
    """From (n, 1, 65, 65) pictures to (n, 256) vectors, float32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(1, STEM_CHANNELS, 3, 2), nn.ReLU6())
        channels, stages = STEM_CHANNELS, []
        for blocks, kernel, stride, expansion, width in STAGES:
            stage = []
            for number in range(blocks):
                own_stride = stride if number == 0 else 1
                stage.append(InvertedResidual(channels, width, kernel, own_stride, expansion))
                channels = width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)
        seen = 2 * sum(STAGES[stage][-1] for stage in LOOKED_AT)
        self.normalise = nn.BatchNorm1d(seen, affine=False)
        self.head = nn.Linear(seen, VECTOR_SIZE)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the (n, 256) vectors of (n, 1, 65, 65) pictures."""
        vectors: Tensor = self.head(self.normalise(self.seen(pictures)))
        return vectors

    def seen(self, pictures: Tensor) -> Tensor:
        """Return the (n, 944) means and maxima of three stages' maps, before the linear layer."""
        maps, seen = self.stem(pictures), []
        for number, stage in enumerate(self.stages):
            maps = stage(maps)
            if number in LOOKED_AT:
                seen += [maps.float().mean((2, 3)), maps.float().amax((2, 3))]
        return torch.cat(seen, dim=1)


class InvertedResidual(nn.Module):
    """Widen, filter each map, narrow; added to the input where the shapes agree."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        widen = [*_convolution(channels, inner, 1), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            *_convolution(inner, inner, kernel, stride, groups=inner),
            nn.ReLU6(),
            *_convolution(inner, width, 1),
        )
        self.adds = stride == 1 and channels == width

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the new width."""
        changed: Tensor = self.layers(maps)
        return maps + changed if self.adds else changed


def _convolution(
    channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return a convolution whose grid is symmetric on odd sides, and its normalisation."""
    layer = nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False)
    return layer, nn.BatchNorm2d(width, eps=1e-3)


def fused(network: EncoderNetwork) -> EncoderNetwork:
    """Return a network in evaluation mode without normalisations: they enter the convolutions.

    It gives the same vectors a third faster, and cannot be trained.
    """
    network = copy.deepcopy(network)
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for number in range(len(layers) - 1):
            layer, following = layers[number], layers[number + 1]
            if isinstance(following, nn.ReLU6):
                following.inplace = True
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                layers[number] = fuse_conv_bn_eval(layer, following)
                layers[number + 1] = nn.Identity()
    return network
