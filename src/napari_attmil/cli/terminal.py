"""What the commands share: a progress bar and sentences on stderr, and how a study is opened."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from napari_attmil import bags, cells, explore, images, session, workflows
from napari_attmil.bags.training import Plan
from napari_attmil.cli.options import DetectionOptions, PlaneOptions, prior_of
from napari_attmil.core import UserError, Workers, choose_device, printable

stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""Prints file names as they are, even where rich would read markup or emoji in them."""

Result = TypeVar("Result")


def say(sentence: str) -> None:
    """Print a sentence to stderr, leaving line breaks to the terminal so that paths stay whole."""
    stderr.print(printable(sentence), soft_wrap=True)


def shown(steps: Generator[Any, None, Result], label: str = "") -> Result:
    """Run a stage and return its result, while a bar on stderr shows how far it has come.

    Ctrl+C is raised within the stage, which may end early and return what it has.

    Parameters
    ----------
    steps
        Yields values with `done` and `total`, and most stages' also with `text` and `note`.
    label
        What to write beside the bar, before the stage's own text.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # a sample may be named "s [/2]"
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    advance: Callable[..., Any] = next
    with Progress(*columns, console=stderr) as bar:
        task = bar.add_task(label, total=None)
        while True:
            try:
                step = advance(steps)
                text = ": ".join(filter(None, (label, getattr(step, "text", ""))))
                bar.update(task, completed=step.done, total=step.total or None, description=text)
                if note := getattr(step, "note", ""):
                    say(note)
                if isinstance(plan := getattr(step, "detail", None), Plan):
                    say(plan.in_words())
            except StopIteration as end:
                result: Result = end.value
                return result
            except KeyboardInterrupt:
                if advance is _interrupt:
                    raise
                advance = _interrupt
            else:
                advance = next


def _interrupt(steps: Generator[Any, None, Any]) -> Any:
    return steps.throw(KeyboardInterrupt)


def say_device(name: str) -> None:
    """Say what the chosen device is.

    Raises
    ------
    UserError
        If this machine has no such device.
    """
    device = choose_device(name)
    say(f"Computing on {device.name}: {device.description}")


def open_labelled_cohort(path: Path, planes: PlaneOptions) -> images.Cohort:
    """Return the cohort, having said what is assumed about it and which boxes have no image."""
    cohort = _opened(workflows.opening_cohort(path, planes.given))
    for note in cohort.notes:
        say(note)
    return cohort


def open_inputs(inputs: Sequence[Path], planes: PlaneOptions) -> list[images.Sample]:
    """Return samples of images of any study or none, having said which planes are looked at."""
    samples, told = _opened(workflows.opening_samples(inputs, planes.given))
    for sentence in told:
        say(sentence)
    return samples


def _opened(steps: Generator[Any, None, Result]) -> Result:
    """Return what is opened; with a bar only if pixels have to be read for it."""
    try:
        next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result
    return shown(steps)


def say_healthy_class(cohort: images.Cohort, healthy_class: str) -> None:
    """Say which class is taken to be that of the healthy samples.

    Raises
    ------
    UserError
        If the class asked for is not there.
    """
    healthy = images.reference_class(cohort.classes, healthy_class)
    say(
        "No class is plainly called healthy or control; if there is one of healthy samples, name "
        "it with --healthy-class: the classifier learns better when it knows what is normal."
        if healthy is None
        else f"Healthy class: {healthy}"
    )


def load_classifier(
    path: Path, device_name: str, priors: list[str] | None = None
) -> bags.Classifier:
    """Return the classifier of a model file, having said on which device it computes.

    Parameters
    ----------
    path, device_name
        The file, and the device.
    priors
        What `--prior` was given.
    """
    prior = prior_of(priors)
    say_device(device_name)
    return bags.Classifier.load(path, choose_device(device_name)).with_prior(prior)


def print_held_out(classifier: session.ClassifierLike, cohort: images.Cohort) -> None:
    """Print how a classifier did on patients it was not trained on, and who was wrong."""
    print(classifier.on_new_patients)
    if classifier.held_out is None:
        return
    print("Held-out patients of each class (lines) by the class they were taken for (columns):")
    print(explore.held_out_table(classifier.held_out, classifier.classes).to_string())
    for one in classifier.held_out.named(cohort.samples, classifier.classes):
        if one.truth != one.predicted:
            print(f"Wrong: patient {one.patient}, {one.truth}, was taken for {one.predicted}")


def study_of(
    cohort: images.Cohort, weights: Path | None, features: cells.FeatureSettings
) -> workflows.Study:
    """Return the cohort's study, having said which boxes and detector are used."""
    study = workflows.Study.of(cohort, weights)
    say_study(study, features)
    return study


def trainable_study(
    path: Path, settings: bags.MILSettings, detection: DetectionOptions, planes: PlaneOptions
) -> workflows.Study:
    """Return the study of a cohort to train on, having said what is assumed and used.

    Raises
    ------
    UserError
        If it cannot be trained on, or the class asked for is not there.
    """
    cohort = open_labelled_cohort(path, planes)
    images.check_trainable(cohort)
    say_healthy_class(cohort, settings.reference_class)
    say_device(detection.device)
    return study_of(cohort, detection.weights, bags.features_for(settings))


def say_study(study: workflows.Study, features: cells.FeatureSettings | None = None) -> None:
    """Say which boxes and which detector a study brings, and how large features will be."""
    for sentence in study.in_words(features):
        say(sentence)


def classified(
    studies: Sequence[workflows.Study],
    classifier: bags.Classifier,
    detection: cells.DetectionSettings,
    device: str,
    workers: Workers | None = None,
) -> list[workflows.ClassifiedSample]:
    """Return the classified samples of some studies.

    Raises
    ------
    UserError
        If no sample has a cell, or the files cannot be read.
    """
    found: list[workflows.ClassifiedSample] = []
    for study in studies:
        say_study(study)
        found += shown(workflows.classify_study(study, classifier, detection, device, workers))
    if not found:
        raise UserError(
            "No cell was found in any sample; look at the images, lower the minimum score "
            "(--min-score), or give the cell diameter (--cell-diameter)."
        )
    return found
