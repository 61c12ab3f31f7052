"""Which cells the single instance branch learns most from: those least like any healthy cell.

A sample's label is wrong for most of its cells: nine of ten cells of a patient are normal. The
branch that helps early in training (paper, section 2.4) teaches it to all of them alike. Where
samples of healthy people are known it is taught more to the cells that they do not have.

How odd a cell is, is its distance to the nearest healthy cells. `anomaly.AnomalyScore` asks for the
distance to one Gaussian instead, which finds parasites painted into normal cells less well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from napari_attmil.bags.attention_mil import CELLS_AT_ONCE
from napari_attmil.bags.components import MOST_CELLS
from napari_attmil.bags.embeddings import PROFILE_LENGTH, profile

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECTIONS: Final = 32
"""Main directions in which cells are compared."""
NEIGHBOURS: Final = 5
"""A cell is as unlike healthy cells as it is far from so many nearest ones, on average."""
HEALTHY_CELLS: Final = 5_000
"""So many healthy cells, evenly taken from all, are compared with at most."""
ODD_SHARE: Final = 0.05
"""Over this share of a sample's cells, the most unlike first, what makes odd cells count more falls
to 1/e."""
SHARED_ALIKE: Final = 0.8
"""Of the weight of a sample, what all of its cells share alike: a disease need not look odd.
Chosen with the settings' `guidance`, on the cohort "development" of `planted_cells.py`."""


def guiding_weights(features: Sequence[Tensor], is_healthy: Sequence[bool]) -> list[Tensor]:
    """Return how much each cell counts for the single instance branch.

    Parameters
    ----------
    features
        For each bag the (n, channels, s, s) feature maps of its cells, or their profiles.
    is_healthy
        Whether a bag is of the class of healthy samples; at least one is.

    Returns
    -------
    list of (n,) float32
        Mean 1 over each bag; 1 for all cells of healthy bags. In others they fall with the
        rank of a cell by its distance from healthy cells.
    """
    places = _along_main_directions(features)
    healthy = torch.cat([p for p, normal in zip(places, is_healthy, strict=True) if normal])
    healthy = healthy[:: -(-len(healthy) // HEALTHY_CELLS)]
    return [
        torch.ones(len(place), device=place.device) if normal else _by_rank(place, healthy)
        for place, normal in zip(places, is_healthy, strict=True)
    ]


def _along_main_directions(features: Sequence[Tensor]) -> list[Tensor]:
    """Return for each bag (n, DIRECTIONS): where its cells lie among all."""
    step = -(-sum(map(len, features)) // MOST_CELLS)
    few = torch.cat([_profiles(bag[::step]) for bag in features]).nan_to_num()
    mean, spread = few.mean(0), few.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1)
    width = min(DIRECTIONS + 16, *few.shape)
    directions = torch.svd_lowrank((few - mean) / spread, q=width, niter=3)[2][:, :DIRECTIONS]
    return [
        torch.cat(
            [((_profiles(part) - mean) / spread) @ directions for part in bag.split(CELLS_AT_ONCE)]
        )
        for bag in features
    ]


def _profiles(features: Tensor) -> Tensor:
    """Return (n, channels * PROFILE_LENGTH) float32."""
    is_profile = features.shape[2:] == (PROFILE_LENGTH, 1)
    return (features if is_profile else profile(features)).float().flatten(1)


def _by_rank(cells: Tensor, healthy: Tensor) -> Tensor:
    nearest = min(NEIGHBOURS, len(healthy))
    distance = torch.cat(
        [
            torch.cdist(part, healthy).topk(nearest, largest=False).values.mean(1)
            for part in cells.split(CELLS_AT_ONCE)
        ]
    )
    rank = distance.argsort(descending=True).argsort().float()
    odd = torch.exp(-rank / (ODD_SHARE * len(cells)))
    return SHARED_ALIKE + (1 - SHARED_ALIKE) * odd / odd.mean()
