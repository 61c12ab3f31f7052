from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings, strategies as st

from napari_attmil.cells.annotations.corrections import (
    accept_boxes,
    add_box,
    delete_boxes,
    move_box,
)
from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.annotations.notes import SAMPLE, Note, with_notes
from napari_attmil.cells.annotations.three_way_merge import merge_annotations
from napari_attmil.cells.boxes import Boxes, Source

DETECTED = Boxes.from_detections(
    [0, 0, 1], [[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]], [0.9, 0.8, 0.7]
)
BASE = Annotations(DETECTED, searched=frozenset({0}), next_id=4)


def with_boxes(boxes: Boxes, before: Annotations = BASE) -> Annotations:
    gone = before.boxes[~np.isin(before.boxes.cell_id, boxes.cell_id)]
    deleted = Boxes.concatenate([before.deleted, gone])
    return replace(before, boxes=boxes, deleted=deleted, next_id=max(4, boxes.next_id))


def corners(annotations: Annotations) -> list[list[float]]:
    return sorted(annotations.boxes.xyxy.tolist())


def test_what_only_one_of_them_did_is_taken_over() -> None:
    mine = with_boxes(move_box(DETECTED, 1, [2, 2, 12, 12]))
    theirs = with_boxes(delete_boxes(add_box(DETECTED, 1, [50, 50, 60, 60], 4), [2]))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert conflicts == []
    assert corners(merged) == [[0, 0, 10, 10], [2, 2, 12, 12], [50, 50, 60, 60]]
    assert merged.deleted.xyxy.tolist() == [[20, 0, 30, 10]]


def test_new_cells_of_both_with_one_id_are_kept_under_two() -> None:
    mine = with_boxes(add_box(DETECTED, 0, [50, 50, 60, 60], 4))
    theirs = with_boxes(add_box(DETECTED, 0, [80, 80, 90, 90], 4))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert conflicts == [] and sorted(merged.boxes.cell_id.tolist()) == [1, 2, 3, 4, 5]
    assert merged.next_id == 6


def test_one_cell_that_both_drew_alike_is_there_once() -> None:
    mine = with_boxes(add_box(DETECTED, 0, [50, 50, 80, 80], 4))
    theirs = with_boxes(add_box(DETECTED, 0, [50, 50, 80, 81], 4))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert conflicts == [] and len(merged.boxes) == 4


def test_one_cell_that_both_drew_differently_is_there_twice_and_told() -> None:
    mine = with_boxes(add_box(DETECTED, 0, [50, 50, 80, 80], 4))
    theirs = with_boxes(add_box(DETECTED, 0, [50, 50, 80, 70], 4))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert [50, 50, 80, 80] in corners(merged) and [50, 50, 80, 70] in corners(merged)
    assert [(c.image_index, c.cell_ids) for c in conflicts] == [(0, (4, 5))]


def test_a_box_that_both_moved_differently_is_kept_twice_and_told() -> None:
    mine = with_boxes(move_box(DETECTED, 1, [2, 2, 12, 12]))
    theirs = with_boxes(move_box(DETECTED, 1, [0, 0, 30, 30]))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert conflicts[0].reason == "both changed the box, differently"
    assert conflicts[0].cell_ids == (1, 4)
    assert [2, 2, 12, 12] in corners(merged) and [0, 0, 30, 30] in corners(merged)


def test_a_deletion_never_wins_over_the_others_confirmed_box() -> None:
    mine = with_boxes(delete_boxes(DETECTED, [1]))
    theirs = with_boxes(accept_boxes(DETECTED, [1]))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert merged.boxes.source[0] == Source.ACCEPTED and len(merged.deleted) == 0
    assert conflicts[0].reason == "one deleted the cell, the other changed it"


def test_accepting_and_moving_a_little_agree_and_the_moved_box_counts() -> None:
    mine = with_boxes(accept_boxes(DETECTED, [2]))
    theirs = with_boxes(move_box(DETECTED, 2, [20, 0, 30, 10.1]))
    merged, conflicts = merge_annotations(BASE, mine, theirs)
    assert conflicts == []
    assert merged.boxes.source.tolist() == [Source.MODEL, Source.PERSON, Source.MODEL]


def test_an_image_stays_reviewed_unless_the_other_changed_it_without_confirming() -> None:
    mine = replace(BASE, reviewed=frozenset({0, 1}))
    theirs = with_boxes(add_box(DETECTED, 1, [50, 50, 60, 60], 4))
    assert merge_annotations(BASE, mine, theirs)[0].reviewed == {0}
    both = replace(theirs, reviewed=frozenset({1}))
    assert merge_annotations(BASE, mine, both)[0].reviewed == {0, 1}


def test_a_conflict_opens_the_image_again() -> None:
    mine = replace(with_boxes(delete_boxes(DETECTED, [3])), reviewed=frozenset({1}))
    theirs = replace(with_boxes(accept_boxes(DETECTED, [3])), reviewed=frozenset({1}))
    assert merge_annotations(BASE, mine, theirs)[0].reviewed == frozenset()


def edited(edits: list[tuple[str, int, int]]) -> Annotations:
    boxes = DETECTED
    for kind, cell_id, place in edits:
        xyxy = [10 * place, 20, 10 * place + 9, 29]
        if kind == "add":
            boxes = add_box(boxes, place % 2, xyxy, 4)
        elif kind == "delete":
            boxes = delete_boxes(boxes, [cell_id])
        elif cell_id in boxes.cell_id:
            boxes = move_box(boxes, cell_id, xyxy)
    return with_boxes(boxes)


EDITS = st.lists(
    st.tuples(st.sampled_from(["add", "move", "delete"]), st.integers(1, 3), st.integers(0, 9)),
    max_size=5,
)


@given(EDITS)
@settings(deadline=None, max_examples=25)
def test_merging_with_what_one_started_from_changes_nothing(
    edits: list[tuple[str, int, int]],
) -> None:
    mine = edited(edits)
    for merged, conflicts in (
        merge_annotations(BASE, mine, BASE),
        merge_annotations(BASE, BASE, mine),
        merge_annotations(BASE, mine, mine),
    ):
        assert conflicts == []
        assert corners(merged) == corners(mine)


@given(EDITS, EDITS)
@settings(deadline=None, max_examples=25)
def test_both_orders_keep_the_same_boxes(
    one: list[tuple[str, int, int]], other: list[tuple[str, int, int]]
) -> None:
    forth, conflicts = merge_annotations(BASE, edited(one), edited(other))
    back, same_conflicts = merge_annotations(BASE, edited(other), edited(one))
    assert corners(forth) == corners(back)
    assert len(conflicts) == len(same_conflicts)


def noted(annotations: Annotations, cell: int, **what: object) -> Annotations:
    note = replace(annotations.notes.get(cell, Note()), **what)  # type: ignore[arg-type]
    return replace(annotations, notes=with_notes(annotations.notes, {cell: note}))


def test_both_people_s_notes_on_one_cell_and_on_the_sample_are_kept() -> None:
    base = noted(BASE, 1, tags=("old",))
    mine = noted(noted(base, 1, text="mine", columns=(("stage", "2"),)), SAMPLE, tags=("late",))
    theirs = noted(base, 1, text="theirs", tags=("new",), columns=(("stage", "3"),))
    theirs = noted(theirs, SAMPLE, text="Two days old.")
    merged, conflicts = merge_annotations(base, mine, theirs)
    assert conflicts == []
    assert merged.notes[1] == Note(0, ("new",), "mine\ntheirs", (("stage", "2 | 3"),))
    assert merged.notes[SAMPLE] == Note(0, ("late",), "Two days old.")


def test_a_note_that_one_has_removed_stays_removed() -> None:
    base = noted(BASE, 1, text="old")
    for mine, theirs in ((BASE, base), (base, BASE)):
        merged, _ = merge_annotations(base, mine, theirs)
        assert merged.notes == {}


def test_a_note_follows_its_cell_when_that_gets_another_number() -> None:
    mine = noted(with_boxes(add_box(DETECTED, 0, [50, 50, 60, 60], 4)), 4, tags=("mine",))
    theirs = noted(with_boxes(add_box(DETECTED, 0, [80, 80, 90, 90], 4)), 4, tags=("theirs",))
    merged, _ = merge_annotations(BASE, mine, theirs)
    tags = {
        left: merged.notes[cell].tags
        for cell, left in zip(merged.boxes.cell_id, merged.boxes.xyxy[:, 0], strict=True)
        if cell in merged.notes
    }
    assert tags == {50: ("mine",), 80: ("theirs",)}
