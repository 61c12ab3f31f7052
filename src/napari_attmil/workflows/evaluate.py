"""Cross-validation of a study by patient, with its report."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_attmil.bags import features_for
from napari_attmil.bags.training import Plan
from napari_attmil.core import StageRun, UserError, check_writable
from napari_attmil.images import patient_folds
from napari_attmil.workflows.answers import about_answers
from napari_attmil.workflows.prepare import prepare_bags
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until
from napari_attmil.workflows.study import own_folder
from napari_attmil.workflows.study_state import folder_key
from napari_attmil.workflows.train import labelled_part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from threading import Event

    from napari_attmil.bags import Bag, EnsembleSettings, MILSettings
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.core import Device, Workers
    from napari_attmil.evaluation import EvaluationSettings
    from napari_attmil.images import Cohort
    from napari_attmil.workflows.study import Study


def evaluate_study(
    study: Study,
    settings: MILSettings,
    plan: EvaluationSettings,
    ensemble: EnsembleSettings,
    detection: DetectionSettings,
    device_name: str,
    out: Path,
    workers: Workers | None = None,
    stop: Event = NEVER,
) -> Stage[dict[str, Any] | None]:
    """Cross-validate on the study's labelled samples and write the report into a folder.

    Stopped early it returns None; the same call resumes from there.

    Parameters
    ----------
    study
        Samples without a label are left out.
    settings, plan, ensemble
        Architecture and fitting; folds, runs and what is compared; the row "ensemble".
    detection
        How cells are detected in samples without detections.
    device_name
        As for `choose_device`.
    out
        Folder for the report, and for the results of finished trainings.
    workers
        Who reads cells and trains; as many as pay if None. The figures are the same.
    stop
        Set to end early.

    Returns
    -------
    dict or None
        The content of `report.json`.
    """
    cohort = labelled_part(study.cohort)
    patients = [sample.patient for sample in cohort.samples]
    # Raises errors before the long work.
    patient_folds(patients, cohort.labels(), plan.folds, plan.seed)
    study = replace(study, cohort=cohort)
    yield Progress(0, len(cohort), "Loading the detector")
    detector = study.detector(device_name)
    notes = list(cohort.notes)
    seen = features_for(settings)
    preparation = StageRun(prepare_bags(study, detector, detection, seen, workers, stop))
    for step in preparation:
        notes += filter(None, [step.note])
        yield step
    if stop.is_set():
        return None
    bags, device = preparation.result, detector.device
    notes += filter(None, [about_answers(bags, settings)])
    steps = evaluate_bags(bags, settings, plan, ensemble, device, out, notes, workers)
    return (yield from until(steps, stop))


def evaluation_folder(cohort: Cohort) -> Path:
    """Return the folder for a study's evaluation: the user's own if the study is read-only."""
    inside = cohort.folder / "reports" / "evaluation"
    try:
        check_writable(inside / "report.json")
    except UserError:
        return own_folder("reports") / folder_key(cohort.folder)
    return inside


def evaluate_bags(
    bags: Sequence[Bag],
    settings: MILSettings,
    plan: EvaluationSettings,
    ensemble: EnsembleSettings,
    device: Device,
    out: Path,
    notes: Sequence[str] = (),
    workers: Workers | None = None,
) -> Stage[dict[str, Any]]:
    """Cross-validate on some bags and write the report into a folder; return its content."""
    from napari_attmil.evaluation import cross_validate, epochs_of, evaluation_rows, write_report

    rows, times = evaluation_rows(settings, plan, ensemble), plan.folds * plan.runs
    passes = sum(epochs_of(row, settings, ensemble) for row in rows) * (plan.folds - 1) * plan.runs
    effort = Plan.of(bags, settings, passes, len(rows) * times, device.name, workers)
    yield Progress(0, 0, f"Cross-validating: {effort.in_words()}", effort)
    start = time.perf_counter()
    first: Progress | None = None
    run = StageRun(
        cross_validate(
            bags,
            settings,
            plan,
            device,
            resume_in=out / "trials",
            ensemble=ensemble,
            workers=effort.workers,
        )
    )
    for step in run:
        first = first or step
        yield step
    if first is not None:
        effort.note(time.perf_counter() - start, 1 - first.done / max(first.total, 1))
    return write_report(run.result, out, notes)
