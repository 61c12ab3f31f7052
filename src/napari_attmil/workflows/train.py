"""Training of a study's classifier, anew or again after an expert has answered."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from napari_attmil.bags import features_for
from napari_attmil.bags.training import Plan
from napari_attmil.core import UserError, counted
from napari_attmil.images import check_trainable
from napari_attmil.session import LoadedClassifier, takes_prior
from napari_attmil.workflows.answers import about_answers
from napari_attmil.workflows.classify import load_classifier
from napari_attmil.workflows.prepare import each_bag, prepare_bags
from napari_attmil.workflows.steps import NEVER, Progress, Stage
from napari_attmil.workflows.study import own_folder
from napari_attmil.workflows.study_state import folder_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from threading import Event

    from napari_attmil.bags import (
        Bag,
        Classifier,
        EnsembleSettings,
        HeldOut,
        MILSettings,
        Prediction,
    )
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.core import Device, Workers
    from napari_attmil.images import Cohort
    from napari_attmil.workflows.study import Study


NAMED: Final = 3
"""So many samples whose class has changed are named."""


@dataclass(frozen=True, eq=False)
class Training:
    """The classifier of a training, and whether the training was finished."""

    classifier: LoadedClassifier
    is_finished: bool


class Renamed(NamedTuple):
    """A sample whose predicted class has changed, and its own class."""

    sample: str
    before: str
    after: str
    truth: str


@dataclass(frozen=True, eq=False)
class Update:
    """A classifier that was trained again, beside the one before.

    Attributes
    ----------
    training
        The new classifier.
    samples
        How many samples both have judged.
    renamed
        Those of another class since.
    right
        How many held-out patients were given their class before, and are now; None where no patient
        was held out.
    patients
        How many patients were held out.
    """

    training: Training
    samples: int
    renamed: tuple[Renamed, ...]
    right: tuple[int, int] | None = None
    patients: int = 0

    def in_words(self) -> str:
        """Return what has changed: "1 of 40 samples is named differently: ..."."""
        if not self.samples:
            return "No sample was judged by both the former classifier and the new one."
        count = len(self.renamed)
        verb = "is" if count == 1 else "are"
        said = f"{count or 'None'} of {counted(self.samples, 'sample')} {verb} named differently"
        shown = [
            f"{one.sample} ({one.truth}): {one.after}, was {one.before}"
            for one in self.renamed[:NAMED]
        ]
        more = [f"{count - NAMED} more"] if count > NAMED else []
        listed = f": {'; '.join([*shown, *more])}." if shown else "."
        if self.right is None:
            return f"{said}{listed}"
        before, now = self.right
        held_out = f"Held-out patients: {now} of {self.patients} right, {before} before."
        return f"{said} while held out{listed} {held_out}"


def train_classifier(
    study: Study,
    settings: MILSettings,
    ensemble: EnsembleSettings,
    detection: DetectionSettings,
    device_name: str,
    out: Path | None = None,
    workers: Workers | None = None,
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
    workers
        Who reads cells and trains; as many as pay if None. The classifier is the same.
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
    seen = features_for(settings)
    bags = yield from prepare_bags(study, detector, detection, seen, workers, stop)
    if stop.is_set():
        return None
    yield Progress(0, 0, "Preparing the training", note=about_answers(bags, settings))
    unfinished = unfinished_folder(study.cohort, out)
    steps = train_on_bags(bags, settings, ensemble, detector.device, unfinished, workers, stop)
    trained = yield from steps
    if trained is None:
        return None
    classifier, is_finished = trained
    if (planes := study.cohort.planes) is not None:
        origin = {**classifier.provenance, "planes": planes.choice.as_dict()}
        classifier = replace(classifier, provenance=origin)
    path = _saved(classifier, study.cohort, out)
    if is_finished:
        # Only once the model is saved: the training must not be lost if the disk is full.
        shutil.rmtree(unfinished, ignore_errors=True)
    loaded = LoadedClassifier(classifier, path.name, path)
    if classifier.models[0].device.name != detector.device.name:  # as workers have sent it
        loaded = yield from load_classifier(path, detector.device.name)
    return Training(loaded, is_finished)


def update_classifier(
    study: Study,
    former: Classifier,
    detection: DetectionSettings,
    device_name: str,
    workers: Workers | None = None,
    stop: Event = NEVER,
) -> Stage[Update | None]:
    """Train a classifier again, as it was trained, on the study's answers of today.

    Parameters
    ----------
    study
        With the answers.
    former
        The classifier so far: its settings, its number of models and whether it was calibrated
        count again, but answers are learnt from.
    detection, device_name, workers, stop
        As in `train_classifier`.

    Returns
    -------
    Update or None
        None if it was stopped before there was a model.
    """
    from napari_attmil.bags import EnsembleSettings, MILSettings

    ensemble = EnsembleSettings(
        members=former.weighing_models,
        calibrate=former.held_out is not None,
        coverage=former.certainty.coverage,
    )
    settings = former.settings
    if settings.answers == 0:
        settings = settings.replace(answers=MILSettings().answers)
    how = (settings, ensemble, detection, device_name)
    training = yield from train_classifier(study, *how, workers=workers, stop=stop)
    if training is None:
        return None
    new = cast("Classifier", training.classifier.model)  # what was trained is one
    if takes_prior(new, former.prior):
        new = new.with_prior(former.prior)  # so that only the answers make a difference
    part = replace(study, cohort=labelled_part(study.cohort))
    pairs = yield from _judged_by_both(part, former, new, detection, device_name, stop)
    both = (former.held_out, new.held_out)
    are_held_out = None not in both
    named = [(b.sample, _name(b, are_held_out), _name(a, are_held_out)) for b, a in pairs]
    labels = {sample.name: sample.label or "" for sample in part.cohort.samples}
    renamed = tuple(Renamed(s, old, now, labels[s]) for s, old, now in named if old != now)
    patients = 0 if both[1] is None else len(both[1].of_patients)
    return Update(training, len(pairs), renamed, _right(*both), patients)


def _judged_by_both(
    study: Study,
    former: Classifier,
    new: Classifier,
    detection: DetectionSettings,
    device_name: str,
    stop: Event,
) -> Stage[list[tuple[Prediction, Prediction]]]:
    """Return what two classifiers say of each sample; nothing if they read cells differently."""
    pairs: list[tuple[Prediction, Prediction]] = []
    detector, seen = study.detector(device_name), former.feature_settings
    if (former.reader_digest, seen) != (new.reader_digest, new.feature_settings):
        return pairs
    for step in each_bag(study, detector, detection, seen, stop):
        if step.detail is not None:
            pairs.append((former.classify(step.detail), new.classify(step.detail)))
        yield replace(step, detail=None, note="")
    return pairs


def train_on_bags(
    bags: Sequence[Bag],
    settings: MILSettings,
    ensemble: EnsembleSettings,
    device: Device,
    unfinished: Path | None = None,
    workers: Workers | None = None,
    stop: Event = NEVER,
) -> Stage[tuple[Classifier, bool] | None]:
    """Return the classifier of some bags, and whether its training was finished.

    None if it was stopped before there was a model. `unfinished` is the folder for the states of
    unfinished trainings. As many workers as pay train if `workers` is None.
    """
    from napari_attmil.bags.training import EnsembleTrainer, most_epochs

    passes = most_epochs(settings, ensemble)
    effort = Plan.of(bags, settings, passes, passes // settings.epochs, device.name, workers)
    yield Progress(0, 0, f"Training: {effort.in_words()}", effort)
    trainer = EnsembleTrainer(
        bags, settings, ensemble, device, state_folder=unfinished, workers=effort.workers
    )
    was_begun = unfinished is not None and _states_in(unfinished) > 0
    is_finished, start = False, time.perf_counter()
    # Ctrl+C is as if `stop` had been set.
    with contextlib.suppress(KeyboardInterrupt), contextlib.closing(trainer.epochs()) as steps:
        for step in steps:
            right = f"{step.epoch.accuracy:.0%} of the training samples right"
            text = f"{step.title}, pass {step.epoch.done}: {right}"
            yield Progress(step.done, step.total, text, step, step.note)
            if stop.is_set():
                break
        else:
            is_finished = True
    if is_finished and not was_begun:
        effort.note(time.perf_counter() - start)
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


def _name(prediction: Prediction, is_held_out: bool) -> str:
    """Return what a sample was taken for, also while its patient was held out if that is known."""
    return (prediction.predicted_held_out if is_held_out else None) or prediction.predicted


def _right(before: HeldOut | None, after: HeldOut | None) -> tuple[int, int] | None:
    """Return how many held-out patients are right, if the same were held out both times."""
    if before is None or after is None or set(before.patients) != set(after.patients):
        return None
    return before.right, after.right
