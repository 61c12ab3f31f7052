"""The first convolution of the published embeddings, with a fifth of the multiplications.

Some 95 % of the arithmetic of these embeddings is their first 3x3 convolution. Winograd's
transform of its input depends only on the features, so a training computes it once rather than in
every epoch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_attmil.cells.detection import (
    KERNEL_SIDE,
    OUTPUT_SIDE,
    TILE_SIDE,
    WinogradConv2d,
    tiles_of,
)


class TiledConv2d(WinogradConv2d):
    """A 3x3 convolution of 14x14 maps without padding that also accepts their tiles.

    Its parameters are those of `torch.nn.Conv2d`. In float32 on a processor it multiplies tiles;
    elsewhere, where convolutions are no bottleneck or run in bfloat16, it convolves as usual.

    Parameters
    ----------
    in_channels, out_channels
        Channels C and K.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Conv2d calls it so
        """Return (n, K, 12, 12) of (n, C, 14, 14) maps."""
        if input.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return self.of_tiles(self.tiles(input))
        return super().forward(input)

    def tiles(self, maps: Tensor) -> Tensor:
        """Return the (n, 64, 4 * C) transformed overlapping 8x8 tiles of (n, C, 14, 14) maps.

        In memory the places within a tile form the outer axis, as each place is one matrix product.
        """
        by_place = self.transformed(tiles_of(maps))
        return by_place.view(TILE_SIDE**2, len(maps), -1).transpose(0, 1)

    def of_tiles(self, tiles: Tensor) -> Tensor:
        """Return (n, K, 12, 12) of the tiles of maps."""
        by_place = tiles.transpose(0, 1).reshape(TILE_SIDE**2, -1, self.in_channels)
        per_side = math.isqrt(by_place.shape[1] // len(tiles))
        maps = self.outputs(torch.bmm(by_place, self.kernels()), per_side, per_side)
        # Channels last, as in the following layers.
        return maps.permute(0, 3, 1, 2)


class QuickDropout(nn.Dropout):
    """Dropout that draws random numbers in less time.

    On a processor it draws 16 random bits per entry, which approximates `p` to 1 in 65,536.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Dropout calls it so
        """Return the input in which a share `p` is 0 and the rest is scaled up."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        return input * self.factors(input)

    def factors(self, like: Tensor) -> Tensor:
        """Return for each entry 0 or what it is scaled by, in the order of contiguous memory."""
        bits = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        # In place, 0 or 1: booleans would have to be written and converted.
        kept = bits.view(torch.int16)[: like.numel()].ge_(round(self.p * 2**16) - 2**15)
        return kept.view(like.shape).to(like.dtype).div_(1 - self.p)


class MapDropout(QuickDropout):
    """The same for maps whose channels are last in memory."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Dropout calls it so
        """Return (n, K, h, w) maps in which a share `p` is 0 and the rest is scaled up."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        by_place = input.permute(0, 2, 3, 1)
        return (by_place * self.factors(by_place)).permute(0, 3, 1, 2)


def tiles_bytes(cells: int, channels: int, map_side: int) -> int:
    """Return how much memory the tiles of square maps take."""
    per_side = (map_side - KERNEL_SIDE + 1) // OUTPUT_SIDE
    return cells * channels * (per_side * TILE_SIDE) ** 2 * torch.float32.itemsize


def maps_bytes(cells: int, channels: int, map_side: int) -> int:
    """Return how much memory square maps take in bfloat16."""
    return cells * channels * map_side**2 * torch.bfloat16.itemsize
