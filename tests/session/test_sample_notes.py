from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.predictions import prediction

from napari_attmil.cells.annotations.annotation_file import FILE_NAME, AnnotationFile
from napari_attmil.cells.annotations.notes import (
    ALTERED,
    CANNOT_TELL,
    NOT_A_CELL,
    NOT_ALTERED,
    READY_TAGS,
    SAMPLE,
    Note,
)
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage
from napari_attmil.cells.exchange.importing import ImportPlan, PlacedImage
from napari_attmil.core.errors import UserError
from napari_attmil.explore.categories import Categories
from napari_attmil.explore.colours import rgba_of
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.cell_tables import MAKER
from napari_attmil.session.exploration import NOT_A_CELL_COLOUR, WHOLE_COHORT, Exploration
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

FOUND = Boxes.from_detections(
    [0, 0, 1], [[0, 0, 9, 9], [20, 20, 29, 29], [0, 0, 9, 9]], [0.9, 0.6, 0.7]
)


def opened(folder: Path) -> Session:
    samples = tuple(
        Sample(name, name, None, (Frame(folder / f"{name}1.tif"), Frame(folder / f"{name}2.tif")))
        for name in "ab"
    )
    session = Session()
    session.open_cohort(Cohort(samples, folder), AnnotationFile(folder / FILE_NAME))
    session.show(samples[0])
    return session


def test_boxes_are_coloured_by_tags_and_by_own_texts_alike_in_all_samples(
    session: Session,
) -> None:
    exploration = Exploration(session)
    session.notes.tag([1], "odd")
    session.notes.tag({session.key_of("b"): [2]}, "burr")
    session.notes.set_value([2], "score", "late")
    exploration.colour(column="tags")
    burr, odd, without = rgba_of("#E69F00"), rgba_of("#56B4E9"), 0.45
    assert exploration.colours()[0].tolist() == list(odd)
    assert exploration.colours()[1:, 3].tolist() == [without] * 2
    assert exploration.categories is not None and not exploration.has_scale
    assert exploration.categories.names == ("burr", "odd")
    assert exploration.categories.counts() == [0, 1]
    exploration.colour(column="score (own)")
    assert exploration.colours()[1].tolist() == list(burr)  # the first of its own column
    session.notes.set_value([2], "score", "")
    assert exploration.coloured_column == MAKER and exploration.categories is None


def test_of_many_texts_the_most_frequent_have_colours(session: Session) -> None:
    counts = {f"t{k}": 9 - k for k in range(9)}
    found = Categories.of(["t8", "t0", "", "t6", "t7"], counts)
    assert found.names == (*(f"t{k}" for k in range(7)), "others")
    assert found.codes.tolist() == [7, 0, -1, 6, 7]
    assert found.colours(np.array([0, 3])).tolist() == [
        [0.55, 0.55, 0.55, 1.0],
        list(rgba_of("#F0E442")),
    ]


def test_boxes_stay_coloured_where_a_column_of_numbers_gets_a_text(session: Session) -> None:
    exploration = Exploration(session)
    session.notes.set_value([1], "stage", "1")
    session.notes.set_value([2], "stage", "2")
    exploration.colour(column="stage")
    assert exploration.has_scale and exploration.relative()[:2].tolist() == [0, 1]
    session.notes.set_value([2], "stage", "late")
    assert not exploration.has_scale and np.isnan(exploration.relative()).all()
    assert exploration.categories is not None
    assert exploration.categories.names == ("1", "late")


def test_notes_of_an_import_are_taken_back_with_it(session: Session) -> None:
    assert session.sample is not None
    session.notes.write([1], "mine")
    session.notes.tag([1], "seen")
    boxes = tuple(
        AnnotatedBox(xyxy, source=Source.MODEL, note=Note(0, ("odd",), "theirs"))
        for xyxy in ((0, 0, 9, 9), (20, 20, 29, 29))
    )
    placed = PlacedImage(session.sample, 0, AnnotatedImage("a1.tif", boxes))
    plan = ImportPlan("COCO", (placed,))
    outcome = session.editor.bring_in(plan, {"a": session.key_of("a")})
    assert session.editor.undo_title == "Import notes"
    assert session.notes.of(1) == Note(0, ("odd", "seen"), "mine")
    assert session.notes.of(2) == Note(0, ("odd",), "theirs")
    assert outcome.notes == (
        "2 boxes with tags, notes or values from the files.",
        "The notes of 1 box in the files differ from those in the study, which are kept.",
    )
    session.editor.undo()
    assert session.notes.of(1) == Note(0, ("seen",), "mine") and not session.notes.of(2)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = opened(tmp_path)
    for name in "ab":
        session.editor.merge(FOUND, key=session.key_of(name))
    return session


def test_notes_come_back_with_the_study(session: Session, tmp_path: Path) -> None:
    session.notes.tag([1, 3], NOT_ALTERED)
    session.notes.tag([1], "echinocyte")
    session.notes.write([3], " Out of focus.\n")
    session.notes.set_value([3], "stage", "2")
    session.notes.write([SAMPLE], "Stained late.")
    session.notes.set_value({session.key_of("b"): [SAMPLE]}, "day", "3")
    again = opened(tmp_path)
    assert again.notes.of(1).tags == ("echinocyte", NOT_ALTERED)
    third = again.notes.of(3)
    assert (third.image_index, third.tags, third.text) == (1, (NOT_ALTERED,), "Out of focus.")
    assert ("stage", "2") in third.columns
    assert again.notes.of().text == "Stained late."
    assert again.notes.of(key=again.key_of("b")).columns == (("day", "3"),)
    assert again.notes.tags() == (*READY_TAGS, "echinocyte")
    assert again.notes.columns() == ("answered at", "answered by", "day", "stage")
    again.notes.tag([1, 3], NOT_ALTERED, on=False)
    again.notes.write([3], "")
    again.notes.set_value([3], "stage", "")
    assert list(opened(tmp_path).state.notes) == [SAMPLE, 1]


def test_tagging_cells_of_two_samples_is_one_step(session: Session) -> None:
    cells = {session.key_of("a"): [1], session.key_of("b"): [2, 3]}
    session.notes.tag(cells, NOT_ALTERED)
    assert session.notes.is_tagged(cells, NOT_ALTERED)
    assert session.editor.undo_title == "Tag “not altered”, 3 cells"
    session.editor.undo()
    assert not any(state.notes for state in session.states_of_samples().values())


def test_a_box_that_is_no_cell_stays_but_is_none_of_the_sample_s_cells(session: Session) -> None:
    session.predictions.set(prediction([1, 2, 3], [0.5, 0.3, 0.2]), session.boxes)
    session.notes.tag([2], NOT_A_CELL)
    assert session.boxes.cell_id.tolist() == [1, 2, 3]
    assert session.state.cells.cell_id.tolist() == [1, 3] and session.state.is_stale
    session.editor.set_reviewed(0)
    assert session.boxes.source.tolist() == [Source.ACCEPTED, Source.MODEL, Source.MODEL]
    exploration = Exploration(session)
    colours = exploration.colours()
    np.testing.assert_allclose(colours[1], NOT_A_CELL_COLOUR)
    assert not np.allclose(colours[0], NOT_A_CELL_COLOUR)


def test_a_box_with_a_note_outlives_the_next_detection_and_is_not_found_twice(
    session: Session,
) -> None:
    session.notes.tag([2], NOT_A_CELL)
    session.editor.merge(FOUND)
    assert session.boxes.of_image(0).cell_id.tolist() == [2, 4]
    assert session.notes.of(2).tags == (NOT_A_CELL,)


def test_starting_over_forgets_the_cells_notes_but_not_the_sample_s(session: Session) -> None:
    session.notes.tag([1], "x")
    session.notes.write([SAMPLE], "kept")
    session.editor.clear()
    assert session.state.notes == {SAMPLE: Note(text="kept")}
    session.editor.undo()
    assert session.notes.of(1).tags == ("x",)


def test_a_cell_that_is_not_there_and_a_name_of_nothing_are_refused(session: Session) -> None:
    session.notes.tag([99], NOT_ALTERED)
    assert session.state.notes == {}
    with pytest.raises(UserError, match="The tag has no name"):
        session.notes.tag([1], "  ")
    with pytest.raises(UserError, match="The column has no name"):
        session.notes.set_value([1], "", "2")


def test_notes_are_columns_of_the_table_that_can_be_filtered(session: Session) -> None:
    session.notes.tag([1], NOT_ALTERED)
    session.notes.tag([1, 3], "echinocyte")
    session.notes.write([2], "Look again")
    session.notes.set_value([1, 2], "stage", "2")
    session.notes.set_value({session.key_of("b"): [1]}, "score", "high")
    exploration = Exploration(session)
    table = exploration.sample_table
    assert table["tags"].tolist() == ["echinocyte; not altered", "", "echinocyte"]
    assert table["note"].tolist() == ["", "Look again", ""]
    np.testing.assert_array_equal(table["stage"], [2, 2, np.nan])
    for text, rows in (
        ("tags = not altered", [0]),
        ("tags = echinocyte", [0, 2]),
        ("tags != echinocyte", [1]),
        ("stage > 1 and note = Look again", [1]),
    ):
        exploration.set_filter(text)
        assert exploration.rows.tolist() == rows, text
    exploration.set_filter("")
    exploration.set_scope(WHOLE_COHORT)
    assert exploration.table["score (own)"].tolist() == ["", "", "", "high", "", ""]
    assert exploration.table["score"].tolist()[:1] == pytest.approx([0.9])


def test_answer_is_kept_with_who_gave_it_and_when(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_ATTMIL_AUTHOR", "Anna")
    session.notes.tag([1], ALTERED)
    kept = dict(session.notes.of(1).columns)
    assert kept["answered by"] == "Anna"
    assert datetime.fromisoformat(kept["answered at"]).tzinfo == UTC


def test_cell_has_one_answer_and_undo_gives_the_former_back(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_ATTMIL_AUTHOR", "Anna")
    session.notes.tag([1], "odd")
    session.notes.tag([1], ALTERED)
    monkeypatch.setenv("NAPARI_ATTMIL_AUTHOR", "Ben")
    session.notes.tag([1], CANNOT_TELL)
    assert session.notes.of(1).tags == (CANNOT_TELL, "odd")
    assert dict(session.notes.of(1).columns)["answered by"] == "Ben"
    session.editor.undo()
    assert session.notes.of(1).tags == (ALTERED, "odd")
    assert dict(session.notes.of(1).columns)["answered by"] == "Anna"


def test_answer_taken_back_leaves_nobody_who_gave_it(session: Session) -> None:
    session.notes.tag([1], ALTERED)
    session.notes.tag([1], ALTERED, on=False)
    assert not session.notes.of(1)


def test_answers_written_as_tags_of_the_table_have_an_author_too(session: Session) -> None:
    session.notes.set_tags([1], ["odd", NOT_ALTERED])
    assert [name for name, _ in session.notes.of(1).columns] == ["answered at", "answered by"]
    session.notes.set_tags([1], ["odd"])
    assert session.notes.of(1).columns == ()
