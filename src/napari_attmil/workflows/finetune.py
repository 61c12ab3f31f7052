"""Fine-tuning of the detector on a study's reviewed images, and comparison of two detectors."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.cells import DetectionSettings, match_boxes, median_diameter_px
from napari_attmil.cells.finetuning import candidate_path, training_folder
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until, within
from napari_attmil.workflows.study import loaded_detector

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path
    from threading import Event

    import numpy.typing as npt

    from napari_attmil.cells import FinetuneSettings
    from napari_attmil.cells.finetuning import FinetuneProgress, LabelledImage
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Sample
    from napari_attmil.workflows.study import Study


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """A reviewed image, looked at before a training.

    Attributes
    ----------
    place
        The sample's name and the image's index.
    name
        Its name in the hold-out.
    corrections
        How many boxes a person drew, moved or deleted.
    without_box
        (k, 4) clear cells that have no box, in pixels.
    look
        The group of images that it looks like, in words.
    is_held_out
        Whether it tests the detector instead of training it.
    is_learnt
        Whether an earlier training has learnt from it.
    measured
        What its look was told from.
    state
        Changes with its boxes and with the detector in use.
    """

    place: tuple[str, int]
    name: str
    corrections: int
    without_box: Float32Array
    measured: npt.NDArray[np.float64]
    state: object
    look: str = ""
    is_held_out: bool = False
    is_learnt: bool = False


def check_reviewed(
    study: Study,
    device_name: str,
    left_out: frozenset[tuple[str, int]] = frozenset(),
    known: Iterable[CheckedImage] = (),
    stop: Event = NEVER,
) -> Stage[list[CheckedImage] | None]:
    """Look at a study's reviewed images: which would be held out, and which cells have no box.

    Parameters
    ----------
    study
        With its annotations.
    device_name
        As for `choose_device`.
    left_out
        As for `finetune_study`; these images are left out here too.
    known
        What an earlier check returned; images that have not changed since are not read again.
    stop
        Set to end early; the result is then None.
    """
    from napari_attmil.cells.finetuning import HoldOut, looks_of

    before = {image.place: image for image in known}
    places = _reviewed_places(study, left_out)
    checked = []
    for done, (sample, index) in enumerate(places):
        text = f"Checking reviewed image {done + 1} of {len(places)}"
        yield Progress(done, len(places), text)
        state = _state_of(study, sample, index)
        image = before.get((sample.name, index))
        if image is None or image.state != state:
            steps = _checked(study, sample, index, device_name, state)
            image = yield from until(within(steps, Progress(done, len(places), text)), stop)
        if image is None or stop.is_set():
            return None
        checked.append(image)
    checked.sort(key=lambda image: image.name)
    looks = looks_of([i.name for i in checked], np.array([i.measured for i in checked])).of_image
    corrections = {image.name: image.corrections for image in checked}
    hold_out = HoldOut.read(training_folder(study.cohort.folder)).extended(corrections, looks)
    held = hold_out.of(corrections)
    return [
        replace(
            image,
            look=looks[image.name],
            is_held_out=image.name in held,
            is_learnt=image.name in hold_out.learnt,
        )
        for image in checked
    ]


def _reviewed_places(
    study: Study, left_out: frozenset[tuple[str, int]]
) -> list[tuple[Sample, int]]:
    return [
        (sample, index)
        for sample in study.cohort.samples
        if sample.name in study.annotations
        for index in sorted(study.annotations[sample.name].reviewed)
        if (sample.name, index) not in left_out
    ]


def _state_of(study: Study, sample: Sample, index: int) -> object:
    """Return what changes with an image's boxes and with the detector in use."""
    of_sample, path = study.annotations[sample.name], study.detector_path
    parts = (of_sample.boxes, of_sample.deleted)
    return path, *(part.of_image(index).digest() for part in parts)


def _checked(
    study: Study, sample: Sample, index: int, device_name: str, state: object
) -> Generator[object, None, CheckedImage]:
    """Read an image, measure it, and search it for clear cells without a box, part by part."""
    from napari_attmil.cells.finetuning import (
        CLEAR_SCORE,
        cells_without_box,
        measures,
        reviewed_image,
    )

    image = reviewed_image(sample, index, study.annotations[sample.name], study.cohort.folder)
    diameter = median_diameter_px(image.xyxy) if len(image.xyxy) else None
    settings = DetectionSettings(min_score=CLEAR_SCORE, cell_diameter_px=diameter)
    detector = study.detector(device_name)
    sizes = yield from detector.cell_sizes([image.grey], settings)
    for found in detector.detect_parts([image.grey], settings, sizes):
        yield found
    return CheckedImage(
        (sample.name, index),
        image.name,
        image.corrections,
        cells_without_box(image, found.xyxy),
        measures(image),
        state,
    )


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
    from napari_attmil.cells.detection import check_can_be_fitted
    from napari_attmil.cells.finetuning import reviewed_images

    check_can_be_fitted(study.detector_path)
    cohort = study.cohort
    images = reviewed_images(cohort.samples, study.annotations, cohort.folder, left_out)
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
    from napari_attmil.cells.detection import check_can_be_fitted
    from napari_attmil.cells.finetuning import finetune
    from napari_attmil.core import choose_device

    check_can_be_fitted(weights)
    last, is_finished = None, False
    with contextlib.suppress(KeyboardInterrupt):  # as if `stop` had been set
        for last in finetune(images, settings, out, choose_device(device_name), weights, folder):
            text = f"Step {last.done} of {last.total}{_precision(last)}"
            yield Progress(last.done, last.total, text, last, last.note)
            if stop.is_set():
                break
        else:
            is_finished = True
    return Finetuning(last, is_finished)


def _precision(progress: FinetuneProgress) -> str:
    """Say how good the detector was before and is now at best; nothing if that is unknown."""
    if progress.before is None:
        return ""
    best = "" if progress.best is None else f", best now {progress.best.ap:.3f}"
    return f"; precision on held-out images {progress.before.ap:.3f} before{best}"


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
