"""Training of a study's classifier."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from napari_attmil.bags import features_for
from napari_attmil.core import UserError
from napari_attmil.images import check_trainable
from napari_attmil.session import LoadedClassifier
from napari_attmil.workflows.answers import about_answers
from napari_attmil.workflows.prepare import prepare_bags
from napari_attmil.workflows.steps import NEVER, Progress, Stage
from napari_attmil.workflows.study import folder_key, own_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from threading import Event

    from napari_attmil.bags import Bag, Classifier, EnsembleSettings, MILSettings
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.core import Device
    from napari_attmil.images import Cohort
    from napari_attmil.workflows.study import Study


@dataclass(frozen=True, eq=False)
class Training:
    """The classifier of a training, and whether the training was finished."""

    classifier: LoadedClassifier
    is_finished: bool


def train_classifier(
    study: Study,
    settings: MILSettings,
    ensemble: EnsembleSettings,
    detection: DetectionSettings,
    device_name: str,
    out: Path | None = None,
    stop: Event = NEVER,
) -> Stage[Training | None]:
    """Train on the study's labelled samples and save the classifier.

    Stopped early, or by Ctrl+C, it saves the models trained so far; the next training of the same
    samples and settings resumes from there.

    Parameters
    ----------
    study
        Samples without a label are left out.
    settings, ensemble
        Architecture and fitting; the number of models, and their calibration.
    detection
        How cells are detected in samples without detections.
    device_name
        As for `choose_device`.
    out
        Model file; None for a file in the study's folder, named by the time.
    stop
        Set to end early.

    Returns
    -------
    Training or None
        None if it was stopped before there was a model.

    Raises
    ------
    UserError
        If the samples cannot be trained on, or the model cannot be written.
    """
    study = replace(study, cohort=labelled_part(study.cohort))
    yield Progress(0, len(study.cohort), "Loading the detector")
    detector = study.detector(device_name)
    bags = yield from prepare_bags(study, detector, detection, features_for(settings), stop)
    if stop.is_set():
        return None
    yield Progress(0, 0, "Preparing the training", note=about_answers(bags, settings))
    unfinished = unfinished_folder(study.cohort, out)
    trained = yield from train_on_bags(bags, settings, ensemble, detector.device, unfinished, stop)
    if trained is None:
        return None
    classifier, is_finished = trained
    path = _saved(classifier, study.cohort, out)
    if is_finished:
        # Only once the model is saved: the training must not be lost if the disk is full.
        shutil.rmtree(unfinished, ignore_errors=True)
    return Training(LoadedClassifier(classifier, path.name, path), is_finished)


def train_on_bags(
    bags: Sequence[Bag],
    settings: MILSettings,
    ensemble: EnsembleSettings,
    device: Device,
    unfinished: Path | None = None,
    stop: Event = NEVER,
) -> Stage[tuple[Classifier, bool] | None]:
    """Return the classifier of some bags, and whether its training was finished.

    None if it was stopped before there was a model. `unfinished` is the folder for the states of
    unfinished trainings.
    """
    from napari_attmil.bags.training import EnsembleTrainer

    trainer = EnsembleTrainer(bags, settings, ensemble, device, state_folder=unfinished)
    is_finished = False
    with contextlib.suppress(KeyboardInterrupt):  # as if `stop` had been set
        for step in trainer.epochs():
            right = f"{step.epoch.accuracy:.0%} of the training samples right"
            text = f"{step.title}, pass {step.epoch.done}: {right}"
            yield Progress(step.done, step.total, text, step)
            if stop.is_set():
                break
        else:
            is_finished = True
    return (trainer.best, is_finished) if trainer.has_model else None


def labelled_part(cohort: Cohort) -> Cohort:
    """Return the samples that have a label.

    Raises
    ------
    UserError
        If they cannot be trained on.
    """
    check_trainable(cohort)
    return replace(cohort, samples=tuple(s for s in cohort.samples if s.label is not None))


def _saved(classifier: Classifier, cohort: Cohort, out: Path | None) -> Path:
    """Save a classifier and return the path: outside the study if that cannot be written."""
    if out is not None:
        classifier.save(out)
        return out
    name = f"classifier-{datetime.now():%Y-%m-%d-%H%M%S}.safetensors"
    path = cohort.folder / "models" / name
    try:
        classifier.save(path)
    except UserError:
        path = own_folder("models") / name
        classifier.save(path)
    return path


def unfinished_folder(cohort: Cohort, out: Path | None) -> Path:
    """Return the folder for an unfinished training: beside the model, if that can be written."""
    if out is not None:
        return out.with_name(f"{out.name}.unfinished")
    inside, own = _unfinished_places(cohort)
    if _states_in(own):
        return own  # The study could not be written to when that training began.
    try:
        inside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=inside):
            return inside
    except OSError:
        return own


def unfinished_trainings(cohort: Cohort) -> int:
    """Return how many trainings of single models are kept of one that was stopped in the panel."""
    inside, own = _unfinished_places(cohort)
    return _states_in(own) or (_states_in(inside) if os.access(inside, os.W_OK) else 0)


def _unfinished_places(cohort: Cohort) -> tuple[Path, Path]:
    """Return where an unfinished training is kept: in the study, or else in the user's folder."""
    own = own_folder("models") / "unfinished" / folder_key(cohort.folder)
    return cohort.folder / "models" / "unfinished", own


def _states_in(folder: Path) -> int:
    return len(list(folder.glob("*.safetensors")))
