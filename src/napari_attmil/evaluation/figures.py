"""The figures of an evaluation: means over runs, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.bags import (
    confusion_matrix,
    precision_at_recall,
    ranking_metrics,
    reliability,
    set_metrics,
    surprise,
    weighted_metrics,
)
from napari_attmil.bags.attribution import SCORES, ScoreName, rank_agreement, top_overlap
from napari_attmil.evaluation.outcome import MEASURES, Outcome

if TYPE_CHECKING:
    from napari_attmil.evaluation.cross_validation import Evaluation

    Array = npt.NDArray[np.float64]
    Metrics = dict[str, Array]

SAMPLE_METRICS: Final = ("accuracy", "f1_weighted", "f1_macro", "auroc", "nll", "brier")
"""Figures that depend only on a row's predictions."""
COMPARED: Final = ("accuracy", "auroc")
"""Figures whose differences between rows are reported."""
RECALLS: Final = tuple(round(0.02 * step, 2) for step in range(51))
"""Recalls at which precision-recall curves are evaluated."""


def figure(values: Array) -> dict[str, Any] | None:
    """Return mean, deviation and interval of a figure; None if it is undefined in a run.

    Parameters
    ----------
    values
        (runs, 1 + replicates); the first column is the figure itself, the others its bootstrap
        replicates. Undefined replicates are ignored.
    """
    of_runs, replicates = values[:, 0], values[:, 1:].mean(axis=0)
    replicates = replicates[~np.isnan(replicates)]
    if np.isnan(of_runs).any() or not len(replicates):
        return None
    low, high = np.percentile(replicates, (2.5, 97.5))
    return {
        "mean": float(of_runs.mean()),
        "std": float(of_runs.std(ddof=1)) if len(of_runs) > 1 else None,
        "interval": [float(low), float(high)],
    }


def mean_over_samples(values: Array, weights: Array) -> dict[str, Any] | None:
    """Return the mean over the samples whose value is defined in all runs, as a figure.

    Parameters
    ----------
    values
        (runs, n), NaN where undefined.
    weights
        (1 + replicates, n).
    """
    is_defined = ~np.isnan(values).any(axis=0)
    drawn = weights[:, is_defined]
    total = drawn.sum(1)
    sums = values[:, is_defined] @ drawn.T
    means = np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)
    of_samples = figure(means)
    return None if of_samples is None else of_samples | {"samples": int(is_defined.sum())}


class RowFigures:
    """Computes all figures of one row.

    Parameters
    ----------
    evaluation
        The predictions.
    name
        Of the row.
    weights
        (1 + replicates, n) weights of the samples; all 1 in the first row.
    """

    def __init__(self, evaluation: Evaluation, name: str, weights: Array) -> None:
        self._evaluation, self._weights = evaluation, weights
        self._outcome: Outcome = evaluation.outcomes[name]
        self._truth = np.array([evaluation.classes.index(label) for label in evaluation.labels])
        runs = [weighted_metrics(self._truth, p, weights) for p in self._outcome.probabilities]
        self.metrics: Metrics = {key: np.stack([run[key] for run in runs]) for key in runs[0]}
        """(runs, 1 + replicates) by name; ``auprc`` has a last axis of classes."""

    def all(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        classes = self._evaluation.classes
        return {
            **{name: figure(self.metrics[name]) for name in SAMPLE_METRICS},
            "ece": self._calibration_error(),
            "auprc": {
                name: figure(self.metrics["auprc"][..., k]) for k, name in enumerate(classes)
            },
            "precision_recall": {name: self._precision_recall(k) for k, name in enumerate(classes)},
            "confusion": self._confusion(),
            "reliability": self._reliability(),
            "certainty": self._certainty(),
            "attribution": {score: self._attribution(score) for score in SCORES},
            "stands_apart": self._stands_apart(),
            "seconds": round(float(self._outcome.seconds.sum()), 1),
            "seconds_an_epoch": float(self._outcome.epoch_seconds.mean()),
        }

    def _precision_recall(self, k: int) -> list[float]:
        """Return the precision of a class at `RECALLS`, the mean over runs."""
        is_class, recalls = self._truth == k, np.array(RECALLS)
        runs = self._outcome.probabilities[..., k]
        return _rounded(np.mean([precision_at_recall(p, is_class, recalls) for p in runs], axis=0))

    def _confusion(self) -> list[list[float]]:
        runs = [confusion_matrix(self._truth, p) for p in self._outcome.probabilities]
        return [_rounded(row) for row in np.mean(runs, axis=0)]

    def _reliability(self) -> dict[str, list[float]]:
        """Return the reliability of the predictions of all runs together."""
        shares = self._outcome.probabilities
        bins = reliability(np.tile(self._truth, len(shares)), shares.reshape(-1, shares.shape[-1]))
        return {name: _rounded(values) for name, values in bins.items()}

    def _calibration_error(self) -> dict[str, Any] | None:
        """Return the expected calibration error without an interval.

        Repeated samples increase the error, so every replicate would lie above the figure.
        """
        error = figure(self.metrics["ece"])
        return None if error is None else error | {"interval": None}

    def _certainty(self) -> dict[str, Any] | None:
        """Return the effect of calibration and the quality of prediction sets; None without it."""
        possible = self._outcome.possible
        if np.isnan(possible).any():
            return None
        runs = [set_metrics(self._truth, sets > 0, self._weights) for sets in possible]
        before = np.stack([surprise(self._truth, p) for p in self._outcome.uncalibrated])
        after = np.stack([surprise(self._truth, p) for p in self._outcome.probabilities])
        return {
            "nll_before": mean_over_samples(before, self._weights),
            "nll_after": mean_over_samples(after, self._weights),
            "nll_gain": mean_over_samples(before - after, self._weights),
            **{name: figure(np.stack([run[name] for run in runs])) for name in runs[0]},
        }

    def _attribution(self, score: ScoreName) -> dict[str, Any]:
        outcome, place = self._outcome, SCORES.index(score)
        measured = {name: outcome.measure(score, name) for name in MEASURES}
        return {
            **{name: self._mean(values) for name, values in measured.items()},
            "spearman": self._mean(self._of_runs(place, rank_agreement)),
            "top_8_overlap": self._mean(self._of_runs(place, top_overlap)),
            "by_class": {
                name: {
                    label: self._mean(np.where(self._truth == k, measured[name], np.nan))
                    for k, label in enumerate(self._evaluation.classes)
                }
                for name in ("instance_auroc", "instance_ap", "instance_ndcg")
            },
            "deletion": _mean_curve(outcome.deletion[:, :, place]),
            "insertion": _mean_curve(outcome.insertion[:, :, place]),
        }

    def _of_runs(self, place: int, agreement: Any) -> Array:
        """Return (1, n) the agreement of the runs on the cells of each sample."""
        ends = np.cumsum(self._evaluation.cells)[:-1]
        samples = np.split(self._outcome.cell_scores[..., place].astype(np.float64), ends, axis=1)
        return np.array([[agreement(scores) for scores in samples]])

    def _mean(self, values: Array) -> dict[str, Any] | None:
        return mean_over_samples(values, self._weights)

    def _stands_apart(self) -> dict[str, Any] | None:
        """Return how well scores of cells separate healthy samples from the others.

        In a healthy sample, many cells should share the attention and none pull to another class.
        """
        reference = self._evaluation.reference
        if reference is None:
            return None
        altered = self._truth != self._evaluation.classes.index(reference)
        number = self._outcome.effective_number
        measures = {
            "effective_number": (-1, number),
            "effective_share": (-1, number / np.array(self._evaluation.cells)),
            "top_contribution": (1, self._outcome.top_contribution),
        }
        apart: dict[str, Any] = {}
        for name, (sign, runs) in measures.items():
            aurocs = [ranking_metrics(sign * run, altered, self._weights)[0] for run in runs]
            apart[name] = {
                "auroc": figure(np.stack(aurocs)),
                "reference": self._mean(np.where(altered, np.nan, runs)),
                "others": self._mean(np.where(altered, runs, np.nan)),
            }
        return apart


def paired_differences(
    metrics: dict[str, Metrics], references: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the differences between the project's own rows and all other rows.

    Parameters
    ----------
    metrics
        `RowFigures.metrics` by name of the row; all from the same bootstrap draw.
    references
        Names of the project's own rows.

    Returns
    -------
    list
        One entry per pair: ``reference``, ``other`` and, for each of `COMPARED`, the figure of the
        reference minus that of the other, paired by run and bootstrap replicate.
    """
    return [
        {
            "reference": reference,
            "other": other,
            **{name: figure(metrics[reference][name] - metrics[other][name]) for name in COMPARED},
        }
        for reference in references
        for other in metrics
        if other != reference
    ]


def _mean_curve(curves: Array) -> list[float] | None:
    """Return the mean of (runs, n, p) curves over runs and samples; None if there is none."""
    is_defined = ~np.isnan(curves).any(axis=(0, 2))
    return _rounded(curves[:, is_defined].mean(axis=(0, 1))) if is_defined.any() else None


def _rounded(values: Array) -> list[float]:
    return [round(float(value), 6) for value in values]
