"""A study: its samples, and the files that belong to them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

import platformdirs

from napari_attmil.cells.annotations import (
    STUDY_DEPTH,
    AnnotationFile,
    file_with_boxes,
    kept_boxes,
    open_study,
    orphaned_boxes_in_words,
)
from napari_attmil.cells.finetuning import detector_in_use
from napari_attmil.core import UserError, counted, finished
from napari_attmil.images import DEFAULT_PLANES, Cohort, as_listed
from napari_attmil.workflows.study_state import read_planes, read_prior

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_attmil.bags import FeatureStore
    from napari_attmil.cells import FeatureSettings
    from napari_attmil.cells.annotations import Annotations
    from napari_attmil.cells.detection import Detector
    from napari_attmil.images import PlaneChoice, Sample
    from napari_attmil.workflows.steps import Stage

NOT_GIVEN: Final[Mapping[str, str | None]] = MappingProxyType({})
"""No choice of planes now: it is as kept in the study."""


@dataclass(frozen=True, eq=False)
class Study:
    """A cohort with its corrected boxes, its detector and its stored features.

    Attributes
    ----------
    cohort
        The samples.
    annotations
        The annotations of samples, by name; samples without any are missing.
    detector_path
        Model file of the detector; None for the shipped one.
    stores_features
        Whether features are stored for later use.
    store_folder
        Folder of the stored features; beside the cohort if None.
    kept_apart
        Names of samples whose boxes are in the user's own file: their folder cannot be written.
    prior
        How frequent the classes are where the samples come from, if a person has said.
    """

    cohort: Cohort
    annotations: Mapping[str, Annotations]
    detector_path: Path | None = None
    stores_features: bool = True
    store_folder: Path | None = None
    kept_apart: frozenset[str] = frozenset()
    prior: Mapping[str, float] | None = None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        weights: Path | None = None,
        annotations: Mapping[str, Annotations] | None = None,
    ) -> Self:
        """Return the study of a cohort.

        Parameters
        ----------
        cohort
            Its folder contains the study's files.
        weights
            Model file of a detector to use instead of the one in use.
        annotations
            Those of an open session, which may be newer than the disk; read from the disk if None.

        Raises
        ------
        UserError
            If the annotations cannot be read.
        """
        apart: frozenset[str] = frozenset()
        if annotations is None:
            annotations, apart = kept_boxes(cohort.folder, cohort.samples)
        in_use, prior = weights or detector_in_use(cohort.folder), read_prior(cohort.folder)
        return cls(cohort, annotations, in_use, kept_apart=apart, prior=prior)

    @classmethod
    def without_folder(cls, samples: Sequence[Sample], weights: Path | None = None) -> Self:
        """Return samples outside of any study; only the user's own file can have boxes of them."""
        annotations, apart = kept_boxes(None, samples)
        cohort = Cohort(tuple(samples), Path())
        return cls(cohort, annotations, weights, stores_features=False, kept_apart=apart)

    @classmethod
    def around(cls, samples: Sequence[Sample], weights: Path | None = None) -> list[Self]:
        """Return the studies that contain some samples, in the order of the samples.

        Consecutive samples of one study are grouped; a sample that was given twice is there
        once. Features are not stored, since the user has not allowed writing to the study.
        """
        studies = []
        for folder, members in groupby(dict.fromkeys(samples), study_folder):
            if folder is None:
                studies.append(cls.without_folder([*members], weights))
            else:
                study = cls.of(Cohort(tuple(members), folder), weights)
                studies.append(replace(study, stores_features=False))
        return studies

    @property
    def store(self) -> FeatureStore | None:
        """The store of features; None if features are not stored."""
        if not self.stores_features:
            return None
        from napari_attmil.bags import FeatureStore, default_store_folder

        return FeatureStore(self.store_folder or default_store_folder(self.cohort))

    def with_store_folder(self) -> Self:
        """Return the study with its store's folder decided: all workers have to use the same."""
        return self if self.store is None else replace(self, store_folder=self.store.folder)

    def detector(self, device_name: str) -> Detector:
        """Return the study's detector, loaded anew only if its file has changed."""
        return loaded_detector(device_name, self.detector_path)

    @property
    def kept_apart_in_words(self) -> str:
        """A sentence on the boxes from the user's own file; empty without any."""
        if not self.kept_apart:
            return ""
        samples = counted(len(self.kept_apart), "sample")
        return (
            f"The boxes kept in {AnnotationFile.of_user().path} are used in {samples}: the folder "
            "of the images could not be written."
        )

    def only(self, sample: Sample) -> Self:
        """Return the study of one of its samples: all that a worker needs, and no more."""
        own = {name: kept for name, kept in self.annotations.items() if name == sample.name}
        cohort = replace(self.cohort, samples=(sample,), notes=())
        return replace(self, cohort=cohort, annotations=own)

    def in_words(self, features: FeatureSettings | None = None) -> list[str]:
        """Return sentences on the boxes and the detector in use, and the size of features."""
        sentences = [self.kept_apart_in_words] if self.kept_apart else []
        if beside := len(self.annotations) - len(self.kept_apart):
            samples = counted(beside, "sample")
            sentences.append(f"The boxes kept in the study are used in {samples}.")
        if self.detector_path is not None:
            sentences.append(f"Detector: {self.detector_path.name}")
        if features is not None and (store := self.store) is not None:
            from napari_attmil.bags import expected_size

            sentences.append(expected_size(self.cohort, features, store.folder))
        return sentences


def study_folder(sample: Sample) -> Path | None:
    """Return the folder of the study that a sample lies in; None if it lies in none."""
    file = AnnotationFile.above(sample.frames[0].path)
    return None if file is None else file.path.parent


def detector_around(sample: Sample) -> Path | None:
    """Return the detector in use in the study a sample lies in; None for the shipped one."""
    folder = study_folder(sample)
    return None if folder is None else detector_in_use(folder)


def open_cohort(
    paths: str | Path | Iterable[str | Path], planes: Mapping[str, str | None] = NOT_GIVEN
) -> Cohort:
    """Return the study of any images; see `opening_cohort`."""
    return finished(opening_cohort(paths, planes))


def opening_cohort(
    paths: str | Path | Iterable[str | Path], planes: Mapping[str, str | None] = NOT_GIVEN
) -> Stage[Cohort]:
    """Return the study of any images, with notes on boxes without an image, or kept elsewhere.

    Images that are part of a study, whose folder has their boxes or lists them in its table, are
    opened as a part of it.

    Parameters
    ----------
    paths
        Images, folders, or a table.
    planes
        Fields of a `PlaneChoice` that are chosen now; the others are as kept in the study.

    Raises
    ------
    UserError
        If there are no images, or they do not have what was chosen.
    """
    from napari_attmil.images import cohort_with_planes, find_cohort

    found, lost = _part_of_study(find_cohort(paths)), ""
    cohort = yield from cohort_with_planes(found, _choice(found.folder, planes))
    # A projection has boxes of its own, which no page of the file has.
    folder, kept = open_study(cohort.folder, [*found.samples, *cohort.samples])
    cohort = replace(cohort, folder=folder)
    with contextlib.suppress(UserError):  # Raised again where the boxes are read.
        lost = orphaned_boxes_in_words(cohort)
    return replace(cohort, notes=(*cohort.notes, *filter(None, (kept, lost))))


def opening_samples(
    paths: Iterable[str | Path], planes: Mapping[str, str | None] = NOT_GIVEN
) -> Stage[tuple[list[Sample], list[str]]]:
    """Return samples wherever they lie, and sentences on which planes are looked at.

    Parameters
    ----------
    paths
        What `images.open_samples` opens.
    planes
        As for `opening_cohort`; the rest is as kept in the study that a sample lies in.

    Raises
    ------
    UserError
        As `opening_cohort`.
    """
    from napari_attmil.images import find_samples, left_out_in_words, with_planes

    opened: list[Sample] = []
    told: dict[str, None] = {}
    for folder, members in groupby(find_samples(paths), study_folder):
        choice = _choice(folder, planes)
        chosen, in_use = yield from with_planes(list(members), choice)
        opened += chosen
        told.setdefault("" if in_use is None else in_use.text)
    told.setdefault(left_out_in_words(opened))
    return opened, list(filter(None, told))


def _choice(folder: Path | None, planes: Mapping[str, str | None]) -> PlaneChoice:
    kept = DEFAULT_PLANES if folder is None else read_planes(folder)
    return kept.changed(**planes)


def _part_of_study(cohort: Cohort) -> Cohort:
    """Return a cohort with the folder and the table of the study that its images are part of."""
    file, folder = None, cohort.folder.absolute()
    with contextlib.suppress(UserError):  # `open_study` tells it.
        file = file_with_boxes(cohort.folder, cohort.samples)
    if file is None:
        return as_listed(cohort, (folder, *folder.parents)[:STUDY_DEPTH][-1])
    return replace(as_listed(cohort, file.path.parent), folder=file.path.parent)


def own_folder(name: str) -> Path:
    """Return a folder in the user's data folder, for models or simulated images."""
    return Path(platformdirs.user_data_path("napari-attmil")) / name


def loaded_detector(device_name: str, weights: Path | None = None) -> Detector:
    """Return a detector, loaded anew only if its file changes.

    `weights` is a model file, or the name of a detector that another package offers; None for the
    shipped one.
    """
    if weights is None or not weights.is_file():
        return _loaded_detector(device_name, weights, 0, 0)
    status = weights.stat()
    return _loaded_detector(device_name, weights, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=3)
def _loaded_detector(
    device_name: str, weights: Path | None, size_bytes: int, mtime_ns: int
) -> Detector:
    """Load a detector; size and time tell new candidates apart, which all have the same path."""
    del size_bytes, mtime_ns
    from napari_attmil.cells.detection import (
        Detector,
        OfferedDetector,
        check_is_there,
        is_offered,
    )
    from napari_attmil.core import choose_device

    if weights is not None and is_offered(weights):
        return OfferedDetector.offered(str(weights), choose_device(device_name))
    if weights is not None:
        check_is_there(weights)
    return Detector.load(weights, choose_device(device_name))
