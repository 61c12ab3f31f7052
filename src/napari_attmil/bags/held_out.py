"""What models said of patients whom they had not seen: the figure by which to judge a classifier.

Names are kept as digests, as a model file is passed on to others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from napari_attmil.bags.certainty import calibrate, fit_votes
from napari_attmil.bags.metrics import confusion_matrix
from napari_attmil.bags.name_digests import digests_of, name_digest
from napari_attmil.core import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_attmil.bags.bag import Bag
    from napari_attmil.images import Fold, Sample

    Array = npt.NDArray[np.float64]

DIGITS = 4
"""Decimals of the probabilities that are kept."""
WIDE = 0.3
"""An interval of the share of right answers that is wider than this says little."""
CHANCE_MEANS = "Chance: always answering the most frequent class."
HOW_MADE = (
    "Each patient was classified by models that were trained without that patient; votes and "
    "calibration were fitted to other patients too."
)


class HeldOutPatient(NamedTuple):
    """One patient and what was said of them.

    Attributes
    ----------
    patient
        Digest of the name.
    truth, predicted
        Index of the patient's class, and of the most probable one.
    probability
        Of the predicted class, the mean over the patient's samples.
    samples
        Digests of their names, the least right first.
    """

    patient: str
    truth: int
    predicted: int
    probability: float
    samples: tuple[str, ...]


class NamedPatient(NamedTuple):
    """A held-out patient of a study: names instead of digests and indices."""

    patient: str
    truth: str
    predicted: str
    probability: float
    sample: str


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of the training samples by models that never saw their patients.

    Attributes
    ----------
    samples, patients
        (n,) digests of names; see `name_digests`.
    truth
        (n,) class indices.
    probabilities
        (n, K), each row sums to 1.
    """

    samples: tuple[str, ...]
    patients: tuple[str, ...]
    truth: tuple[int, ...]
    probabilities: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, bags: Sequence[Bag], truth: Sequence[int], probabilities: Array) -> Self:
        """Return the predictions (n, K) of bags."""
        return cls(
            tuple(name_digest(bag.sample) for bag in bags),
            tuple(name_digest(bag.patient) for bag in bags),
            tuple(truth),
            tuple(tuple(row) for row in probabilities.round(DIGITS).tolist()),
        )

    @cached_property
    def of_patients(self) -> tuple[HeldOutPatient, ...]:
        """The patients, in the order of the samples; several samples of one count together."""
        shares, names = np.array(self.probabilities), np.array(self.patients)
        found = []
        for patient in dict.fromkeys(self.patients):
            rows = np.flatnonzero(names == patient)
            truth, mean = self.truth[rows[0]], shares[rows].mean(0)
            worst = rows[np.argsort(shares[rows, truth], kind="stable")]
            samples = tuple(self.samples[row] for row in worst)
            predicted = int(mean.argmax())
            found.append(HeldOutPatient(patient, truth, predicted, float(mean[predicted]), samples))
        return tuple(found)

    @property
    def right(self) -> int:
        """How many patients were given their class."""
        return sum(patient.truth == patient.predicted for patient in self.of_patients)

    @property
    def chance(self) -> int:
        """How many would be right if every answer were the most frequent class."""
        return int(np.bincount([patient.truth for patient in self.of_patients]).max())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the share of right answers (Wilson 1927)."""
        from scipy.stats import binomtest  # takes a while to import

        tested = binomtest(self.right, len(self.of_patients))
        low, high = tested.proportion_ci(method="wilson")
        return float(low), float(high)

    def confusion(self) -> npt.NDArray[np.int64]:
        """Return (K, K) how many patients of each class (rows) were given each (columns)."""
        classes = len(self.probabilities[0])
        said = np.eye(classes)[[patient.predicted for patient in self.of_patients]]
        counts = confusion_matrix([patient.truth for patient in self.of_patients], said)
        return counts.astype(np.int64)

    def sentence(self) -> str:
        """Return "33 of 38 held-out patients right; chance 14."."""
        patients = counted(len(self.of_patients), "held-out patient")
        return f"{self.right} of {patients} right; chance {self.chance}."

    def reservation(self) -> str:
        """Return what to expect of new patients, and that few patients say little."""
        low, high = self.interval
        if high - low > WIDE:
            return (
                f"That is few patients: of new ones, {low:.0%} to {high:.0%} may be right (95% "
                "interval). Train with more before you rely on it."
            )
        return f"Of new patients like these, {low:.0%} to {high:.0%} may be right (95% interval)."

    def in_words(self) -> str:
        """Return the sentence, what chance means in it, and what to expect of new patients."""
        return f"{self.sentence()} {CHANCE_MEANS} {self.reservation()}"

    def explained(self) -> str:
        """Return how the figure was made, and what chance means in it."""
        return f"{HOW_MADE} {CHANCE_MEANS}"

    def of_sample(self, sample: str, patient: str) -> Array | None:
        """Return (K,) what was said of a sample while its patient was held out, None if unknown."""
        row = self._rows.get((name_digest(sample), name_digest(patient)))
        if row is None:
            pairs = ((s, p) for s in digests_of(sample) for p in digests_of(patient))
            row = next((self._rows[pair] for pair in pairs if pair in self._rows), None)
        return None if row is None else np.array(self.probabilities[row])

    def named(self, samples: Iterable[Sample], classes: Sequence[str]) -> list[NamedPatient]:
        """Return the patients whom a study knows, each with the sample to look at first."""
        of_digest = {(name_digest(s.patient), name_digest(s.name)): s for s in samples}
        found = []
        for patient in self.of_patients:
            digests = ((patient.patient, sample) for sample in patient.samples)
            sample = next((of_digest[pair] for pair in digests if pair in of_digest), None)
            if sample is not None:
                names = (classes[patient.truth], classes[patient.predicted])
                one = NamedPatient(sample.patient, *names, patient.probability, sample.name)
                found.append(one)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None, classes: int) -> Self | None:
        """Return what `to_json` was called on, None of None; a ValueError if it does not fit."""
        if values is None:
            return None
        found = TypeAdapter(cls).validate_python(values)
        lengths = {len(part) for part in (found.samples, found.patients, found.truth)}
        is_whole = lengths == {len(found.probabilities)} and bool(found.samples)
        shares = np.array(found.probabilities) if is_whole else np.empty(0)
        if shares.shape[1:] != (classes,) or not np.isfinite(shares).all():
            raise ValueError("held-out predictions are not of these classes")
        if not set(found.truth) <= set(range(classes)):
            raise ValueError("held-out patients have an unknown class")
        return found

    @cached_property
    def _rows(self) -> dict[tuple[str, str], int]:
        pairs = zip(self.samples, self.patients, strict=True)
        return {pair: row for row, pair in enumerate(pairs)}


def held_out_probabilities(
    logits: Array,
    truth: Sequence[int],
    patients: Sequence[str],
    folds: Sequence[Fold],
    balanced: bool,
) -> Array:
    """Return (n, K) probabilities of which each patient's were made without that patient.

    Votes and calibration are fitted to the patients of the other folds: those of the classifier,
    which are fitted to all, have seen the answers that they would be judged by.

    Parameters
    ----------
    logits
        (m, n, K) of each sample by each kind of model, none of which saw its patient.
    truth, patients, balanced
        As for `calibrate`.
    folds
        Rows to fit on and rows held out; each row is held out once.
    """
    target, names = np.asarray(truth), np.array(patients, dtype=object)
    probabilities = np.empty(logits.shape[1:])
    for others, held in folds:
        known = (target[others], names[others].tolist())
        votes = fit_votes(logits[:, others], *known, balanced)
        voted = np.tensordot(votes, logits, axes=1)
        certainty = calibrate(voted[others], *known, balanced=balanced)
        probabilities[held] = np.exp(certainty.log_probabilities(voted[held]))
    return probabilities
