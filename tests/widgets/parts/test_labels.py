"""Texts that must not move what stands below them, and long names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QWidget

from napari_attmil.widgets.parts import (
    ElidedLabel,
    SteadyLabel,
    column,
    hint_label,
    narrow_combo,
    yielding_column,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    Pixels = Callable[[QWidget], npt.NDArray[np.uint8]]

LONG = "patient-0017-sample-of-the-second-visit-thick-smear-4"


def test_a_text_of_another_length_moves_nothing_below_it(qtbot: QtBot) -> None:
    panel, label, button = QWidget(), SteadyLabel(2, "counts"), QPushButton("Draw")
    layout = column(label, button, within=panel)
    qtbot.addWidget(panel)
    panel.resize(300, 200)
    panel.show()
    places = set()
    for text in ("", "No boxes.", "28 boxes in this image: 3 yours, 6 accepted, 19 detected."):
        label.setText(text)
        layout.activate()
        places.add(button.y())
    assert len(places) == 1


def test_a_long_text_is_cut_in_the_middle(qtbot: QtBot, pixels: Pixels) -> None:
    labels = ElidedLabel(), QLabel()
    for label in labels:
        qtbot.addWidget(label)
        label.setFixedSize(160, 20)
    labels[0].setText(LONG)
    middle = Qt.TextElideMode.ElideMiddle
    shown = labels[0].fontMetrics().elidedText(LONG, middle, 160)
    assert shown.startswith("patient") and shown.endswith("-4")
    labels[1].setText(shown)
    assert np.array_equal(pixels(labels[0]), pixels(labels[1]))


def test_a_long_entry_of_a_choice_shows_both_its_ends(qtbot: QtBot, pixels: Pixels) -> None:
    combos = [narrow_combo("Names.", {text: text}) for text in (LONG, f"{LONG[:-1]}5", LONG[:18])]
    for combo in combos:
        qtbot.addWidget(combo)
        combo.setFixedSize(180, 26)
    assert not np.array_equal(pixels(combos[0]), pixels(combos[1]))
    assert all(isinstance(combo, QComboBox) for combo in combos)


def test_what_yields_room_is_as_high_as_it_needs_where_there_is_some(qtbot: QtBot) -> None:
    panel, tools = QWidget(), [QPushButton(str(number)) for number in range(8)]
    area = yielding_column(column(*tools, hint_label("below")))
    column(area, (QWidget(), 1), within=panel)
    qtbot.addWidget(panel)
    panel.resize(300, 900)
    panel.show()
    qtbot.waitUntil(lambda: area.height() == area.widget().sizeHint().height())
    panel.resize(300, 150)
    qtbot.waitUntil(lambda: panel.height() == 150)
    assert area.height() < area.widget().sizeHint().height()
