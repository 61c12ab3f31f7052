from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.predictions import prediction

from napari_attmil.cells.boxes import Boxes
from napari_attmil.explore.single_cell import cell_facts, measures_of, similar_cells
from napari_attmil.images.cohort import Sample

SAMPLE = Sample("s", "Ana", "sickle", ())
BOXES = Boxes.from_detections([0, 0, 1], np.tile([10, 20, 30, 50], (3, 1)), [0.9, 0.8, 0.7])
SAID = prediction([1, 2, 3], [0.2, 0.7, 0.1], [[1.0, 3.0], [0.0, -2.0], [0.5, 0.5]])


def test_attention_has_its_rank_and_its_share() -> None:
    first, last = cell_facts(SAMPLE, BOXES, 2, SAID), cell_facts(SAMPLE, BOXES, 3, SAID)
    assert first.about_attention == "1st of 3 in attention (70.0%, 2.1 times an even share)"
    assert (last.rank, last.image, last.made_by) == (3, 2, "model")


def test_a_cell_speaks_for_classes_above_its_mean_over_them() -> None:
    facts = cell_facts(SAMPLE, BOXES, 1, SAID)
    assert facts.contribution == {"healthy": -1.0, "sickle": 1.0}
    assert facts.strongest == 1.0
    assert cell_facts(SAMPLE, BOXES, 3, SAID).contribution == {"healthy": 0.0, "sickle": 0.0}


def test_nothing_is_said_of_a_cell_that_moved_or_came_since() -> None:
    moved = replace(BOXES, xyxy=BOXES.xyxy + np.array([[0], [5], [0]], np.float32))
    facts = cell_facts(SAMPLE, moved, 2, SAID, classified=BOXES)
    assert (facts.attention, facts.rank, facts.contribution) == (None, None, {})
    assert facts.probabilities == {"healthy": 0.5, "sickle": 0.5}
    others = cell_facts(SAMPLE, moved, 1, SAID, classified=BOXES)
    assert (others.rank, others.cells) == (1, 2)


def test_measures_stand_beside_those_of_the_sample() -> None:
    table = pd.DataFrame({"area_um2": [1.0, 2, 3, 4, np.nan], "focus": [np.nan, 1, 1, 1, 1]})
    area, focus = measures_of(table, 3)
    assert (area.title, area.value, area.below) == ("area (µm²)", 4.0, 3.5 / 4)
    assert area.quantiles == pytest.approx(
        np.quantile([1, 2, 3, 4], (0.025, 0.25, 0.5, 0.75, 0.975))
    )
    assert area.place == "more than 88% of the sample's cells"
    assert focus.below == 0.5
    assert [each.column for each in measures_of(table, 4)] == ["focus"]


def test_similar_cells_are_the_nearest_of_each_sample_the_nearest_sample_first() -> None:
    others = [Sample(name, name, None, ()) for name in ("far", "near", "empty")]
    far, near = np.array([[9, 0], [5, 0], [7.0, 0]]), np.array([[3, 0], [1, 0], [2.0, 0]])
    parts = zip(others, [BOXES, BOXES, Boxes.empty()], [far, near, np.zeros((0, 2))], strict=True)
    found = similar_cells(
        np.zeros(2, np.float32), [(s, b, v.astype(np.float32)) for s, b, v in parts]
    )
    assert [(cell.sample, cell.cell_id, cell.distance) for cell in found] == [
        ("near", 2, 1),
        ("far", 2, 5),
    ]


def test_text_and_page_say_all_and_escape_names() -> None:
    facts = cell_facts(replace(SAMPLE, name="a<b"), BOXES, 1, SAID)
    facts = replace(facts, without={"healthy": 0.6, "sickle": 0.4})
    assert "Probability of healthy: 50.0%, without the cell 60.0%" in str(facts)
    assert "For sickle: +1.000" in str(facts) and "Against healthy: -1.000" in str(facts)
    assert "not a diagnosis" in str(facts)
    assert "a&lt;b" in facts._repr_html_() and "a<b" not in facts._repr_html_()


def test_a_cell_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="no cell 9"):
        cell_facts(SAMPLE, BOXES, 9, SAID)
