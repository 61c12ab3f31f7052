"""The trainings of an evaluation, and the files from which an interrupted evaluation resumes."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.training import TRAINING_VERSION
from napari_attmil.core import Device, Settings, UserError, write_atomically
from napari_attmil.evaluation.outcome import Outcome
from napari_attmil.images import patient_folds

if TYPE_CHECKING:
    from napari_attmil.bags import Bag, EnsembleSettings, MILSettings
    from napari_attmil.evaluation.rows import Row
    from napari_attmil.evaluation.settings import EvaluationSettings

    Folds = npt.NDArray[np.int64]

PER_CELL = "cell_scores"
"""The array of `Outcome` with one entry per cell instead of one per sample."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One training and its test.

    Attributes
    ----------
    run, fold
        Counted from 0.
    row
        What is trained.
    train, test
        Positions of the samples.
    """

    run: int
    fold: int
    row: Row
    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


def trials_of(fold: Folds, rows: Sequence[Row]) -> list[Trial]:
    """Return all trainings; within a run, all rows have the same folds.

    Parameters
    ----------
    fold
        (runs, n) in which fold each sample is tested.
    rows
        What is compared.
    """
    return [
        Trial(run, number, row, np.flatnonzero(split != number), np.flatnonzero(split == number))
        for run, split in enumerate(fold)
        for number in range(int(split.max()) + 1)
        for row in rows
    ]


def folds_of_runs(
    bags: Sequence[Bag], evaluation: EvaluationSettings, given: npt.ArrayLike | None
) -> Folds:
    """Return (runs, n) in which fold each sample is tested.

    Parameters
    ----------
    bags
        Samples.
    evaluation
        How many runs and folds, and the first run's seed.
    given
        (n,) fold of each sample, the same for all runs; None splits anew for every run.

    Raises
    ------
    UserError
        If the samples cannot be split by patient, or `given` does it wrongly.
    """
    patients, labels = [bag.patient for bag in bags], [bag.label for bag in bags]
    if given is not None:
        return np.tile(_checked_folds(np.asarray(given), patients, labels), (evaluation.runs, 1))
    fold = np.zeros((evaluation.runs, len(bags)), dtype=np.int64)
    for run in range(evaluation.runs):
        splits = patient_folds(patients, labels, evaluation.folds, evaluation.seed + run)
        for number, (_, test) in enumerate(splits):
            fold[run, test] = number
    return fold


class TrialFolder:
    """Stores the outcome of every finished training in a separate file.

    A file's name contains a digest of everything on which its outcome depends, so outcomes of other
    cohorts, settings or training versions are never mixed up; further methods or runs do not affect
    existing files.

    Parameters
    ----------
    folder
        Created when the first file is written.
    settings_of
        Returns the settings of a trial's training.
    ensemble
        Settings of the row "ensemble".
    bags
        (n,) all samples, prepared.
    device
        Its kind and precision slightly change the figures.
    """

    def __init__(
        self,
        folder: Path,
        settings_of: Callable[[Trial], MILSettings],
        ensemble: EnsembleSettings,
        bags: Sequence[Bag],
        device: Device,
    ) -> None:
        self._folder, self._settings_of = folder, settings_of
        self._ensemble = ensemble
        kind = "" if device.name == "cpu" else device.torch().type
        self._common = digest(TRAINING_VERSION, kind + device.precision, *map(bag_digest, bags))

    def read(self, trial: Trial) -> Outcome | None:
        """Return the stored outcome of a training; None if it is missing or damaged."""
        try:
            with np.load(self.path(trial), allow_pickle=False) as arrays:
                return Outcome(**{field.name: arrays[field.name] for field in fields(Outcome)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def path(self, trial: Trial) -> Path:
        """Return the file of a training."""
        row = trial.row
        ensemble = self._ensemble if row.kind == "ensemble" else None
        settings, test = self._settings_of(trial), trial.test.tolist()
        own = digest(self._common, row.kind, settings, ensemble, trial.run, test)
        return self._folder / f"{row.name}-run{trial.run}-fold{trial.fold}-{own[:16]}.npz"


def write_outcome(path: Path, outcome: Outcome) -> None:
    """Store the outcome of a training, whole or not at all.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    arrays = {field.name: getattr(outcome, field.name) for field in fields(Outcome)}
    # An open file, because savez adds a suffix to a name without one.
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def joined_outcomes(
    outcomes: Iterable[tuple[Trial, Outcome]], fold: Folds, cells: Sequence[int]
) -> Outcome:
    """Join the outcomes of one row's trainings into that of all samples.

    Parameters
    ----------
    outcomes
        Every training of a row with what was found.
    fold
        (runs, n).
    cells
        (n,) how many each sample has.
    """
    first_cell = np.cumsum([0, *cells])
    arrays: dict[str, Any] = {}
    for trial, outcome in outcomes:
        of_tested = [np.arange(first_cell[row], first_cell[row + 1]) for row in trial.test]
        for field in fields(Outcome):
            part = getattr(outcome, field.name)
            is_per_cell = field.name == PER_CELL
            length = first_cell[-1] if is_per_cell else fold.shape[1]
            shape = (len(fold), length, *part.shape[1:])
            whole = arrays.setdefault(field.name, np.full(shape, np.nan, dtype=part.dtype))
            whole[trial.run, np.concatenate(of_tested) if is_per_cell else trial.test] = part
    return Outcome(**arrays)


def bag_digest(bag: Bag) -> str:
    """Return a digest of everything that a training or test uses of a sample."""
    names = (bag.sample, bag.patient, bag.label, bag.reader_digest, bag.feature_settings)
    told = (None if part is None else part.tolist() for part in (bag.altered, bag.answers))
    sha = hashlib.sha256(digest(*names, *told).encode())
    sha.update(np.ascontiguousarray(bag.cell_id).data)
    sha.update(np.ascontiguousarray(bag.features).data)
    return sha.hexdigest()


def digest(*values: str | int | list[Any] | Settings | None) -> str:
    """Return a digest of plain values and settings."""
    plain = [value.model_dump() if isinstance(value, Settings) else value for value in values]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _checked_folds(fold: Folds, patients: Sequence[str], labels: Sequence[str | None]) -> Folds:
    """Return folds numbered from 0 without gaps; a UserError if they cannot be used."""
    if fold.shape != (len(patients),):
        raise ValueError(f"folds has shape {fold.shape}, but {len(patients)} samples need one each")
    numbers, counted = np.unique(fold, return_inverse=True)
    if len(numbers) < 2:
        raise UserError("All samples were given the same fold; give 2 or more.")
    fold_of: dict[str, int] = {}
    for patient, number in zip(patients, counted.tolist(), strict=True):
        if fold_of.setdefault(patient, number) != number:
            raise UserError(
                f"The folds that were given part the samples of patient {patient!r}; give all "
                "samples of a patient the same fold."
            )
    for label in sorted({label or "" for label in labels}):
        own = {number for number, of in zip(counted.tolist(), labels, strict=True) if of == label}
        if len(own) < 2:
            raise UserError(
                f"All samples of class {label!r} are in one of the folds that were given, so it "
                "cannot be both learnt and tested; spread its patients."
            )
    return counted.astype(np.int64)
