"""How functions take their inputs, and how they run a stage to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from napari_attmil import workflows
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import Remedy, StageRun, UserError, Workers, check_writable
from napari_attmil.images import Cohort, Sample
from napari_attmil.workflows import Study, check_outputs, open_cohort, opening_samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.bags import Classifier
    from napari_attmil.workflows import ClassifiedSample

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


def warn_if_stopped(is_finished: bool, kept: str) -> None:
    """Log that a stage came to no end, and what of it is kept."""
    if not is_finished:
        _log.warning("Stopped; %s, and the same call goes on from there.", kept)


def listed(samples: SamplesLike) -> Cohort | list[Sample | str | Path]:
    """Return what was given as a list that can be read twice; a cohort as it is."""
    if isinstance(samples, Cohort):
        return samples
    return [samples] if isinstance(samples, Sample | str | Path) else [*samples]


def as_samples(samples: SamplesLike) -> list[Sample]:
    """Return the given samples, then those of the paths, opened together: no two share a name."""
    given = listed(samples)
    found = [one for one in given if isinstance(one, Sample)]
    paths = [one for one in given if not isinstance(one, Sample)]
    if not paths:
        return found
    opened, told = result_of(opening_samples(paths))
    for sentence in told:
        _log.warning(sentence)
    return found + opened


def one_sample(sample: Sample | str | Path, but: str) -> Sample:
    """Return the only sample of what was given.

    Parameters
    ----------
    sample
        A sample, its folder or its image file.
    but
        Why it has to be one, and what to do.

    Raises
    ------
    UserError
        If there are several, or none.
    """
    samples = as_samples(sample)
    if len(samples) != 1:
        names = ", ".join(one.name for one in samples[:5])
        raise UserError(
            f"{sample} holds {len(samples)} samples ({names}), but {but} Give one sample."
        )
    return samples[0]


def studies_of(samples: SamplesLike, weights: str | Path | None) -> list[Study]:
    """Return the studies that samples lie in, with their corrected boxes; nothing is stored."""
    path = optional_path(weights)
    if isinstance(samples, Cohort):
        return [replace(Study.of(samples, path), stores_features=False)]
    studies = Study.around(as_samples(samples), path)
    for study in studies:
        if study.kept_apart:
            _log.warning(study.kept_apart_in_words)
    return studies


def study_of(cohort: CohortLike, weights: str | Path | None = None) -> Study:
    """Return a cohort's study: its corrected boxes, its detector and its stored features."""
    return Study.of(as_cohort(cohort), optional_path(weights))


def as_classifier(
    model: Classifier | str | Path, device: str, prior: Mapping[str, float] | None = None
) -> Classifier:
    """Return a classifier, read where a model file was named; with a prior where one is given."""
    if isinstance(model, str | Path):
        from napari_attmil.bags import Classifier
        from napari_attmil.core import choose_device

        model = Classifier.load(Path(model), choose_device(device))
    return model if prior is None else model.with_prior(prior)


def classified_samples(
    studies: Iterable[workflows.Study],
    classifier: Classifier,
    detection: DetectionSettings | None,
    device: str,
    on_progress: OnProgress,
    workers: int | Workers | None = None,
) -> list[ClassifiedSample]:
    """Return the classified samples of some studies.

    Raises
    ------
    UserError
        If no sample has a cell.
    """
    settings, found = detection or DetectionSettings(), []
    for study in studies:
        steps = workflows.classify_study(study, classifier, settings, device, as_workers(workers))
        found += result_of(steps, on_progress)
    if not found:
        raise UserError(
            "No cell was found in any sample; look at the images, lower the minimum score, or give "
            "the cell diameter.",
            Remedy.DETECT_CELLS,
        )
    return found


def as_workers(workers: int | Workers | None) -> Workers | None:
    """Return so many workers, or those of a cluster; None for as many as pay.

    Raises
    ------
    UserError
        If there is not one.
    """
    if workers is None or isinstance(workers, Workers):
        return workers
    if workers < 1:
        raise UserError(f"Work needs 1 worker or more, not {workers}; give another number.")
    return Workers(workers)


def optional_path(path: str | Path | None) -> Path | None:
    """Return a path, or None where none was given."""
    return None if path is None else Path(path)


@overload
def checked_out(
    out: str | Path, *inputs: object, check: Callable[[Path], None] | None = check_writable
) -> Path: ...
@overload
def checked_out(
    out: None, *inputs: object, check: Callable[[Path], None] | None = check_writable
) -> None: ...
def checked_out(
    out: str | Path | None,
    *inputs: object,
    check: Callable[[Path], None] | None = check_writable,
) -> Path | None:
    """Return the path of an output that replaces nothing which cannot be made again.

    Parameters
    ----------
    out
        A file to be written, if any.
    inputs
        What is read: paths, cohorts, lists of them; other values are no files.
    check
        Raises an error where such a file cannot be written; None for no such check.

    Raises
    ------
    UserError
        As `workflows.check_outputs` and `check`.
    """
    path = optional_path(out)
    if path is not None:
        check_outputs([path], _files(inputs))
        if check is not None:
            check(path)
    return path


def _files(inputs: Iterable[object]) -> list[Path]:
    files: list[Path] = []
    for one in inputs:
        if isinstance(one, str | Path):
            files.append(Path(one))
        elif isinstance(one, Cohort):
            files += [] if one.table is None else [one.table]
        elif isinstance(one, list):
            files += _files(one)
    return files


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
