"""The results of an evaluation for each classified sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.attribution import (
    SCORES,
    ScoreName,
    SubsetClassifier,
    cell_scores,
    instance_ranking,
    removal,
    top_contribution,
)

if TYPE_CHECKING:
    from napari_attmil.bags import Bag, Classifier

    Array = npt.NDArray[np.float64]

MEASURES: Final = (
    "instance_auroc",
    "instance_ap",
    "instance_ndcg",
    "area_between",
    "necessity",
    "sufficiency",
)
"""The measures of each score in `Outcome.measures`."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Results for samples, each classified by a model that never saw its patient.

    The leading axes `...` are (t,) for the test samples of one training, or (runs, n) for all
    samples of an evaluation. The S scores are in the order of `SCORES`.

    Attributes
    ----------
    probabilities
        (..., K), calibrated where the classifier is.
    uncalibrated
        (..., K), the same before calibration.
    possible
        (..., K) 1 for classes that cannot be ruled out; NaN without calibration.
    measures
        (..., S, M) in the order of `MEASURES`; NaN where a measure is not defined.
    deletion, insertion
        (..., S, `CURVE_STEPS` + 1), see `Removal`.
    effective_number
        (...,), see `Prediction.effective_cells`.
    top_contribution
        (...,), see the function of this name; NaN without a class of healthy samples.
    seconds
        (...,) each sample's part of the time that training and classification took.
    epoch_seconds
        (...,) how long an epoch of the training took, on average, preparation included.
    cell_scores
        (cells, S) float32, of the samples' cells one sample after the other; of an evaluation
        (runs, cells, S).
    """

    probabilities: Array
    uncalibrated: Array
    possible: Array
    measures: Array
    deletion: Array
    insertion: Array
    effective_number: Array
    top_contribution: Array
    seconds: Array
    epoch_seconds: Array
    cell_scores: npt.NDArray[np.float32]

    def measure(self, score: ScoreName, name: str) -> Array:
        """Return (...,) one of `MEASURES` of one of `SCORES`."""
        return np.asarray(self.measures[..., SCORES.index(score), MEASURES.index(name)])


def tested(
    classifier: Classifier, bags: Sequence[Bag], reference: int | None, seeds: Sequence[int]
) -> Outcome:
    """Classify samples and measure the scores of their cells.

    Parameters
    ----------
    classifier
        Trained without the patients of these samples.
    bags
        (t,) samples.
    reference
        Index of the class of healthy samples, if any.
    seeds
        Seeds of the random scores, combined with the sample's position.
    """
    subset_classifier = SubsetClassifier(classifier)
    samples = [
        _tested(classifier, subset_classifier, bag, reference, np.random.default_rng([*seeds, row]))
        for row, bag in enumerate(bags)
    ]
    scores = np.concatenate([sample.pop("cell_scores") for sample in samples])
    stacked = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    untimed = np.zeros(len(bags))
    return Outcome(**stacked, seconds=untimed, epoch_seconds=untimed, cell_scores=scores)


def _tested(
    classifier: Classifier,
    subset_classifier: SubsetClassifier,
    bag: Bag,
    reference: int | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return the arrays of one sample, by their names in `Outcome`."""
    prediction, subsets = classifier.classify(bag), subset_classifier.subsets(bag)
    scores = cell_scores(prediction, subsets, rng)
    predicted = int(np.argmax(prediction.probabilities))
    removals = [removal(subsets, scores[name], predicted) for name in SCORES]
    left = [(r.area_between, r.necessity, r.sufficiency) for r in removals]
    found = [instance_ranking(scores[name], bag.altered) for name in SCORES]
    shares, possible = prediction.probabilities, prediction.prediction_set
    logarithms = np.log(shares.clip(min=np.finfo(np.float32).tiny))
    in_set = [np.nan if possible is None else name in possible for name in prediction.classes]
    return {
        "probabilities": shares.astype(np.float64),
        "uncalibrated": np.exp(classifier.certainty.log_probabilities_before(logarithms)),
        "possible": np.array(in_set, dtype=np.float64),
        "measures": np.hstack([found, left]),
        "deletion": np.stack([r.deletion for r in removals]),
        "insertion": np.stack([r.insertion for r in removals]),
        "effective_number": prediction.effective_cells,
        "top_contribution": np.nan
        if reference is None
        else top_contribution(prediction.contribution, reference),
        "cell_scores": np.stack([scores[name] for name in SCORES], axis=1).astype(np.float32),
    }
