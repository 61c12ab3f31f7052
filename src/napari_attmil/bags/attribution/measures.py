"""How well scores of cells find the altered ones, and whether they name what decided.

Where the truth is known a score is a ranking to be judged; where it is not, cells are taken away
in its order and the classifier is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import rankdata

from napari_attmil.bags.metrics import ranking_metrics

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.bags.attribution.subsets import Rows, Subsets

    Array = npt.NDArray[np.float64]

TOP_CELLS = 8
"""As many as the paper's Fig. 5 shows of a class."""
CURVE_STEPS = 20
"""Steps in which cells are taken away, or added, until none, or all, are left."""


@dataclass(frozen=True, eq=False)
class Removal:
    """What becomes of the predicted class's probability when cells go in the order of a score.

    Attributes
    ----------
    deletion
        (`CURVE_STEPS` + 1,) without the highest 0, 5, ... 100 % of the cells, one always kept.
    insertion
        The same with only the highest of them, one at least.
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
        """Area under the insertion less that under the deletion: 0 for chance, at most 1."""
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
        (m,) bool, the n cells to be found; None where the truth is not known.

    Returns
    -------
    three floats
        0 to 1, cells of equal score counting alike; NaN where there are not both kinds of cells,
        as in healthy samples, or no score.
    """
    values = np.asarray(score, dtype=np.float64)
    if altered is None or not altered.any() or altered.all() or np.isnan(values).any():
        return np.nan, np.nan, np.nan
    auroc, precision = ranking_metrics(values, altered, np.ones((1, len(values))))
    return float(auroc[0]), float(precision[0]), _ndcg(values, altered)


def removal(subsets: Subsets, score: Array, predicted: int) -> Removal:
    """Return what the classifier says of a bag without, and with only, its highest cells.

    Parameters
    ----------
    subsets
        The bag.
    score
        (n,) of its cells; all NaN gives NaN.
    predicted
        Index of the class whose probability is followed.
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
    """Return how far the single strongest cell pulls a sample away from the reference class.

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

    NaN where a run has no score, ranks all cells alike, or is the only one.
    """
    ranks = rankdata(scores, axis=1)
    if len(scores) < 2 or np.isnan(scores).any() or (np.ptp(ranks, axis=1) == 0).any():
        return np.nan
    return float(np.corrcoef(ranks)[np.triu_indices(len(scores), 1)].mean())


def top_overlap(scores: Array) -> float:
    """Return the mean Jaccard index of the `TOP_CELLS` highest cells of all pairs of runs.

    NaN where a run has no score or is the only one, or where no cell is left beside the top.
    """
    if len(scores) < 2 or np.isnan(scores).any() or scores.shape[1] <= TOP_CELLS:
        return np.nan
    tops = [set(np.argsort(-run, kind="stable")[:TOP_CELLS].tolist()) for run in scores]
    return float(np.mean([len(a & b) / len(a | b) for a, b in combinations(tops, 2)]))


def _ndcg(score: Array, altered: npt.NDArray[np.bool_]) -> float:
    """Return the gain of the first n places, later ones discounted, over the best possible."""
    _, level = np.unique(-score, return_inverse=True)
    # Of cells of equal score each stands for their mean (McSherry and Najork 2008).
    gain = np.bincount(level, weights=altered) / np.bincount(level)
    wanted = int(altered.sum())
    discount = 1 / np.log2(np.arange(2, wanted + 2))
    return float((gain[np.sort(level)][:wanted] * discount).sum() / discount.sum())
