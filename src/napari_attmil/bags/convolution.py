"""The first convolution of the published embeddings, with a fifth of the multiplications.

Some 95 % of the arithmetic of these embeddings is their first 3x3 convolution. Winograd's
minimal filtering F(6x6, 3x3) (Lavin & Gray 2016) computes 6x6 of its outputs with 8x8
multiplications a channel rather than 36x9, exactly but for rounding. Its transform of the input
depends on the features alone, so that a training does it once and not in every epoch.
"""

from __future__ import annotations

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
        transforms = {
            "input_transform": np.linalg.inv(_vandermonde(TILE_SIDE)).T,
            "kernel_transform": _vandermonde(KERNEL_SIDE),
            "output_transform": _vandermonde(OUTPUT_SIDE).T,
        }
        for name, matrix in transforms.items():
            both_axes = torch.tensor(np.kron(matrix, matrix), dtype=torch.float32)
            self.register_buffer(name, both_axes, persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Conv2d calls it so
        """Return (n, K, 12, 12) of (n, C, 14, 14) maps, or of their tiles."""
        if are_tiles(input):
            return self._of_tiles(input)
        if input.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return self._of_tiles(self.tiles(input))
        return super().forward(input)

    def tiles(self, maps: Tensor) -> Tensor:
        """Return the (n, 4 * 64, C) transformed overlapping 8x8 tiles of (n, C, 14, 14) maps."""
        patches = maps.unfold(2, TILE_SIDE, OUTPUT_SIDE).unfold(3, TILE_SIDE, OUTPUT_SIDE)
        rows = patches.permute(0, 2, 3, 4, 5, 1).reshape(-1, TILE_SIDE**2, maps.shape[1])
        return (self.input_transform @ rows).view(len(maps), -1, maps.shape[1])

    def _of_tiles(self, tiles: Tensor) -> Tensor:
        cells, channels = len(tiles), self.out_channels
        rows = tiles.view(-1, TILE_SIDE**2, self.in_channels).transpose(0, 1)
        kernel = self.weight.permute(2, 3, 1, 0).reshape(KERNEL_SIDE**2, -1)
        kernel = (self.kernel_transform @ kernel).view(TILE_SIDE**2, self.in_channels, channels)
        # One matrix product for each of the 64 places of a tile; contiguous ones are fastest.
        products = torch.bmm(rows.contiguous(), kernel).view(TILE_SIDE**2, -1)
        per_side = round((len(rows[0]) / cells) ** 0.5)
        outputs = (self.output_transform @ products).view(
            OUTPUT_SIDE, OUTPUT_SIDE, cells, per_side, per_side, channels
        )
        side = OUTPUT_SIDE * per_side
        maps = outputs.permute(2, 3, 0, 4, 1, 5).reshape(cells, side, side, channels)
        # Channels last, as the layers behind are.
        return (maps + self.bias).permute(0, 3, 1, 2)


def are_tiles(features: Tensor) -> bool:
    """Return whether these are the tiles of maps rather than maps."""
    return features.ndim == 3


def tiles_bytes(cells: int, channels: int, map_side: int) -> int:
    """Return how much memory the tiles of square maps take."""
    per_side = (map_side - KERNEL_SIDE + 1) // OUTPUT_SIDE
    return cells * channels * (per_side * TILE_SIDE) ** 2 * torch.float32.itemsize


def _vandermonde(columns: int) -> npt.NDArray[np.float64]:
    """Return (8, columns) the powers of the points; at infinity only the highest counts."""
    powers = np.vander(np.array(POINTS, dtype=float), columns, increasing=True)
    return np.vstack([powers, np.eye(columns)[-1]])
