"""Packed bags: the cells of several bags on one axis, bag after bag, and sums over each bag.

Where bags are summed or sorted, they are padded to one length, as one operation on all bags costs
hardly more than on one. Only what has a number for each class is padded, never the embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packing:
    """Where the cells of b packed bags lie.

    Attributes
    ----------
    lengths
        (b,) int64 number of cells of each bag, on the processor; none is empty.
    of_cell
        (n,) int64 the bag of each cell.
    place
        (n,) int64 where a cell lies when all bags are padded to the same length.
    longest
        That length.
    """

    lengths: Tensor
    of_cell: Tensor
    place: Tensor
    longest: int

    @classmethod
    def of(
        cls,
        lengths: Sequence[int] | Tensor,
        device: torch.device | None = None,
        longest: int | None = None,
    ) -> Self:
        """Return the packing of bags.

        Parameters
        ----------
        lengths
            Number of cells of each bag.
        device
            Of the cells; the processor if None.
        longest
            What bags are padded to, at least the longest of them; that one if None. Sums in
            float32 depend on it in their last digits.
        """
        counts = torch.as_tensor(lengths).cpu()
        longest = int(counts.max()) if longest is None else longest
        of_cell = torch.repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        place = torch.arange(len(of_cell)) + (torch.arange(len(counts)) * longest - before)[of_cell]
        return cls(counts, of_cell.to(device), place.to(device), longest)

    def __len__(self) -> int:
        return len(self.lengths)

    def padded(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Return (b, longest, ...) of the (n, ...) values of cells."""
        shape = (len(self) * self.longest, *values.shape[1:])
        whole = values.new_full(shape, fill).index_copy(0, self.place, values)
        return whole.view(len(self), self.longest, *values.shape[1:])

    def packed(self, values: Tensor) -> Tensor:
        """Return the (n, ...) values of cells of (b, longest, ...) padded ones."""
        return values.flatten(0, 1).index_select(0, self.place)

    def sums(self, values: Tensor) -> Tensor:
        """Return the (b, ...) sums of (n, ...) values over each bag."""
        return self.padded(values).sum(1)

    def means(self, values: Tensor) -> Tensor:
        """Return the (b, ...) means of (n, ...) values over each bag."""
        sums = self.sums(values)
        return sums / self.lengths.to(sums.device).view(-1, *[1] * (sums.ndim - 1))

    def shares(self, values: Tensor) -> Tensor:
        """Return (n, ...) non-negative values over their sum in the bag; equal if all are 0."""
        values = values + 1e-12
        return values / self.sums(values).index_select(0, self.of_cell)

    def equal_shares(self, like: Tensor) -> Tensor:
        """Return (n, 1) the weights of a mean over each bag, of the type of another tensor."""
        return (1 / self.lengths.to(like)).index_select(0, self.of_cell)[:, None]

    def per_bag(self, function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
        """Apply a function to the rows of each bag separately."""
        return torch.cat([function(bag) for bag in torch.split(values, self.lengths.tolist())])
