"""An edit holds the rows that changed, and leads from one state to the other and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, strategies as st

from napari_attmil.cells.annotations.edits import Annotations, Edit
from napari_attmil.cells.annotations.notes import Note
from napari_attmil.cells.boxes import Boxes

CELLS = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 2), st.integers(0, 3), st.booleans()),
    max_size=8,
    unique_by=lambda cell: cell[0],
)
Cells = list[tuple[int, int, int, bool]]
"""cell_id, image, place, and whether a person deleted it."""


def boxes_of(cells: Cells, deleted: bool) -> Boxes:
    rows = [cell for cell in cells if cell[3] == deleted]
    ids = np.array([cell[0] for cell in rows], dtype=np.int64)
    corners = np.array([[cell[2], 0, cell[2] + 9, 9] for cell in rows]).reshape(-1, 4)
    score, source = np.ones(len(rows), np.float32), np.zeros(len(rows), np.uint8)
    return Boxes(ids, np.array([c[1] for c in rows]), corners, score, source).in_order()


def annotated(cells: Cells) -> Annotations:
    return Annotations(boxes_of(cells, False), boxes_of(cells, True), next_id=13)


def rows(now: Annotations) -> list[list[tuple[int, ...]]]:
    parts = (now.boxes, now.deleted)
    return [
        list(zip(p.cell_id.tolist(), p.image_index.tolist(), p.xyxy[:, 0].tolist(), strict=True))
        for p in parts
    ]


@given(CELLS, CELLS)
def test_edit_leads_from_one_state_to_the_other_and_back(before: Cells, after: Cells) -> None:
    old, new = annotated(before), annotated(after)
    edit = Edit.between("Edit", old, new)
    assert rows(edit.applied_to(old)) == rows(new)
    assert rows(edit.inverse.applied_to(new)) == rows(old)


@given(CELLS, CELLS)
def test_edit_holds_just_the_rows_that_changed(before: Cells, after: Cells) -> None:
    edit = Edit.between("Edit", annotated(before), annotated(after))
    stayed = set(before) & set(after)
    assert edit.before.cells.boxes.cell_id.tolist() == sorted(c[0] for c in set(before) - stayed)
    assert edit.after.cells.boxes.cell_id.tolist() == sorted(c[0] for c in set(after) - stayed)


def test_a_tag_leaves_the_very_boxes_and_a_deletion_the_other_ones() -> None:
    old = annotated([(1, 0, 0, False), (2, 0, 3, False), (3, 0, 1, True)])
    tagged = Edit.between("Tag", old, replace(old, notes={1: Note(tags=("odd",))}))
    after = tagged.applied_to(old)
    assert after.notes[1].tags == ("odd",)
    assert after.boxes is old.boxes and after.deleted is old.deleted
    fewer = Edit.between("Delete", old, annotated([(1, 0, 0, False), (3, 0, 1, True)]))
    assert rows(fewer.applied_to(old)) == [[(1, 0, 0)], [(3, 0, 1)]]
