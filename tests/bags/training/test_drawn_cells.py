"""Which bags and cells the steps of an epoch see."""

from __future__ import annotations

import pytest
import torch

from napari_attmil.bags.training.drawn_cells import BagSizes

LENGTHS = [5, 1, 12, 8, 3]
FIRST = [0, 5, 6, 18, 26]


@pytest.mark.parametrize(("dropout", "kept"), [(0, LENGTHS), (0.3, [4, 1, 8, 6, 2])])
def test_every_bag_is_seen_once_with_some_of_its_own_cells(dropout: float, kept: list[int]) -> None:
    sizes = BagSizes.of(LENGTHS, dropout)
    steps = sizes.draw(bags_per_step=2)
    assert [len(bags) for bags, _ in steps] == [2, 2, 1]
    assert sorted(bag for bags, _ in steps for bag in bags.tolist()) == [0, 1, 2, 3, 4]
    for bags, cells in steps:
        parts = cells.split([kept[bag] for bag in bags.tolist()])
        for bag, own in zip(bags.tolist(), parts, strict=True):
            places = own.tolist()
            assert places == sorted(set(places))
            assert FIRST[bag] <= places[0] and places[-1] < FIRST[bag] + LENGTHS[bag]


def test_all_cells_of_a_bag_are_equally_likely() -> None:
    torch.manual_seed(0)
    sizes, seen = BagSizes.of([10, 4], 0.5), torch.zeros(14)
    for _ in range(2000):
        for _, cells in sizes.draw(1):
            seen[cells] += 1
    # 5 standard deviations of 2000 draws with probability a half are 112.
    assert (seen - 1000).abs().max() < 112


def test_bags_are_padded_unless_that_wastes_most_of_the_work() -> None:
    assert BagSizes.of([50, 110, 80], 0.3).longest == 77
    assert BagSizes.of([10] * 9 + [400], 0).longest is None
