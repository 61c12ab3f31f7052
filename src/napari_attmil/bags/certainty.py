"""How sure a classifier may be: a temperature, an offset a class, prediction sets, and votes.

All are learnt from logits of samples whose patients the models in question never saw. The unit is
the patient: several samples of one count together as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import chdtri, log_softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Array = npt.NDArray[np.float64]

TEMPERATURES = (0.05, 20.0)
"""Between these the temperature is sought."""
OFFSET_PENALTY = 1.0
"""Of half an offset's square, where a patient's log likelihood counts once: as if offsets were
known to be normal with a standard deviation of 1. Chosen on the cohort "development" of
`benchmarks/planted_cells.py`, where 0.3 to 3 do about as well."""
CHANCE = 0.01
"""How often at most a kind of models that knows nothing gets votes. In small studies those cost
more than votes not given. Chosen on the development cohorts of `benchmarks/painted_parasites.py`,
where composition says nothing and raised the log likelihood by 2.3 at most, and of
`benchmarks/conditions.py`, where it tells most and did by 4.1 at least; 1 % asks for 3.3."""
NOT_CHECKED = "the probabilities were not checked against held-out patients."
"""Why a classifier is not calibrated, if nothing else is known."""
STOPPED_EARLY = "the training was stopped early."


@dataclass(frozen=True, eq=False)
class Certainty:
    """How logits become probabilities, and which classes cannot be ruled out.

    Attributes
    ----------
    temperature
        Logits are divided by it.
    coverage
        How often a prediction set holds the right class, 0 to 1.
    least_probability
        (K,) a class is in the set if its probability is at least this; None where nothing was
        calibrated. 0 where there are too few patients to ever leave it out.
    patients
        (K,) held-out patients of each class that this rests on.
    by_class
        (K,) bool, whether a class has patients enough to have its own bound; the others share
        one that holds over all classes together.
    missing_because
        Where nothing was calibrated: why, as the end of a sentence.
    offset
        (K,) what is added to the logits divided by the temperature; sums to 0, empty for zeros.
    """

    temperature: float = 1.0
    coverage: float = 0.9
    least_probability: tuple[float, ...] | None = None
    patients: tuple[int, ...] = ()
    by_class: tuple[bool, ...] = ()
    missing_because: str = NOT_CHECKED
    offset: tuple[float, ...] = ()

    @property
    def is_calibrated(self) -> bool:
        """Whether it was learnt from held-out patients."""
        return self.least_probability is not None

    def log_probabilities(self, logits: npt.ArrayLike) -> Array:
        """Return (..., K) calibrated log probabilities of logits."""
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        calibrated: Array = log_softmax(scaled + np.array(self.offset or 0.0), axis=-1)
        return calibrated

    def log_probabilities_before(self, log_probabilities: npt.ArrayLike) -> Array:
        """Return (..., K) the log probabilities that `log_probabilities` has calibrated."""
        scaled = np.asarray(log_probabilities, dtype=np.float64) - np.array(self.offset or 0.0)
        before: Array = log_softmax(self.temperature * scaled, axis=-1)
        return before

    def prediction_set(self, probabilities: npt.ArrayLike) -> npt.NDArray[np.bool_] | None:
        """Return (..., K) which classes cannot be ruled out; None where nothing was calibrated.

        The most probable class is always among them. Where none is as probable as it usually
        is, they are the most probable ones that together reach the coverage: a doubtful sample
        must not pass for a certain one.
        """
        if self.least_probability is None:
            return None
        values = np.asarray(probabilities, dtype=np.float64)
        usual = values >= np.array(self.least_probability)
        is_most = np.arange(values.shape[-1]) == values.argmax(-1)[..., None]
        kept: npt.NDArray[np.bool_] = np.where(
            usual.any(-1, keepdims=True), usual | is_most, _most_probable(values, self.coverage)
        )
        return kept

    def note(self, classes: Sequence[str]) -> str:
        """Return what to know about the prediction sets, as a sentence; empty if nothing."""
        if not self.is_calibrated:
            return f"Not calibrated: {self.missing_because}"
        needed, in_all = patients_needed(self.coverage), sum(self.patients)
        few = [
            f"{name} {count}"
            for name, count, own in zip(classes, self.patients, self.by_class, strict=True)
            if not own
        ]
        if not few:
            return ""
        if in_all < needed:
            return (
                f"No class can be ruled out: that needs {needed} patients to calibrate with, and "
                f"there were {in_all}."
            )
        named = f" ({', '.join(few)})" if any(self.by_class) else ""
        return (
            f"The {100 * self.coverage:g}% is an average over the classes; to hold for each it "
            f"takes {needed} patients a class{named}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "temperature": self.temperature,
            "coverage": self.coverage,
            "least_probability": self.least_probability,
            "patients": self.patients,
            "by_class": self.by_class,
            "missing_because": self.missing_because,
            "offset": self.offset,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave."""
        bounds = values["least_probability"]
        return cls(
            float(values["temperature"]),
            float(values["coverage"]),
            None if bounds is None else tuple(float(bound) for bound in bounds),
            tuple(int(count) for count in values["patients"]),
            tuple(bool(own) for own in values["by_class"]),
            str(values["missing_because"]),
            tuple(float(offset) for offset in values.get("offset", ())),
        )


def calibrate(
    logits: npt.ArrayLike,
    truth: npt.ArrayLike,
    patients: Sequence[str],
    coverage: float = 0.9,
    balanced: bool = True,
) -> Certainty:
    """Learn all of a `Certainty` from samples of patients that were held out.

    Parameters
    ----------
    logits
        (n, K), each sample's by models that never saw its patient.
    truth
        (n,) class indices.
    patients
        (n,) whom each sample comes from; a patient's samples weigh as much as one sample.
    coverage
        How often the sets shall hold the right class, for a new patient's sample.
    balanced
        Whether classes count alike, as where a training weighs them so; else each as often as it
        is there.

    Notes
    -----
    One temperature: Guo et al. 2017; with an offset a class: Alexandari et al. 2020, as some
    classes look more extreme in new patients than in those that were learnt from. The sets are
    conformal ones with the score 1 - p(true class), for each class apart where it has patients
    enough (Vovk 2012) and pooled over the classes otherwise; several samples a patient as in Lee,
    Barber and Willett 2023. A class's own bound is lowered to the pooled one where another class
    has none of its own, because only then the pooled one still holds over all classes.

    The guarantee is exact for logits of the very models that are used later. Those of inner folds
    come from models with fewer patients, and the temperature from the same samples, so that for
    an ensemble it is close, not proven (cross-conformal; Vovk 2015).
    """
    values, target = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.int64)
    weights = patient_weights(patients)
    scales, offset, _ = fit_scaling(values[None], target, said_by(target, patients, balanced))
    temperature = float(1 / scales[0])
    scaled = log_softmax(values / temperature + offset, axis=1)
    own = np.exp(scaled[np.arange(len(target)), target])
    pooled = _least_probability(own, weights, coverage)
    classes = np.arange(values.shape[1])
    counts = [len({p for p, t in zip(patients, target, strict=True) if t == k}) for k in classes]
    by_class = [count >= patients_needed(coverage) for count in counts]
    bounds = [
        _least_probability(own[target == k], weights[target == k], coverage)
        if by_class[k]
        else pooled
        for k in classes
    ]
    if not all(by_class):
        bounds = [min(bound, pooled) for bound in bounds]
    return Certainty(
        temperature,
        coverage,
        tuple(bounds),
        tuple(counts),
        tuple(by_class),
        missing_because="",
        offset=tuple(offset.tolist()),
    )


def fit_votes(
    logits: npt.ArrayLike, truth: npt.ArrayLike, patients: Sequence[str], balanced: bool = True
) -> Array:
    """Return (m,) how much kinds of models count beside each other, 0 to 1; they sum to 1.

    Stacking (Wolpert 1992): the votes under which held-out patients are most likely. All but the
    first kind count nothing unless a likelihood-ratio test (Wilks 1938) says that they add
    something: see `CHANCE`.

    Parameters
    ----------
    logits
        (m, n, K) of each sample by each kind of models, none of which saw its patient.
    truth, patients, balanced
        As for `calibrate`.
    """
    values, target = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.int64)
    said = said_by(target, patients, balanced)
    first, _, of_first = fit_scaling(values[:1], target, said)
    scales, _, of_all = fit_scaling(values, target, said)
    if len(scales) > 1 and of_all - of_first <= chdtri(len(scales) - 1, CHANCE) / 2:
        scales = np.pad(first, (0, len(scales) - 1))
    votes: Array = scales / scales.sum()
    return votes


def fit_scaling(
    logits: Array, truth: npt.NDArray[np.int64], said: Array
) -> tuple[Array, Array, float]:
    """Return (m,) scales and (K,) offsets of the largest log likelihood, and how large that is.

    Of (m, n, K) logits by m kinds of models, each kind's are multiplied by its scale, then summed.
    A sample counts as much as `said_by` says. Two penalties keep few patients from proving too
    much. There is one more patient, of whom every class is equally true (after Platt 1999):
    patients who are all classified correctly would else speak for a temperature near 0, and so
    for probabilities of 100 %. And offsets cost `OFFSET_PENALTY`.
    """
    kinds, _, classes = logits.shape
    unknown = 1 / (said.sum() + 1)

    def loss(parameters: Array) -> float:
        scaled = np.tensordot(np.exp(parameters[:kinds]), logits, axes=1)
        log_probabilities = log_softmax(scaled + centred(parameters[kinds:]), axis=1)
        true = log_probabilities[np.arange(len(truth)), truth]
        likelihood = said * ((1 - unknown) * true + unknown * log_probabilities.mean(1))
        return float(OFFSET_PENALTY / 2 * np.square(parameters[kinds:]).sum() - likelihood.sum())

    start = np.concatenate([np.full(kinds, -np.log(kinds)), np.zeros(classes)])
    bounds = [(-np.log(TEMPERATURES[1]), -np.log(TEMPERATURES[0]))] * kinds
    found = minimize(loss, start, method="L-BFGS-B", bounds=[*bounds, *[(None, None)] * classes])
    return np.exp(found.x[:kinds]), centred(found.x[kinds:]), -float(found.fun)


def said_by(truth: npt.NDArray[np.int64], patients: Sequence[str], balanced: bool) -> Array:
    """Return (n,) for how many patients each sample speaks.

    A patient's samples share its say, and all classes that there are count alike if `balanced`.
    The sum is the effective number of patients (Kish 1965): where a few of them stand for a whole
    class, they prove less than as many patients do who count alike.
    """
    weights = patient_weights(patients)
    if balanced:
        weights = weights / np.bincount(truth, weights)[truth]
    _, index = np.unique(np.array(patients), return_inverse=True)
    of_patient = np.bincount(index, weights)
    said: Array = weights * of_patient.sum() / np.square(of_patient).sum()
    return said


def centred(values: Array) -> Array:
    """Return values less their mean: a constant on all logits changes no probability."""
    shifted: Array = values - values.mean()
    return shifted


def patient_weights(patients: Sequence[str]) -> Array:
    """Return (n,) the weight of each sample: 1 over how many its patient has."""
    _, index, counts = np.unique(np.array(patients), return_inverse=True, return_counts=True)
    weights: Array = 1 / counts[index].astype(np.float64)
    return weights


def patients_needed(coverage: float) -> int:
    """Return with how many patients a set can first leave a class out: 9 at 90 %."""
    return int(np.ceil(coverage / (1 - coverage) - 1e-9))


def _most_probable(values: Array, together: float) -> npt.NDArray[np.bool_]:
    """Return (..., K) the fewest classes whose probabilities sum to at least `together`."""
    order = np.argsort(-values, axis=-1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=-1)
    before = np.cumsum(ranked, axis=-1) - ranked
    chosen = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, before < together, axis=-1)
    return chosen


def _least_probability(own: Array, weights: Array, coverage: float) -> float:
    """Return the lowest probability of the true class that still counts as usual.

    The weighted quantile of 1 - p with one more patient, the new one, at infinity.
    """
    order = np.argsort(-own)
    reached = np.cumsum(weights[order]) / (weights.sum() + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    return float(own[order][enough[0]]) if len(enough) else 0.0
