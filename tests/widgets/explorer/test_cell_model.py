"""The model that gallery, table and map show cells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt

from napari_attmil.widgets.explorer.cell_model import CellModel

if TYPE_CHECKING:
    from qtpy.QtWidgets import QApplication

CELLS = pd.DataFrame({"sample": ["a", "a", "b"], "cell_id": [1, 2, 1], "score": [0.2, 0.9, 0.5]})


@pytest.fixture
def model(qapp: QApplication) -> CellModel:
    model = CellModel()
    model.setTable(CELLS, np.array([2, 0]))
    return model


def test_rows_are_told_in_the_order_given(model: CellModel) -> None:
    assert [model.value(row, "score") for row in range(2)] == [0.5, 0.2]
    assert [model.key(row) for row in range(2)] == model.keys([0, 1]) == [("b", 1), ("a", 1)]
    assert model.rows_of([("a", 1), ("a", 2)]) == [1]
    assert model.index(0, 2).data(Qt.ItemDataRole.DisplayRole) == "0.5"


def test_another_table_is_told_of_at_once(model: CellModel) -> None:
    assert model.value(0, "score") == 0.5
    model.setTable(CELLS.assign(score=[1.0, 2.0, 3.0]))
    assert [model.value(row, "score") for row in range(3)] == [1.0, 2.0, 3.0]
