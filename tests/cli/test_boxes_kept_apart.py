"""Boxes that were kept in the user's own file, as their folder could not be written, stay seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import napari_attmil
from napari_attmil.cells.annotations import answers_in
from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.homes import kept_boxes
from napari_attmil.session.session import Session
from napari_attmil.workflows import open_cohort, study

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.images import Cohort

DRAWN = [[0, 0, 9, 9], [15, 0, 24, 9], [30, 0, 39, 9]]


@pytest.fixture(params=["cli", "api"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """Return a study whose folder can be written again, but did not get its three boxes yet."""
    own = tmp_path / "user" / "own.sqlite"
    own.parent.mkdir()
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(own, one_writer=False))
    for label in ("healthy", "sickle"):
        folder = tmp_path / "study" / label / "p1"
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / f"{label}.tif", np.zeros((40, 60), np.uint8))
    monkeypatch.setattr(study, "open_study", lambda folder, samples: (folder, ""))
    cohort = open_cohort(tmp_path / "study")
    draw(cohort)
    return cohort


def draw(cohort: Cohort) -> None:
    """Draw three boxes on the last sample, in the user's own file."""
    session = Session()
    session.open_cohort(cohort, AnnotationFile.of_user())
    session.show(cohort.samples[-1])
    for box in DRAWN:
        session.editor.add(0, box)


def boxes_now(cohort: Cohort) -> list[list[float]]:
    boxes: list[list[float]] = read(cohort).boxes.xyxy.tolist()
    return boxes


def read(cohort: Cohort) -> Any:
    return kept_boxes(cohort.folder, cohort.samples)[0][cohort.samples[-1].name]


def test_an_import_leaves_none_behind(
    place: str, cohort: Cohort, attmil: Any, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,x_min,y_min,x_max,y_max\nsickle.tif,45,20,55,30\nsickle.tif,0,0,9,9\n")
    if place == "cli":
        told = attmil("import", cohort.folder, boxes, "--dry-run").err
        assert boxes_now(cohort) == DRAWN and "1 box added" in told
        assert not (cohort.folder / "annotations.sqlite").exists()
        assert "1 box added" in attmil("import", cohort.folder, boxes).out
    else:
        planned = napari_attmil.import_boxes(cohort, boxes, dry_run=True)
        assert boxes_now(cohort) == DRAWN and planned.counts.added == 1
        assert not (cohort.folder / "annotations.sqlite").exists()
        assert napari_attmil.import_boxes(cohort, boxes).counts.added == 1
    assert (cohort.folder / "annotations.sqlite").exists()
    assert boxes_now(cohort) == [*DRAWN, [45, 20, 55, 30]]


def test_answers_leave_none_behind(place: str, cohort: Cohort, attmil: Any, tmp_path: Path) -> None:
    table = tmp_path / "questions.csv"
    rows = [
        f"sickle/p1/sickle.tif,0,{number},{x0},{y0},{x1},{y1},altered"
        for number, (x0, y0, x1, y1) in enumerate(DRAWN[:2], start=1)
    ]
    header = "image,frame,cell_id,x_min,y_min,x_max,y_max,answer"
    table.write_text("\n".join([header, *rows]))
    if place == "cli":
        assert attmil("answer", cohort.folder, table).out.startswith("2 answers kept in ")
    else:
        assert napari_attmil.answer(cohort, table).startswith("2 answers kept in ")
    assert (cohort.folder / "annotations.sqlite").exists()
    assert boxes_now(cohort) == DRAWN
    assert answers_in(read(cohort).notes) == {1: "altered", 2: "altered"}


def test_boxes_of_a_projection_come_to_their_study_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "user" / "own.sqlite"
    own.parent.mkdir()
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(own, one_writer=False))
    folder = tmp_path / "study"
    folder.mkdir()
    stack = np.zeros((3, 40, 60), np.uint8)
    tifffile.imwrite(folder / "a.ome.tif", stack, metadata={"axes": "ZYX"})
    draw(open_cohort(folder, {"z": "max"}))
    cohort = open_cohort(folder, {"z": "max"})
    assert any(note.startswith("3 boxes were brought from") for note in cohort.notes)
    assert AnnotationFile.beside(folder).read(cohort.samples[0]) is not None
    assert boxes_now(cohort) == DRAWN
