"""The stages as tasks for a `TaskRunner`: what is run, in which words progress is told.

torch comes in when a task runs, on the worker's thread.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_attmil.bags import EnsembleSettings, MILSettings, features_for
from napari_attmil.cells import Boxes, DetectionSettings, FeatureSettings
from napari_attmil.cells.finetuning import detector_in_use
from napari_attmil.core import StageRun, UserError
from napari_attmil.images import Cohort, Sample, check_trainable, crop_cell
from napari_attmil.session import ClassifierLike, LoadedClassifier, SampleState
from napari_attmil.widgets.parts import Progress

if TYPE_CHECKING:
    from napari_attmil.bags import Bag, FeatureStore, Prediction
    from napari_attmil.cells.detection import DetectionProgress, Detector
    from napari_attmil.core import Device

THUMBNAIL_PX = 76
Images = Sequence[npt.NDArray[Any]]
Steps = Generator[Progress, None, Any]


@dataclass(frozen=True, eq=False)
class Detection:
    """What the detector found, and in which images; fewer than asked for if it was stopped."""

    boxes: Boxes
    images: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Classification:
    """What the classifier said, about which boxes."""

    prediction: Prediction
    boxes: Boxes


def open_cohort(stop: Event, path: Path) -> Steps:
    """Read which samples a folder or cohort.csv holds, and whose kept boxes it does not."""
    from napari_attmil.cells.annotations import orphaned_boxes_in_words
    from napari_attmil.images import open_cohort as read

    yield Progress(0, 0, "Looking for images")
    cohort, lost = read(path), ""
    with contextlib.suppress(UserError):  # Said where the boxes themselves are read.
        lost = orphaned_boxes_in_words(cohort)
    return replace(cohort, notes=(*cohort.notes, lost)) if lost else cohort


def simulate_cohort(stop: Event, folder: Path) -> Steps:
    """Draw a small cohort to try the steps with, and read it."""
    from napari_attmil.images import open_cohort as read
    from napari_attmil.simulation import SimulationSettings, simulate_cohort as simulate

    settings = SimulationSettings(
        patients_per_class=3, samples_per_patient=1, images_per_sample=3, cells_per_image=24
    )
    for step in simulate(folder, settings):
        yield Progress(step.done, step.total, f"Drawing image {step.done} of {step.total}")
        if stop.is_set():
            return None
    return read(folder)


def list_devices(stop: Event) -> Steps:
    """Find out what this computer can compute on."""
    from napari_attmil.core import available_devices

    yield Progress(0, 0, "Looking for devices")
    return available_devices()


def detect_cells(
    stop: Event,
    images: Images,
    places: Sequence[int],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
) -> Generator[Progress, None, Detection]:
    """Find the cells in some images of a stack; stopped early, return those found so far.

    `weights` is the model file of a detector that was fitted; the shipped one is used if None.
    """
    yield Progress(0, len(places), "Loading the detector")
    from napari_attmil.cells.detection import boxes_of_frames

    detector = loaded_detector(device_name, weights)
    yield Progress(0, len(places), "Measuring the cells")
    chosen = _Chosen(images, places)
    found: list[DetectionProgress] = []
    cells = 0
    for step in detector.detect_frames(chosen, settings):
        found.append(replace(step, image_index=places[step.image_index]))
        cells += len(step.score)
        yield Progress(
            step.done, step.total, f"{cells} cells in {step.done} of {step.total} images"
        )
        if stop.is_set():
            break
    return Detection(boxes_of_frames(found), tuple(places[: len(found)]))


def train_classifier(
    stop: Event,
    cohort: Cohort,
    states: Mapping[str, SampleState],
    detection: DetectionSettings,
    settings: MILSettings,
    ensemble: EnsembleSettings,
    device_name: str,
) -> Steps:
    """Train on the cohort's labelled samples; stopped early, return the models so far, or None.

    The next training of the same samples and settings goes on where a stopped one stood. Samples
    whose cells are known in the session are used as the person left them.
    """
    from napari_attmil.bags.training import EnsembleTrainer

    check_trainable(cohort)
    labelled = replace(
        cohort, samples=tuple(sample for sample in cohort.samples if sample.label is not None)
    )
    yield Progress(0, len(labelled), "Loading the detector")
    device = _device(device_name)
    detector = loaded_detector(device_name, detector_in_use(cohort.folder))
    bags = yield from bags_of_cohort(
        stop, labelled, states, detector, detection, features_for(settings)
    )
    if stop.is_set():
        return None
    yield Progress(0, 0, "Preparing the training")
    unfinished = _unfinished_folder(cohort)
    trainer = EnsembleTrainer(bags, settings, ensemble, device, kept_in=unfinished)
    is_finished = False
    for step in trainer.epochs():
        text = f"{step.title}, epoch {step.epoch.done}: {step.epoch.accuracy:.0%} of samples right"
        yield Progress(step.done, step.total, text, step)
        if stop.is_set():
            break
    else:
        is_finished = True
    if not trainer.has_model:
        return None
    best = trainer.best
    name, path = _keep(best, cohort)
    if is_finished:
        # Not before the model is saved: what was trained must outlast a disk that is full by then.
        shutil.rmtree(unfinished, ignore_errors=True)
    return LoadedClassifier(best, name, path)


def load_classifier(stop: Event, path: Path, device_name: str) -> Steps:
    """Read a classifier from a model file."""
    yield Progress(0, 0, "Loading the model")
    from napari_attmil.bags import Classifier

    return LoadedClassifier(Classifier.load(path, _device(device_name)), path.name, path)


def classify_sample(
    stop: Event,
    sample: Sample,
    images: Images,
    boxes: Boxes,
    classifier: ClassifierLike,
    device_name: str,
    cohort: Cohort | None,
) -> Generator[Progress, None, Classification | None]:
    """Say which class a sample belongs to; stopped early, return None."""
    bag = yield from bag_of_sample(
        stop, sample, images, boxes, classifier.feature_settings, device_name, cohort
    )
    if bag is None:
        return None
    yield Progress(0, 0, "Classifying")
    return Classification(classifier.classify(bag), boxes)


def bag_of_sample(
    stop: Event,
    sample: Sample,
    images: Images | None,
    boxes: Boxes,
    features: FeatureSettings,
    device_name: str,
    cohort: Cohort | None,
) -> Generator[Progress, None, Bag | None]:
    """Read the features of a sample's cells; stopped early, return None."""
    yield Progress(0, len(boxes), "Loading the detector")
    from napari_attmil.bags import bag_of

    store = None if cohort is None else _store_of(cohort)
    weights = None if cohort is None else detector_in_use(cohort.folder)
    detector = loaded_detector(device_name, weights)
    run = StageRun(bag_of(sample, boxes, detector, features, images=images, store=store))
    for step in run:
        yield Progress(step.done, step.total, f"Looking at cell {step.done} of {step.total}")
        if stop.is_set():
            return None
    return run.result


def cut_thumbnails(
    stop: Event, images: Images, boxes: Boxes
) -> Generator[Progress, None, list[npt.NDArray[np.uint8]]]:
    """Cut out cells, in the order of `boxes`, reading each image once."""
    thumbnails: dict[int, npt.NDArray[np.uint8]] = {}
    for image_index in np.unique(boxes.image_index).tolist():
        yield Progress(len(thumbnails), len(boxes), "Cutting out cells")
        if stop.is_set():
            break
        image = np.asarray(images[image_index])
        for row in np.flatnonzero(boxes.image_index == image_index).tolist():
            thumbnails[row] = crop_cell(image, boxes.xyxy[row], THUMBNAIL_PX)
    return [thumbnails[row] for row in sorted(thumbnails)]


def own_folder(name: str) -> Path:
    """Return a folder among the person's own data, for models or simulated images."""
    import platformdirs

    return Path(platformdirs.user_data_path("napari-attmil")) / name


def _keep(classifier: ClassifierLike, cohort: Cohort) -> tuple[str, Path]:
    """Save a trained classifier with its cohort, or in the person's folder; return where."""
    name = f"classifier-{datetime.now():%Y-%m-%d-%H%M%S}.safetensors"
    path = cohort.folder / "models" / name
    try:
        classifier.save(path)
    except UserError:
        # The study may lie on a read-only share; hours of training must not be lost for that.
        path = own_folder("models") / name
        classifier.save(path)
    return name, path


def _unfinished_folder(cohort: Cohort) -> Path:
    """Return where a training is kept until it ends: with its cohort, if that can be written."""
    folder = cohort.folder / "models" / "unfinished"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return own_folder("models") / "unfinished"


def bags_of_cohort(
    stop: Event,
    cohort: Cohort,
    states: Mapping[str, SampleState],
    detector: Detector,
    detection: DetectionSettings,
    features: FeatureSettings,
) -> Generator[Progress, None, list[Bag]]:
    """Return the bags of all samples that have cells; each is told once it is there."""
    from napari_attmil.bags import expected_size, prepare_bags

    store = _store_of(cohort)
    yield Progress(0, len(cohort), expected_size(cohort, features, store.folder))
    steps = prepare_bags(cohort, detector, detection, features, store, states)
    bags: list[Bag] = []
    for step in steps:
        text = f"Reading the cells of sample {min(step.done + 1, step.total)} of {step.total}"
        yield Progress(step.done, step.total, text, step.bag, step.note)
        if step.bag is not None:
            bags.append(step.bag)
        if stop.is_set():
            break
    return bags


class _Chosen(Sequence[npt.NDArray[Any]]):
    """Some images of a stack, still read when they are asked for."""

    def __init__(self, images: Images, places: Sequence[int]) -> None:
        self._images, self._places = images, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._images[index] for index in self._places[place]]
        return self._images[self._places[place]]


def _device(name: str) -> Device:
    from napari_attmil.core import choose_device

    return choose_device(name)


def loaded_detector(device_name: str, weights: Path | None = None) -> Detector:
    """Return the detector of a model file, or the shipped one; loaded once until it changes."""
    if weights is None or not weights.is_file():
        return _loaded_detector(device_name, weights, 0, 0)
    status = weights.stat()
    return _loaded_detector(device_name, weights, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=3)
def _loaded_detector(
    device_name: str, weights: Path | None, size_bytes: int, mtime_ns: int
) -> Detector:
    """Load a detector; each training writes its candidate to the same path as the one before."""
    del size_bytes, mtime_ns
    from napari_attmil.cells.detection import Detector

    return Detector.load(weights, _device(device_name))


def _store_of(cohort: Cohort) -> FeatureStore:
    from napari_attmil.bags import FeatureStore, default_store_folder

    return FeatureStore(default_store_folder(cohort))
