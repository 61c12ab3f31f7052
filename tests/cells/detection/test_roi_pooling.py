"""RoI align is torchvision's, whatever the boxes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align as torchvision_roi_align

from napari_attmil.cells.detection.roi_pooling import roi_align

STRIDE = 4


@pytest.fixture
def maps() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn((3, 5, 20, 32), generator=generator)
    return values.contiguous(memory_format=torch.channels_last)


def some_rois(generator_seed: int, count: int) -> Tensor:
    """Return boxes of which some reach beyond the map and some have hardly a width."""
    generator = torch.Generator().manual_seed(generator_seed)
    corner = torch.rand((count, 2), generator=generator) * torch.tensor([160.0, 110.0]) - 20
    side = torch.rand((count, 2), generator=generator) ** 2 * 60
    return torch.cat([corner, corner + side], dim=1)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(("size", "ratio"), [(7, 1), (14, 2), (3, 4)])
def test_the_features_are_those_of_torchvision(
    maps: Tensor, size: int, ratio: int, aligned: bool
) -> None:
    rois = [some_rois(0, 40), torch.empty((0, 4)), some_rois(1, 25)]

    found = roi_align(maps, rois, size, STRIDE, ratio, aligned=aligned)

    expected = torchvision_roi_align(maps, rois, size, 1 / STRIDE, ratio, aligned)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_gradients_are_those_of_torchvision(maps: Tensor) -> None:
    rois = [some_rois(2, 30), some_rois(3, 1), some_rois(4, 12)]
    weights = torch.randn((43, 5, 7, 7), generator=torch.Generator().manual_seed(5))
    gradients = []
    for function in (
        lambda inputs: roi_align(inputs, rois, 7, STRIDE, 1, aligned=False),
        lambda inputs: torchvision_roi_align(inputs, rois, 7, 1 / STRIDE, 1, False),
    ):
        inputs = maps.clone().requires_grad_()
        (function(inputs) * weights).sum().backward()
        gradients.append(inputs.grad)

    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_no_box_gives_no_features(maps: Tensor) -> None:
    found = roi_align(maps, [torch.empty((0, 4))] * 3, 7, STRIDE, 1, aligned=False)

    assert found.shape == (0, 5, 7, 7)


def test_a_map_of_one_place_has_no_neighbours() -> None:
    found = roi_align(
        torch.full((1, 2, 1, 1), 3.0), [some_rois(6, 5) * 0.1], 2, STRIDE, 1, aligned=False
    )

    assert set(found.flatten().tolist()) <= {0.0, 3.0}
