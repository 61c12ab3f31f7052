"""Fine-tuning of the detector on a study's reviewed images, and comparison of two detectors."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.cells import match_boxes
from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.cells.finetuning import candidate_path, training_folder
from napari_attmil.workflows.steps import NEVER, Progress, Stage
from napari_attmil.workflows.study import loaded_detector

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from threading import Event

    import numpy.typing as npt

    from napari_attmil.cells import DetectionSettings, FinetuneSettings
    from napari_attmil.cells.finetuning import FinetuneProgress, LabelledImage
    from napari_attmil.core import Float32Array
    from napari_attmil.workflows.study import Study


@dataclass(frozen=True)
class Finetuning:
    """The last progress of a fine-tuning, None before the first, and whether it came to its end."""

    last: FinetuneProgress | None
    is_finished: bool


def finetune_study(
    study: Study,
    settings: FinetuneSettings,
    device_name: str,
    out: Path | None = None,
    left_out: frozenset[tuple[str, int]] = frozenset(),
    stop: Event = NEVER,
) -> Stage[Finetuning]:
    """Fine-tune the detector in use on the study's reviewed images.

    Stopped early, or by Ctrl+C, it saves the best weights so far, and the same call resumes from
    there.

    Parameters
    ----------
    study
        With its reviewed images.
    settings
        How long and how fast.
    device_name
        As for `choose_device`.
    out
        Model file; None for the study's candidate, which the user accepts or discards.
    left_out
        Reviewed images to exclude from the training: the sample's name and the image's index.
    stop
        Set to end early.
    """
    yield Progress(0, 0, "Reading the reviewed images")
    from napari_attmil.cells.finetuning import reviewed_images

    cohort = study.cohort
    file = AnnotationFile.beside(cohort.folder)
    images = reviewed_images(cohort.samples, file, left_out)
    out = out or candidate_path(cohort.folder)
    parent, folder = study.detector_path, training_folder(cohort.folder)
    return (yield from finetune_images(images, settings, device_name, out, parent, folder, stop))


def finetune_images(
    images: Sequence[LabelledImage],
    settings: FinetuneSettings,
    device_name: str,
    out: Path,
    weights: Path | None,
    folder: Path,
    stop: Event = NEVER,
) -> Stage[Finetuning]:
    """Fine-tune a detector on some images; see `finetune_study`.

    `weights` is the initial model file, the shipped one if None; `folder` holds the hold-out images
    and the state to resume from.
    """
    yield Progress(0, 0, "Measuring the detector as it is")
    from napari_attmil.cells.finetuning import finetune
    from napari_attmil.core import choose_device

    last, is_finished = None, False
    with contextlib.suppress(KeyboardInterrupt):  # as if `stop` had been set
        for last in finetune(images, settings, out, choose_device(device_name), weights, folder):
            best = "" if last.best is None else f", best AP {last.best.ap:.3f}"
            text = f"Step {last.done} of {last.total}{best}"
            yield Progress(last.done, last.total, text, last, last.note)
            if stop.is_set():
                break
        else:
            is_finished = True
    return Finetuning(last, is_finished)


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences between the detections of two detectors in one image.

    Attributes
    ----------
    found, lost
        (n, 4) boxes of the later, and (m, 4) of the earlier detector only; pixels.
    same
        The number of cells that both find.
    """

    found: Float32Array
    lost: Float32Array
    same: int


def compare_detectors(
    image: npt.NDArray[Any],
    earlier: Path | None,
    later: Path | None,
    settings: DetectionSettings,
    device_name: str,
    stop: Event = NEVER,
) -> Stage[Differences]:
    """Detect the cells of one image with two detectors and return the differences."""
    del stop  # It takes seconds.
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
