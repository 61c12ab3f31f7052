"""Types of cells, found without labels; their shares are the composition of a sample.

Where samples differ in the number of altered cells, and healthy samples contain such cells too, no
single cell decides, but the shares of the types do: a bag of visual words (Csurka et al. 2004;
among the best methods of multiple instance learning for global information, Amores 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from napari_attmil.bags.network.components import MOST_CELLS

DIRECTIONS: Final = 32
"""Main directions along which cells are compared; 8 to 64 do about as well."""
TYPES: Final = 8
"""Number of types in one search."""
SEARCHES: Final = 5
"""Number of searches with different starting points, on which the result of k-means depends."""
SHARPNESS: Final = 4.0
"""How fast a cell's membership falls with its distance from a type. Chosen, with the constants
above, on cohorts of `benchmarks/conditions.py` with other seeds than those reported, where 2 to
infinity do about as well."""


class CellTypes(nn.Module):
    """The membership of a cell in each of several types: soft k-means, repeated.

    The output is scaled so that the shares of a type in samples have mean 0 and, averaged over the
    types, standard deviation 1.

    Parameters
    ----------
    inputs
        Length F of the description of a cell, main directions first.
    """

    centres: Tensor
    sharpness: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(SEARCHES, TYPES, min(inputs, DIRECTIONS)))
        self.register_buffer("sharpness", torch.ones(SEARCHES, 1, 1))
        self.register_buffer("mean", torch.zeros(SEARCHES * TYPES))
        self.register_buffer("spread", torch.ones(()))

    @property
    def size(self) -> int:
        """The number of memberships of a cell."""
        return len(self.mean)

    def fit(self, bags: Sequence[Tensor], seed: int) -> None:
        """Find the types in the (n, F) cells of samples, without labels.

        If there are fewer cells than types, each cell is a type, and types are repeated.
        """
        cells = torch.cat(list(bags))
        cells = cells[:: -(-len(cells) // MOST_CELLS)]
        places = self._places(cells).nan_to_num().cpu().double()
        for search in range(SEARCHES):
            centres, nearest = _k_means(places, seed + search)
            with torch.no_grad():
                self.centres[search].copy_(centres[torch.arange(TYPES) % len(centres)])
                self.sharpness[search] = SHARPNESS / max(float(nearest.square().median()), 1e-12)
        shares = torch.stack([self._memberships(bag).mean(0) for bag in bags])
        with torch.no_grad():
            spread = shares.std(0, correction=0).mean()
            self.mean.copy_(shares.mean(0))
            self.spread.copy_(torch.where(spread > 1e-6, spread, 1))

    def forward(self, cells: Tensor) -> Tensor:
        """Return (n, `SEARCHES` * `TYPES`) scaled memberships of the (n, F) cells."""
        return (self._memberships(cells) - self.mean) / self.spread

    def _memberships(self, cells: Tensor) -> Tensor:
        """Return (n, types) memberships; those of one search sum to 1."""
        distance = torch.cdist(self._places(cells), self.centres).square()
        parts: Tensor = (-self.sharpness * distance).softmax(2)
        return parts.transpose(0, 1).flatten(1)

    def _places(self, cells: Tensor) -> Tensor:
        return cells[:, : self.centres.shape[2]]


def _k_means(places: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return (types, F) centres and (n,) the distance of each place to the nearest centre."""
    from sklearn.cluster import KMeans  # takes a second to load

    found = KMeans(min(TYPES, len(places)), n_init=1, random_state=seed)
    # Several threads sum in arbitrary order, so results would not be reproducible.
    with threadpool_limits(1):
        nearest = found.fit_transform(places.numpy()).min(1)
    return torch.from_numpy(found.cluster_centers_).float(), torch.from_numpy(nearest)
