"""Weights of cells in the loss of the single instance branch.

A sample's label is wrong for most of its cells: nine of ten cells of a patient are normal. The
branch that helps early in training (paper, section 2.4) assigns the label to all of them equally.
Where there are healthy samples, cells that differ from healthy ones get more weight.

A cell's oddness is its distance to the nearest healthy cells. `anomaly.AnomalyScore` takes the
distance to one Gaussian instead, which is less good at finding parasites painted into normal cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.network import CELLS_AT_ONCE, MOST_CELLS, PreparedFeatures, judges_cells
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings

DIRECTIONS: Final = 32
"""Main directions in which cells are compared."""
NEIGHBOURS: Final = 5
"""Number of nearest healthy cells over which the distance is averaged."""
HEALTHY_CELLS: Final = 5_000
"""Maximum number of healthy cells for the comparison, taken evenly from all."""
ODD_SHARE: Final = 0.05
"""The share of a sample's cells, most odd first, over which the extra weight falls to 1/e."""
SHARED_ALIKE: Final = 0.8
"""Share of a sample's weight that its cells share equally: a disease need not look odd. Chosen
with the setting `guidance`, on the cohort "development" of `planted_cells.py`."""


def healthy_guides(
    bags: Sequence[Bag], classes: Sequence[str], settings: MILSettings
) -> list[bool] | None:
    """Return which bags are of healthy people; None if there are none, or guidance is off.

    Only methods that judge cells one by one are guided.
    """
    has_branch = METHODS[settings.method].sic and judges_cells(settings.method)
    if not has_branch or settings.guidance == 0:
        return None
    healthy = reference_class(classes, settings.reference_class)
    is_healthy = [bag.label == healthy for bag in bags]
    return is_healthy if any(is_healthy) else None


def oddness(features: Sequence[PreparedFeatures], is_healthy: Sequence[bool]) -> list[Tensor]:
    """Return how far cells are from those of healthy samples.

    Parameters
    ----------
    features
        For each bag those of its cells: maps, profiles or vectors.
    is_healthy
        Whether a bag is of the class of healthy samples; at least one is.

    Returns
    -------
    list of (n,) float32
        Mean distance to the `NEIGHBOURS` nearest healthy cells; 0 in healthy bags.
    """
    places = _along_main_directions(features)
    healthy = torch.cat([p for p, normal in zip(places, is_healthy, strict=True) if normal])
    healthy = healthy[:: -(-len(healthy) // HEALTHY_CELLS)]
    return [
        place.new_zeros(len(place)) if normal else _distance(place, healthy)
        for place, normal in zip(places, is_healthy, strict=True)
    ]


def weights_by_rank(score: Tensor, alike: float = SHARED_ALIKE) -> Tensor:
    """Return (n,) weights of mean 1 that fall with the rank of a cell, the largest score first.

    Cells of equal score have equal weight, as do all cells of a healthy sample.

    Parameters
    ----------
    score
        (n,) of the cells of one bag.
    alike
        Share of the weight that is spread equally, 0 to 1.
    """
    if (score == score[0]).all():
        return torch.ones_like(score)
    odd = torch.exp(-_rank(score) / (ODD_SHARE * len(score)))
    return alike + (1 - alike) * odd / odd.mean()


def _along_main_directions(features: Sequence[PreparedFeatures]) -> list[Tensor]:
    """Return for each bag its cells' (n, DIRECTIONS) coordinates along the main directions."""
    step = -(-sum(map(len, features)) // MOST_CELLS)
    few = torch.cat([_rows(bag[::step]) for bag in features]).nan_to_num()
    mean, spread = few.mean(0), few.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1)
    width = min(DIRECTIONS + 16, *few.shape)
    directions = torch.svd_lowrank((few - mean) / spread, q=width, niter=3)[2][:, :DIRECTIONS]
    return [
        torch.cat([((_rows(part) - mean) / spread) @ directions for part in bag.parts()])
        for bag in features
    ]


def _rows(features: PreparedFeatures) -> Tensor:
    """Return (n, numbers per cell) float32."""
    return features.as_rows().values.float().flatten(1)


def _distance(cells: Tensor, healthy: Tensor) -> Tensor:
    nearest = min(NEIGHBOURS, len(healthy))
    return torch.cat(
        [
            torch.cdist(part, healthy).topk(nearest, largest=False).values.mean(1)
            for part in cells.split(CELLS_AT_ONCE)
        ]
    )


def _rank(score: Tensor) -> Tensor:
    """Return (n,) float32 the rank of each cell, from 0 for the largest score; ties share ranks."""
    _, place, ties = score.unique(return_inverse=True, return_counts=True)
    before = len(score) - ties.cumsum(0)
    rank: Tensor = (before + (ties - 1) / 2)[place]
    return rank
