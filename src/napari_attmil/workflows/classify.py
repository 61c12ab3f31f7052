"""Classification of one sample or of all of a study, and a report about classified samples."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

from napari_attmil.bags import shares_in_words
from napari_attmil.core import JobRun, Workers, choose_device, counted
from napari_attmil.explore import model_origin
from napari_attmil.session import takes_prior
from napari_attmil.workflows.prepare import (
    bag_at_hand,
    bag_of_sample,
    boxes_of_sample,
    each_bag,
    notes_kept,
    without_cells,
    workers_for_the_rest,
)
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from napari_attmil.bags import Classifier, Prediction
    from napari_attmil.cells import Boxes, DetectionSettings
    from napari_attmil.cells.annotations import Note
    from napari_attmil.explore.report import Finding
    from napari_attmil.images import Sample
    from napari_attmil.session import ClassifierLike, LoadedClassifier
    from napari_attmil.workflows.prepare import CellsAtHand
    from napari_attmil.workflows.study import Study


@dataclass(frozen=True, eq=False)
class ClassifiedSample:
    """A classified sample.

    Attributes
    ----------
    sample
        Names and files.
    boxes
        All its cells; the prediction may be of some of them, that were drawn.
    prediction
        What the classifier says.
    notes
        What is noted about cells, by their ids.
    """

    sample: Sample
    boxes: Boxes
    prediction: Prediction
    notes: Mapping[int, Note] = field(default_factory=dict)


def load_classifier(path: Path, device_name: str, stop: Event = NEVER) -> Stage[LoadedClassifier]:
    """Read a classifier from a model file."""
    del stop  # A file is read in a moment.
    yield Progress(0, 0, "Loading the model")
    from napari_attmil.bags import Classifier
    from napari_attmil.session import LoadedClassifier

    return LoadedClassifier(Classifier.load(path, choose_device(device_name)), path.name, path)


def classify_sample(
    study: Study,
    cells: CellsAtHand,
    classifier: ClassifierLike,
    device_name: str,
    stop: Event = NEVER,
) -> Stage[ClassifiedSample | None]:
    """Classify one sample; stopped early, return None."""
    bag = yield from bag_at_hand(study, cells, classifier, device_name, stop)
    if bag is None:
        return None
    yield Progress(0, 0, "Classifying")
    return ClassifiedSample(cells.sample, cells.boxes, classifier.classify(bag))


def classify_study(
    study: Study,
    classifier: ClassifierLike,
    detection: DetectionSettings,
    device_name: str,
    workers: Workers | None = None,
    stop: Event = NEVER,
) -> Stage[list[ClassifiedSample]]:
    """Classify all samples that have cells; stopped early, return those so far.

    A classifier without a prior takes the classes to be as frequent as the study says, if it does.
    Several workers (as many as pay if None) look at several samples at once; what they say is the
    same.

    Yields
    ------
    Progress
        `detail` is a sample when it has been classified, otherwise None.
    """
    classifier, note = _with_prior_of(study, classifier)
    yield Progress(0, len(study.cohort), "Loading the detector", note=note)
    detector, seen = study.detector(device_name), classifier.feature_settings
    if workers is None:  # What is stored is classified in a moment.
        sharing = workers_for_the_rest(study, detector, detection, seen, None, stop)
        workers, _ = yield from sharing
    if workers.are_processes:
        steps = _classified_by(workers, study, classifier, detection, device_name, stop)
        return (yield from steps)
    samples = {sample.name: sample for sample in study.cohort.samples}
    classified = []
    for step in each_bag(study, detector, detection, seen, stop):
        bag = step.detail
        if bag is not None:
            prediction = classifier.classify(bag)
            sample = samples[bag.sample]
            classified.append(_with_notes(study, sample, bag.sample_boxes, prediction))
        yield step if bag is None else replace(step, detail=classified[-1])
    return classified


def _with_prior_of(study: Study, classifier: ClassifierLike) -> tuple[ClassifierLike, str]:
    """Return the classifier with the prior kept in a study, and a sentence about it, if any is."""
    if study.prior is None or classifier.prior is not None:
        return classifier, ""
    shares = shares_in_words(study.prior)
    if not takes_prior(classifier, study.prior):
        return classifier, (
            f"The frequencies of classes kept in the study ({shares}) do not fit this classifier "
            "and are not used; give them anew."
        )
    told = f"The frequencies of classes kept in the study are used: {shares}."
    return classifier.with_prior(study.prior), told


def _classified_by(
    workers: Workers,
    study: Study,
    classifier: ClassifierLike,
    detection: DetectionSettings,
    device_name: str,
    stop: Event,
) -> Stage[list[ClassifiedSample]]:
    study = study.with_store_folder()
    device_name = workers.device_for(choose_device(device_name)).name
    samples = study.cohort.samples
    found: dict[int, ClassifiedSample] = {}
    with workers.folder() as folder:
        model = folder / "classifier.safetensors"
        cast("Classifier", classifier).save(model)
        jobs = [
            partial(classify_one, study.only(s), model, classifier.prior, detection, device_name)
            for s in samples
        ]
        run, done = JobRun(jobs, workers), 0
        with closing(iter(run)) as steps:
            for step in steps:
                if step.progress is not None:
                    text = f"Reading the cells of {counted(len(samples), 'sample')}"
                    yield Progress(done, len(samples), text, note=step.note)
                else:
                    done, sample = done + 1, samples[step.number]
                    text = f"{done} of {len(samples)} samples"
                    outcome, note = run.results[step.number]
                    if outcome is None:
                        note = " ".join(filter(None, (note, without_cells(sample))))
                        yield Progress(done, len(samples), text, note=note)
                    else:
                        found[step.number] = _with_notes(study, sample, *outcome)
                        yield Progress(done, len(samples), text, found[step.number], note)
                if stop.is_set():
                    break
    return [found[number] for number in sorted(found)]


def classify_one(
    study: Study,
    model: Path,
    prior: Mapping[str, float] | None,
    detection: DetectionSettings,
    device_name: str,
) -> Stage[tuple[tuple[Boxes, Prediction] | None, str]]:
    """Detect and classify the cells of a study's only sample; None if there are none.

    With it comes what there is to say about the detection.
    """
    (sample,) = study.cohort.samples
    detector, classifier = study.detector(device_name), _loaded_classifier(model, device_name)
    finding = notes_kept(boxes_of_sample(study, sample, detector, detection))
    (boxes, images), note = yield from finding
    if not len(boxes):
        return None, note
    seen = classifier.feature_settings
    bag = yield from bag_of_sample(study, sample, boxes, detector, seen, images)
    return (boxes, classifier.with_prior(prior).classify(bag)), note


@lru_cache(maxsize=1)
def _loaded_classifier(model: Path, device_name: str) -> Classifier:
    from napari_attmil.bags import Classifier

    return Classifier.load(model, choose_device(device_name))


def _with_notes(
    study: Study, sample: Sample, boxes: Boxes | None, prediction: Prediction
) -> ClassifiedSample:
    assert boxes is not None  # bags of images always have them
    kept = study.annotations.get(sample.name)
    return ClassifiedSample(sample, boxes, prediction, {} if kept is None else kept.notes)


def report_samples(
    path: Path,
    findings: Sequence[Finding],
    classifier: Classifier,
    name: str,
    made_with: Mapping[str, Any] | None = None,
    stop: Event = NEVER,
) -> Stage[Path | None]:
    """Write a report about classified samples; stopped early, write nothing and return None.

    Parameters
    ----------
    path
        Ends in .html or .pdf.
    findings
        The samples.
    classifier, name
        The classifier of the samples, and its name in the report.
    made_with
        Further entries about how the report was made.
    stop
        Set to end early.
    """
    from napari_attmil.explore.report import write_report

    origin = model_origin(classifier, name)
    steps = write_report(path, findings, {**(made_with or {}), **origin})
    yield from until(steps, stop)
    return None if stop.is_set() else path
