from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells import Boxes, Source
from napari_attmil.cells.annotations import AnnotationFile, Annotations, answers_in
from napari_attmil.explore.question_table import GivenAnswer
from napari_attmil.workflows.questions import keep_answers

if TYPE_CHECKING:
    from napari_attmil.images import Cohort, Sample

FOUND = Boxes.from_detections([0, 1], [[2, 2, 14, 14], [2, 2, 14, 14]], [0.9, 0.8])


def given(sample: str, image: int, answer: str, cell: int = 1, left: float = 2) -> GivenAnswer:
    return GivenAnswer(sample, image, cell, (left, 2, left + 12, 14), answer)


@pytest.fixture
def one(cohort: Cohort) -> Sample:
    return cohort.samples[0]


def kept(cohort: Cohort, sample: Sample) -> Annotations:
    found = AnnotationFile.beside(cohort.folder).read(sample)
    assert found is not None
    return found


def test_answer_is_kept_about_the_box_that_was_asked_about(cohort: Cohort, one: Sample) -> None:
    file = AnnotationFile.beside(cohort.folder)
    file.write(one, Annotations(FOUND, searched=frozenset({0, 1}), next_id=3))
    # By its box: the id in the table is that of another detection.
    said = keep_answers(cohort, file, [given(one.name, 1, "altered", cell=7)])
    now = kept(cohort, one)
    assert said.startswith("1 answer kept in ")
    assert answers_in(now.notes) == {2: "altered"}
    assert now.boxes.cell_id.tolist() == [1, 2] and now.searched == {0, 1}
    assert dict(now.notes[2].columns).keys() == {"answered at", "answered by"}


def test_cell_of_a_study_that_was_never_opened_gets_its_box(cohort: Cohort, one: Sample) -> None:
    answers = [given(one.name, 0, "altered"), given(one.name, 1, "not a cell", left=18)]
    keep_answers(cohort, AnnotationFile.beside(cohort.folder), answers)
    now = kept(cohort, one)
    assert now.boxes.xyxy.tolist() == [[2, 2, 14, 14], [18, 2, 30, 14]]
    assert now.boxes.source.tolist() == [Source.ACCEPTED] * 2 and not now.searched
    assert answers_in(now.notes) == {1: "altered", 2: "not a cell"}
    assert len(now.cells) == 1


def test_later_answer_about_a_cell_counts(cohort: Cohort, one: Sample) -> None:
    file = AnnotationFile.beside(cohort.folder)
    keep_answers(cohort, file, [given(one.name, 0, "altered")])
    keep_answers(cohort, file, [given(one.name, 0, "altered"), given(one.name, 0, "not altered")])
    now = kept(cohort, one)
    assert answers_in(now.notes) == {1: "not altered"} and len(now.boxes) == 1


def test_all_answers_are_one_step_of_undo(cohort: Cohort) -> None:
    file = AnnotationFile.beside(cohort.folder)
    first, second = cohort.samples[0], cohort.samples[2]
    keep_answers(cohort, file, [given(s.name, 0, "altered") for s in (first, second)])
    edits = file.history(cohort.samples)
    assert len({edit.step for edit in edits}) == 1 and len(edits) == 2
