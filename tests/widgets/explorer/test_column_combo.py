from __future__ import annotations

import pytest

from napari_attmil.widgets.explorer.column_combo import ColumnCombo


@pytest.fixture
def combo(qtbot):
    combo = ColumnCombo("What is shown.")
    qtbot.addWidget(combo)
    return combo


def test_choice_stays_while_columns_come_and_go(combo):
    combo.setColumns(["score", "area_um2"])
    combo.setCurrentIndex(1)
    combo.setColumns(["attention", "score", "area_um2"], wanted="attention")
    assert combo.currentData() == "area_um2" and combo.currentText() == "area (µm²)"


def test_without_the_former_choice_the_wanted_one_is_chosen_or_the_first(combo):
    combo.setColumns(["score"])
    combo.setColumns(["area", "attention"], wanted="attention")
    assert combo.currentData() == "attention"
    combo.setColumns(["area", "solidity"], wanted="attention")
    assert combo.currentData() == "area"


def test_nothing_is_told_while_columns_are_filled_in(combo, qtbot):
    with qtbot.assertNotEmitted(combo.currentIndexChanged):
        combo.setColumns(["source", "score"])
    assert combo.currentText() == "who made the box"
