"""Boxes are kept beside their images, and none that was kept elsewhere before is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.file_merge import merge_files
from napari_attmil.cells.annotations.homes import boxes_beside, kept_boxes
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cli import app
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session
from napari_attmil.workflows import Study, open_cohort

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's own file, which all images outside of studies had before."""
    path = tmp_path / "user" / "own.sqlite"
    path.parent.mkdir()
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(path, one_writer=False))
    return path


def sample(folder: Path, name: str, *files: str) -> Sample:
    return Sample(name, name, None, tuple(Frame(folder / file) for file in files))


def opened(folder: Path, file: AnnotationFile, *samples: Sample) -> Session:
    session = Session()
    session.open_cohort(Cohort(samples, folder), file)
    session.show(samples[0])
    return session


def test_boxes_of_the_user_s_file_come_to_their_images_with_every_edit(
    tmp_path: Path, own: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    stack = sample(folder, "dragged", "a.tif", "b.tif", "c.tif")
    before = opened(folder, AnnotationFile.of_user(), stack)
    before.editor.merge(Boxes.from_detections([0, 1], [[0, 0, 9, 9], [1, 1, 9, 9]], [0.9, 0.8]))
    before.editor.add(1, [20, 20, 30, 30])
    before.editor.set_reviewed(0)
    kept = own.read_bytes()

    members = [sample(folder, name, f"{name}.tif") for name in "abc"]
    file = boxes_beside(folder, members)
    assert file.path == folder / "annotations.sqlite"
    session = opened(folder, file, *members)
    assert session.boxes.xyxy.tolist() == [[0, 0, 9, 9]]
    assert session.state.reviewed == {0}
    session.show(members[1])
    assert session.boxes.xyxy.tolist() == [[1, 1, 9, 9], [20, 20, 30, 30]]
    assert session.state.searched == {0}
    assert own.read_bytes() == kept

    again = opened(folder, boxes_beside(folder, [stack]), stack)
    titles = []
    while again.editor.undo_title:
        titles.append(again.editor.undo_title)
        again.editor.undo()
    assert titles == ["Reviewed", "Draw 1 box", "Detect cells"]


def test_the_copied_history_still_says_what_belongs_together_and_who_did_it(
    tmp_path: Path, own: Path
) -> None:
    samples = [sample(tmp_path, name, f"{name}.tif") for name in "abc"]
    found = Boxes.from_detections([0], [[0, 0, 9, 9]], [0.9])
    before = opened(tmp_path, AnnotationFile.of_user(), *samples)
    for name in "ab":
        before.editor.merge(found, key=before.key_of(name), step="both")
    before.editor.add(0, [20, 20, 30, 30])
    before.editor.merge(found, key=before.key_of("c"), automatic=True)
    told = [(step.title, step.is_mine, len(step.parts)) for step in before.history.steps]
    assert told == [
        ("Detect cells", True, 2),
        ("Draw 1 box", True, 1),
        ("Detect cells", False, 1),
    ]
    session = opened(tmp_path, boxes_beside(tmp_path, samples), *samples)
    steps = session.history.steps
    assert [(step.title, step.is_mine, len(step.parts)) for step in steps] == told
    session.editor.undo()
    assert [step.is_done for step in steps] == [True, False, True]
    session.editor.undo()
    assert [step.is_done for step in steps] == [False, False, True]


def test_boxes_that_lie_beside_the_images_already_stay(tmp_path: Path, own: Path) -> None:
    one = sample(tmp_path, "a", "a.tif")
    opened(tmp_path, AnnotationFile.of_user(), one).editor.add(0, [0, 0, 9, 9])
    there = opened(tmp_path, boxes_beside(tmp_path, [one]), one)
    assert there.boxes.xyxy.tolist() == [[0, 0, 9, 9]]
    there.editor.delete(there.boxes.cell_id)
    assert len(opened(tmp_path, boxes_beside(tmp_path, [one]), one).boxes) == 0
    opened(tmp_path, AnnotationFile.of_user(), sample(tmp_path, "b", "b.tif")).editor.add(
        0, [1, 1, 9, 9]
    )
    both = [one, sample(tmp_path, "b", "b.tif")]
    session = opened(tmp_path, boxes_beside(tmp_path, both), both[1])
    assert session.boxes.xyxy.tolist() == [[1, 1, 9, 9]]


def test_boxes_of_one_image_in_both_files_are_told_and_can_be_joined(
    tmp_path: Path, own: Path
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for name in "ab":
        imagecodecs.imwrite(folder / f"{name}.png", np.zeros((40, 60), np.uint8))
    samples = [sample(folder, name, f"{name}.png") for name in "ab"]
    opened(folder, AnnotationFile(folder / "annotations.sqlite"), samples[0]).editor.add(
        0, [0, 0, 9, 9]
    )
    before = opened(folder, AnnotationFile.of_user(), *samples)
    before.editor.add(0, [20, 20, 30, 30])
    before.show(samples[1])
    before.editor.add(0, [1, 1, 9, 9])
    cohort = open_cohort(folder)
    (note,) = (note for note in cohort.notes if "attmil merge" in note)
    assert note == (
        f"1 box was brought from {own}, where they were kept while {folder} could not be written. "
        f"1 image has boxes in {folder / 'annotations.sqlite'}, which are used, and others in "
        f"{own}, which are not; to join the two, run: attmil merge {folder} {own.parent} "
        "--out NEW-FOLDER"
    )
    boxes = {name: each.boxes.xyxy.tolist() for name, each in Study.of(cohort).annotations.items()}
    assert boxes == {"a": [[0, 0, 9, 9]], "b": [[1, 1, 9, 9]]}
    list(merge_files(folder / "annotations.sqlite", own, tmp_path / "both.sqlite", cohort.samples))
    (tmp_path / "both.sqlite").rename(folder / "annotations.sqlite")
    joined = Study.of(cohort).annotations
    assert sorted(joined["a"].boxes.xyxy.tolist()) == [[0, 0, 9, 9], [20, 20, 30, 30]]
    assert joined["b"].boxes.xyxy.tolist() == [[1, 1, 9, 9]]
    assert not any("attmil merge" in note for note in open_cohort(folder).notes)


def test_an_image_of_a_study_has_its_boxes_in_the_study(tmp_path: Path, own: Path) -> None:
    deep = tmp_path / "healthy" / "P1"
    deep.mkdir(parents=True)
    one = sample(deep, "P1", "a.tif")
    study = AnnotationFile(tmp_path / "annotations.sqlite")
    opened(tmp_path, study, one).editor.add(0, [0, 0, 9, 9])
    assert boxes_beside(deep, [one]).path == study.path
    assert boxes_beside(deep, [sample(deep, "P2", "b.tif")]).path == deep / "annotations.sqlite"


def test_where_nothing_can_be_written_the_user_s_file_is_used(tmp_path: Path, own: Path) -> None:
    assert boxes_beside(tmp_path / "gone", [sample(tmp_path, "a", "a.tif")]).path == own


def test_boxes_of_a_study_that_cannot_be_written_are_told_and_brought_back(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    imagecodecs.imwrite(folder / "a.png", np.zeros((40, 60), np.uint8))
    with monkeypatch.context() as patched:
        patched.setattr(AnnotationFile, "beside", lambda folder: AnnotationFile.of_user())
        cohort = open_cohort(folder)
        assert f"{folder} cannot be written, so boxes of its images are kept in {own}" in (
            " ".join(cohort.notes)
        )
        opened(folder, boxes_beside(folder, cohort.samples), *cohort.samples).editor.add(
            0, [0, 0, 9, 9]
        )
    assert not (folder / "annotations.sqlite").exists()
    cohort = open_cohort(folder)
    assert any(note.startswith("1 box was brought from") for note in cohort.notes)
    assert Study.of(cohort).annotations["a"].boxes.xyxy.tolist() == [[0, 0, 9, 9]]
    session = opened(folder, AnnotationFile.beside(folder), *cohort.samples)
    assert session.boxes.xyxy.tolist() == [[0, 0, 9, 9]]
    assert not any("brought" in note for note in open_cohort(folder).notes)


def test_commands_see_the_boxes_of_a_folder_that_cannot_be_written(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for name in "ab":
        imagecodecs.imwrite(folder / f"{name}.png", np.zeros((40, 60), np.uint8))
    monkeypatch.setattr(AnnotationFile, "beside", lambda folder: AnnotationFile.of_user())
    one = sample(folder, "a", "a.png")
    opened(folder, boxes_beside(folder, [one]), one).editor.add(0, [0, 0, 9, 9])
    cohort = open_cohort(folder)
    told = f"The boxes kept in {own} are used in 1 sample: the folder of the images could not be "
    run = CliRunner().invoke(app, ["export", str(folder), "--out", str(tmp_path / "boxes.json")])
    assert run.exit_code == 0 and "1 box of 1 image written" in run.output
    assert f"{folder} cannot be written" in " ".join(run.output.split())
    for study in (Study.of(cohort), *Study.around(cohort.samples)):
        kept = {name: each.boxes.xyxy.tolist() for name, each in study.annotations.items()}
        assert kept == {"a": [[0, 0, 9, 9]]}
        assert study.in_words() == [f"{told}written."]
    assert not (folder / "annotations.sqlite").exists()


def test_boxes_of_the_folder_come_before_those_that_are_kept_apart(
    tmp_path: Path, own: Path
) -> None:
    samples = [sample(tmp_path, name, f"{name}.png") for name in "ab"]
    for one in samples:
        opened(tmp_path, AnnotationFile.of_user(), one).editor.add(0, [1, 1, 9, 9])
    opened(tmp_path, AnnotationFile.beside(tmp_path), samples[0]).editor.add(0, [0, 0, 9, 9])
    found, apart = kept_boxes(tmp_path, samples)
    boxes = {name: each.boxes.xyxy.tolist() for name, each in found.items()}
    assert boxes == {"a": [[0, 0, 9, 9]], "b": [[1, 1, 9, 9]]} and apart == {"b"}
    assert kept_boxes(None, samples)[1] == {"a", "b"}


def test_boxes_that_cannot_be_brought_are_told(tmp_path: Path, own: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    imagecodecs.imwrite(folder / "a.png", np.zeros((40, 60), np.uint8))
    own.write_bytes(b"this is no database" * 50)
    (note,) = (note for note in open_cohort(folder).notes if "not used" in note)
    assert note.startswith(f"Boxes of these images in {own} are not used: The boxes kept in {own} ")


def test_a_part_of_a_study_whose_file_is_damaged_is_told(tmp_path: Path, own: Path) -> None:
    folder = tmp_path / "study" / "P1"
    folder.mkdir(parents=True)
    imagecodecs.imwrite(folder / "a.png", np.zeros((40, 60), np.uint8))
    damaged = folder.parent / "annotations.sqlite"
    damaged.write_bytes(b"this is no database" * 50)
    cohort = open_cohort(folder)
    assert cohort.folder == folder
    assert any(f"{damaged} could not be read" in note for note in cohort.notes)
