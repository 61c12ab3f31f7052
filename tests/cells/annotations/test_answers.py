from __future__ import annotations

import json
from dataclasses import replace

import pytest

from napari_attmil.cells.annotations.answers import (
    answer_of,
    answers_in,
    stamped,
    with_answers,
    without_answer,
)
from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.annotations.notes import (
    ALTERED,
    CANNOT_TELL,
    NOT_A_CELL,
    NOT_ALTERED,
    Note,
)
from napari_attmil.cells.annotations.three_way_merge import merge_annotations
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.exchange.account import Account
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage
from napari_attmil.cells.exchange.coco import read_coco, write_coco
from napari_attmil.cells.exchange.csv_tables import read_csv, write_csv

BOXES = Boxes.from_detections([0, 0], [[0, 0, 9, 9], [20, 20, 29, 29]], [0.9, 0.6])
BASE = Annotations(BOXES, searched=frozenset({0}), next_id=3)


def answered(who: str, *answers: str) -> Annotations:
    given = {cell: (0, answer) for cell, answer in enumerate(answers, start=1)}
    return replace(BASE, notes=with_answers({}, given, who, "2026-01-01"))


def test_class_can_be_the_answer_and_other_tags_are_none() -> None:
    assert answer_of(Note(0, ("altered: malaria", "odd"))) == "altered: malaria"
    assert answer_of(Note(0, ("odd",), "altered")) == ""


def test_contradiction_is_no_answer() -> None:
    notes = {1: Note(0, (ALTERED, NOT_ALTERED)), 2: Note(0, (NOT_A_CELL,))}
    assert answers_in(notes) == {2: NOT_A_CELL}


def test_answer_replaces_the_former_and_leaves_all_else_of_the_note() -> None:
    before = {1: Note(2, (NOT_ALTERED, "odd"), "Look.", (("stage", "2"),))}
    after = with_answers(before, {1: (2, ALTERED)}, "Anna", "now")[1]
    columns = (("answered at", "now"), ("answered by", "Anna"), ("stage", "2"))
    assert after == Note(2, (ALTERED, "odd"), "Look.", columns)
    assert without_answer(after).tags == ("odd",)


def test_note_that_leaves_the_answer_alone_leaves_its_author() -> None:
    before = with_answers({}, {1: (0, ALTERED)}, "Anna", "then")[1]
    assert stamped(before, replace(before, text="Look."), "Ben", "now").columns == before.columns


def test_merge_keeps_both_persons_answers_about_different_cells() -> None:
    one = answered("Anna", ALTERED)
    other = replace(BASE, notes=with_answers({}, {2: (0, CANNOT_TELL)}, "Ben", "2026-01-02"))
    merged, _ = merge_annotations(BASE, one, other)
    assert answers_in(merged.notes) == {1: ALTERED, 2: CANNOT_TELL}
    assert dict(merged.notes[1].columns)["answered by"] == "Anna"


def test_merge_of_contradicting_answers_keeps_both_and_takes_neither_for_true() -> None:
    merged, _ = merge_annotations(BASE, answered("Anna", ALTERED), answered("Ben", NOT_ALTERED))
    assert merged.notes[1].tags == (ALTERED, NOT_ALTERED)
    assert dict(merged.notes[1].columns)["answered by"] == "Anna | Ben"
    assert answers_in(merged.notes) == {}


@pytest.mark.parametrize("name", ["csv", "coco"])
def test_export_and_import_keep_the_answer_and_who_gave_it(name: str) -> None:
    note = with_answers({}, {1: (0, "altered: malaria")}, "Anna", "2026-01-01")[1]
    image = AnnotatedImage("a.tif", (AnnotatedBox((0, 0, 9, 9), note=note),), size_px=(60, 40))
    if name == "csv":
        (read,) = read_csv(write_csv([image]), Account())
    else:
        (read,) = read_coco(json.loads(write_coco([image])), Account())
    assert answer_of(read.boxes[0].note) == "altered: malaria"
    assert read.boxes[0].note == note
