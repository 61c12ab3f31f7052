"""From a study's images to bags: reviewed or detected boxes, and the features of their cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_attmil.core import Remedy, UserError
from napari_attmil.workflows.answers import answers_about
from napari_attmil.workflows.detect import guess_in_words, least_sure
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until, within

if TYPE_CHECKING:
    from threading import Event

    from napari_attmil.bags import Bag
    from napari_attmil.cells import Boxes, DetectionSettings, FeatureSettings
    from napari_attmil.cells.detection import DetectorLike
    from napari_attmil.images import Sample
    from napari_attmil.session import ClassifierLike
    from napari_attmil.workflows.detect import Images
    from napari_attmil.workflows.study import Study


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
    stop: Event = NEVER,
) -> Stage[list[Bag]]:
    """Return the bags of all samples that have cells; stopped early, of those so far.

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
    total = len(study.cohort)
    for done, sample in enumerate(study.cohort.samples):
        here = Progress(done, total, f"Reading the cells of sample {done + 1} of {total}")
        yield here
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
            yield replace(here, done=done + 1, detail=bag)
        else:
            note = f"Sample {sample.name!r} has no cells and was left out."
            yield replace(here, done=done + 1, note=note)
        if stop.is_set():
            return


def boxes_of_sample(
    study: Study, sample: Sample, detector: DetectorLike, settings: DetectionSettings
) -> Stage[tuple[Boxes, Images | None]]:
    """Return a sample's corrected boxes, or detect its cells if that has not been done.

    With them come the images, some of them decoded, where cells were detected; otherwise None.
    """
    from napari_attmil.cells.annotations import with_corrections
    from napari_attmil.cells.detection import boxes_of_frames
    from napari_attmil.images import KeptImages, read_images

    annotations = study.annotations.get(sample.name)
    if annotations is not None and annotations.is_searched(len(sample)):
        return annotations.cells, None
    store, images = study.store, None
    boxes = None if store is None else store.detections(sample, detector.digest, settings)
    if boxes is None:
        found, images = [], KeptImages(read_images(sample))
        in_pixels = settings.in_pixels(sample.pixel_size_um)
        for frame in detector.detect_frames(images, in_pixels):
            found.append(frame)
            yield Progress(frame.done, frame.total, f"Image {frame.done} of {frame.total}")
        boxes = boxes_of_frames(found)
        if store is not None:
            store.put_detections(sample, detector.digest, settings, boxes)
        if guess := guess_in_words(least_sure(frame.cell_size for frame in found)):
            done = len(found)
            yield Progress(done, done, "Found the cells", note=f"{sample.name}: {guess}")
    if annotations is not None:
        boxes = annotations.cells_among(with_corrections(boxes, annotations))
    return boxes, images


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
