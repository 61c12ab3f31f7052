from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from napari_attmil.widgets.explorer.views.patient_strips import PatientStrips

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


TABLE = pd.DataFrame(
    [
        ("b-1", "Ben", "sickle", "sickle", 0.8, "right", 0.2, 0.8),
        ("a-2", "Ann", "healthy", "sickle", 0.6, "wrong", 0.4, 0.6),
        ("a-1", "Ann", "healthy", "healthy", 0.9, "right", 0.9, 0.1),
        ("c-1", "Cem", "", "healthy", 0.7, "", 0.7, 0.3),
    ],
    columns=[
        *("sample", "patient", "class", "predicted", "probability", "result"),
        *("probability_healthy", "probability_sickle"),
    ],
)


@pytest.fixture
def strips(qtbot: QtBot) -> PatientStrips:
    strips = PatientStrips()
    qtbot.addWidget(strips)
    strips.setValue(TABLE)
    return strips


def test_a_patient_s_samples_lie_side_by_side_below_the_class(strips: PatientStrips) -> None:
    tops = {sample: bar.top() for sample, bar in strips.bars().items()}
    assert tops["c-1"] < tops["a-2"] == tops["a-1"] < tops["b-1"]  # unknown classes come first
    assert strips.bars()["a-2"].right() < strips.bars()["a-1"].left()
    assert [name for name, _ in strips.classes] == ["healthy", "sickle"]
    assert [name for name, _ in strips.patients] == ["Cem", "Ann", "Ben"]
    lines = sorted(top for _, top in strips.classes + strips.patients)
    assert len(set(lines)) == 5


def test_a_class_is_marked_by_the_colour_of_its_part_of_the_bars(strips: PatientStrips) -> None:
    image = strips.grab().toImage()
    marks = {name: image.pixelColor(6, int(top) + 10) for name, top in strips.classes}
    bar = strips.bars()["a-1"]
    y = int(bar.center().y())
    assert marks["healthy"] == image.pixelColor(int(bar.left()) + 8, y)
    assert marks["sickle"] == image.pixelColor(int(bar.right()) - 3, y) != marks["healthy"]


def test_a_long_name_of_a_class_is_not_cut_off(strips: PatientStrips) -> None:
    name = "hereditary spherocytosis, splenectomised, of both parents"
    narrow = strips.sizeHint().width()
    strips.setValue(TABLE.assign(**{"class": name}))
    assert strips.minimumWidth() > strips.fontMetrics().horizontalAdvance(name) > narrow


def test_nothing_to_show_takes_a_little_room(strips: PatientStrips) -> None:
    strips.setValue(pd.DataFrame(columns=["sample", "patient", "class"]))
    assert strips.bars() == {} and strips.sizeHint().width() > 0
    strips.grab()
