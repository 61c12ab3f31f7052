from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from support.boxes import shifted
from support.predictions import prediction

from napari_attmil.cells.boxes import Boxes
from napari_attmil.explore.cell_rows import ordered
from napari_attmil.explore.colouring import FADED_ALPHA
from napari_attmil.explore.colours import MODEL_COLOUR
from napari_attmil.images.cohort import Cohort, Sample
from napari_attmil.session.cell_tables import MAKER, numeric_columns
from napari_attmil.session.exploration import WHOLE_COHORT, Exploration
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from psygnal import SignalInstance

    from napari_attmil.bags import Prediction

SAMPLES = (
    Sample("h", "anna", "healthy", ()),
    Sample("s", "ben", "sickle", ()),
    Sample("s2", "ben", "sickle", ()),
)
CORNERS = np.array([[0, 0, 10, 40], [20, 0, 30, 10], [40, 0, 50, 10]], dtype=np.float32)


def boxes() -> Boxes:
    return Boxes.from_detections([0, 0, 1], CORNERS, [0.9, 0.8, 0.7])


def said(attention: list[float]) -> Prediction:
    return prediction([3, 2, 1], attention, np.outer(attention, [-1, 2]))


@pytest.fixture
def session() -> Session:
    session = Session()
    session.open_cohort(Cohort(SAMPLES, Path()))
    for sample in SAMPLES[:2]:
        session.editor.merge(boxes(), key=session.key_of(sample.name))
    session.show(SAMPLES[1])
    return session


@pytest.fixture
def exploration(session: Session) -> Exploration:
    return Exploration(session)


@pytest.fixture
def classified(session: Session, exploration: Exploration) -> Exploration:
    session.predictions.set(said([0.1, 0.3, 0.6]), session.boxes)
    return exploration


def told(signal: SignalInstance) -> list[int]:
    calls = []
    signal.connect(lambda: calls.append(1))
    return calls


def test_table_has_one_row_a_box_in_their_order(classified: Exploration) -> None:
    table = classified.sample_table
    assert table["cell_id"].tolist() == [1, 2, 3]
    assert table["attention"].tolist() == [0.6, 0.3, 0.1]
    assert table["contribution_sickle"].tolist() == pytest.approx([1.2, 0.6, 0.2])
    assert table["diameter_px"].tolist() == [20, 10, 10]
    assert set(table["sample"]) == {"s"} and set(table["class"]) == {"sickle"}


def test_makers_are_filtered_and_ordered_by_their_names(
    session: Session, exploration: Exploration
) -> None:
    session.editor.add(0, [60, 0, 70, 10])
    session.editor.accept([2])
    table = exploration.sample_table
    assert table[MAKER].tolist() == ["model", "accepted", "person", "model"]
    by_maker = table[MAKER].tolist()
    ranked = ordered(table, np.arange(4), MAKER, descending=False).tolist()
    assert [by_maker[row] for row in ranked] == sorted(by_maker)
    exploration.set_scope(WHOLE_COHORT)
    exploration.set_filter("source != model")
    assert exploration.table.iloc[exploration.rows][MAKER].tolist() == ["accepted", "person"]


def test_some_boxes_have_the_colours_that_they_have_among_all(classified: Exploration) -> None:
    for column in ("attention", MAKER):
        classified.colour(column=column)
        rows = np.array([2, 0])
        np.testing.assert_array_equal(classified.colours(rows), classified.colours()[rows])


def test_only_the_tables_of_samples_that_changed_are_made_anew(
    session: Session, exploration: Exploration, monkeypatch: pytest.MonkeyPatch
) -> None:
    exploration.set_scope(WHOLE_COHORT)
    before = exploration.table
    made = []
    make = exploration._tables._make_table
    monkeypatch.setattr(
        exploration._tables, "_make_table", lambda *of: made.append(of[0]) or make(*of)
    )
    session.editor.delete([2])
    assert exploration.table["cell_id"].tolist() == [1, 2, 3, 1, 3]
    session.editor.undo()
    session.show(SAMPLES[0])
    pd.testing.assert_frame_equal(exploration.table, before)
    assert made == [session.key_of("s")] * 2
    session.predictions.set(said([0.1, 0.3, 0.6]), session.boxes)
    assert exploration.table["attention"].notna().sum() == 3
    exploration.set_blind(True)
    assert "attention" not in exploration.table


def test_telling_columns_come_first_and_ids_are_no_quantity(classified: Exploration) -> None:
    columns = numeric_columns(classified.sample_table)
    assert columns[:3] == ("attention", "contribution_healthy", "contribution_sickle")
    assert "cell_id" not in columns and "image" not in columns and "score" in columns


def test_scope_chooses_the_samples_whose_cells_are_looked_at(exploration: Exploration) -> None:
    changes = told(exploration.table_changed)
    exploration.set_scope(WHOLE_COHORT)
    assert exploration.table["sample"].tolist() == ["h"] * 3 + ["s"] * 3
    exploration.set_scope("sickle")
    assert [sample.name for sample in exploration.samples] == ["s", "s2"]
    assert set(exploration.table["sample"]) == {"s"} and len(changes) == 2
    exploration.set_scope("")
    assert exploration.table is exploration.sample_table


def test_scope_without_cells_is_an_empty_table(session: Session, exploration: Exploration) -> None:
    session.open_cohort(Cohort(SAMPLES[2:], Path()))
    exploration.set_scope(WHOLE_COHORT)
    assert len(exploration.table) == 0


def test_moved_cell_has_neither_attention_nor_measures(
    session: Session, classified: Exploration
) -> None:
    classified.add_measured(session.key, session.boxes, pd.DataFrame({"area": [1.0, 2, 3]}))
    moved = CORNERS.copy()
    moved[1] += 4
    session.editor.follow([1, 2, 3], [0, 0, 1], moved)
    for column, kept in (("attention", [0.6, 0.1]), ("area", [1, 3])):
        values = classified.sample_table[column].to_numpy()
        assert np.isnan(values[1]) and values[[0, 2]].tolist() == kept


def test_measures_of_one_sample_add_up(session: Session, exploration: Exploration) -> None:
    exploration.add_measured(session.key, session.boxes, pd.DataFrame({"a": [1.0, 2, 3]}))
    exploration.add_measured(session.key, session.boxes, pd.DataFrame({"b": [4.0, 5, 6]}))
    assert exploration.sample_table[["a", "b"]].to_numpy().tolist() == [[1, 4], [2, 5], [3, 6]]


def test_boxes_show_who_made_them_until_something_is_known(exploration: Exploration) -> None:
    assert exploration.coloured_column == MAKER
    assert exploration.colours().tolist() == [list(MODEL_COLOUR)] * 3
    assert exploration.is_inside().all()


def test_a_bright_image_gets_dark_colours_until_a_person_chooses_a_map(
    classified: Exploration,
) -> None:
    told: list[str] = []
    classified.colouring_changed.connect(lambda: told.append(classified.colouring.colour_map))
    on_dark = classified.colours()
    classified.lay_on(True)
    classified.lay_on(True)
    assert told == ["ink"]
    highest = int(np.argmax(classified.relative()))
    assert on_dark[highest, :3].tolist() == [1, 1, 1]
    assert classified.colours()[highest, :3].max() < 0.2
    classified.lay_on(False)
    np.testing.assert_array_equal(classified.colours(), on_dark)
    classified.lay_on(True)
    classified.colour(colour_map="paper")
    np.testing.assert_array_equal(classified.colours(), on_dark)
    classified.lay_on(False)
    classified.lay_on(True)
    assert classified.colouring.colour_map == "paper"


def test_range_fades_or_hides_what_lies_outside(classified: Exploration) -> None:
    classified.colour(low=0.4)
    assert classified.colours()[:, 3].tolist() == [1, 1, FADED_ALPHA]
    classified.colour(hides=True, high=0.6)
    assert classified.colours()[:, 3].tolist() == [0, 1, 0]


def test_boxes_of_some_rows_have_the_colours_that_they_have_among_all(
    classified: Exploration,
) -> None:
    for colour_map in ("paper", "diverging"):
        classified.colour(colour_map=colour_map, low=0.4)
        rows = np.array([2, 0])
        np.testing.assert_array_equal(classified.colours(rows), classified.colours()[rows])


def test_where_boxes_stand_is_found_anew_when_they_or_the_scale_change(
    session: Session, classified: Exploration
) -> None:
    by_rank = classified.relative()
    assert classified.relative() is by_rank
    classified.colour(low=0.4, hides=True)
    assert classified.relative() is by_rank
    classified.colour(scale="linear")
    assert classified.relative() is not by_rank
    session.editor.delete([session.boxes.cell_id[0]])
    assert len(classified.relative()) == len(session.boxes)


def test_another_column_starts_with_all_cells(classified: Exploration) -> None:
    classified.colour(low=0.4)
    classified.colour(column="score")
    assert classified.colouring.low == 0
    assert classified.colours()[0].tolist() == [1, 1, 1, 1]


def test_same_colouring_is_not_told_again(classified: Exploration) -> None:
    changes = told(classified.colouring_changed)
    classified.colour(scale="linear")
    classified.colour(scale="linear")
    assert len(changes) == 1


def test_blind_boxes_keep_to_themselves_what_the_classifier_said(classified: Exploration) -> None:
    classified.set_blind(True)
    assert classified.colours().tolist() == [list(MODEL_COLOUR)] * 3
    classified.set_blind(False)
    assert classified.colours()[0].tolist() == [1, 1, 1, 1]


def test_selection_follows_the_session_and_leads_it(
    session: Session, exploration: Exploration
) -> None:
    session.select([2])
    assert exploration.selection == (("s", 2),)
    changes = told(exploration.selection_changed)
    exploration.select([("h", 1), ("s", 3), ("s", 1)])
    assert session.selection == (1, 3) and len(changes) == 1
    assert exploration.selection == (("h", 1), ("s", 3), ("s", 1))
    session.select([])
    assert exploration.selection == ()


def test_another_cohort_forgets_scope_and_measures(
    session: Session, exploration: Exploration
) -> None:
    exploration.set_scope("sickle")
    exploration.add_measured(session.key, session.boxes, pd.DataFrame({"a": [1.0, 2, 3]}))
    session.open_cohort(Cohort(SAMPLES, Path()))
    session.editor.merge(boxes(), key=session.key_of("s"))
    session.show(SAMPLES[1])
    assert exploration.scope == "" and "a" not in exploration.sample_table


@pytest.mark.parametrize(("shift_px", "moved"), [(0.005, False), (0.02, True)])
def test_shapes_go_once_a_box_lies_elsewhere(
    session: Session, exploration: Exploration, shift_px: float, moved: bool
) -> None:
    before = session.boxes
    session.editor.move(1, shifted(before, shift_px).xyxy[0])
    exploration.add_measured(session.key, before, pd.DataFrame({"area": [1.0, 2, 3]}))
    assert exploration.sample_table["area"].isna().tolist() == [moved, False, False]
    exploration.add_measured(session.key, session.boxes, pd.DataFrame({"round": [1.0, 2, 3]}))
    assert ("area" in exploration.sample_table) != moved
