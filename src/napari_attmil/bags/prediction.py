"""What a classifier says about one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.prior import are_equal, checked_prior, posterior, shares_in_words
from napari_attmil.core import (
    CAUTION,
    Float32Array,
    Int64Array,
    Remedy,
    UserError,
    counted,
    html_paragraph,
    html_table,
)

if TYPE_CHECKING:
    from napari_attmil.cells import Boxes

SETS_AS_BEFORE: Final = {
    True: "What is ruled out does not depend on these frequencies: the {level} holds within each "
    "class.",
    False: "What is ruled out does not follow these frequencies: the {level} is an average over "
    "the patients of the calibration, and need not hold here.",
}
"""What a prior leaves as it is, by `Prediction.holds_by_class`."""


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
    assumed
        How frequent the probabilities take each class to be, in the order of the classes, sums to
        1; None if that is not known.
    holds_by_class
        Whether the coverage holds within each class, and so however frequent the classes are.
    before_prior
        The same prediction at the frequencies of the training; None if these are meant.
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
    assumed: Mapping[str, float] | None = None
    holds_by_class: bool = False
    before_prior: Prediction | None = None

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
        return [*ruled, *filter(None, [self.frequencies_in_words(), self.note]), CAUTION]

    @property
    def at_training(self) -> Prediction:
        """The prediction at the frequencies that the classifier was calibrated for."""
        return self.before_prior or self

    def with_prior(self, prior: Mapping[str, float] | None) -> Prediction:
        """Return the prediction where the classes are as frequent as given.

        Probabilities follow `posterior`. The prediction set is made within each class from what
        the cells show, so it stays, but for the most probable class, which is always in it, and for
        classes that do not occur.

        Parameters
        ----------
        prior
            See `checked_prior`; None for the frequencies of the training.

        Raises
        ------
        UserError
            If they are not those of the classes, or it is not known which ones were assumed.
        """
        before = self.at_training
        if prior is None:
            return before
        shares, assumed = checked_prior(prior, self.classes), before.assumed
        if assumed is None:
            raise UserError(
                f"It is not known how frequent the classes were taken to be in sample "
                f"{self.sample!r}; classify it again.",
                Remedy.CLASSIFY,
            )
        probabilities = posterior(before.probabilities, shares, assumed)
        possible, note = before.prediction_set, before.note
        if possible is not None:
            possible = self._with_most_probable(possible, probabilities, shares)
            level = f"{100 * (before.coverage or 0):g}%"
            sets = SETS_AS_BEFORE[before.holds_by_class].format(level=level)
            note = " ".join(filter(None, (note, sets)))
        alone = before.member_probabilities
        if len(alone):
            alone = posterior(alone, shares, assumed).astype(np.float32)
        held_out = before.held_out
        return replace(
            before,
            probabilities=probabilities.astype(np.float32),
            member_probabilities=alone,
            prediction_set=possible,
            note=note,
            held_out=None if held_out is None else posterior(held_out, shares, assumed),
            assumed=shares,
            before_prior=before,
        )

    def _with_most_probable(
        self,
        possible: Sequence[str],
        probabilities: npt.NDArray[np.float64],
        shares: Mapping[str, float],
    ) -> tuple[str, ...]:
        """Return a prediction set at other frequencies, the most probable class first."""
        order = np.argsort(-probabilities, kind="stable")
        ranked = [self.classes[k] for k in order]
        kept = {name for name in possible if shares[name] > 0} | {ranked[0]}
        return tuple(name for name in ranked if name in kept)

    def frequencies_in_words(self) -> str:
        """Say how frequent the probabilities take the classes to be; empty if not known."""
        if self.assumed is None:
            return ""
        if are_equal(self.assumed):
            return "All classes are taken to be equally frequent."
        shares = shares_in_words(self.assumed)
        where = "in the training" if self.before_prior is None else "given"
        return f"Classes are taken to be as frequent as {where}: {shares}."

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
