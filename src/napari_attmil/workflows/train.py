"""Training of a study's classifier."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from napari_attmil.bags import features_for
from napari_attmil.core import UserError
from napari_attmil.images import check_trainable
from napari_attmil.session import LoadedClassifier
from napari_attmil.workflows.prepare import prepare_bags
from napari_attmil.workflows.steps import NEVER, Progress, Stage
from napari_attmil.workflows.study import own_folder

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
    """A training's classifier, and whether it was trained to the end."""

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

    Stopped early, or by Ctrl+C, it saves the models so far; the next training of the same samples
    and settings goes on from there.

    Parameters
    ----------
    study
        What is learnt from; samples without a label are left out.
    settings, ensemble
        Architecture and fitting; how many models, and how they are calibrated.
    detection
        How cells are found in images that nobody has looked at.
    device_name
        As for `choose_device`.
    out
        Model file; None for one with the study, named by the time.
    stop
        Set to end early.

    Returns
    -------
    Training or None
        None if it was stopped before the first model was there.

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
    yield Progress(0, 0, "Preparing the training")
    unfinished = _unfinished_folder(study.cohort) if out is None else _beside(out)
    trained = yield from train_on_bags(bags, settings, ensemble, detector.device, unfinished, stop)
    if trained is None:
        return None
    classifier, is_finished = trained
    path = _saved(classifier, study.cohort, out)
    if is_finished:
        # Not before the model is saved: what was trained must outlast a disk that is full by then.
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
    """Return the classifier of some bags, and whether it was trained to the end.

    None if it was stopped before the first model was there. `unfinished` is the folder where
    trainings are kept until the end.
    """
    from napari_attmil.bags.training import EnsembleTrainer

    trainer = EnsembleTrainer(bags, settings, ensemble, device, state_folder=unfinished)
    is_finished = False
    with contextlib.suppress(KeyboardInterrupt):  # as if `stop` had been set
        for step in trainer.epochs():
            right = f"{step.epoch.accuracy:.0%} of samples right"
            text = f"{step.title}, epoch {step.epoch.done}: {right}"
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
    """Save a classifier and return where; a study that cannot be written must not cost hours."""
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


def _beside(out: Path) -> Path:
    return out.with_name(f"{out.name}.unfinished")


def _unfinished_folder(cohort: Cohort) -> Path:
    """Return where a training is kept until it ends: with its cohort, if that can be written."""
    folder = cohort.folder / "models" / "unfinished"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return own_folder("models") / "unfinished"
