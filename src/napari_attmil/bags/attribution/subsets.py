"""Scores that say how much each cell of a sample counted, and what is left without some cells."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch
from scipy.special import logsumexp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.certainty import Certainty
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.network import AttentionMIL
    from napari_attmil.bags.prediction import Prediction

    Array = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

ScoreName = Literal["attention", "contribution", "leave-one-out", "random"]

SCORES: Final[tuple[ScoreName, ...]] = ("attention", "contribution", "leave-one-out", "random")
"""What cells are ranked by; the last knows nothing of them and is what the others must beat."""

CELLS_POOLED = 16_384
"""Cells of all subsets that are pooled together; bounds the memory."""
MOST_CELLS_LEFT_OUT = 3000
"""Leaving out each cell of a bag costs its square; larger bags are not tried."""


class Subsets:
    """Asks a classifier about parts of one bag; its cells are embedded only once.

    Parameters
    ----------
    poolings
        The classifier's models in float64.
    embeddings
        (n, D) of the bag's cells by each of them, float64.
    votes
        (M,) how much each of them counts; they sum to 1.
    certainty
        The classifier's.
    """

    def __init__(
        self,
        poolings: Sequence[AttentionMIL],
        embeddings: Sequence[torch.Tensor],
        votes: Array,
        certainty: Certainty,
    ) -> None:
        self._poolings, self._embeddings = poolings, embeddings
        self._votes, self._certainty = votes, certainty

    def log_probabilities(self, subsets: Sequence[Rows]) -> Array:
        """Return (s, K) what the classifier says of each subset, calibrated where it is.

        Parameters
        ----------
        subsets
            Positions of the cells that are kept; none is empty.
        """
        logits = np.concatenate([self._logits(packed) for packed in _packed(subsets)])
        return self._certainty.log_probabilities(logits)

    def distance_from_healthy(self) -> Array | None:
        """Return (n,) the models' mean distance of each cell from healthy ones, None without it.

        See `AnomalyScore`; only anomaly-aware attention measures it.
        """
        measured = [
            embeddings[:, -1].numpy()  # see `AttentionMIL.embed`
            for model, embeddings in zip(self._poolings, self._embeddings, strict=True)
            if model.anomaly is not None
        ]
        return np.mean(measured, axis=0) if measured else None

    def _logits(self, subsets: Sequence[Rows]) -> Array:
        """Return (s, K) the mean of the models' log probabilities of packed subsets."""
        offsets = np.cumsum([0, *map(len, subsets)]).tolist()
        rows = torch.from_numpy(np.concatenate(subsets))
        members = []
        with torch.inference_mode():
            for model, embeddings in zip(self._poolings, self._embeddings, strict=True):
                output = model.pool(embeddings[rows], offsets)
                members.append(model.log_probabilities(output, offsets).numpy())
        mean: Array = np.average(members, axis=0, weights=self._votes)
        return mean


class SubsetClassifier:
    """Makes `Subsets` of bags.

    Pooling runs in float64 on the processor: one cell of a sure sample changes its probability by
    less than float32 can tell.

    Parameters
    ----------
    classifier
        One or several models.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._poolings = [_without_components(model).double() for model in classifier.models]

    def subsets(self, bag: Bag) -> Subsets:
        """Return a bag with cells, ready to be asked about."""
        embeddings = [each.cpu().double() for each in self._classifier.embeddings(bag)]
        classifier = self._classifier
        return Subsets(self._poolings, embeddings, classifier.model_votes, classifier.certainty)


def cell_scores(
    prediction: Prediction, subsets: Subsets, rng: np.random.Generator
) -> dict[ScoreName, Array]:
    """Return (n,) scores of a sample's cells, by name of `SCORES`; the higher, the more it counted.

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
    """Return (n,) by how much the log odds of a class drop without each cell.

    They rank cells as its log probability does, but tell them apart where that rounds to 0. A
    single cell cannot be left out and has 0.
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
    drop: Array = log_odds[0] - log_odds[1:]
    return drop


def _without_components(model: AttentionMIL) -> AttentionMIL:
    """Return a copy on the processor that can pool but not embed: most of a model's memory."""
    return deepcopy(model, {id(model.components): None}).cpu().eval()


def _packed(subsets: Sequence[Rows]) -> Iterator[Sequence[Rows]]:
    """Yield runs of subsets of about `CELLS_POOLED` cells together, or of one larger one."""
    pack = np.cumsum([len(rows) for rows in subsets]) // CELLS_POOLED
    starts = [0, *(np.flatnonzero(np.diff(pack)) + 1), len(subsets)]
    for start, end in pairwise(starts):
        yield subsets[start:end]
