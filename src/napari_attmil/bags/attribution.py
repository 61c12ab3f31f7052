"""How well a score of cells finds the altered ones, where the truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    import numpy.typing as npt

RANDOM_AUROC = 0.5
"""What a score that knows nothing of the cells reaches on average."""


def instance_auroc(score: npt.ArrayLike, altered: npt.ArrayLike | None) -> float:
    """Return how often an altered cell of a sample scores above one that is not (ties half).

    Parameters
    ----------
    score
        (n,) of a sample's cells, for instance their attention.
    altered
        (n,) bool; None where the truth is not known.

    Returns
    -------
    float
        0 to 1, 0.5 for a random score; NaN where there are not both kinds of cells, as in
        healthy samples.
    """
    truth = np.zeros(0, dtype=bool) if altered is None else np.asarray(altered, dtype=bool)
    if not truth.any() or truth.all():
        return float("nan")
    return float(roc_auc_score(truth, np.asarray(score)))
