"""Samples, the cohort they form, and folds that never part a patient.

Nothing here touches a file: `napari_attmil.images.reading` makes these values from files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.core.settings import UserError
from napari_attmil.core.words import counted
from napari_attmil.images.healthy_names import healthy_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

# Of so many random partitions the most even one is taken: enough to spread the samples well, few
# enough that another seed still gives other folds.
_PARTITIONS_TRIED = 8


@dataclass(frozen=True)
class Frame:
    """One 2-D field of view in a file, not read yet.

    Attributes
    ----------
    path : Path
        The image file.
    page : int
        Which of the fields of view in the file, from 0.
    """

    path: Path
    page: int = 0


@dataclass(frozen=True)
class Sample:
    """The images taken from one patient at one time: the unit that gets a label.

    Attributes
    ----------
    name : str
        Unique in its cohort.
    patient : str
        Whom the sample comes from, unique in its cohort.
    label : str or None
        The class, None where it is not known.
    frames : tuple of Frame
        The sample's images in their natural order.
    pixel_size_um : float or None
        Side of a pixel in micrometres, None where the files do not tell.
    """

    name: str
    patient: str
    label: str | None
    frames: tuple[Frame, ...]
    pixel_size_um: float | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.frames)

    def image_titles(self) -> list[str]:
        """Return the name of each image's file, with the page (from 1) if it has several images."""
        several = {frame.path for frame in self.frames if frame.page > 0}
        return [
            f"{frame.path.name}, page {frame.page + 1}"
            if frame.path in several
            else frame.path.name
            for frame in self.frames
        ]


@dataclass(frozen=True)
class Cohort:
    """All samples of a study.

    Attributes
    ----------
    samples : tuple of Sample
        In natural order of class, patient and sample, or in the order of the CSV file.
    folder : Path
        Where the cohort was opened.
    notes : tuple of str
        Sentences that say what was assumed on opening; show them to the user.
    """

    samples: tuple[Sample, ...]
    folder: Path
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two samples of the same name: results could not be told apart.

        Raises
        ------
        UserError
            If a name occurs twice.
        """
        counts = Counter(sample.name for sample in self.samples)
        for name, count in counts.items():
            if count > 1:
                raise UserError(
                    f"Sample name {name!r} is used by {count} samples of the cohort; "
                    "give each sample a name of its own."
                )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted; samples without a label add none."""
        return tuple(sorted({s.label for s in self.samples if s.label is not None}))

    @property
    def patients(self) -> tuple[str, ...]:
        """Names of the patients, each once, in the order of the samples."""
        return tuple(dict.fromkeys(sample.patient for sample in self.samples))

    def labels(self) -> tuple[str | None, ...]:
        """Return the label of every sample, in the order of `samples`."""
        return tuple(sample.label for sample in self.samples)


def patient_folds(
    samples: Cohort | tuple[Sequence[str], Sequence[str | None]], folds: int, seed: int
) -> list[Fold]:
    """Split samples for cross-validation, stratified by class and grouped by patient.

    A patient's samples are never parted. Within a class the samples are spread over the folds
    as evenly as whole patients allow: of a few random partitions the most even one is taken. The
    result depends on names, `folds` and `seed`, not on the order of the samples.

    Parameters
    ----------
    samples : Cohort or (patients, labels)
        Of two sequences each has one entry per sample.
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
    patients, labels = _patients_and_labels(samples)
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


def check_trainable(cohort: Cohort) -> None:
    """Refuse a cohort that no classifier can learn from: before its cells are looked for.

    Raises
    ------
    UserError
        If its labelled samples are not of two classes at least.
    """
    if len(cohort.classes) < 2:
        raise UserError(
            f"The cohort has {counted(len(cohort.classes), 'labelled class', 'labelled classes')}, "
            "but training needs two; open a folder with one sub-folder a class, or a cohort.csv "
            "with a label column."
        )


def reference_class(classes: Sequence[str], wanted: str = "") -> str | None:
    """Return the class of healthy samples, or None if no name tells; see `healthy_name`.

    Parameters
    ----------
    classes
        Names of all classes.
    wanted
        The one a person chose, if any.

    Raises
    ------
    UserError
        If the class asked for is not there.
    """
    if wanted:
        if wanted not in classes:
            raise UserError(
                f"There is no class {wanted!r} to compare with; choose one of {', '.join(classes)}."
            )
        return wanted
    return healthy_name(classes)


def common_pixel_size_um(sample: Sample, samples: Iterable[Sample]) -> float | None:
    """Return a sample's pixel size, or None if some of those it is compared with tell none.

    Lengths in micrometres and lengths in pixels cannot be compared.

    Parameters
    ----------
    sample
        Whose cells are measured.
    samples
        All whose cells are compared.
    """
    have_sizes = all(other.pixel_size_um is not None for other in samples)
    return sample.pixel_size_um if have_sizes else None


def _patients_and_labels(
    samples: Cohort | tuple[Sequence[str], Sequence[str | None]],
) -> tuple[list[str], list[str]]:
    if isinstance(samples, Cohort):
        patients = [sample.patient for sample in samples.samples]
        labels: Sequence[str | None] = samples.labels()
    else:
        patients, labels = list(samples[0]), samples[1]
    if len(patients) != len(labels):
        raise ValueError(f"got {len(patients)} patients but {len(labels)} labels")
    for patient, label in zip(patients, labels, strict=True):
        if label is None:
            raise UserError(
                f"A sample of patient {patient!r} has no label; folds need one for every sample: "
                "give it one, or leave the sample out."
            )
    return patients, [label for label in labels if label is not None]


def _class_of_each_patient(patients: list[str], labels: list[str]) -> dict[str, str]:
    class_of: dict[str, str] = {}
    for patient, label in zip(patients, labels, strict=True):
        if class_of.setdefault(patient, label) != label:
            raise UserError(
                f"Patient {patient!r} has samples of two classes, {class_of[patient]!r} and "
                f"{label!r}; a patient belongs to one: correct the label, or name two people "
                "differently."
            )
    return class_of


def _check_folds(class_of: Mapping[str, str], folds: int) -> None:
    if folds < 2:
        raise UserError(f"Got {folds} folds; cross-validation needs 2 or more.")
    if not class_of:
        raise UserError("There are no samples to split into folds; open a cohort with images.")
    for label, count in sorted(Counter(class_of.values()).items()):
        if count < folds:
            # With one patient the class cannot be both learnt and tested, in however few folds.
            remedy = f"choose {count} folds, or add" if count > 1 else "add"
            raise UserError(
                f"Class {label!r} has {counted(count, 'patient')}, but {folds} folds "
                f"need at least {folds} in every class; {remedy} patients of this class."
            )


def _most_even_partition(
    sizes: Mapping[str, int], load: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, int]:
    """Spread a class's patients over folds; `sizes` are their samples, `load` what folds hold."""
    best: dict[str, int] = {}
    best_spread = (np.inf, np.inf)
    for _ in range(_PARTITIONS_TRIED):
        part, own = _random_partition(sizes, load, rng)
        spread = (float(np.ptp(own)), float(np.ptp(own + load)))
        if spread < best_spread:
            best, best_spread = part, spread
    return best


def _random_partition(
    sizes: Mapping[str, int], load: NDArray[np.int64], rng: np.random.Generator
) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Give patients in random order each to the fold with the fewest samples of their class.

    An empty fold is always preferred, so every fold gets a patient when there are enough, and
    two folds never differ by more samples than one patient has (list scheduling, Graham 1966).
    """
    own = np.zeros_like(load)
    part: dict[str, int] = {}
    for patient in rng.permutation(np.array(list(sizes), dtype=object)):
        # Ties go to the fold that holds least of the other classes, then to chance.
        fold = int(np.lexsort((rng.random(len(own)), load + own, own))[0])
        part[patient] = fold
        own[fold] += sizes[patient]
    return part, own
