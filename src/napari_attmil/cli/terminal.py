"""What the commands share: a progress bar on stderr, and the stages that most of them run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from napari_attmil.cells import DetectionSettings, FeatureSettings
from napari_attmil.core import StageRun, UserError, counted, finished

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_attmil.bags import Bag, Classifier, Prediction
    from napari_attmil.cells import Boxes
    from napari_attmil.cells.detection import Detector
    from napari_attmil.evaluation import Evaluation, EvaluationProgress
    from napari_attmil.images import Cohort, Sample

stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""Prints names of files as they are, whatever rich would take for markup or emoji in them."""


_MORE_CELLS: Final = (
    "look at the images, lower the minimum score (--min-score), or give the cell diameter "
    "(--cell-diameter)."
)


class Countable(Protocol):
    """A progress value."""

    @property
    def done(self) -> int:
        """Units of work that are finished."""

    @property
    def total(self) -> int:
        """Units of work in all."""


Step = TypeVar("Step", bound=Countable)
Result = TypeVar("Result")


def say(sentence: str) -> None:
    """Print a sentence to stderr; only the terminal breaks its lines, so that paths stay whole."""
    stderr.print(sentence, soft_wrap=True)


@overload
def follow(  # type: ignore[overload-overlap] # plain iterables return nothing
    label: str, steps: Generator[Step, None, Result], detail: Callable[[Step], str] | None = None
) -> Generator[Step, None, Result]: ...


@overload
def follow(
    label: str, steps: Iterable[Step], detail: Callable[[Step], str] | None = None
) -> Generator[Step, None, None]: ...


def follow(
    label: str, steps: Any, detail: Callable[[Any], str] | None = None
) -> Generator[Any, None, Any]:
    """Run a stage and return its result, while a bar on stderr shows how far it has come.

    Parameters
    ----------
    label
        What the stage does.
    steps
        Its progress values.
    detail
        Says of a step what else to write beside the label.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # a sample may be named "s [/2]"
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr) as progress:
        task = progress.add_task(label, total=None)
        run: StageRun[Any, Any] = StageRun(steps)
        for step in run:
            text = label if detail is None else f"{label}: {detail(step)}"
            progress.update(task, completed=step.done, total=step.total, description=text)
            yield step
    return run.result


def labelled(label: str, samples: list[Sample]) -> Iterator[tuple[Sample, str]]:
    """Yield each sample with what its progress bar says."""
    for number, sample in enumerate(samples, start=1):
        yield sample, f"{label}: {sample.name} ({number} of {len(samples)})"


def load_detector(weights: Path | None, device: str) -> Detector:
    """Return the detector on the chosen device, and say which that is."""
    from napari_attmil.cells.detection import Detector
    from napari_attmil.core import choose_device

    chosen = choose_device(device)
    say(f"Computing on {chosen.name}: {chosen.description}")
    return Detector.load(weights, chosen)


def detect_cells(
    sample: Sample, detector: Detector, settings: DetectionSettings, label: str
) -> Boxes:
    """Return the cells of a sample, showing progress."""
    from napari_attmil.cells.detection import boxes_of_frames
    from napari_attmil.images import read_images

    settings = settings.in_pixels(sample.pixel_size_um)
    return boxes_of_frames(
        list(follow(label, detector.detect_frames(read_images(sample), settings)))
    )


def _cells_of(sample: Sample, detector: Detector, settings: DetectionSettings, label: str) -> Boxes:
    """Return a sample's cells as a person left them; what nobody has seen is detected.

    The corrections lie in the study that the images are part of.
    """
    from napari_attmil.cells.annotations import AnnotationFile, with_corrections

    file = AnnotationFile.above(sample.frames[0].path)
    kept = None if file is None else file.read(sample)
    if kept is None:
        return detect_cells(sample, detector, settings, label)
    say(f"{sample.name}: the boxes kept in the study are used.")
    if kept.is_searched(len(sample)):
        return kept.boxes
    return with_corrections(detect_cells(sample, detector, settings, label), kept)


def _bag_of_sample(
    sample: Sample, boxes: Boxes, detector: Detector, settings: FeatureSettings
) -> Bag:
    """Return the sample's cells with their features, showing progress."""
    from napari_attmil.bags import bag_of

    return finished(follow("Reading features", bag_of(sample, boxes, detector, settings)))


def classified(
    samples: list[Sample], detector: Detector, settings: DetectionSettings, classifier: Classifier
) -> Iterator[tuple[Sample, Boxes, Prediction]]:
    """Yield samples with their cells and what the classifier says of them.

    One without cells is left out, and said to be: one empty field must not cost all the others.

    Raises
    ------
    UserError
        If none has a cell, or an image cannot be read.
    """
    has_cells = False
    for sample, label in labelled("Detecting cells", samples):
        boxes = _cells_of(sample, detector, settings, label)
        if len(boxes):
            has_cells = True
            bag = _bag_of_sample(sample, boxes, detector, classifier.feature_settings)
            yield sample, boxes, classifier.classify(bag)
        else:
            say(f"Sample {sample.name!r} has no cells and was left out.")
    if not has_cells:
        raise UserError(f"No cell was found in any sample; {_MORE_CELLS}")


def open_labelled_cohort(path: Path) -> Cohort:
    """Return the cohort, having said what was assumed about it, and which boxes it loses."""
    from napari_attmil.cells.annotations import orphaned_boxes_in_words
    from napari_attmil.images import open_cohort

    cohort = open_cohort(path)
    for note in filter(None, (*cohort.notes, orphaned_boxes_in_words(cohort))):
        say(note)
    return cohort


def say_healthy_class(cohort: Cohort, wanted: str) -> None:
    """Say which class is taken for that of the healthy samples.

    Raises
    ------
    UserError
        If the class asked for is not there.
    """
    from napari_attmil.images import reference_class

    healthy = reference_class(cohort.classes, wanted)
    say(
        "No class is plainly called healthy or control; if there is one of healthy samples, name "
        "it by --healthy-class: the classifier learns better when it knows what is normal."
        if healthy is None
        else f"Healthy class: {healthy}"
    )


def prepare(
    cohort: Cohort,
    detector: Detector,
    detection: DetectionSettings,
    features: FeatureSettings,
    notes: list[str] | None = None,
    store_folder: Path | None = None,
) -> list[Bag]:
    """Return the bags of a cohort; what was left out is said, and added to `notes`.

    Features are kept in `store_folder`, or beside the images if it is None; how large they will
    be is said before.
    """
    from napari_attmil.bags import FeatureStore, default_store_folder, expected_size, prepare_bags
    from napari_attmil.cells.annotations import AnnotationFile

    store = FeatureStore(store_folder or default_store_folder(cohort))
    kept = AnnotationFile.beside(cohort.folder).read_all(cohort.samples)
    if kept:
        say(f"The boxes kept in the study are used in {counted(len(kept), 'sample')}.")
    say(expected_size(cohort, features, store.folder))
    steps = prepare_bags(cohort, detector, detection, features, store, kept)
    run = StageRun(follow("Finding cells and reading their features", steps))
    for step in run:
        if step.note:
            say(step.note)
            if notes is not None:
                notes.append(step.note)
    if not run.result:
        raise UserError(f"No cell was found in any sample of {cohort.folder}; {_MORE_CELLS}")
    return run.result


def evaluation_written(
    steps: Generator[EvaluationProgress, None, Evaluation], folder: Path, notes: Sequence[str] = ()
) -> str:
    """Follow a cross-validation, write its report into a folder, and return it as Markdown."""
    from napari_attmil.evaluation import markdown, write_report

    run = StageRun(follow("Cross-validating by patient", steps))
    for step in run:
        if step.note:
            say(step.note)
    return markdown(write_report(run.result, folder, notes))


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    from napari_attmil.core import write_atomically

    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", "utf-8")
