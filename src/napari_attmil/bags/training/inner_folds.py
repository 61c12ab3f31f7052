"""Inner folds: parts of the training patients that are held out in turn for calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_attmil.core import UserError
from napari_attmil.images import Fold, patient_folds

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag


def inner_folds(bags: Sequence[Bag], most: int) -> tuple[list[Fold], str]:
    """Return at most `most` folds by patient, but no more than the smallest class has patients.

    The text beside them gives the reason if there are none, and is otherwise empty.
    """
    patients, labels = [bag.patient for bag in bags], [bag.label for bag in bags]
    of_class: dict[str | None, set[str]] = {}
    for patient, label in zip(patients, labels, strict=True):
        of_class.setdefault(label, set()).add(patient)
    smallest = min(of_class, key=lambda label: len(of_class[label]))
    if len(of_class[smallest]) < 2:
        return [], f"class {smallest!r} has a single patient, so none could be held out."
    try:
        folds = min(most, len(of_class[smallest]))
        return patient_folds(patients, labels, folds, seed=0), ""
    except UserError as error:
        return [], str(error)  # A patient of two classes can be learnt from, but not held out.
