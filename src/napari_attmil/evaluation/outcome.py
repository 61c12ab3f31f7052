"""What an evaluation keeps of every classified sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.bags.attribution import (
    SCORES,
    SubsetClassifier,
    cell_scores,
    instance_ranking,
    removal,
    top_contribution,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_attmil.bags import Bag, Certainty, Classifier, Prediction
    from napari_attmil.bags.attribution import ScoreName

    Array = npt.NDArray[np.float64]

MEASURES: Final = (
    "instance_auroc",
    "instance_ap",
    "instance_ndcg",
    "area_between",
    "necessity",
    "sufficiency",
)
"""What `Outcome.measures` holds of each score."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was found of samples, each classified by a model that never saw its patient.

    The leading axes `...` are (t,), the tested samples of one training, or (runs, n), all of an
    evaluation. Scores are in the order of `SCORES`, of which there are S.

    Attributes
    ----------
    probabilities
        (..., K), calibrated where the classifier is.
    uncalibrated
        (..., K), the same before calibration.
    possible
        (..., K) 1 for classes that cannot be ruled out; NaN where nothing was calibrated.
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
        values: Array = self.measures[..., SCORES.index(score), MEASURES.index(name)]
        return values


def tested(
    classifier: Classifier, bags: Sequence[Bag], reference: int | None, seeds: Sequence[int]
) -> Outcome:
    """Classify samples and measure how their cells are scored.

    Parameters
    ----------
    classifier
        Trained without the patients of these samples.
    bags
        (t,) samples.
    reference
        Index of the class of healthy samples, if there is one.
    seeds
        Of the random scores, together with the sample's position.
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
    return {
        "probabilities": prediction.probabilities.astype(np.float64),
        "uncalibrated": _uncalibrated(prediction, classifier.certainty),
        "possible": _possible(prediction),
        "measures": np.hstack([found, left]),
        "deletion": np.stack([r.deletion for r in removals]),
        "insertion": np.stack([r.insertion for r in removals]),
        "effective_number": prediction.effective_cells,
        "top_contribution": np.nan
        if reference is None
        else top_contribution(prediction.contribution, reference),
        "cell_scores": np.stack([scores[name] for name in SCORES], axis=1).astype(np.float32),
    }


def _uncalibrated(prediction: Prediction, certainty: Certainty) -> Array:
    """Return (K,) the probabilities as the models gave them."""
    shares = prediction.probabilities.clip(min=np.finfo(np.float32).tiny)
    before: Array = np.exp(certainty.log_probabilities_before(np.log(shares)))
    return before


def _possible(prediction: Prediction) -> Array:
    if prediction.prediction_set is None:
        return np.full(len(prediction.classes), np.nan)
    return np.array([1.0 * (name in prediction.prediction_set) for name in prediction.classes])
