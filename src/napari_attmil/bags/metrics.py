"""Metrics of a classification, for many weightings of its samples at once.

A bootstrap is nothing but weights: how often each sample was drawn. With a thousand of them one
call here takes the place of a thousand calls of scikit-learn, whose definitions these are (the
tests compare the two).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


def weighted_metrics(
    truth: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike
) -> dict[str, npt.NDArray[np.float64]]:
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
        against the rest), and (w, K) ``auprc`` (average precision of each class).
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
    return {
        "accuracy": hits.sum(1) / weight.sum(1),
        "f1_weighted": (f1 * support).sum(1) / support.sum(1),
        "f1_macro": f1.mean(1),
        "auroc": np.mean([auroc for auroc, _ in ranked], axis=0),
        "auprc": np.stack([auprc for _, auprc in ranked], axis=1),
    }


def ranking_metrics(
    score: npt.NDArray[np.float64],
    positive: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
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
    # An ROC step is a trapezium: all earlier negatives beaten, those of equal score half.
    auroc = (gained * (negatives[:, None] - wrong + lost / 2)).sum(1) / (positives * negatives)
    total = found + wrong
    precision = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    return auroc, (gained * precision).sum(1) / positives


def bootstrap_weights(
    patients: Sequence[str], labels: Sequence[str], replicates: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return (replicates, n) how often each sample is drawn when patients are resampled.

    Patients, not samples, are drawn with replacement, within each class, so that no class
    vanishes.
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
