from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.widgets.explorer.column_combo import ColumnCombo

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


@pytest.fixture
def combo(qtbot: QtBot) -> ColumnCombo:
    combo = ColumnCombo("What is shown.")
    qtbot.addWidget(combo)
    return combo


def test_choice_stays_while_columns_come_and_go(combo: ColumnCombo) -> None:
    combo.setColumns(["score", "area_um2"])
    combo.setCurrentIndex(1)
    combo.setColumns(["attention", "score", "area_um2"], wanted="attention")
    assert combo.currentData() == "area_um2" and combo.currentText() == "area (µm²)"


def test_without_the_former_choice_the_wanted_one_is_chosen_or_the_first(
    combo: ColumnCombo,
) -> None:
    combo.setColumns(["score"])
    combo.setColumns(["area", "attention"], wanted="attention")
    assert combo.currentData() == "attention"
    combo.setColumns(["area", "solidity"], wanted="attention")
    assert combo.currentData() == "area"


def test_nothing_is_told_while_columns_are_filled_in(combo: ColumnCombo, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(combo.currentIndexChanged):
        combo.setColumns(["source", "score"])
    assert combo.currentText() == "who made the box"
