"""What a classifier says about one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.core import (
    CAUTION,
    Float32Array,
    Int64Array,
    counted,
    html_paragraph,
    html_table,
)

if TYPE_CHECKING:
    from napari_attmil.cells import Boxes


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
        (n,) float32, non-negative, sums to 1 (eq. 7), agreed by the models (see
        `agreed_attention`); `AttentionMIL.pool` defines it for the other methods.
    contribution
        (n, K) float32, signed. Their sum over the cells is the logarithm of the probabilities
        up to a constant of the classifier and one of the sample. For the method SIC, where cells
        vote, it is the share of the mean of the cells' logits instead.
    member_probabilities
        (M, K) float32, the probabilities of each of the classifier's M models alone.
    prediction_set
        Classes that cannot be ruled out, the most probable first; None without calibration.
    coverage
        How often such a set contains the right class, 0 to 1; None without calibration.
    note
        What readers should know about the probabilities and the set; empty if nothing.
    healthy_class
        The class of healthy samples in the training; None if no class was recognised as such.
    was_trained_on
        Whether the classifier was trained on a sample or patient of this name.
    held_out
        (K,) the probabilities while this patient was held out from training; None if unknown.
    boxes
        Where the cells are, in the order of `cell_id`; None for a bag without images.
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
    was_trained_on: bool = False
    held_out: npt.NDArray[np.float64] | None = None
    boxes: Boxes | None = None

    def _repr_html_(self) -> str:
        """Return a table of the probabilities for a notebook, with what to know about them."""
        order = np.argsort(-self.probabilities, kind="stable")
        rows = [(self.classes[k], f"{self.probabilities[k]:.0%}") for k in order]
        cells = counted(len(self.cell_id), "cell")
        table = html_table(f"Sample {self.sample}, {cells}", ("Class", "Probability"), rows)
        return "".join([table, *(html_paragraph(text) for text in self._sentences())])

    def _sentences(self) -> list[str]:
        possible = self.prediction_set
        ruled = [] if not possible else [f"Cannot be ruled out: {', '.join(possible)}."]
        return [*ruled, *filter(None, [self.note]), CAUTION]

    @property
    def predicted(self) -> str:
        """The most probable class; the first of several that are equally probable."""
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def predicted_held_out(self) -> str | None:
        """The most probable class while this patient was held out; None if unknown."""
        return None if self.held_out is None else self.classes[int(np.argmax(self.held_out))]

    @property
    def abstains(self) -> bool:
        """Whether the prediction set is not a single class, so that none should be named."""
        return self.prediction_set is not None and len(self.prediction_set) != 1

    @property
    def agreeing(self) -> int:
        """How many of the models predict the same class on their own."""
        if not len(self.member_probabilities):
            return 0
        alone = self.member_probabilities.argmax(1)
        return int(np.count_nonzero(alone == np.argmax(self.probabilities)))

    @property
    def effective_cells(self) -> float:
        """The effective number of cells: 1 over the sum of squared attention, 1 to n."""
        return float(1 / np.square(self.attention, dtype=np.float64).sum())


def agreed_attention(weights: Sequence[Float32Array], least: float = 0.0) -> Float32Array:
    """Return (n,) float32 the attention of several models combined; sums to 1.

    It is the power mean of exponent 1/2 of the models' weights. Unlike the arithmetic mean, it is
    not dominated by the model with the largest weights, so ensembles of other seeds agree better.
    Unlike the geometric mean, it gives no model a veto, which hid altered cells in small cohorts.

    Parameters
    ----------
    weights
        (n,) of each model, non-negative.
    least
        Added to every cell's mean; weights far below it become equal.
    """
    mean = np.sqrt(np.asarray(weights, dtype=np.float64)).mean(0) ** 2 + least
    return np.asarray(mean / mean.sum(), dtype=np.float32)
