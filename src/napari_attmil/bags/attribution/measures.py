"""How well scores of cells rank altered cells, and whether they identify the decisive ones.

With ground truth, a score is evaluated as a ranking. Without it, cells are removed in the order of
the score and the rest is classified again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.metrics import ranking_metrics

if TYPE_CHECKING:
    from napari_attmil.bags.attribution.subsets import Rows, Subsets

    Array = npt.NDArray[np.float64]

TOP_CELLS = 8
"""The number of cells per class in the paper's Fig. 5."""
CURVE_STEPS = 20
"""Steps in which all cells are removed or added."""


@dataclass(frozen=True, eq=False)
class Removal:
    """The probability of the predicted class as cells are removed in the order of a score.

    Attributes
    ----------
    deletion
        (`CURVE_STEPS` + 1,) without the highest 0, 5, ... 100 % of the cells; one always remains.
    insertion
        (`CURVE_STEPS` + 1,) with only the highest 0, 5, ... 100 % of the cells, at least one.
    necessity
        Without the `TOP_CELLS` highest: low if these cells are needed.
    sufficiency
        With only these: high if they are enough.
    """

    deletion: Array
    insertion: Array
    necessity: float
    sufficiency: float

    @property
    def area_between(self) -> float:
        """Area under the insertion curve minus that under the deletion curve: 0 for chance."""
        from scipy.integrate import trapezoid  # 0.2 s that no panel waits for

        return float(trapezoid(self.insertion - self.deletion, dx=1 / CURVE_STEPS))


def instance_ranking(
    score: npt.ArrayLike, altered: npt.NDArray[np.bool_] | None
) -> tuple[float, float, float]:
    """Return area under the ROC curve, average precision and NDCG@n of a score of cells.

    Parameters
    ----------
    score
        (m,) of a sample's cells.
    altered
        (m,) bool, the n cells to be found; None without ground truth.

    Returns
    -------
    three floats
        0 to 1, averaged over the orders of tied cells; NaN without cells of both kinds, as in
        healthy samples, or without a score.
    """
    values = np.asarray(score, dtype=np.float64)
    if altered is None or not altered.any() or altered.all() or np.isnan(values).any():
        return np.nan, np.nan, np.nan
    auroc, precision = ranking_metrics(values, altered, np.ones((1, len(values))))
    return float(auroc[0]), float(precision[0]), _ndcg(values, altered)


def removal(subsets: Subsets, score: Array, predicted: int) -> Removal:
    """Classify a bag without, and with only, its highest cells.

    Parameters
    ----------
    subsets
        The bag.
    score
        (n,) of its cells; all NaN gives NaN.
    predicted
        Index of the class whose probability is returned.
    """
    cells = len(score)
    if np.isnan(score).any():
        unknown = np.full(CURVE_STEPS + 1, np.nan)
        return Removal(unknown, unknown, np.nan, np.nan)
    ranked = np.argsort(-score, kind="stable")
    shares = np.rint(np.linspace(0, cells, CURVE_STEPS + 1)).astype(int)
    parts: list[Rows] = [ranked[min(count, cells - 1) :] for count in shares]
    parts += [ranked[: max(count, 1)] for count in shares]
    parts += [ranked[min(TOP_CELLS, cells - 1) :], ranked[:TOP_CELLS]]
    probability = np.exp(subsets.log_probabilities(parts)[:, predicted])
    deletion, insertion, (necessity, sufficiency) = np.split(
        probability, [CURVE_STEPS + 1, 2 * CURVE_STEPS + 2]
    )
    return Removal(deletion, insertion, float(necessity), float(sufficiency))


def top_contribution(contribution: npt.ArrayLike, reference: int) -> float:
    """Return how strongly the strongest cell pulls a sample away from the reference class.

    Parameters
    ----------
    contribution
        (n, K) signed.
    reference
        Index of the class of healthy samples.

    Returns
    -------
    float
        The largest difference, over cells and other classes, from the cell's contribution to
        the reference class; a constant added to a cell's K contributions changes nothing.
    """
    values = np.asarray(contribution, dtype=np.float64)
    pull = np.delete(values, reference, axis=1) - values[:, [reference]]
    return float(pull.max())


def rank_agreement(scores: Array) -> float:
    """Return the mean Spearman correlation of all pairs of (runs, n) scores of the same cells.

    NaN if a run has no score or only ties, or if there is one run.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=1)
    if len(scores) < 2 or np.isnan(scores).any() or (np.ptp(ranks, axis=1) == 0).any():
        return np.nan
    return float(np.corrcoef(ranks)[np.triu_indices(len(scores), 1)].mean())


def top_overlap(scores: Array) -> float:
    """Return the mean Jaccard index of the `TOP_CELLS` highest cells of all pairs of runs.

    NaN if a run has no score, if there is one run, or if there are no cells besides the top.
    """
    if len(scores) < 2 or np.isnan(scores).any() or scores.shape[1] <= TOP_CELLS:
        return np.nan
    tops = [set(np.argsort(-run, kind="stable")[:TOP_CELLS].tolist()) for run in scores]
    return float(np.mean([len(a & b) / len(a | b) for a, b in combinations(tops, 2)]))


def _ndcg(score: Array, altered: npt.NDArray[np.bool_]) -> float:
    """Return the discounted gain of the first n places, divided by the best possible."""
    _, level = np.unique(-score, return_inverse=True)
    # Tied cells have their mean gain (McSherry and Najork 2008).
    gain = np.bincount(level, weights=altered) / np.bincount(level)
    wanted = int(altered.sum())
    discount = 1 / np.log2(np.arange(2, wanted + 2))
    return float((gain[np.sort(level)][:wanted] * discount).sum() / discount.sum())
