"""Fitting the detector, and comparing two of them, as tasks for a `TaskRunner`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_attmil.cells import DetectionSettings, FinetuneSettings, match_boxes
from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.cells.finetuning import candidate_path, detector_in_use, training_folder
from napari_attmil.images import Cohort
from napari_attmil.widgets.parts import Progress
from napari_attmil.widgets.tasks import loaded_detector
from napari_attmil.widgets.viewer import Place

if TYPE_CHECKING:
    from napari_attmil.core import Float32Array


@dataclass(frozen=True, eq=False)
class Differences:
    """What two detectors find differently in one image.

    Attributes
    ----------
    found, lost
        (n, 4) boxes that only the later, and (m, 4) that only the earlier one finds; pixels.
    same
        How many cells both find.
    """

    found: Float32Array
    lost: Float32Array
    same: int


def fit_detector(
    stop: Event,
    cohort: Cohort,
    left_out: frozenset[Place],
    settings: FinetuneSettings,
    device_name: str,
) -> Generator[Progress, None, str]:
    """Fit the detector in use to the cohort's reviewed images; return what came of it.

    Stopped early, the best so far is kept, and the same call goes on from there.
    """
    yield Progress(0, 0, "Reading the reviewed images")
    from napari_attmil.cells.finetuning import finetune, reviewed_images
    from napari_attmil.core import choose_device

    images = reviewed_images(cohort.samples, AnnotationFile.beside(cohort.folder), left_out)
    yield Progress(0, 0, "Measuring the detector as it is")
    note = ""
    steps = finetune(
        images,
        settings,
        candidate_path(cohort.folder),
        choose_device(device_name),
        detector_in_use(cohort.folder),
        training_folder(cohort.folder),
    )
    for step in steps:
        best = "" if step.best is None else f", best AP {step.best.ap:.3f}"
        yield Progress(step.done, step.total, f"Step {step.done} of {step.total}{best}", step)
        note = step.note or note
        if stop.is_set():
            break
    return note


def compare_detectors(
    stop: Event,
    image: npt.NDArray[Any],
    earlier: Path | None,
    later: Path | None,
    settings: DetectionSettings,
    device_name: str,
) -> Generator[Progress, None, Differences]:
    """Find the cells of one image with two detectors and tell what differs."""
    found = []
    for number, path in enumerate((earlier, later)):
        yield Progress(number, 2, "Detecting before and after")
        (step,) = loaded_detector(device_name, path).detect_frames([image], settings)
        found.append(step.xyxy)
    before, after = found
    pairs = match_boxes(after, before)
    lost = np.ones(len(before), dtype=bool)
    lost[pairs[pairs >= 0]] = False
    return Differences(after[pairs < 0], before[lost], int(np.count_nonzero(pairs >= 0)))
