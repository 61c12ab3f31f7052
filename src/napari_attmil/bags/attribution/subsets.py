"""Scores of how much each cell of a sample counted, and predictions for subsets of the cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp

from napari_attmil.bags.network import Packing
from napari_attmil.core import compute_threads

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.network import AttentionMIL
    from napari_attmil.bags.prediction import Prediction

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
ScoreName = Literal["attention", "contribution", "leave-one-out", "random"]

SCORES: Final[tuple[ScoreName, ...]] = ("attention", "contribution", "leave-one-out", "random")
"""The scores that rank cells; the last is random and serves as the baseline."""

CELLS_POOLED = 16_384
"""Cells of several subsets that are pooled together; bounds the memory."""
MOST_CELLS_LEFT_OUT = 3000
"""Leave-one-out takes quadratic time and is skipped for larger bags."""


class Subsets:
    """Classifies subsets of one bag, whose cells are embedded only once.

    Parameters
    ----------
    classifier
        One or several models.
    poolings
        The classifier's models in float64.
    bag
        At least one cell.
    """

    def __init__(self, classifier: Classifier, poolings: Sequence[AttentionMIL], bag: Bag) -> None:
        self._classifier, self._poolings = classifier, poolings
        self._embeddings = [each.cpu().double() for each in classifier.embeddings(bag)]

    def log_probabilities(self, subsets: Sequence[Rows]) -> Array:
        """Return (s, K) the classifier's log probabilities for each subset.

        Parameters
        ----------
        subsets
            Positions of the cells in each subset; no subset is empty.
        """
        logits = np.concatenate([self._logits(packed) for packed in _packed(subsets)])
        return self._classifier.log_probabilities(logits)

    def distance_from_healthy(self) -> Array | None:
        """Return (n,) each cell's mean distance from healthy cells over the models, or None.

        See `AnomalyScore`; only models with anomaly-aware attention measure it.
        """
        measured = [
            embeddings[:, -1].numpy()  # see `AttentionMIL.embed`
            for model, embeddings in zip(self._poolings, self._embeddings, strict=True)
            if model.anomaly is not None
        ]
        return np.mean(measured, axis=0) if measured else None

    def _logits(self, subsets: Sequence[Rows]) -> Array:
        """Return (s, K) the mean of the models' log probabilities of packed subsets."""
        packing = Packing.of([len(rows) for rows in subsets])
        rows = torch.from_numpy(np.concatenate(subsets))
        members = []
        with compute_threads(1), torch.inference_mode():
            for model, embeddings in zip(self._poolings, self._embeddings, strict=True):
                output = model.pool(embeddings[rows], packing)
                members.append(model.log_probabilities(output, packing).numpy())
        return np.asarray(np.average(members, axis=0, weights=self._classifier.model_votes))


class SubsetClassifier:
    """Makes `Subsets` of bags.

    Pooling runs in float64 on the processor: in a sample of high confidence, one cell changes the
    probability by less than the precision of float32.

    Parameters
    ----------
    classifier
        One or several models.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._poolings = [_without_components(model).double() for model in classifier.models]

    def subsets(self, bag: Bag) -> Subsets:
        """Return the subsets of a bag with cells."""
        return Subsets(self._classifier, self._poolings, bag)


def cell_scores(
    prediction: Prediction, subsets: Subsets, rng: np.random.Generator
) -> dict[ScoreName, Array]:
    """Return (n,) scores of a sample's cells by the names in `SCORES`; high for influential cells.

    ``attention`` is the weight in the pooled vector; ``contribution`` the share of the predicted
    class's logit; ``leave-one-out`` see the function of this name, NaN in bags of more than
    `MOST_CELLS_LEFT_OUT` cells.
    """
    predicted, cells = int(np.argmax(prediction.probabilities)), len(prediction.cell_id)
    return {
        "attention": prediction.attention.astype(np.float64),
        "contribution": prediction.contribution[:, predicted].astype(np.float64),
        "leave-one-out": leave_one_out(subsets, cells, predicted),
        "random": rng.permutation(cells).astype(np.float64),
    }


def leave_one_out(subsets: Subsets, cells: int, predicted: int) -> Array:
    """Return (n,) the drop of a class's log odds without each cell.

    Log odds rank cells as log probabilities do, but still differ where these round to 0. A single
    cell cannot be left out and has 0.
    """
    if cells > MOST_CELLS_LEFT_OUT:
        return np.full(cells, np.nan)
    if cells == 1:
        return np.zeros(1)
    every = np.arange(cells)
    without = [np.delete(every, cell) for cell in every]
    log_probability = subsets.log_probabilities([every, *without])
    against = logsumexp(np.delete(log_probability, predicted, axis=1), axis=1)
    log_odds = log_probability[:, predicted] - against
    return np.asarray(log_odds[0] - log_odds[1:])


def _without_components(model: AttentionMIL) -> AttentionMIL:
    """Return a copy on the processor without components, which take most of a model's memory."""
    return deepcopy(model, {id(model.components): None}).cpu().eval()


def _packed(subsets: Sequence[Rows]) -> Iterator[Sequence[Rows]]:
    """Yield runs of subsets with about `CELLS_POOLED` cells together, or a single larger subset."""
    pack = np.cumsum([len(rows) for rows in subsets]) // CELLS_POOLED
    starts = [0, *(np.flatnonzero(np.diff(pack)) + 1), len(subsets)]
    for start, end in pairwise(starts):
        yield subsets[start:end]
