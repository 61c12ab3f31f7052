"""From a study's images to bags: reviewed or detected boxes, and the features of their cells."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from napari_attmil.core import (
    ONE_WORKER,
    JobRun,
    Remedy,
    StageRun,
    UserError,
    Workers,
    counted,
    note_reading,
    workers_to_read,
)
from napari_attmil.workflows.answers import answers_about
from napari_attmil.workflows.detect import guess_in_words, least_sure
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until, within

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from napari_attmil.bags import Bag
    from napari_attmil.cells import Boxes, DetectionSettings, FeatureSettings
    from napari_attmil.cells.detection import DetectorLike
    from napari_attmil.images import KeptImages, Sample
    from napari_attmil.session import ClassifierLike
    from napari_attmil.workflows.detect import Images
    from napari_attmil.workflows.study import Study


Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class CellsAtHand:
    """The cells of one sample, as a snapshot for a worker.

    Attributes
    ----------
    sample
        Names and files.
    boxes
        Its cells.
    images
        The images in the viewer; the sample's files are read if None.
    key
        The session's key of the sample; None outside of a session.
    """

    sample: Sample
    boxes: Boxes
    images: Images | None = None
    key: Any = None


def prepare_bags(
    study: Study,
    detector: DetectorLike,
    detection: DetectionSettings,
    features: FeatureSettings,
    workers: Workers | None = ONE_WORKER,
    stop: Event = NEVER,
) -> Stage[list[Bag]]:
    """Return the bags of all samples that have cells; stopped early, of those so far.

    Several workers (as many as pay if None) first fill the study's store of features, out of which
    the bags then come.

    Yields
    ------
    Progress
        `detail` is the bag of a sample when it is finished, otherwise None; `note` says that a
        sample was left out.

    Raises
    ------
    UserError
        If no sample has a cell, or an image cannot be read.
    """
    from napari_attmil.bags import read_truth

    yield from _fill_store(study, detector, detection, features, workers, stop)
    truth, bags = read_truth(study.cohort.folder), []
    samples = {sample.name: sample for sample in study.cohort.samples}
    for step in each_bag(study, detector, detection, features, stop):
        bag: Bag | None = step.detail
        if bag is not None:
            assert bag.boxes is not None  # bags of images always have them
            altered = None if truth is None else truth.altered(samples[bag.sample], bag.boxes)
            answers = answers_about(bag.boxes, study.annotations.get(bag.sample))
            bags.append(replace(bag, altered=altered, answers=answers))
            step = replace(step, detail=bags[-1])
        yield step
    if not bags and not stop.is_set():
        raise UserError(
            f"No cell was found in any sample of {study.cohort.folder}; look at the images, lower "
            "the minimum score, or give the cell diameter.",
            Remedy.DETECT_CELLS,
        )
    return bags


def _fill_store(
    study: Study,
    detector: DetectorLike,
    detection: DetectionSettings,
    features: FeatureSettings,
    workers: Workers | None,
    stop: Event,
) -> Stage[None]:
    """Have several workers detect cells and read their features, of samples not stored so far."""
    from napari_attmil.images import read_images

    if study.store is None:
        return
    study, total = study.with_store_folder(), len(study.cohort)
    sharing = workers_for_the_rest(study, detector, detection, features, workers, stop)
    chosen, left = yield from sharing
    if not chosen.are_processes or stop.is_set():
        return
    device_name = chosen.device_for(detector.device).name
    jobs = [
        partial(store_sample, study.only(one), detection, features, device_name) for one in left
    ]
    done, start = total - len(left), time.perf_counter()
    run = JobRun(jobs, chosen)
    with closing(iter(run)) as steps:
        for step in steps:
            done += step.progress is None
            text = f"Reading the cells of {counted(total, 'sample')}"
            note = run.results[step.number] if step.progress is None else step.note
            yield Progress(done, total, text, note=note)
            if stop.is_set():
                return
    seconds = time.perf_counter() - start
    sizes = [size for one in left for size in read_images(one).sizes]
    note_reading(_fields(sizes), seconds, chosen, detector.device.name, len(left))


def _fields(sizes: Sequence[Sequence[int]]) -> int:
    """Return how many images of these sizes there are; 0 if a slide is among them.

    A slide takes as long as many images, and says nothing of how long those take.
    """
    from napari_attmil.images import LARGE_PX

    return 0 if any(height * width > LARGE_PX for height, width in sizes) else len(sizes)


def workers_for_the_rest(
    study: Study,
    detector: DetectorLike,
    detection: DetectionSettings,
    features: FeatureSettings,
    workers: Workers | None,
    stop: Event,
) -> Stage[tuple[Workers, list[Sample]]]:
    """Return who reads the samples that are not stored so far, and these samples.

    As many workers as pay for them if None; they are looked for only where several may be wanted.
    """
    left, total, name = list(study.cohort.samples), len(study.cohort), detector.device.name
    chosen = workers_to_read(workers, sum(map(len, left)), name)
    if not chosen.are_processes or study.store is None:
        return chosen, left
    left = []
    for number, sample in enumerate(study.cohort.samples):
        yield Progress(number, total, "Looking for cells that are stored")
        if not _is_stored(study, sample, detector, detection, features):
            left.append(sample)
        if stop.is_set():
            break
    return workers_to_read(workers, sum(map(len, left)), name), left


def store_sample(
    study: Study, detection: DetectionSettings, features: FeatureSettings, device_name: str
) -> Stage[str]:
    """Detect the cells of a study's only sample, and put their features into the study's store.

    What there is to say about the detection is returned.
    """
    (sample,) = study.cohort.samples
    detector = study.detector(device_name)
    finding = notes_kept(boxes_of_sample(study, sample, detector, detection))
    (boxes, images), note = yield from finding
    if len(boxes):
        yield from bag_of_sample(study, sample, boxes, detector, features, images)
    return note


def _is_stored(
    study: Study,
    sample: Sample,
    detector: DetectorLike,
    detection: DetectionSettings,
    features: FeatureSettings,
) -> bool:
    """Return whether a sample's bag needs no detector."""
    from napari_attmil.bags import drawn_cells, feature_reader

    boxes, store = _known_boxes(study, sample, detector, detection), study.store
    if boxes is None or store is None:
        return False
    if not len(boxes):
        return True
    drawn = drawn_cells(boxes, features.most_cells)
    return store.has_features(sample, drawn, feature_reader(detector, features).digest, features)


def each_bag(
    study: Study,
    detector: DetectorLike,
    detection: DetectionSettings,
    features: FeatureSettings,
    stop: Event = NEVER,
) -> Stage[None]:
    """Prepare one bag after the other without holding them: a cohort may not fit into memory.

    See `prepare_bags` for what is yielded.

    Raises
    ------
    UserError
        If an image cannot be read, or the cell encoder is not installed.
    """
    from napari_attmil.bags import feature_reader

    feature_reader(detector, features)  # An encoder that is missing is told of before the work.
    total, read, seconds = len(study.cohort), 0, 0.0
    for done, sample in enumerate(study.cohort.samples):
        here = Progress(done, total, f"Reading the cells of sample {done + 1} of {total}")
        yield here
        start = time.perf_counter()
        finding = within(boxes_of_sample(study, sample, detector, detection), here)
        found = yield from until(finding, stop)
        if found is None or stop.is_set():
            return
        boxes, images = found
        if len(boxes):
            steps = bag_of_sample(study, sample, boxes, detector, features, images)
            reading = within(steps, here)
            bag = yield from until(reading, stop)
            if bag is None:
                return
            if images is not None and (fields := _fields(images.sizes)):  # nothing was stored
                read, seconds = read + fields, seconds + time.perf_counter() - start
            yield replace(here, done=done + 1, detail=bag)
        else:
            yield replace(here, done=done + 1, note=without_cells(sample))
        if stop.is_set():
            return
    if read:
        note_reading(read, seconds, ONE_WORKER, detector.device.name)


def without_cells(sample: Sample) -> str:
    """Return the sentence that a sample has no cells."""
    return f"Sample {sample.name!r} has no cells and was left out."


def boxes_of_sample(
    study: Study, sample: Sample, detector: DetectorLike, settings: DetectionSettings
) -> Stage[tuple[Boxes, KeptImages | None]]:
    """Return a sample's corrected boxes, or detect its cells if that has not been done.

    With them come the images, some of them decoded, where cells were detected; otherwise None.
    """
    from napari_attmil.cells.detection import boxes_of_frames
    from napari_attmil.images import KeptImages, read_images

    boxes = _known_boxes(study, sample, detector, settings)
    if boxes is not None:
        return boxes, None
    found, images = [], KeptImages(read_images(sample))
    in_pixels = settings.in_pixels(sample.pixel_size_um)
    for frame in detector.detect_frames(images, in_pixels):
        found.append(frame)
        yield Progress(frame.done, frame.total, f"Image {frame.done} of {frame.total}")
    boxes = boxes_of_frames(found)
    if (store := study.store) is not None:
        store.put_detections(sample, detector.digest, settings, boxes)
    if guess := guess_in_words(least_sure(frame.cell_size for frame in found)):
        done = len(found)
        yield Progress(done, done, "Found the cells", note=f"{sample.name}: {guess}")
    return _corrected(study, sample, boxes), images


def _known_boxes(
    study: Study, sample: Sample, detector: DetectorLike, settings: DetectionSettings
) -> Boxes | None:
    """Return a sample's corrected boxes, None if its cells have still to be detected."""
    annotations = study.annotations.get(sample.name)
    if annotations is not None and annotations.is_searched(len(sample)):
        return annotations.cells
    store = study.store
    stored = None if store is None else store.detections(sample, detector.digest, settings)
    return None if stored is None else _corrected(study, sample, stored)


def _corrected(study: Study, sample: Sample, boxes: Boxes) -> Boxes:
    """Return detected boxes as a person has corrected them."""
    from napari_attmil.cells.annotations import with_corrections

    annotations = study.annotations.get(sample.name)
    if annotations is None:
        return boxes
    return annotations.cells_among(with_corrections(boxes, annotations))


def notes_kept(steps: Stage[Result]) -> Stage[tuple[Result, str]]:
    """Run a part of a job; with its result return its notes, which the job's progress may lose."""
    run = StageRun(steps)
    notes = []
    for step in run:
        notes.append(step.note)
        yield replace(step, note="")
    return run.result, " ".join(filter(None, notes))


def bag_of_sample(
    study: Study,
    sample: Sample,
    boxes: Boxes,
    detector: DetectorLike,
    settings: FeatureSettings,
    images: Images | None = None,
) -> Stage[Bag]:
    """Return the bag of a sample's boxes; only features of new boxes are computed.

    `images` are the sample's images in memory; its files are read if None.
    """
    from napari_attmil.bags import bag_of

    steps = bag_of(sample, boxes, detector, settings, images=images, store=study.store)
    return (yield from steps)


def bag_at_hand(
    study: Study, cells: CellsAtHand, classifier: ClassifierLike, device_name: str, stop: Event
) -> Stage[Bag | None]:
    """Return the bag of a snapshot of cells, as a classifier needs it; stopped early, None."""
    yield Progress(0, len(cells.boxes), "Loading the detector")
    detector, settings = study.detector(device_name), classifier.feature_settings
    steps = bag_of_sample(study, cells.sample, cells.boxes, detector, settings, cells.images)
    return (yield from until(steps, stop))
