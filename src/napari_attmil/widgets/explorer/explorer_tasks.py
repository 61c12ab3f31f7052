"""The explorer's long work, as tasks for a `TaskRunner`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.cells import Boxes, DetectionSettings
from napari_attmil.cells.finetuning import detector_in_use
from napari_attmil.explore import MapMethod, map_of_cells, model_origin
from napari_attmil.images import Cohort, Sample, common_pixel_size_um
from napari_attmil.session import MAP_COLUMNS, ClassifierLike, SampleState, SessionKey
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags import Prediction
    from napari_attmil.bags.attribution import RemovalCurve, WhatIf
    from napari_attmil.explore.report import Finding


@dataclass(frozen=True, eq=False)
class Removal:
    """What is asked about a sample without some of its cells, and the first answer."""

    what_if: WhatIf
    curve: RemovalCurve
    distance_from_healthy: npt.NDArray[Any] | None


def prepare_removal(
    stop: Event,
    sample: Sample,
    images: tasks.Images,
    boxes: Boxes,
    classifier: Any,
    score: npt.NDArray[Any],
    device_name: str,
    cohort: Cohort | None,
) -> Generator[Progress, None, Removal | None]:
    """Read a sample's cells and take those of the highest score away one by one."""
    bag = yield from tasks.bag_of_sample(
        stop, sample, images, boxes, classifier.feature_settings, device_name, cohort
    )
    if bag is None:
        return None
    yield Progress(0, 0, "Taking cells away")
    from napari_attmil.bags.attribution import WhatIf

    what_if = WhatIf(classifier, bag)
    return Removal(what_if, what_if.curve(score), what_if.distance_from_healthy())


@dataclass(frozen=True, eq=False)
class ClassifiedSample:
    """One sample of a cohort, its cells and what the classifier said."""

    name: str
    boxes: Boxes
    prediction: Prediction


def classify_cohort(
    stop: Event,
    cohort: Cohort,
    states: Mapping[str, SampleState],
    classifier: ClassifierLike,
    detection: DetectionSettings,
    device_name: str,
) -> Generator[Progress, None, None]:
    """Classify samples one after the other; each is told as soon as it is done."""
    yield Progress(0, len(cohort), "Loading the detector")
    detector = tasks.loaded_detector(device_name, detector_in_use(cohort.folder))
    steps = tasks.bags_of_cohort(
        stop, cohort, states, detector, detection, classifier.feature_settings
    )
    for step in steps:
        bag = step.detail
        if bag is None:
            yield step
            continue
        done = ClassifiedSample(bag.sample, bag.boxes, classifier.classify(bag))
        yield Progress(step.done, step.total, step.text, done)


@dataclass(frozen=True, eq=False)
class CellsAtHand:
    """The cells of one sample, as a snapshot for a worker.

    Attributes
    ----------
    key
        The session's of the sample.
    sample
        Names and files.
    boxes
        Its cells.
    images
        What the viewer shows; None reads the sample's files.
    """

    key: SessionKey | None
    sample: Sample
    boxes: Boxes
    images: tasks.Images | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """New columns of one sample's cells, one row a box."""

    cells: CellsAtHand
    columns: pd.DataFrame


def measure_cells(
    stop: Event, samples: Sequence[CellsAtHand], cohort: Cohort | None
) -> Generator[Progress, None, None]:
    """Measure the shapes of cells, sample by sample; each is told as soon as it is done.

    Lengths are such that the whole cohort's can be compared, whichever of its samples are measured.
    """
    from napari_attmil.explore.shapes import measure_shapes
    from napari_attmil.images import read_images

    for done, cells in enumerate(samples):
        images = read_images(cells.sample) if cells.images is None else cells.images
        of_cohort = () if cohort is None else cohort.samples
        compared = of_cohort if cells.sample in of_cohort else (cells.sample,)
        size_um = common_pixel_size_um(cells.sample, compared)
        for step in measure_shapes(images, cells.boxes, size_um):
            detail = None if step.shapes is None else Measured(cells, step.shapes)
            text = f"Measuring the cells of sample {done + 1} of {len(samples)}"
            yield Progress(done + (detail is not None), len(samples), text, detail)
            if stop.is_set():
                return


def map_cells(
    stop: Event,
    samples: Sequence[CellsAtHand],
    classifier: Any,
    method: MapMethod,
    device_name: str,
    cohort: Cohort | None,
) -> Generator[Progress, None, list[Measured]]:
    """Lay cells out so that like lies by like; stopped early, return nothing."""
    from napari_attmil.bags.attribution import cell_embeddings

    embedded = []
    for cells in samples:
        bag = yield from tasks.bag_of_sample(
            stop,
            cells.sample,
            cells.images,
            cells.boxes,
            classifier.feature_settings,
            device_name,
            cohort,
        )
        if bag is None:
            return []
        embedded.append(cell_embeddings(classifier, bag))
    yield Progress(0, 0, "Laying out the map")
    places = map_of_cells(np.concatenate(embedded), method).astype(np.float64)
    ends = np.cumsum([len(cells.boxes) for cells in samples])[:-1]
    return [
        Measured(cells, pd.DataFrame(part, columns=list(MAP_COLUMNS)))
        for cells, part in zip(samples, np.split(places, ends), strict=True)
    ]


def write_report(
    stop: Event, path: Path, findings: Sequence[Finding], classifier: Any, name: str
) -> Generator[Progress, None, Path | None]:
    """Write a report about classified samples; stopped early, write nothing."""
    from napari_attmil.explore.report import write_report

    origin = model_origin(classifier, name, classifier.detector_digest)
    for step in write_report(path, findings, origin):
        yield Progress(step.done, step.total, f"Writing sample {step.done} of {step.total}")
        if stop.is_set() and step.done < step.total:
            return None
    return path
