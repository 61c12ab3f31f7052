from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from napari_attmil.bags.network.attention_mil import AttentionMIL
from napari_attmil.bags.network.convolution import (
    TiledConv2d,
    maps_bytes,
    tiles_bytes,
)
from napari_attmil.bags.network.prepared_features import PreparedFeatures, packed
from napari_attmil.bags.presets import mil_preset
from napari_attmil.core.device import Device, Precision


@pytest.fixture
def layer() -> TiledConv2d:
    torch.manual_seed(0)
    return TiledConv2d(16, 12)


def maps(side: int = 14) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 16, side, side, generator=generator)


def exact(layer: TiledConv2d, features: torch.Tensor) -> torch.Tensor:
    """Return the ordinary convolution in float64."""
    assert layer.bias is not None
    return functional.conv2d(features.double(), layer.weight.double(), layer.bias.double())


def relative_error(found: torch.Tensor, true: torch.Tensor) -> float:
    return float((found - true).abs().max() / true.abs().max())


@pytest.mark.parametrize("side", [14, 20])
def test_tiles_give_the_ordinary_convolution(layer: TiledConv2d, side: int) -> None:
    with torch.no_grad():
        found, true = layer(maps(side)), exact(layer, maps(side))
    assert found.shape == true.shape == (5, 12, side - 2, side - 2)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(found, true) < 1e-4


@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_gradients_of_tiles_are_those_of_the_ordinary_convolution(
    layer: TiledConv2d, parameter: str
) -> None:
    toward = torch.randn(5, 12, 12, 12, generator=torch.Generator().manual_seed(2))
    found = torch.autograd.grad((layer(maps()) * toward).sum(), getattr(layer, parameter))
    true = torch.autograd.grad((exact(layer, maps()) * toward).sum(), getattr(layer, parameter))
    assert relative_error(found[0], true[0]) < 1e-4


def test_the_gradient_reaches_the_maps_too(layer: TiledConv2d) -> None:
    features, plain = maps().requires_grad_(), maps().requires_grad_()
    layer(features).square().sum().backward()
    exact(layer, plain).square().sum().backward()
    assert features.grad is not None
    assert plain.grad is not None
    assert relative_error(features.grad, plain.grad) < 1e-4


def test_tiles_made_before_give_what_the_maps_give(layer: TiledConv2d) -> None:
    tiles = layer.tiles(maps())
    assert tiles.shape == (5, 64, 4 * 16)
    assert tiles.nbytes == tiles_bytes(5, 16, 14)
    assert torch.equal(layer.of_tiles(tiles), layer(maps()))
    features = PreparedFeatures("tiles", tiles)
    parts = [features[:2], features[2:]]
    assert torch.equal(packed(parts).values, tiles)
    assert packed(parts).values.stride() == tiles.stride()


def test_parameters_are_those_of_an_ordinary_convolution(layer: TiledConv2d) -> None:
    ordinary = torch.nn.Conv2d(16, 12, 3)
    ordinary.load_state_dict(layer.state_dict())
    assert list(ordinary.state_dict()) == list(layer.state_dict())


def test_in_bfloat16_the_ordinary_convolution_runs(layer: TiledConv2d) -> None:
    with torch.no_grad(), Device("cpu", "bfloat16", "").autocast():
        found = layer(maps())
        ordinary = functional.conv2d(maps(), layer.weight, layer.bias)
    assert torch.equal(found, ordinary)


@pytest.mark.parametrize(
    ("changes", "precision", "form"),
    [
        ({}, "float32", "tiles"),
        ({"embedding": "five-conv"}, "float32", "tiles"),
        ({}, "bfloat16", "standardised maps"),
        ({"embedding": "profile"}, "float32", None),
        ({"embedding": "profile", "components": 8}, "bfloat16", "components"),
        ({"method": "mil-anomaly-sic"}, "float32", None),
        ({"method": "mil-anomaly-sic"}, "bfloat16", None),
    ],
)
def test_what_stays_the_same_is_computed_once_in_the_form_that_is_fastest(
    changes: dict[str, Any], precision: Precision, form: str | None
) -> None:
    settings = mil_preset("marrlab-code", **changes)
    assert AttentionMIL(2, settings, Device("cpu", precision, ""), 16).fixed_form == form


@pytest.mark.parametrize("standardise", [False, True])
def test_in_bfloat16_maps_made_before_give_exactly_what_the_features_give(
    standardise: bool,
) -> None:
    settings = mil_preset(
        "marrlab-code", embedding_size=8, attention_size=4, standardise=standardise
    )
    model = AttentionMIL(2, settings, Device("cpu", "bfloat16", ""), 16).eval()
    model.set_standardisation(torch.full((16, 1, 1), 0.5), torch.full((16, 1, 1), 2.0))
    features = PreparedFeatures("maps", maps().half())
    fixed = model.fixed_part(features)
    assert fixed.values.nbytes == maps_bytes(5, 16, 14)
    with torch.no_grad():
        expected = model(features, [0, 2, 5])
        of_fixed = model(packed([fixed[:2], fixed[2:]]), [0, 2, 5])
    assert torch.equal(of_fixed.logits, expected.logits)
    assert torch.equal(of_fixed.attention, expected.attention)


def test_a_model_says_of_tiles_what_it_says_of_standardised_features() -> None:
    settings = mil_preset("marrlab-code", embedding_size=8, attention_size=4, standardise=True)
    model = AttentionMIL(2, settings, channels=16).eval()
    model.set_standardisation(torch.full((16, 1, 1), 0.5), torch.full((16, 1, 1), 2.0))
    features = PreparedFeatures("maps", maps().half())
    with torch.no_grad():
        of_maps = model(features, [0, 2, 5])
        of_tiles = model(model.fixed_part(features), [0, 2, 5])
    torch.testing.assert_close(of_tiles.logits, of_maps.logits)
    torch.testing.assert_close(of_tiles.attention, of_maps.attention)
