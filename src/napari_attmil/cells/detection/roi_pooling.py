"""RoI align (He et al. 2017), some twenty times as fast as torchvision's on a processor.

torchvision's operator there reads one channel after the other on one core. A sample point is the
weighted sum of four places of the map, and with channels last a place's channels lie side by side:
the sum is what `torch.nn.functional.embedding_bag` computes, on all cores, and backwards too.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import roi_align as torchvision_roi_align

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def roi_align(
    maps: Tensor,
    rois: Sequence[Tensor],
    output_size: int,
    stride: int,
    sampling_ratio: int,
    *,
    aligned: bool,
) -> Tensor:
    """Return the features of boxes, as `torchvision.ops.roi_align` does.

    Parameters
    ----------
    maps
        (b, C, h, w) floating point; fastest with channels last in memory.
    rois
        One a map: (n_i, 4) boxes x_min, y_min, x_max, y_max in pixels of the image.
    output_size
        Side of the result.
    stride
        Pixels of the image a place of the map.
    sampling_ratio
        Sample points along each side of a place of the result, at least 1.
    aligned
        Whether pixel centres lie at half integers, as they do; False for weights that were
        trained without (a box is then at least one place wide).

    Returns
    -------
    Tensor
        (n, C, output_size, output_size), the boxes of the first map first.
    """
    if maps.device.type != "cpu":
        features: Tensor = torchvision_roi_align(
            maps, list(rois), output_size, 1 / stride, sampling_ratio, aligned
        )
        return features
    channels, height, width = maps.shape[1:]
    boxes = torch.cat(list(rois)) / stride - (0.5 if aligned else 0.0)
    first, side = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    if not aligned:
        side = side.clamp(min=1)
    points = output_size * sampling_ratio
    steps = (torch.arange(points, dtype=boxes.dtype) + 0.5) / points
    columns, column_weights = _neighbours(first[:, :1] + side[:, :1] * steps, width)
    rows, row_weights = _neighbours(first[:, 1:] + side[:, 1:] * steps, height)
    of_map = torch.arange(len(maps)).repeat_interleave(torch.tensor([len(of) for of in rois]))
    rows += (of_map * height)[:, None, None]
    # (n, points, points, 2, 2): of each point, the places above and below, left and right.
    places = rows[:, :, None, :, None] * width + columns[:, None, :, None, :]
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    sums = functional.embedding_bag(
        _by_output(places, sampling_ratio),
        maps.permute(0, 2, 3, 1).reshape(-1, channels),
        mode="sum",
        per_sample_weights=_by_output(weights.to(maps.dtype), sampling_ratio) / sampling_ratio**2,
    )
    return sums.view(len(boxes), output_size, output_size, channels).permute(0, 3, 1, 2)


class RoIAlign(nn.Module):
    """RoI align from one level of the pyramid, for torchvision's `RoIHeads`.

    Parameters
    ----------
    level
        Name of the level.
    output_size, stride, sampling_ratio
        As in `roi_align`.
    """

    def __init__(self, level: str, output_size: int, stride: int, sampling_ratio: int) -> None:
        super().__init__()
        self.level = level
        self.align = partial(
            roi_align, output_size=output_size, stride=stride, sampling_ratio=sampling_ratio
        )

    def forward(
        self, maps: Mapping[str, Tensor], rois: Sequence[Tensor], _sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Return (n, C, output_size, output_size) of boxes in pixels of their images."""
        return self.align(maps[self.level], rois, aligned=False)


def _neighbours(place: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return the two places beside each (n, points) place of an axis, and their weights.

    Both have a last axis of 2. Beyond the edge its place counts, further than one away nothing.
    """
    inside = (place >= -1) & (place <= length)
    place = place.clamp(0, length - 1)
    lower = place.floor()
    share = place - lower
    weights = torch.stack([1 - share, share], dim=-1) * inside[..., None]
    both = torch.stack([lower, (lower + 1).clamp(max=length - 1)], dim=-1)
    return both.long(), weights


def _by_output(values: Tensor, ratio: int) -> Tensor:
    """Return (n * size * size, ratio * ratio * 4) of (n, points, points, 2, 2) values."""
    rois, points = values.shape[:2]
    size = points // ratio
    by_place = values.view(rois, size, ratio, size, ratio, 4).transpose(2, 3)
    return by_place.reshape(rois * size**2, ratio**2 * 4)
