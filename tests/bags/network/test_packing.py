"""Sums over packed bags, and the cells with the largest values of each."""

from __future__ import annotations

import pytest
import torch

from napari_attmil.bags.network.convolution import QuickDropout
from napari_attmil.bags.network.packing import Packing
from napari_attmil.bags.network.pooling import _top

LENGTHS = [3, 1, 7, 2]


@pytest.fixture
def values() -> torch.Tensor:
    return torch.randn(13, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("longest", [None, 7, 20])
def test_padded_sums_and_means_are_those_of_each_bag(
    values: torch.Tensor, longest: int | None
) -> None:
    packing = Packing.of(LENGTHS, longest=longest)
    assert packing.padded(values, -1.0).shape == (4, longest or 7, 4)
    assert torch.equal(packing.packed(packing.padded(values, -1.0)), values)
    bags = values.split(LENGTHS)
    torch.testing.assert_close(packing.sums(values), torch.stack([bag.sum(0) for bag in bags]))
    torch.testing.assert_close(packing.means(values), torch.stack([bag.mean(0) for bag in bags]))
    one = values[:, 0].abs()
    shares = torch.cat([bag / bag.sum() for bag in one.split(LENGTHS)])
    torch.testing.assert_close(packing.shares(one), shares)
    assert packing.shares(0 * one).tolist() == pytest.approx(
        [share for length in LENGTHS for share in [1 / length] * length]
    )


def test_gradients_reach_every_cell_and_no_padding(values: torch.Tensor) -> None:
    values.requires_grad_()
    (Packing.of(LENGTHS, longest=9).means(values) * 2).sum().backward()
    expected = torch.cat([torch.full((length, 4), 2 / length) for length in LENGTHS]).double()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, expected)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_top_of_each_bag_is_found_and_ties_share_the_last_places(
    values: torch.Tensor, rounded: bool
) -> None:
    values = values.round() if rounded else values
    shares = (0.1, 0.4, 1.0)
    found = _top(values, Packing.of(LENGTHS), shares)
    for bag, weights in zip(values.split(LENGTHS), found.split(LENGTHS), strict=True):
        for k in range(4):
            torch.testing.assert_close(weights[:, k], plain_top(bag[:, k], shares))


def plain_top(values: torch.Tensor, shares: tuple[float, ...]) -> torch.Tensor:
    """Return the weights of one bag and class, worked out place by place."""
    weights = torch.zeros(len(values), dtype=values.dtype)
    for share in shares:
        places = max(1, round(len(values) * share))
        for value in set(values.tolist()):
            tied = values == value
            above = int((values > value).sum())
            got = min(max(places - above, 0), int(tied.sum()))
            weights[tied] += got / int(tied.sum()) / places
    return weights / len(shares)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_quick_dropout_leaves_out_its_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    dropped = QuickDropout(p)(torch.ones(500, 401))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    # 5 standard deviations of the share of 200,500 entries are below 0.006.
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.006)
    assert torch.equal(QuickDropout(p).eval()(torch.ones(3, 5)), torch.ones(3, 5))
