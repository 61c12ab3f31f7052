"""Short tasks off the main thread for panels only."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_attmil import workflows
from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import AnnotationFile, Annotations
from napari_attmil.cells.exchange import (
    AnnotationSet,
    ExportPlan,
    ImportPlan,
    plan_import,
    read_boxes,
)
from napari_attmil.core import Device, StageRun, UserError
from napari_attmil.images import Cohort, PlaneChoice, Rows, Sample, other_rows, unlisted_images
from napari_attmil.session import LoadedClassifier
from napari_attmil.simulation import SimulationSettings
from napari_attmil.workflows import Progress, Results, Stage

SIMULATION = SimulationSettings(
    patients_per_class=3, samples_per_patient=1, images_per_sample=3, cells_per_image=24
)
"""A cohort to try the steps with."""


class OpenedStudy(NamedTuple):
    """A cohort, and the file of its boxes, which has read them already."""

    cohort: Cohort
    file: AnnotationFile


def open_cohort(
    paths: Path | Sequence[Path], stop: Event, planes: PlaneChoice | None = None
) -> Stage[Cohort | None]:
    """Read which samples files, folders or a cohort.csv hold; stopped, return None.

    `planes` are chosen now; if None, those that are kept in the study.
    """
    yield Progress(0, 0, "Looking for images")
    given = workflows.NOT_GIVEN if planes is None else planes.as_dict()
    run = StageRun(workflows.opening_cohort(paths, given))
    for step in run:
        yield step
        if stop.is_set():
            return None
    return None if stop.is_set() else run.result


def open_study(paths: Path | Sequence[Path], stop: Event) -> Stage[OpenedStudy | None]:
    """Do as `open_cohort`, and read the boxes."""
    cohort = yield from open_cohort(paths, stop)
    return (yield from _with_boxes(cohort))


def open_with_planes(
    paths: Path | Sequence[Path], planes: PlaneChoice, stop: Event
) -> Stage[OpenedStudy | None]:
    """Do as `open_study`, and keep with the study which planes were chosen."""
    cohort = yield from open_cohort(paths, stop, planes)
    if cohort is not None:
        workflows.write_planes(cohort.folder, planes)
    return (yield from _with_boxes(cohort))


def _with_boxes(cohort: Cohort | None) -> Stage[OpenedStudy | None]:
    if cohort is None:
        return None
    yield Progress(0, 0, "Reading boxes")
    file = AnnotationFile.beside(cohort.folder)
    with contextlib.suppress(UserError):  # Raised again where the boxes are used.
        file.read_ahead(cohort.samples)
    return OpenedStudy(cohort, file)


def load_with_results(
    path: Path, device_name: str, folder: Path, stop: Event
) -> Stage[tuple[LoadedClassifier, Results]]:
    """Read a classifier, and what was kept of its results in a study."""
    loaded = yield from workflows.load_classifier(path, device_name, stop=stop)
    return loaded, workflows.read_results(folder, path)


def keep_results(folder: Path, classifier: Path, results: Results, stop: Event) -> Stage[Results]:
    """Write a classifier's results of a study; return them."""
    del stop
    yield Progress(0, 0, "Keeping the results")
    workflows.write_results(folder, classifier, results)
    return results


def look_for_others(rows: Rows, table: Path, stop: Event) -> Stage[tuple[Rows, list[Path]]]:
    """Find what belongs into a table beside some rows, and images that are in neither."""
    del stop
    yield Progress(0, 0, "Looking for other images")
    others = other_rows(rows, table)
    return others, unlisted_images((*rows, *others), table.parent)


def simulate_cohort(folder: Path, stop: Event) -> Stage[OpenedStudy | None]:
    """Draw a small cohort and read it; stopped early, return None."""
    from napari_attmil.simulation import simulate_cohort as simulate

    for step in simulate(folder, SIMULATION):
        yield step
        if stop.is_set():
            return None
    return (yield from _with_boxes(workflows.open_cohort(folder)))


def read_other_boxes(paths: Sequence[Path], stop: Event) -> Stage[AnnotationSet]:
    """Read other programs' boxes from files, folders and archives."""
    del stop
    yield Progress(0, 0, "Reading boxes")
    return read_boxes(paths)


def plan_boxes_import(
    samples: Sequence[Sample], found: AnnotationSet, classes: Sequence[str], stop: Event
) -> Stage[ImportPlan | None]:
    """Find the images of other programs' boxes; stopped early, return None."""
    run = StageRun(plan_import(samples, found, classes))
    for step in run:
        yield step
        if stop.is_set():
            return None
    return run.result


def plan_boxes_export(
    path: Path,
    format_name: str,
    samples: Sequence[Sample],
    annotations: Mapping[str, Annotations],
    folder: Path,
    stop: Event,
) -> Stage[ExportPlan]:
    """Prepare the files of an export; nothing is written."""
    del stop
    yield Progress(0, 0, "Preparing the files")
    return workflows.plan_boxes_export(path, format_name, samples, annotations, folder)


def outline_cells(
    images: workflows.Images, image_index: int, boxes: Boxes, stop: Event
) -> Stage[tuple[npt.NDArray[Any], int]]:
    """Return the label image of the cells of one image, and how many have no outline."""
    del stop
    yield Progress(0, 0, "Looking for the outlines of cells")
    return workflows.labels_of_image(np.asarray(images[image_index]), boxes.of_image(image_index))


def list_devices(stop: Event) -> Stage[list[Device]]:
    """Return the devices of this computer."""
    del stop
    from napari_attmil.core import available_devices

    yield Progress(0, 0, "Looking for devices")
    return available_devices()
