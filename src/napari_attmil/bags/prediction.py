"""What a classifier says about one sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.core import Float32Array, Int64Array


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says about one sample.

    Attributes
    ----------
    sample
        Name of the sample.
    classes
        Names of the K classes.
    probabilities
        (K,) float32, sums to 1: the models' together, calibrated where the classifier is.
    cell_id
        (n,) the cells, in the order of the bag.
    attention
        (n,) float32, non-negative, sums to 1 (eq. 7), what the models agree on (see
        `agreed_attention`); what it is for the other methods says `AttentionMIL.pool`.
    contribution
        (n, K) float32, signed. Their sum over the cells is the logarithm of the probabilities
        but for a constant of the classifier and one of the sample. For the method SIC, whose
        cells vote, it is that of the mean of the cells' logits instead.
    member_probabilities
        (M, K) float32, what each of the classifier's M models says alone.
    prediction_set
        Classes that cannot be ruled out, the most probable first; None where the classifier
        was not calibrated.
    coverage
        How often such a set holds the right class, 0 to 1; None likewise.
    note
        What to know about probabilities and set, as sentences; empty if nothing.
    healthy_class
        The class of healthy samples in the training; None if no class was known to be theirs.
    """

    sample: str
    classes: tuple[str, ...]
    probabilities: Float32Array
    cell_id: Int64Array
    attention: Float32Array
    contribution: Float32Array
    member_probabilities: Float32Array = field(default_factory=lambda: np.empty((0, 0), np.float32))
    prediction_set: tuple[str, ...] | None = None
    coverage: float | None = None
    note: str = ""
    healthy_class: str | None = None

    @property
    def predicted(self) -> str:
        """The most probable class; the first of several that are equally probable."""
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def abstains(self) -> bool:
        """Whether more than one class cannot be ruled out, so that none should be named."""
        return self.prediction_set is not None and len(self.prediction_set) != 1

    @property
    def agreeing(self) -> int:
        """How many of the models name the predicted class when asked alone."""
        if not len(self.member_probabilities):
            return 0
        alone = self.member_probabilities.argmax(1)
        return int(np.count_nonzero(alone == np.argmax(self.probabilities)))

    @property
    def effective_cells(self) -> float:
        """On how many cells the attention rests: 1 over the sum of its squares, 1 to n."""
        return float(1 / np.square(self.attention, dtype=np.float64).sum())


def agreed_attention(weights: Sequence[Float32Array], least: float = 0.0) -> Float32Array:
    """Return (n,) float32 the attention to a bag's cells that models agree on; sums to 1.

    Their weights' power mean of exponent 1/2: unlike the arithmetic one it is not that of
    whichever model weighs most, so that ensembles of other seeds agree better on it; unlike the
    geometric one no model has a veto, which in small cohorts hid altered cells.

    Parameters
    ----------
    weights
        (n,) of each model, non-negative.
    least
        Added to every cell's mean, so that weights far below it are alike.
    """
    mean = np.sqrt(np.asarray(weights, dtype=np.float64)).mean(0) ** 2 + least
    agreed: Float32Array = (mean / mean.sum()).astype(np.float32)
    return agreed
