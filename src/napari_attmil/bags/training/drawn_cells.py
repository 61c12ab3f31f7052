"""The cells that the steps of an epoch see: bags in random order, some cells of each left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

MOST_PADDED = 4.0
"""Bags are padded to the longest where that makes them at most so much longer on the whole.

A larger one lets more cohorts learn several models at once, at the cost of computing on padding.
"""


@dataclass(frozen=True, eq=False)
class BagSizes:
    """How many cells the bags of a training have, and how many of them a step sees.

    Attributes
    ----------
    lengths, kept
        (b,) int64 for each bag.
    """

    lengths: Tensor
    kept: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], cell_dropout: float) -> Self:
        """Return the sizes when a share of each bag's cells, rounded, is left out."""
        kept = [max(1, round(cells * (1 - cell_dropout))) for cells in lengths]
        return cls(torch.tensor(lengths), torch.tensor(kept))

    @cached_property
    def starts(self) -> Tensor:
        """(b,) the first cell of each bag when all lie on one axis."""
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def longest(self) -> int | None:
        """What bags are padded to in a step; None where that would waste too much."""
        longest = int(self.kept.max())
        wasteful = longest * len(self.kept) > MOST_PADDED * float(self.kept.sum())
        return None if wasteful else longest

    def draw(self, bags_per_step: int) -> list[tuple[Tensor, Tensor]]:
        """Draw an epoch from torch's random numbers.

        Returns
        -------
        list
            For each step its (m,) bags, and the positions of their cells among all cells.
        """
        order = torch.randperm(len(self.lengths))
        counts = self.lengths[order]
        of_cell = torch.repeat_interleave(counts)
        within = torch.arange(len(of_cell)) - (counts.cumsum(0) - counts)[of_cell]
        cells, kept = self.starts[order][of_cell] + within, self.kept[order]
        if not torch.equal(kept, counts):
            # Cells in random order within each bag, of which the first stay.
            shuffled = (torch.rand(len(of_cell), dtype=torch.float64) + of_cell).argsort()
            stays = torch.zeros(len(of_cell), dtype=torch.bool)
            stays[shuffled[within < kept[of_cell]]] = True
            cells = cells[stays]
        steps = order.split(bags_per_step)
        sizes = [int(part.sum()) for part in kept.split(bags_per_step)]
        return list(zip(steps, cells.split(sizes), strict=True))
