"""The first convolution of the published embeddings, with a fifth of the multiplications.

Some 95 % of the arithmetic of these embeddings is their first 3x3 convolution. Winograd's
minimal filtering F(6x6, 3x3) (Lavin & Gray 2016) computes 6x6 of its outputs with 8x8
multiplications a channel rather than 36x9, exactly but for rounding. Its transform of the input
depends on the features alone, so that a training does it once and not in every epoch.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

KERNEL_SIDE = 3
OUTPUT_SIDE = 6
"""Rows and columns of output that one tile gives."""
TILE_SIDE = OUTPUT_SIDE + KERNEL_SIDE - 1
POINTS = (0, 1, -1, 2, -2, 1 / 2, -1 / 2)
"""Where the polynomials behind the method are evaluated beside infinity; small ones round least."""


class TiledConv2d(nn.Conv2d):
    """A 3x3 convolution of 14x14 maps without padding, which also takes their tiles.

    Its parameters are those of `torch.nn.Conv2d`. In float32 on a processor it multiplies tiles;
    elsewhere, where convolutions are no bottleneck or run in bfloat16, it does what that does.

    Parameters
    ----------
    in_channels, out_channels
        Channels C and K.
    """

    bias: Tensor
    input_transform: Tensor
    kernel_transform: Tensor
    output_transform: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, KERNEL_SIDE)
        # y = V_m^T ((V_r g) * (V_a^-T d)): the transpose of Toom and Cook's product of polynomials.
        of_input = np.linalg.inv(_vandermonde(TILE_SIDE)).T
        transforms = {
            "input_transform": np.kron(of_input, of_input),
            "kernel_transform": _vandermonde(KERNEL_SIDE),
            "output_transform": _vandermonde(OUTPUT_SIDE).T,
        }
        for name, matrix in transforms.items():
            tensor = torch.tensor(matrix, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Conv2d calls it so
        """Return (n, K, 12, 12) of (n, C, 14, 14) maps, or of their tiles."""
        if are_tiles(input):
            return self._of_tiles(input)
        if input.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return self._of_tiles(self.tiles(input))
        return super().forward(input)

    def tiles(self, maps: Tensor) -> Tensor:
        """Return the (n, 64, 4 * C) transformed overlapping 8x8 tiles of (n, C, 14, 14) maps.

        In memory a place of all tiles follows the other: each place is one matrix product.
        """
        patches = maps.unfold(2, TILE_SIDE, OUTPUT_SIDE).unfold(3, TILE_SIDE, OUTPUT_SIDE)
        rows = patches.permute(0, 2, 3, 4, 5, 1).reshape(-1, TILE_SIDE**2, maps.shape[1])
        by_place = (self.input_transform @ rows).transpose(0, 1).contiguous()
        return by_place.view(TILE_SIDE**2, len(maps), -1).transpose(0, 1)

    def _of_tiles(self, tiles: Tensor) -> Tensor:
        cells, channels = len(tiles), self.out_channels
        rows = tiles.transpose(0, 1).reshape(TILE_SIDE**2, -1, self.in_channels)
        kernel = _on_both_axes(self.kernel_transform, self.weight.permute(2, 3, 1, 0))
        kernel = kernel.view(TILE_SIDE**2, self.in_channels, channels)
        products = torch.bmm(rows, kernel)
        per_side = math.isqrt(rows.shape[1] // cells)
        outputs = _on_both_axes(self.output_transform, products).view(
            OUTPUT_SIDE, OUTPUT_SIDE, cells, per_side, per_side, channels
        )
        side = OUTPUT_SIDE * per_side
        maps = outputs.permute(2, 3, 0, 4, 1, 5).reshape(cells, side, side, channels)
        # Channels last, as the layers behind are.
        return (maps + self.bias).permute(0, 3, 1, 2)


class MapDropout(nn.Dropout):
    """Dropout of the entries of maps, whose random numbers take a fifth of the time.

    On a processor it draws 16 random bits an entry, which is as near to `p` as 1 in 65,536.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Dropout calls it so
        """Return (n, K, h, w) maps of which a share of `p` is 0, the others enlarged in return."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        bits = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        # In place, 0 or 1: with booleans, comparing and converting take six times as long.
        kept = bits.view(torch.int16)[: input.numel()].ge_(round(self.p * 2**16) - 2**15)
        by_place = input.permute(0, 2, 3, 1)
        scale = kept.view(by_place.shape).to(input.dtype).div_(1 - self.p)
        return (by_place * scale).permute(0, 3, 1, 2)


def are_tiles(features: Tensor) -> bool:
    """Return whether these are the tiles of maps rather than maps."""
    return features.ndim == 3


def packed(parts: list[Tensor]) -> Tensor:
    """Return the features or tiles of several bags on one cell axis, laid out as before."""
    if len(parts) == 1:
        return parts[0]
    if not are_tiles(parts[0]):
        return torch.cat(parts)
    return torch.cat([part.transpose(0, 1) for part in parts], dim=1).transpose(0, 1)


def tiles_bytes(cells: int, channels: int, map_side: int) -> int:
    """Return how much memory the tiles of square maps take."""
    per_side = (map_side - KERNEL_SIDE + 1) // OUTPUT_SIDE
    return cells * channels * (per_side * TILE_SIDE) ** 2 * torch.float32.itemsize


def maps_bytes(cells: int, channels: int, map_side: int) -> int:
    """Return how much memory square maps take in bfloat16."""
    return cells * channels * map_side**2 * torch.bfloat16.itemsize


def _on_both_axes(matrix: Tensor, values: Tensor) -> Tensor:
    """Return the (p * p, ...) of a (p, q) matrix times each axis of (q * q, ...) or (q, q, ...)."""
    side = matrix.shape[1]
    rows = (matrix @ values.reshape(side, -1)).view(len(matrix), side, -1)
    return (matrix @ rows).view(len(matrix) ** 2, -1)


def _vandermonde(columns: int) -> npt.NDArray[np.float64]:
    """Return (8, columns) the powers of the points; at infinity only the highest counts."""
    powers = np.vander(np.array(POINTS, dtype=float), columns, increasing=True)
    return np.vstack([powers, np.eye(columns)[-1]])
