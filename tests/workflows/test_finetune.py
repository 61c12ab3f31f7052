"""Reviewed images are checked before a training: what tests it, and which cells have no box."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_attmil.cells import FinetuneSettings
from napari_attmil.cells.annotations import AnnotationFile, Annotations
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.detection import CellSize
from napari_attmil.cells.finetuning import HoldOut, training_folder
from napari_attmil.core import StageRun, finished
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.workflows import Study, check_reviewed, finetune_study

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CELL, OTHER = [10, 10, 30, 30], [40, 10, 60, 30]


class Finder:
    """Finds the same two cells in every image, in two parts; counts the images."""

    images = 0

    def cell_sizes(self, images: Any, settings: Any) -> Any:
        yield from ()
        return [CellSize(20.0)]

    def detect_parts(self, images: Any, settings: Any, sizes: Any) -> Iterator[Any]:
        self.images += 1
        assert settings.min_score == 0.8
        yield SimpleNamespace(xyxy=np.array([CELL], np.float32))
        yield SimpleNamespace(xyxy=np.array([CELL, OTHER], np.float32))


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    finder = Finder()
    monkeypatch.setattr("napari_attmil.workflows.study.loaded_detector", lambda *_: finder)
    return finder


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return five images, four of them reviewed; in the first two a box was drawn."""
    paths = [tmp_path / f"{page}.tif" for page in range(5)]
    for page, path in enumerate(paths):
        noise = np.random.default_rng(page).integers(0, 255, (80, 80), np.uint8)
        tifffile.imwrite(path, noise)
    sample = Sample("s", "s", None, tuple(map(Frame, paths)))
    found = Boxes.from_detections(np.arange(4), np.array([CELL] * 4), np.ones(4))
    source = np.array([Source.PERSON, Source.PERSON, Source.ACCEPTED, Source.ACCEPTED], np.uint8)
    boxes = replace(found, source=source)
    annotations = Annotations(boxes, reviewed=frozenset(range(4)))
    return Study(Cohort((sample,), tmp_path), {"s": annotations})


@pytest.mark.usefixtures("finder")
def test_test_images_corrections_and_cells_without_a_box_are_told(study: Study) -> None:
    checked = finished(check_reviewed(study, "cpu"))
    assert checked is not None
    assert [image.place for image in checked] == [("s", index) for index in range(4)]
    assert [image.corrections for image in checked] == [1, 1, 0, 0]
    # Of four images one is held out, one that somebody corrected.
    assert sum(image.is_held_out for image in checked) == 1
    assert any(image.is_held_out for image in checked[:2])
    assert [image.without_box.tolist() for image in checked] == [[OTHER]] * 4
    # Nothing is decided before the training.
    assert HoldOut.read(training_folder(study.cohort.folder)) == HoldOut()


@pytest.mark.usefixtures("finder")
def test_a_test_image_from_which_a_training_has_learnt_is_known_as_such(study: Study) -> None:
    first = finished(check_reviewed(study, "cpu"))
    assert first is not None and not any(image.is_learnt for image in first)
    (test,) = (image.name for image in first if image.is_held_out)
    others = [image.name for image in first if image.name != test]
    folder = training_folder(study.cohort.folder)
    HoldOut().with_learnt(others).with_choice(others[0], is_held_out=True).write(folder)
    again = finished(check_reviewed(study, "cpu", known=first))
    assert again is not None
    assert [image.name for image in again if image.is_learnt] == others
    assert others[0] in [image.name for image in again if image.is_held_out and image.is_learnt]


def test_images_that_have_not_changed_are_not_searched_again(study: Study, finder: Finder) -> None:
    before = finished(check_reviewed(study, "cpu"))
    assert before is not None and finder.images == 4
    moved = study.annotations["s"].boxes.xyxy.copy()
    moved[2] += 3
    changed = replace(study.annotations["s"].boxes, xyxy=moved)
    now = Study(study.cohort, {"s": Annotations(changed, reviewed=frozenset(range(4)))})
    again = finished(check_reviewed(now, "cpu", frozenset({("s", 3)}), before))
    assert again is not None and [image.place[1] for image in again] == [0, 1, 2]
    assert finder.images == 5


def test_a_check_ends_within_an_image(study: Study, finder: Finder) -> None:
    stop = Event()
    stage = StageRun(check_reviewed(study, "cpu", stop=stop))
    texts = []
    for step in stage:
        texts.append(step.text)
        stop.set()
    assert stage.result is None and finder.images <= 1
    assert set(texts) == {"Checking reviewed image 1 of 4"}


def test_training_uses_the_boxes_of_the_open_study_not_older_ones_of_the_disk(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def finetune(images: Any, *_: Any) -> Iterator[Any]:
        asked.extend(images)
        return iter(())

    monkeypatch.setattr("napari_attmil.cells.finetuning.finetune", finetune)
    older = Annotations(study.annotations["s"].boxes, reviewed=frozenset({3}))
    AnnotationFile.beside(study.cohort.folder).write(study.cohort.samples[0], older)
    finished(finetune_study(study, FinetuneSettings(), "cpu", None, frozenset({("s", 1)})))
    assert [image.name for image in asked] == ["0.tif#0", "2.tif#0", "3.tif#0"]
    assert [image.xyxy.tolist() for image in asked] == [[CELL]] * 3
