"""How certain a classifier may be: temperature, offsets by class, prediction sets, and votes.

All are learnt from the logits of samples whose patients the models never saw. The unit is the
patient: several samples of one patient together count as one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter
from scipy.optimize import minimize
from scipy.special import chdtri, log_softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Array = npt.NDArray[np.float64]

TEMPERATURES = (0.05, 20.0)
"""The temperature is sought between these."""
OFFSET_PENALTY = 1.0
"""Weight of half the square of an offset, where the log likelihood of a patient has weight 1: a
normal prior of standard deviation 1 on the offsets. Chosen on the cohort "development" of
`benchmarks/planted_cells.py`, where 0.3 to 3 do about as well."""
CHANCE = 0.01
"""Level of the test that gives votes to a further kind of model. In small studies, votes for an
uninformative kind cost more than votes withheld from an informative one. Chosen on the development
cohorts of `benchmarks/painted_parasites.py`, where composition is uninformative and raised the log
likelihood by at most 2.3, and of `benchmarks/conditions.py`, where it is informative and raised it
by at least 4.1; 1 % requires 3.3."""
NOT_CHECKED = "the probabilities were not checked against held-out patients."
"""Why a classifier is not calibrated, unless there is a more specific reason."""
STOPPED_EARLY = "the training was stopped early."


@dataclass(frozen=True, eq=False)
class Certainty:
    """How logits become probabilities, and which classes cannot be ruled out.

    Attributes
    ----------
    temperature
        Divides the logits.
    coverage
        How often a prediction set contains the right class, 0 to 1.
    least_probability
        (K,) a class is in the set if its probability is at least this; None without calibration.
        0 where there are too few patients ever to exclude the class.
    patients
        (K,) held-out patients of each class.
    by_class
        (K,) bool, whether a class has enough patients for a bound of its own; the others share
        one that holds over all classes together.
    missing_because
        Why there is no calibration, as the end of a sentence.
    offset
        (K,) added to the logits after division by the temperature; sums to 0, empty for zeros.
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
        """Whether probabilities were calibrated on held-out patients."""
        return self.least_probability is not None

    def log_probabilities(self, logits: npt.ArrayLike) -> Array:
        """Return (..., K) calibrated log probabilities of logits."""
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        return np.asarray(log_softmax(scaled + np.array(self.offset or 0.0), axis=-1))

    def log_probabilities_before(self, log_probabilities: npt.ArrayLike) -> Array:
        """Return (..., K) log probabilities before calibration, from calibrated ones."""
        scaled = np.asarray(log_probabilities, dtype=np.float64) - np.array(self.offset or 0.0)
        return np.asarray(log_softmax(self.temperature * scaled, axis=-1))

    def prediction_set(self, probabilities: npt.ArrayLike) -> npt.NDArray[np.bool_] | None:
        """Return (..., K) which classes cannot be ruled out; None without calibration.

        The most probable class is always in the set. If no class reaches its usual probability,
        the set consists of the most probable classes that together reach the coverage: a doubtful
        sample must not look like a certain one.
        """
        if self.least_probability is None:
            return None
        values = np.asarray(probabilities, dtype=np.float64)
        usual = values >= np.array(self.least_probability)
        is_most = np.arange(values.shape[-1]) == values.argmax(-1)[..., None]
        doubtful = ~usual.any(-1, keepdims=True)
        return np.where(doubtful, _most_probable(values, self.coverage), usual | is_most)

    def note(self, classes: Sequence[str]) -> str:
        """Return what readers should know about the prediction sets; empty if nothing."""
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
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the object that `to_json` was called on; a ValueError if the types are wrong."""
        return TypeAdapter(cls).validate_python(values)


def calibrate(
    logits: npt.ArrayLike,
    truth: npt.ArrayLike,
    patients: Sequence[str],
    coverage: float = 0.9,
    balanced: bool = True,
) -> Certainty:
    """Calibrate on the samples of held-out patients.

    Parameters
    ----------
    logits
        (n, K), for each sample from models that never saw its patient.
    truth
        (n,) class indices.
    patients
        (n,) the patient of each sample; all samples of a patient weigh as much as one.
    coverage
        How often the sets should contain the right class, for a sample of a new patient.
    balanced
        Whether classes count equally, as in a training that balances them; otherwise they count
        by their frequency.

    Notes
    -----
    One temperature follows Guo et al. 2017, and one offset per class Alexandari et al. 2020, as
    some classes look more extreme in new patients than in the training patients. The sets are
    conformal, with the score 1 - p(true class): for each class separately where it has enough
    patients (Vovk 2012), otherwise pooled over the classes. Several samples per patient are
    treated as in Lee, Barber and Willett 2023. A class's own bound is lowered to the pooled one if
    another class has no bound of its own; only then does the pooled bound hold over all classes.

    The guarantee is exact for the logits of the very models that are used later. The logits of
    inner folds come from models trained on fewer patients, and the temperature from the same
    samples, so for an ensemble the guarantee is approximate (cross-conformal; Vovk 2015).
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
    """Return (m,) the vote of each kind of model, 0 to 1; the votes sum to 1.

    Stacking (Wolpert 1992): the votes that maximise the likelihood of held-out patients. Only the
    first kind votes unless a likelihood-ratio test (Wilks 1938) shows that the others improve on
    it: see `CHANCE`.

    Parameters
    ----------
    logits
        (m, n, K) of each sample by each kind of model, none of which saw its patient.
    truth, patients, balanced
        As for `calibrate`.
    """
    values, target = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.int64)
    said = said_by(target, patients, balanced)
    first, _, of_first = fit_scaling(values[:1], target, said)
    scales, _, of_all = fit_scaling(values, target, said)
    if len(scales) > 1 and of_all - of_first <= chdtri(len(scales) - 1, CHANCE) / 2:
        scales = np.pad(first, (0, len(scales) - 1))
    return np.asarray(scales / scales.sum())


def fit_scaling(
    logits: Array, truth: npt.NDArray[np.int64], said: Array
) -> tuple[Array, Array, float]:
    """Return the (m,) scales and (K,) offsets of maximum log likelihood, and that likelihood.

    The (m, n, K) logits of m kinds of models are multiplied by the scale of their kind and summed.
    `said` is the weight of each sample; see `said_by`. Two penalties guard against overfitting to
    few patients. One further patient belongs equally to every class (after Platt 1999): otherwise
    patients who are all classified correctly would drive the temperature towards 0 and the
    probabilities towards 100 %. And offsets cost `OFFSET_PENALTY`.
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
    """Return (n,) how many patients each sample counts for.

    A patient's samples share that patient's weight, and the classes present have equal weight if
    `balanced`. The sum is the effective number of patients (Kish 1965): a few patients who stand
    for a whole class are weaker evidence than as many patients of equal weight.
    """
    weights = patient_weights(patients)
    if balanced:
        weights = weights / np.bincount(truth, weights)[truth]
    _, index = np.unique(np.array(patients), return_inverse=True)
    of_patient = np.bincount(index, weights)
    return np.asarray(weights * of_patient.sum() / np.square(of_patient).sum())


def centred(values: Array) -> Array:
    """Return values minus their mean; a constant added to all logits changes no probability."""
    return np.asarray(values - values.mean())


def patient_weights(patients: Sequence[str]) -> Array:
    """Return (n,) the weight of each sample: 1 over the number of its patient's samples."""
    _, index, counts = np.unique(np.array(patients), return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[index].astype(np.float64))


def patients_needed(coverage: float) -> int:
    """Return the number of patients from which a set can exclude a class: 9 at 90 %."""
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
    """Return the lowest probability of the true class that is still usual.

    This is the weighted quantile of 1 - p, with the new patient added at infinity.
    """
    order = np.argsort(-own)
    reached = np.cumsum(weights[order]) / (weights.sum() + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    return float(own[order][enough[0]]) if len(enough) else 0.0
