"""Images that are put into other samples keep their boxes, and the way back to each edit."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells.annotations.annotation_file import AnnotationFile, Annotations
from napari_attmil.cells.annotations.regrouping import SHIFT, id_shifts
from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def opened(folder: Path, *samples: str) -> Session:
    """Return a session on samples of one-letter images; the first sample is shown."""
    members = tuple(
        Sample(names, names, None, tuple(Frame(folder / name) for name in names))
        for names in samples
    )
    session = Session()
    session.open_cohort(Cohort(members, folder), AnnotationFile(folder / "annotations.sqlite"))
    session.show(members[0])
    return session


def corrected_apart(folder: Path) -> None:
    """Correct the images a, b and c as samples of their own: every one has cells 1 and 2."""
    session = opened(folder, "a", "b", "c")
    for number, sample in enumerate(session.cohort.samples if session.cohort else ()):
        session.show(sample)
        session.editor.merge(Boxes.from_detections([0], [[0, 0, 10 + number, 9]], [0.9]))
        session.editor.add(0, [20, 20, 30 + number, 30])
    session.editor.set_reviewed(0)


def test_images_put_into_one_sample_keep_all_their_boxes(tmp_path: Path) -> None:
    corrected_apart(tmp_path)
    session = opened(tmp_path, "ab", "c")
    assert session.boxes.image_index.tolist() == [0, 0, 1, 1]
    assert session.boxes.xyxy[:, 2].tolist() == [10, 30, 11, 31]
    assert len(np.unique(session.boxes.cell_id)) == 4
    assert session.state.searched == {0, 1}
    new = session.editor.add(1, [40, 40, 50, 50])
    assert new > session.boxes.cell_id[:-1].max()
    again = opened(tmp_path, "ab", "c")
    assert again.boxes.xyxy.tolist() == session.boxes.xyxy.tolist()
    assert again.boxes.cell_id.tolist() == session.boxes.cell_id.tolist()


def test_edits_of_before_are_undone_in_the_new_sample_and_in_the_old_one(tmp_path: Path) -> None:
    corrected_apart(tmp_path)
    session = opened(tmp_path, "cab")
    assert session.editor.undo_title == "Reviewed"
    for _ in range(4):
        session.editor.undo()
    assert session.boxes.image_index.tolist() == [1, 1, 2]
    assert session.boxes.xyxy[:, 2].tolist() == [10, 30, 11]
    session.editor.redo()
    assert session.boxes.xyxy[:, 2].tolist() == [10, 30, 11, 31]
    apart = opened(tmp_path, "b", "a", "c")
    assert apart.boxes.xyxy[:, 2].tolist() == [11, 31]
    apart.editor.undo()
    apart.editor.undo()
    assert len(apart.boxes) == 0
    assert opened(tmp_path, "a", "b", "c").boxes.xyxy[:, 2].tolist() == [10, 30]


def test_an_undone_edit_that_comes_back_meets_no_cell_of_its_id(tmp_path: Path) -> None:
    corrected_apart(tmp_path)
    session = opened(tmp_path, "b", "a")
    session.editor.undo()
    session.editor.undo()
    session = opened(tmp_path, "ab")
    assert session.boxes.image_index.tolist() == [0, 0]
    assert session.editor.redo_title == "Detect cells"
    session.editor.redo()
    session.editor.redo()
    assert session.boxes.xyxy[:, 2].tolist() == [10, 30, 11, 31]
    assert opened(tmp_path, "ab").boxes.xyxy[:, 2].tolist() == [10, 30, 11, 31]


def test_nothing_is_written_before_the_first_edit(tmp_path: Path) -> None:
    corrected_apart(tmp_path)
    before = (tmp_path / "annotations.sqlite").read_bytes()
    assert len(opened(tmp_path, "abc").boxes) == 6
    assert (tmp_path / "annotations.sqlite").read_bytes() == before


def test_edits_that_no_list_of_images_names_hide_no_box(tmp_path: Path) -> None:
    corrected_apart(tmp_path)
    connection = sqlite3.connect(tmp_path / "annotations.sqlite")
    with connection:
        connection.execute("DELETE FROM frame_lists")
    connection.close()
    session = opened(tmp_path, "ab", "c")
    assert session.boxes.xyxy[:, 2].tolist() == [10, 30, 11, 31]
    session.editor.delete(session.boxes.cell_id[:1])
    assert opened(tmp_path, "ab", "c").boxes.xyxy[:, 2].tolist() == [30, 11, 31]


def test_a_cell_that_was_moved_to_another_image_keeps_its_id_in_a_larger_sample(
    tmp_path: Path,
) -> None:
    session = opened(tmp_path, "ab")
    cell = session.editor.add(0, [0, 0, 10, 9])
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    moved = replace(session.boxes, image_index=np.array([1], dtype=np.int32))
    assert session.sample is not None
    file.write(session.sample, Annotations(moved, next_id=moved.next_id))
    again = opened(tmp_path, "abc")
    assert again.boxes.cell_id.tolist() == [cell]
    assert again.boxes.image_index.tolist() == [1]
    again.editor.add(2, [0, 0, 10, 9])
    assert opened(tmp_path, "abc").boxes.cell_id.tolist() == [cell, cell + 1]


def test_ids_are_shifted_by_the_order_of_the_images() -> None:
    a, b, c = ("a", 0), ("b", 0), ("c", 0)
    assert id_shifts([a, b, c], {a: [1, 2], b: [3], c: [2]}) == {c: 2 * SHIFT}
    shifted = {a: [1], b: [1, 1 + 2 * SHIFT], c: [1]}
    assert id_shifts([a, b, c], shifted) == {b: SHIFT, c: 2 * SHIFT}
