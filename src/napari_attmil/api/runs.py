"""How functions take their inputs, and how they run a stage to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_attmil.core import StageRun, UserError
from napari_attmil.images import Cohort, Sample
from napari_attmil.workflows import Study, open_cohort, opening_samples

if TYPE_CHECKING:
    from napari_attmil.bags import Classifier

Result = TypeVar("Result")
CohortLike = Cohort | str | Path
"""A cohort, or what `open_cohort` opens: a folder, or a table of samples."""
SamplesLike = Cohort | Sample | str | Path | Iterable["Sample | str | Path"]
"""Samples, or image files, stacks and folders of them."""
OnProgress = Callable[[Any], None] | None
"""Called with every step of a stage: it has `done`, `total` and `text`."""

_log = logging.getLogger("napari_attmil")


def result_of(steps: Generator[Any, None, Result], on_progress: OnProgress = None) -> Result:
    """Run a stage to its end and return its result; what it notes is logged as a warning."""
    run = StageRun(steps)
    for step in run:
        if on_progress is not None:
            on_progress(step)
        if note := getattr(step, "note", ""):
            _log.warning(note)
    return run.result


def as_cohort(cohort: CohortLike) -> Cohort:
    """Return a cohort; one that is opened now has its notes logged."""
    if isinstance(cohort, Cohort):
        return cohort
    opened = open_cohort(cohort)
    for note in opened.notes:
        _log.warning(note)
    return opened


def as_samples(samples: SamplesLike) -> list[Sample]:
    """Return samples, opened where paths were given."""
    if isinstance(samples, Sample):
        return [samples]
    if isinstance(samples, str | Path):
        return _opened(samples)
    found: list[Sample] = []
    for one in samples:
        found += [one] if isinstance(one, Sample) else _opened(one)
    return found


def _opened(path: str | Path) -> list[Sample]:
    """Return the samples of a path; which planes are looked at is logged."""
    samples, told = result_of(opening_samples([path]))
    for sentence in told:
        _log.warning(sentence)
    return samples


def studies_of(samples: SamplesLike, weights: str | Path | None) -> list[Study]:
    """Return the studies that samples lie in, with their corrected boxes; nothing is stored."""
    path = None if weights is None else Path(weights)
    if isinstance(samples, Cohort):
        return [replace(Study.of(samples, path), stores_features=False)]
    return Study.around(as_samples(samples), path)


def study_of(cohort: CohortLike, weights: str | Path | None = None) -> Study:
    """Return a cohort's study: its corrected boxes, its detector and its stored features."""
    return Study.of(as_cohort(cohort), None if weights is None else Path(weights))


def as_classifier(model: Classifier | str | Path, device: str) -> Classifier:
    """Return a classifier, read where a model file was named."""
    if isinstance(model, str | Path):
        from napari_attmil.bags import Classifier
        from napari_attmil.core import choose_device

        return Classifier.load(Path(model), choose_device(device))
    return model


def optional_path(path: str | Path | None) -> Path | None:
    """Return a path, or None where none was given."""
    return None if path is None else Path(path)


def require(found: Result | None, thing: str) -> Result:
    """Return a result that is there.

    Raises
    ------
    UserError
        If it is None.
    """
    if found is None:
        raise UserError(f"There is no {thing}: the stage was stopped before its end; run it again.")
    return found
