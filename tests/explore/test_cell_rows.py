from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.explore.cell_rows import (
    highest_of_each,
    ordered,
    parse_conditions,
    rows_that_meet,
)

TABLE = pd.DataFrame(
    {
        "sample": ["a", "a", "b", "b"],
        "attention": [0.1, 0.9, np.nan, 0.5],
        "score": [0.4, 0.6, 0.8, 1.0],
    }
)
ALL = np.arange(4)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [0, 1, 2, 3]),
        ("attention > 0.1", [1, 3]),
        ("attention>=0.1 and score<0.5", [0]),
        ("Attention != 0.9", [0, 3]),
        ("sample = a AND attention > 0.5", [1]),
        ("sample = b and attention == .5", [3]),
        ("sample = 'b'", [2, 3]),
    ],
)
def test_filter_keeps_the_rows_that_meet_all_conditions(text: str, rows: list[int]) -> None:
    assert rows_that_meet(TABLE, parse_conditions(text, TABLE)).tolist() == rows


def test_condition_on_a_column_that_went_keeps_nothing() -> None:
    conditions = parse_conditions("attention > 0", TABLE)
    assert rows_that_meet(TABLE.drop(columns="attention"), conditions).tolist() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attention", "'attention' is no comparison; write for instance"),
        ("size > 3", "There is no column 'size'; there are sample, attention, score"),
        ("score > large", "'score' holds numbers, but 'large' is none"),
        ("score > __import__('os')", "holds numbers"),
    ],
)
def test_wrong_filter_is_told_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        parse_conditions(text, TABLE)


def test_unknown_values_come_last_whichever_way_round() -> None:
    assert ordered(TABLE, ALL, "attention").tolist() == [1, 3, 0, 2]
    assert ordered(TABLE, ALL, "attention", descending=False).tolist() == [0, 3, 1, 2]
    assert ordered(TABLE, ALL[2:], "score").tolist() == [3, 2]
    assert ordered(TABLE, ALL, "missing").tolist() == ALL.tolist()


def test_highest_of_each_group_leave_out_unknown_values() -> None:
    assert highest_of_each(TABLE, ALL, "attention", "sample", count=1).tolist() == [1, 3]
    assert highest_of_each(TABLE, ALL, "attention", "sample").tolist() == [1, 0, 3]
    assert highest_of_each(TABLE, ALL, "missing", "sample").tolist() == []
