from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings as hypothesis_settings, strategies as st

from napari_attmil.bags.classifier import new_model
from napari_attmil.bags.methods import METHODS, Method
from napari_attmil.bags.network import prepared_features
from napari_attmil.bags.network.attention_mil import AttentionMIL
from napari_attmil.bags.network.packing import Packing
from napari_attmil.bags.network.pooling import _top
from napari_attmil.bags.network.prepared_features import PreparedFeatures
from napari_attmil.bags.presets import mil_preset
from napari_attmil.bags.settings import MILSettings
from napari_attmil.core.device import Device
from napari_attmil.core.errors import UserError

EMBEDDINGS = ["profile", "three-conv", "five-conv"]


def model_of(**changes: object) -> AttentionMIL:
    """Return an untrained model of 3 classes and 8 channels."""
    settings = MILSettings(embedding="profile", embedding_size=24, attention_size=8)
    settings = settings.replace(**changes)
    torch.manual_seed(1)
    return AttentionMIL(3, settings, channels=8).eval()


def cells(n: int, seed: int = 0) -> PreparedFeatures:
    generator = torch.Generator().manual_seed(seed)
    return PreparedFeatures("maps", torch.randn(n, 8, 14, 14, generator=generator))


@pytest.mark.parametrize(
    ("method", "embedding"),
    [
        (method, embedding)
        for method in METHODS
        for embedding in EMBEDDINGS
        if embedding == "profile" or not METHODS[method].by_type  # types of cells need profiles
    ],
)
def test_attention_is_non_negative_and_sums_to_1_in_every_bag(
    method: Method, embedding: str
) -> None:
    with torch.no_grad():
        output = model_of(method=method, embedding=embedding)(cells(9), [0, 4, 5, 9])
    assert output.logits.shape == (3, 3)
    assert output.instance_logits.shape == (9, 3)
    assert output.attention.min() >= 0
    sums = [float(part.sum()) for part in output.attention.split([4, 1, 4])]
    assert sums == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@hypothesis_settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(7)))
def test_permuting_cells_permutes_attention_and_leaves_the_bag(
    method: str, order: list[int]
) -> None:
    model = model_of(method=method)
    with torch.no_grad():
        plain, permuted = model(cells(7), [0, 7]), model(cells(7)[torch.tensor(order)], [0, 7])
    torch.testing.assert_close(permuted.logits, plain.logits, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(permuted.attention, plain.attention[order], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_packed_bags_give_what_each_gives_alone(method: str) -> None:
    model, features, offsets = model_of(method=method), cells(10), [0, 3, 4, 10]
    with torch.no_grad():
        packed = model(features, offsets)
        for bag, (start, end) in enumerate(itertools.pairwise(offsets)):
            alone = model(features[start:end], [0, end - start])
            torch.testing.assert_close(packed.logits[bag], alone.logits[0])
            torch.testing.assert_close(packed.attention[start:end], alone.attention)
            torch.testing.assert_close(packed.instance_logits[start:end], alone.instance_logits)


def test_attention_and_pooled_vector_are_equations_6_and_7() -> None:
    model = model_of(method="mil-att-sic")
    with torch.no_grad():
        h = model.embed(cells(5))
        output = model.pool(h, Packing.of([5]))
    v, w = (model.get_parameter(f"pooling.{name}.weight").detach().numpy() for name in "vw")
    scores = [w[0] @ np.tanh(v @ row) for row in h.numpy()]
    alpha = np.exp(scores) / np.exp(scores).sum()
    z = sum(weight * row for weight, row in zip(alpha, h.numpy(), strict=True))
    head = model.pooling.head
    logits = head.weight.detach().numpy() @ z + head.bias.detach().numpy()
    np.testing.assert_allclose(output.attention.numpy(), alpha, rtol=1e-5)
    np.testing.assert_allclose(output.logits[0].numpy(), logits, rtol=1e-4, atol=1e-6)


def test_maximum_pooling_takes_each_entry_s_largest_value() -> None:
    model = model_of(method="mil-max", embedding_size=8)
    h = torch.tensor([[1.0, 0, 5, 0, 2, 0, 0, 0], [3.0, 4, 1, 0, 2, 0, 0, 0]])
    with torch.no_grad():
        output = model.pool(h, Packing.of([2]))
        expected = model.pooling.head(torch.tensor([3.0, 4, 5, 0, 2, 0, 0, 0]))
    torch.testing.assert_close(output.logits[0], expected)
    # Entry 2 is won by the first cell, 0 and 1 by the second, the five others by both.
    torch.testing.assert_close(output.attention, torch.tensor([3.5 / 8, 4.5 / 8]))


def test_single_instances_vote() -> None:
    model = model_of(method="sic", embedding_size=8)
    with torch.no_grad():
        model.get_parameter("sic_head.weight").copy_(torch.eye(3, 8))
        model.get_parameter("sic_head.bias").zero_()
        h = torch.tensor([[9.0, 0, 0], [0, 1, 0], [0, 2, 0], [0, 0, 3]])
        h = torch.nn.functional.pad(h, (0, 5))
        output = model.pool(h, Packing.of([4]))
        shares = model.log_probabilities(output, Packing.of([4])).exp()
    assert shares[0].tolist() == pytest.approx([0.25, 0.5, 0.25])
    of_class_1 = np.exp([0, 1, 2, 0]) / [np.exp(9) + 2, np.exp(1) + 2, np.exp(2) + 2, np.exp(3) + 2]
    expected = of_class_1 / of_class_1.sum()
    np.testing.assert_allclose(output.attention.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_contributions_add_up_to_the_bag_s_logits(method: str) -> None:
    model = model_of(method=method)
    with torch.no_grad():
        h = model.embed(cells(6))
        output = model.pool(h, Packing.of([2, 4]))
    assert output.contribution.shape == (6, 3)
    for bag, rows in enumerate((slice(0, 2), slice(2, 6))):
        total = output.contribution[rows].sum(0) + model.bias
        torch.testing.assert_close(total, output.logits[bag], atol=1e-6, rtol=1e-5)


def test_without_sic_a_cell_s_logits_are_those_of_a_bag_of_it_alone() -> None:
    model = model_of(method="mil-max")
    with torch.no_grad():
        together = model(cells(4), [0, 4]).instance_logits
        alone = model(cells(4), [0, 1, 2, 3, 4]).logits
    torch.testing.assert_close(together, alone)


def test_a_large_bag_in_parts_gives_the_same_values_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of(dropout=0)
    whole = model(cells(10), [0, 10]).logits
    whole.sum().backward()
    weight = model.get_parameter("embedding.0.weight")
    assert weight.grad is not None
    gradient = weight.grad.clone()
    model.zero_grad()
    monkeypatch.setattr(prepared_features, "CELLS_AT_ONCE", 3)
    parts = model(cells(10), [0, 10]).logits
    parts.sum().backward()
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(weight.grad, gradient)


def test_standardised_features_do_not_depend_on_their_units() -> None:
    model, features = model_of(standardise=True, embedding="three-conv"), cells(4)
    with torch.no_grad():
        plain = model(features, [0, 4]).logits
        model.set_standardisation(torch.full((8, 1, 1), 3.0), torch.full((8, 1, 1), 50.0))
        scaled = model(PreparedFeatures("maps", features.values * 50 + 3), [0, 4]).logits
    torch.testing.assert_close(scaled, plain, atol=1e-4, rtol=1e-3)


def test_a_channel_that_never_varies_stays_finite() -> None:
    model = model_of(standardise=True)
    model.set_standardisation(torch.zeros(8, 11, 1), torch.zeros(8, 11, 1))
    assert torch.isfinite(model(cells(2), [0, 2]).logits).all()


def test_maps_that_do_not_fit_the_convolutions_are_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match="maps of 7x7, but this embedding needs 14x14"):
        model_of(embedding="three-conv")(PreparedFeatures("maps", torch.zeros(1, 8, 7, 7)), [0, 1])


def test_bfloat16_convolutions_pool_in_float32() -> None:
    settings = MILSettings(embedding="three-conv", embedding_size=24, attention_size=8)
    torch.manual_seed(1)
    model = AttentionMIL(3, settings, Device("cpu", "bfloat16", ""), channels=8).eval()
    with torch.no_grad():
        output = model(cells(5), [0, 5])
        exact = model_of(embedding="three-conv")(cells(5), [0, 5])
    assert output.logits.dtype == output.attention.dtype == torch.float32
    torch.testing.assert_close(output.logits, exact.logits, atol=0.02, rtol=0.05)


def test_presets_have_the_published_layers() -> None:
    paper = AttentionMIL(5, mil_preset("paper"))
    code = AttentionMIL(5, mil_preset("marrlab-code"))
    convolutions = [
        [layer for layer in model.convolutions.children() if isinstance(layer, torch.nn.Conv2d)]
        for model in (paper, code)
    ]
    assert [len(layers) for layers in convolutions] == [5, 3]
    assert [layer.out_channels for layer in convolutions[1]] == [128, 64, 32]
    assert [layer.kernel_size for layer in convolutions[1]] == [(3, 3), (1, 1), (3, 3)]
    assert code.get_parameter("embedding.0.weight").shape == (500, 512)
    assert code.get_parameter("pooling.v.weight").shape == (128, 500)
    assert [layer.out_features for layer in code.sic_head.children()] == [32, 5]
    assert paper.get_parameter("sic_head.weight").shape == (5, 500)
    for model in (paper, code):
        assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.1]


@pytest.mark.parametrize("method", METHODS)
def test_a_bag_of_one_cell_gives_it_all_attention(method: str) -> None:
    with torch.no_grad():
        output = model_of(method=method)(cells(1), [0, 1])
    assert output.attention.tolist() == pytest.approx([1])
    assert torch.isfinite(output.logits).all()


LEARN_FROM_A_LARGE_BAG = """
import resource, torch
from napari_attmil.bags import MILSettings
from napari_attmil.bags.network import AttentionMIL, PreparedFeatures

torch.set_num_threads(1)
model = AttentionMIL(3, MILSettings(embedding="profile", embedding_size=16), channels=8)

def step(cells):
    # One cell, repeated without memory: what grows is what the model itself needs.
    features = torch.ones(1, 8, 14, 14, dtype=torch.float16).expand(cells, -1, -1, -1)
    model(PreparedFeatures("maps", features), [0, cells]).logits.square().sum().backward()

step(2000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
step(100_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does, in KiB")
def test_a_bag_of_100_000_cells_is_learnt_from_in_bounded_memory() -> None:
    command = [sys.executable, "-c", LEARN_FROM_A_LARGE_BAG]
    grown_kib = int(subprocess.check_output(command, text=True))
    # Vectors of 16 numbers, logits and weights; a cell's maps in float32 alone would take 6 KiB.
    assert grown_kib < 100_000


@pytest.mark.parametrize("method", ["mil-top-sic", "mil-multi-top-sic"])
def test_cells_none_of_which_stands_out_share_the_attention(
    small: MILSettings, cpu: Device, method: Method
) -> None:
    model = new_model(("healthy", "a"), small.replace(method=method), cpu, channels=8)
    weights = torch.zeros_like(model.pooling.head.weight)
    weights[1, 0] = 1
    model.pooling.head.weight = torch.nn.Parameter(weights)
    model.pooling.head.bias = torch.nn.Parameter(torch.full((2,), -10.0))
    embeddings = torch.zeros(50, small.embedding_size)
    embeddings[:, 0] = torch.linspace(0, 4, 50)  # all most improbable, one a little less
    alike = model.pool(embeddings, Packing.of([50])).attention
    assert 1 / alike.square().sum() > 45
    embeddings[:5, 0] = 15
    altered = model.pool(embeddings, Packing.of([50])).attention
    assert 1 / altered.square().sum() < 8


def test_cells_that_tie_for_the_last_places_share_them() -> None:
    values = torch.tensor([[5.0], [1], [1], [1], [0], [0], [0], [0]])
    (weights,) = _top(values, Packing.of([8]), [0.25]).T
    torch.testing.assert_close(weights, torch.tensor([3, 1, 1, 1, 0, 0, 0, 0]) / 6)
    assert float(weights @ values[:, 0]) == pytest.approx(3)  # the mean of the top two
