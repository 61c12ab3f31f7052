from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from napari_attmil.cells import Boxes, FeatureSettings
from napari_attmil.cells.annotations import AnnotationFile, Annotations
from napari_attmil.cells.finetuning import accept_candidate, candidate_path
from napari_attmil.core import StageRun
from napari_attmil.core.model_files import Checkpoint, save_checkpoint
from napari_attmil.images import Cohort, Sample
from napari_attmil.workflows import Progress, Stage, Study, detector_around
from napari_attmil.workflows.steps import until


def accepted_detector(folder: Path) -> Path:
    """Make a detector the one in use, and return its file."""
    weights = {"w": torch.zeros(1)}
    save_checkpoint(candidate_path(folder), Checkpoint("detector", weights, {}, {}))
    accept_candidate(folder)
    path = Study.of(Cohort((), folder)).detector_path
    assert path is not None
    return path


def annotated(cohort: Cohort, sample: Sample) -> Annotations:
    """Keep a box of a sample in the study, as a person would draw it."""
    boxes = Boxes.from_detections([0], [[1, 2, 9, 8]], [1.0])
    annotations = Annotations(boxes, Boxes.empty(), frozenset(range(len(sample))), 2)
    file = AnnotationFile.beside(cohort.folder)
    file.write(sample, annotations)
    file.close()
    return annotations


def test_study_has_the_corrections_and_the_detector_in_use(cohort: Cohort) -> None:
    annotated(cohort, cohort.samples[0])
    path = accepted_detector(cohort.folder)
    study = Study.of(cohort)
    assert set(study.annotations) == {"one"} and study.detector_path == path
    assert Study.of(cohort, Path("other.safetensors")).detector_path == Path("other.safetensors")
    said = study.in_words(FeatureSettings())
    assert said[:2] == [
        "The boxes kept in the study are used in 1 sample.",
        f"Detector: {path.name}",
    ]


def test_an_open_session_is_ahead_of_the_disk(cohort: Cohort) -> None:
    annotated(cohort, cohort.samples[0])
    in_session = {"two": Annotations()}
    assert Study.of(cohort, annotations=in_session).annotations is in_session


def test_features_lie_with_the_cohort_or_where_they_are_asked_to(cohort: Cohort) -> None:
    study = Study.of(cohort)
    assert study.store is not None and study.store.folder == cohort.folder / "features"
    elsewhere = replace(study, store_folder=cohort.folder / "elsewhere").store
    assert elsewhere is not None and elsewhere.folder == cohort.folder / "elsewhere"


def moved(sample: Sample, folder: Path) -> Sample:
    """Return the sample of one whose folder was moved."""
    frames = [replace(f, path=folder / sample.name / f.path.name) for f in sample.frames]
    return replace(sample, frames=tuple(frames))


def test_loose_samples_belong_to_the_study_they_lie_in(cohort: Cohort, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "loose.tif"
    outside.parent.mkdir()
    shutil.copy(cohort.samples[0].frames[0].path, outside)
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("one", "two"):
        shutil.move(cohort.folder / name, folder / name)
    inside = [moved(sample, folder) for sample in (cohort.samples[0], cohort.samples[2])]
    loose = Sample("loose", "loose", None, (replace(inside[0].frames[0], path=outside),))
    annotated(Cohort(tuple(inside), folder), inside[1])
    path = accepted_detector(folder)
    first, second = Study.around([*inside, loose])
    assert [sample.name for sample in first.cohort.samples] == ["one", "two"]
    assert (first.detector_path, set(first.annotations)) == (path, {"two"})
    assert second.cohort.samples == (loose,)
    assert second.detector_path is None and not second.annotations
    assert first.store is None and second.store is None, "nobody asked for files in the study"


def count(stop: Event, until_number: int) -> Stage[int]:
    for number in range(until_number):
        yield Progress(number, until_number, "Counting")
        if number == 2:
            stop.set()
    return until_number


@pytest.mark.parametrize(("last", "result", "yielded"), [(2, 2, 2), (9, None, 4)])
def test_a_stage_without_a_result_before_its_end_has_none_when_stopped(
    last: int, result: int | None, yielded: int
) -> None:
    stop = Event()
    run = StageRun(until(count(stop, last), stop))
    assert (len([*run]), run.result) == (yielded, result)


def test_arrays_of_a_study_stay_with_its_samples(cohort: Cohort) -> None:
    kept = annotated(cohort, cohort.samples[0])
    (read,) = Study.of(cohort).annotations.values()
    np.testing.assert_array_equal(read.boxes.xyxy, kept.boxes.xyxy)


def test_a_sample_that_was_given_twice_is_there_once(cohort: Cohort) -> None:
    one, _, two = cohort.samples
    (study,) = Study.around([one, two, one])
    assert study.cohort.samples == (one, two)


def test_detector_of_the_study_around_a_sample_needs_no_readable_boxes(cohort: Cohort) -> None:
    path = accepted_detector(cohort.folder)
    assert detector_around(cohort.samples[0]) is None  # a study is where annotations are kept
    (cohort.folder / "annotations.sqlite").write_text("garbage")
    assert detector_around(cohort.samples[0]) == path
