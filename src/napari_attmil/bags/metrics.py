"""Metrics of a classification, for many weightings of its samples at once.

A bootstrap replicate is a set of weights: how often each sample was drawn. For a thousand
replicates, one call here replaces a thousand calls to scikit-learn, whose definitions are used (the
tests compare the two).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CONFIDENCE_BINS = 10
"""Equal bins from 0 to 1 in which reliability is measured."""


def weighted_metrics(
    truth: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike
) -> dict[str, Array]:
    """Return the metrics of a classification under several weightings.

    Parameters
    ----------
    truth
        (n,) class indices; every class must have weight.
    probabilities
        (n, K), the predicted class being the largest.
    weights
        (w, n), non-negative.

    Returns
    -------
    dict
        (w,) ``accuracy``, ``f1_weighted``, ``f1_macro`` and ``auroc`` (mean over classes, each
        against the rest); of the probabilities themselves ``nll`` (negative log likelihood),
        ``brier`` (squared error, summed over classes: 0 to 2) and ``ece`` (expected calibration
        error of the predicted class, in `CONFIDENCE_BINS`); and (w, K) ``auprc`` (average
        precision of each class).
    """
    target, shares = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    weight = np.asarray(weights, dtype=np.float64)
    classes = np.arange(shares.shape[1])
    is_class = target[:, None] == classes
    is_predicted = shares.argmax(1)[:, None] == classes
    support = weight @ is_class
    hits = weight @ (is_class & is_predicted)
    f1 = 2 * hits / (support + weight @ is_predicted)
    ranked = [ranking_metrics(shares[:, k], is_class[:, k], weight) for k in classes]
    total = weight.sum(1)
    return {
        "accuracy": hits.sum(1) / total,
        "f1_weighted": (f1 * support).sum(1) / support.sum(1),
        "f1_macro": f1.mean(1),
        "auroc": np.mean([auroc for auroc, _ in ranked], axis=0),
        "auprc": np.stack([auprc for _, auprc in ranked], axis=1),
        "nll": weight @ surprise(target, shares) / total,
        "brier": weight @ ((shares - is_class) ** 2).sum(1) / total,
        "ece": _calibration_error(target, shares, weight),
    }


def surprise(truth: npt.ArrayLike, probabilities: npt.ArrayLike) -> Array:
    """Return (n,) the negative logarithm of each sample's probability of its own class.

    A probability of 0 is replaced by the machine epsilon, as in scikit-learn, so that one sample
    does not make the mean infinite.
    """
    shares, target = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    own = shares[np.arange(len(shares)), target]
    return np.asarray(-np.log(own.clip(min=np.finfo(np.float64).eps)))


def set_metrics(
    truth: npt.ArrayLike, possible: npt.ArrayLike, weights: npt.ArrayLike
) -> dict[str, Array]:
    """Return the coverage and size of prediction sets under several weightings.

    Parameters
    ----------
    truth
        (n,) class indices.
    possible
        (n, K) bool, the classes in each sample's set; a set of one class counts as an answer.
    weights
        (w, n), non-negative.

    Returns
    -------
    dict
        (w,) ``coverage`` (sets that contain the right class), ``set_size`` (mean), ``abstained``
        (sets that are not an answer) and ``answered_accuracy`` (NaN if there is no answer).
    """
    target, sets = np.asarray(truth), np.asarray(possible, dtype=bool)
    weight = np.asarray(weights, dtype=np.float64)
    holds, size = sets[np.arange(len(sets)), target], sets.sum(1)
    answered = weight @ (size == 1)
    right = weight @ (holds & (size == 1))
    total = weight.sum(1)
    return {
        "coverage": weight @ holds / total,
        "set_size": weight @ size / total,
        "abstained": 1 - answered / total,
        "answered_accuracy": np.divide(
            right, answered, out=np.full_like(right, np.nan), where=answered > 0
        ),
    }


def confusion_matrix(truth: npt.ArrayLike, probabilities: npt.ArrayLike) -> Array:
    """Return (K, K) how many samples of each class (rows) were assigned to each (columns)."""
    shares = np.asarray(probabilities)
    counts = np.zeros((shares.shape[1], shares.shape[1]))
    np.add.at(counts, (np.asarray(truth), shares.argmax(1)), 1)
    return counts


def reliability(truth: npt.ArrayLike, probabilities: npt.ArrayLike) -> dict[str, Array]:
    """Return how often predictions of similar confidence are right.

    Returns
    -------
    dict
        For each bin with samples: ``confidence`` (mean probability of the predicted class),
        ``accuracy`` (share that is right) and ``samples``.
    """
    confidence, right, bins = _binned(np.asarray(truth), np.asarray(probabilities))
    count = bins.sum(0)
    filled = count > 0
    return {
        "confidence": (confidence @ bins)[filled] / count[filled],
        "accuracy": (right @ bins)[filled] / count[filled],
        "samples": count[filled],
    }


def precision_at_recall(score: Array, positive: npt.NDArray[np.bool_], recall: Array) -> Array:
    """Return (r,) the precision where the precision-recall curve first reaches each recall.

    Parameters
    ----------
    score, positive
        (n,) each, as for `ranking_metrics`; at least one is positive.
    recall
        (r,) 0 to 1.
    """
    order = np.argsort(-score, kind="stable")
    # There is a threshold only where the next score is lower.
    ends = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    found = positive[order].cumsum()[ends]
    # Recall 0 takes the first threshold with a true positive; precision is undefined before it.
    wanted = np.maximum(recall * found[-1], 1) - 1e-9
    reached = np.searchsorted(found, wanted)
    return np.asarray(found[reached] / (ends[reached] + 1))


def _calibration_error(target: npt.NDArray[np.int64], shares: Array, weight: Array) -> Array:
    confidence, right, bins = _binned(target, shares)
    gaps = np.abs(weight @ (bins * (confidence - right)[:, None])).sum(1)
    return np.asarray(gaps / weight.sum(1))


def _binned(target: npt.NDArray[np.int64], shares: Array) -> tuple[Array, Array, Array]:
    """Return (n,) confidence, (n,) 1 where right, and (n, bins) 1 where a sample belongs."""
    confidence = shares.max(1).astype(np.float64)
    right = (shares.argmax(1) == target).astype(np.float64)
    row = np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    return confidence, right, np.eye(CONFIDENCE_BINS)[row]


def ranking_metrics(
    score: Array, positive: npt.NDArray[np.bool_], weights: Array
) -> tuple[Array, Array]:
    """Return (w,) area under the ROC curve and (w,) average precision of one score.

    Parameters
    ----------
    score, positive
        (n,) each.
    weights
        (w, n); positives and negatives must both have weight.
    """
    order = np.argsort(-score, kind="stable")
    # Samples of equal score enter together, as one step of the curves.
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    ordered = weights[:, order]
    gained = np.add.reduceat(ordered * positive[order], starts, axis=1)
    lost = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    found, wrong = gained.cumsum(1), lost.cumsum(1)
    positives, negatives = found[:, -1], wrong[:, -1]
    # A step of the ROC curve is a trapezium: negatives of equal score count half.
    auroc = (gained * (negatives[:, None] - wrong + lost / 2)).sum(1) / (positives * negatives)
    total = found + wrong
    precision = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    return auroc, (gained * precision).sum(1) / positives


def bootstrap_weights(
    patients: Sequence[str], labels: Sequence[str], replicates: int, seed: int
) -> Array:
    """Return (replicates, n) how often each sample is drawn when patients are resampled.

    Patients, not samples, are drawn with replacement, within each class, so that every class is
    present in every replicate.
    """
    rng = np.random.default_rng(seed)
    label_of: Mapping[str, str] = dict(zip(patients, labels, strict=True))
    names = sorted(label_of)
    counts = np.zeros((replicates, len(names)))
    for label in sorted(set(labels)):
        members = np.array([row for row, name in enumerate(names) if label_of[name] == label])
        share = np.full(len(members), 1 / len(members))
        counts[:, members] = rng.multinomial(len(members), share, size=replicates)
    return counts[:, [names.index(patient) for patient in patients]]
