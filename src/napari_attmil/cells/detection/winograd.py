"""3x3 convolutions in float32 on a processor, with a fifth of the multiplications.

Winograd's minimal filtering F(6x6, 3x3) (Lavin & Gray 2016) computes 6x6 outputs with 8x8
multiplications a channel rather than 36x9, exactly but for rounding. What remains are matrix
products, one for each of the 64 places of a tile.
"""

from __future__ import annotations

from itertools import product

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
TILES_AT_ONCE = 512
"""Some 100 MB are needed for so many tiles of 256 channels, whatever the size of the maps."""
FEWEST_CHANNELS = 128
"""With fewer, the transforms take as long as they save."""


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 1, with the transforms of its tiles.

    Its parameters are those of `torch.nn.Conv2d`; the transforms are not saved with them.
    """

    input_transform: Tensor
    kernel_transform: Tensor
    output_transform: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        padding: int = 0,
        bias: bool = True,
        device: str | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, KERNEL_SIDE, padding=padding, bias=bias, device=device
        )
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

    def kernels(self) -> Tensor:
        """Return the (64, C, K) transformed kernels."""
        kernels = _on_both_axes(self.kernel_transform, self.weight.permute(2, 3, 1, 0))
        return kernels.view(TILE_SIDE**2, self.in_channels, self.out_channels)

    def transformed(self, patches: Tensor) -> Tensor:
        """Return (64, m, C) of `tiles_of` maps, m tiles in all."""
        by_place = patches.permute(4, 5, 0, 1, 2, 3).reshape(TILE_SIDE**2, -1)
        return (self.input_transform @ by_place).view(TILE_SIDE**2, -1, self.in_channels)

    def outputs(self, products: Tensor, rows: int, columns: int) -> Tensor:
        """Return (n, 6 * rows, 6 * columns, K) of the (64, n * rows * columns, K) products."""
        tiles = _on_both_axes(self.output_transform, products).view(
            OUTPUT_SIDE, OUTPUT_SIDE, -1, rows, columns, self.out_channels
        )
        by_pixel = tiles.permute(2, 3, 0, 4, 1, 5)
        shape = (-1, rows * OUTPUT_SIDE, columns * OUTPUT_SIDE, self.out_channels)
        maps = by_pixel.reshape(shape)
        return maps if self.bias is None else maps.add_(self.bias)


class PaddedConv2d(WinogradConv2d):
    """A 3x3 convolution that preserves the size of maps, and is fast for inference on a CPU.

    With gradients, on a GPU or in bfloat16, it is the same as `torch.nn.Conv2d`.
    """

    _kept_kernels: tuple[tuple[int, int], Tensor] | None = None

    @classmethod
    def like(cls, layer: nn.Conv2d) -> PaddedConv2d:
        """Return a layer that shares another's parameters."""
        channels = layer.in_channels, layer.out_channels
        new = cls(*channels, padding=1, bias=layer.bias is not None, device="meta")
        new.weight, new.bias = layer.weight, layer.bias
        return new

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Conv2d calls it so
        """Return (n, K, h, w) of (n, C, h, w) maps."""
        is_plain = input.device.type == "cpu" and input.dtype == torch.float32
        if not is_plain or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        height, width = input.shape[2:]
        rows, columns = (-(-side // OUTPUT_SIDE) for side in (height, width))
        patches = tiles_of(_padded(input, rows * OUTPUT_SIDE, columns * OUTPUT_SIDE))
        maps = input.new_empty(len(input), height, width, self.out_channels)
        images_at_once = max(1, TILES_AT_ONCE // (rows * columns))
        rows_at_once = min(rows, max(1, TILES_AT_ONCE // columns))
        starts = range(0, len(input), images_at_once), range(0, rows, rows_at_once)
        for image, row in product(*starts):
            part = patches[image : image + images_at_once, row : row + rows_at_once]
            products = torch.bmm(self.transformed(part), self._kernels_as_they_are())
            place = maps[image : image + images_at_once, row * OUTPUT_SIDE :]
            outputs = self.outputs(products, *part.shape[1:3])[:, : place.shape[1], :width]
            place[:, : outputs.shape[1]] = outputs
        return maps.permute(0, 3, 1, 2)

    def _kernels_as_they_are(self) -> Tensor:
        """Return the transformed kernels, computed again whenever the weights have changed."""
        state = (self.weight.data_ptr(), self.weight._version)
        if self._kept_kernels is None or self._kept_kernels[0] != state:
            self._kept_kernels = (state, self.kernels())
        return self._kept_kernels[1]


def with_quick_convolutions(network: nn.Module) -> None:
    """Replace the layers of a network that gain from it by `PaddedConv2d`."""
    for name, layer in network.named_children():
        if isinstance(layer, nn.Conv2d) and _gains(layer):
            setattr(network, name, PaddedConv2d.like(layer))
        else:
            with_quick_convolutions(layer)


def _padded(maps: Tensor, height: int, width: int) -> Tensor:
    """Return (n, C, height + 2, width + 2) with zeros around (n, C, h, w) maps, channels last."""
    padded = maps.new_empty(len(maps), height + 2, width + 2, maps.shape[1])
    rows, columns = (side + 1 for side in maps.shape[2:])
    # Only the border is filled: filling all takes longer than copying the maps.
    padded[:, 0] = padded[:, rows:] = padded[:, :, 0] = padded[:, :, columns:] = 0
    padded[:, 1:rows, 1:columns] = maps.permute(0, 2, 3, 1)
    return padded.permute(0, 3, 1, 2)


def tiles_of(maps: Tensor) -> Tensor:
    """Return the (n, rows, columns, C, 8, 8) overlapping tiles of (n, C, h, w) maps, as a view."""
    by_pixel = maps.permute(0, 2, 3, 1)
    return by_pixel.unfold(1, TILE_SIDE, OUTPUT_SIDE).unfold(2, TILE_SIDE, OUTPUT_SIDE)


def _gains(layer: nn.Conv2d) -> bool:
    return (
        not isinstance(layer, WinogradConv2d)
        and layer.kernel_size == (KERNEL_SIDE, KERNEL_SIDE)
        and layer.stride == layer.padding == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.in_channels >= FEWEST_CHANNELS
    )


def _on_both_axes(matrix: Tensor, values: Tensor) -> Tensor:
    """Return the (p * p, ...) of a (p, q) matrix times each axis of (q * q, ...) or (q, q, ...)."""
    side = matrix.shape[1]
    rows = (matrix @ values.reshape(side, -1)).view(len(matrix), side, -1)
    return (matrix @ rows).view(len(matrix) ** 2, -1)


def _vandermonde(columns: int) -> npt.NDArray[np.float64]:
    """Return (8, columns) the powers of the points; at infinity only the highest counts."""
    powers = np.vander(np.array(POINTS, dtype=float), columns, increasing=True)
    return np.vstack([powers, np.eye(columns)[-1]])
