from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_attmil.cells.detection import winograd
from napari_attmil.cells.detection.network import CellRCNN, DetectorArchitecture
from napari_attmil.cells.detection.winograd import PaddedConv2d, with_quick_convolutions
from napari_attmil.core.device import Device


def ordinary(bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(16, 12, 3, padding=1, bias=bias)


def maps(height: int = 13, width: int = 20, count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 16, height, width, generator=generator)


def assert_same(quick: nn.Module, plain: nn.Module, features: torch.Tensor) -> None:
    with torch.no_grad():
        found, true = quick(features), plain(features)
    assert found.shape == true.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tiles_at_once", [1, 5, 14, 512])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (6, 6), (13, 20), (12, 31)])
def test_maps_of_any_size_give_the_ordinary_convolution(
    monkeypatch: pytest.MonkeyPatch, tiles_at_once: int, height: int, width: int
) -> None:
    monkeypatch.setattr(winograd, "TILES_AT_ONCE", tiles_at_once)
    assert_same(PaddedConv2d.like(ordinary()), ordinary(), maps(height, width))


def test_it_does_without_a_bias() -> None:
    assert_same(PaddedConv2d.like(ordinary(bias=False)), ordinary(bias=False), maps())


def test_changed_weights_count_at_once() -> None:
    plain = ordinary()
    quick = PaddedConv2d.like(plain)
    assert_same(quick, plain, maps())
    plain.load_state_dict({name: value * 2 for name, value in plain.state_dict().items()})
    assert_same(quick, plain, maps())
    torch.optim.SGD(plain.parameters(), lr=0.1).step(
        lambda: plain(maps()).square().mean().backward()
    )
    assert_same(quick, plain, maps())


def test_it_learns_as_the_ordinary_convolution() -> None:
    plain = ordinary()
    assert torch.equal(PaddedConv2d.like(plain)(maps()), plain(maps()))


def test_in_bfloat16_the_ordinary_convolution_runs() -> None:
    plain = ordinary()
    with torch.no_grad(), Device("cpu", "bfloat16", "").autocast():
        assert torch.equal(PaddedConv2d.like(plain)(maps()), plain(maps()))


def test_only_large_layers_that_keep_the_size_are_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 16)
    layers = nn.Sequential(
        ordinary(),
        nn.Conv2d(12, 12, 3, padding=1),
        nn.Sequential(nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.Conv2d(16, 16, 1)),
    )
    before = layers.state_dict()
    with_quick_convolutions(layers)
    quick = [name for name, layer in layers.named_modules() if isinstance(layer, PaddedConv2d)]
    assert quick == ["0"]
    assert list(layers.state_dict()) == list(before)
    assert all(
        value.data_ptr() == before[name].data_ptr() for name, value in layers.state_dict().items()
    )


def test_the_detector_finds_the_same_maps_with_and_without() -> None:
    torch.manual_seed(0)
    network = CellRCNN(DetectorArchitecture()).eval()
    image = torch.randn(1, 1, 96, 128)
    learning = network.features(image)
    with torch.no_grad():
        found = network.features(image)
    for level in learning:
        torch.testing.assert_close(found[level], learning[level], rtol=1e-3, atol=1e-3)
