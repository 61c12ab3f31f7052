"""Folds by patient, stratified by class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import Remedy, UserError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows of the samples to train on and to test on."""

_PARTITIONS_TRIED = 8
"""Enough for evenly filled folds, and few enough that another seed still gives other folds."""


def patient_folds(
    patients: Sequence[str], labels: Sequence[str | None], folds: int, seed: int
) -> list[Fold]:
    """Split samples for cross-validation, stratified by class and grouped by patient.

    A patient's samples stay together. Within a class the samples are distributed over the folds as
    evenly as whole patients allow: of a few random partitions the most even one is used. The
    result depends on names, `folds` and `seed`, not on the order of the samples.

    Parameters
    ----------
    patients, labels : sequence of str
        Patient and class of each sample.
    folds : int
        Number of parts, at least 2.
    seed : int
        Another seed gives other folds.

    Returns
    -------
    list of (train, test)
        Per fold two ascending index arrays that together hold every sample once. Each sample is
        tested in exactly one fold, and each class is tested in every fold.

    Raises
    ------
    UserError
        If a class has fewer patients than folds, a sample has no label, a patient has two
        labels, there are no samples, or `folds` is less than 2.
    """
    class_of = _class_of_each_patient(patients, labels)
    _check_folds(class_of, folds)
    sizes = Counter(patients)
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    load = np.zeros(folds, dtype=np.int64)
    for label in sorted(set(class_of.values())):
        members = sorted(patient for patient in class_of if class_of[patient] == label)
        part = _most_even_partition({patient: sizes[patient] for patient in members}, load, rng)
        fold_of |= part
        for patient, fold in part.items():
            load[fold] += sizes[patient]
    tested_in = np.array([fold_of[patient] for patient in patients])
    return [(np.flatnonzero(tested_in != k), np.flatnonzero(tested_in == k)) for k in range(folds)]


def _class_of_each_patient(patients: Sequence[str], labels: Sequence[str | None]) -> dict[str, str]:
    class_of: dict[str, str] = {}
    for patient, label in zip(patients, labels, strict=True):
        if label is None:
            raise UserError(
                f"A sample of patient {patient!r} has no label; folds need one for every sample: "
                "give it one, or leave the sample out.",
                Remedy.GIVE_CLASSES,
            )
        if class_of.setdefault(patient, label) != label:
            raise UserError(
                f"Patient {patient!r} has samples of two classes, {class_of[patient]!r} and "
                f"{label!r}; a patient belongs to one: correct the label, or name two people "
                "differently.",
                Remedy.GIVE_CLASSES,
            )
    return class_of


def _check_folds(class_of: Mapping[str, str], folds: int) -> None:
    if folds < 2:
        raise UserError(f"Got {folds} folds; give 2 or more.")
    if not class_of:
        raise UserError(
            "There are no samples to split into folds; open some images.",
            Remedy.OPEN_IMAGES,
        )
    for label, count in sorted(Counter(class_of.values()).items()):
        if count < folds:
            # With one patient, a class cannot be both learnt and tested, whatever the folds.
            remedy = f"choose {count} folds, or add" if count > 1 else "add"
            raise UserError(
                f"Class {label!r} has {counted(count, 'patient')}, but {folds} folds "
                f"need at least {folds} in every class; {remedy} patients of this class."
            )


def _most_even_partition(
    sizes: Mapping[str, int], load: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, int]:
    """Distribute a class's patients over folds.

    `sizes` is each patient's number of samples, `load` the number that each fold holds already.
    """
    tried = [_random_partition(sizes, load, rng) for _ in range(_PARTITIONS_TRIED)]
    best, _ = min(tried, key=lambda each: (np.ptp(each[1]), np.ptp(each[1] + load)))
    return best


def _random_partition(
    sizes: Mapping[str, int], load: NDArray[np.int64], rng: np.random.Generator
) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Assign patients, in random order, to the fold with the fewest samples of their class.

    Empty folds come first, so every fold gets a patient if there are enough, and two folds never
    differ by more samples than one patient has (list scheduling, Graham 1966).
    """
    own = np.zeros_like(load)
    part: dict[str, int] = {}
    for patient in rng.permutation(np.array(list(sizes), dtype=object)):
        # Ties go to the fold with the fewest samples of other classes, then to chance.
        fold = int(np.lexsort((rng.random(len(own)), load + own, own))[0])
        part[patient] = fold
        own[fold] += sizes[patient]
    return part, own
