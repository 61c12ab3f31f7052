"""Predictions for a sample without some of its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.attribution.subsets import Rows, SubsetClassifier
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier

    Array = npt.NDArray[np.float64]

MOST_TAKEN: Final = 30
"""Maximum number of cells that a curve removes: people look at the first few."""
RANDOM_ORDERS: Final = 20
"""Random orders with which a curve is compared; enough for their quantiles."""


@dataclass(frozen=True, eq=False)
class RemovalCurve:
    """Class probabilities as cells are removed one by one, by descending score or at random.

    Attributes
    ----------
    cell_id
        (k,) the cells in the order of removal.
    probabilities
        (k + 1, K) without the first 0..k cells; each row sums to 1.
    random_mean
        (k + 1, K) the mean over `RANDOM_ORDERS` random orders.
    random_low, random_high
        (k + 1, K) their 5 % and 95 % quantiles.
    """

    cell_id: npt.NDArray[np.int64]
    probabilities: Array
    random_mean: Array
    random_low: Array
    random_high: Array


class WhatIf:
    """Classifies one sample without some of its cells, which are embedded on construction.

    Parameters
    ----------
    classifier
        One or several models.
    bag
        The sample's cells, at least one.
    """

    def __init__(self, classifier: Classifier, bag: Bag) -> None:
        self._bag = bag
        self._subsets = SubsetClassifier(classifier).subsets(bag)

    def distance_from_healthy(self) -> Array | None:
        """Return (n,) each cell's distance from the cells of healthy samples, or None.

        It is standardised: 0 is the mean over healthy cells, 1 one standard deviation above it.
        """
        return self._subsets.distance_from_healthy()

    def without(self, cell_ids: Iterable[int]) -> Array:
        """Return (K,) the class probabilities of the sample without some cells.

        Raises
        ------
        UserError
            If no cell would be left.
        """
        kept = np.flatnonzero(~np.isin(self._bag.cell_id, list(cell_ids)))
        if not len(kept):
            raise UserError(
                f"All {len(self._bag)} cells of sample {self._bag.sample!r} would be removed; "
                "leave at least one."
            )
        return np.asarray(self._probabilities([kept])[0])

    def curve(self, score: npt.ArrayLike, most: int = MOST_TAKEN, seed: int = 0) -> RemovalCurve:
        """Return the probabilities as the cells with the highest score are removed.

        Parameters
        ----------
        score
            (n,) of the bag's cells, for instance attention or the contribution to a class.
        most
            Maximum number of removed cells; one cell always remains.
        seed
            Of the random orders.
        """
        cells = len(self._bag)
        most = min(most, cells - 1)
        rng = np.random.default_rng(seed)
        ranked = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
        orders = [ranked, *(rng.permutation(cells) for _ in range(RANDOM_ORDERS))]
        parts = [order[taken:] for order in orders for taken in range(most + 1)]
        moved = self._probabilities(parts).reshape(len(orders), most + 1, -1)
        low, high = np.quantile(moved[1:], (0.05, 0.95), axis=0)
        taken_ids = self._bag.cell_id[ranked[:most]]
        return RemovalCurve(taken_ids, moved[0], moved[1:].mean(0), low, high)

    def _probabilities(self, parts: list[Rows]) -> Array:
        return np.asarray(np.exp(self._subsets.log_probabilities(parts)))
