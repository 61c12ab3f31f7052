from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from pydantic import Field
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QToolButton

from napari_attmil.bags.presets import mil_preset
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings
from napari_attmil.core.errors import UserError
from napari_attmil.core.settings import Settings
from napari_attmil.widgets.parts.settings_form import SettingsForm
from napari_attmil.widgets.parts.step_frame import Fold

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from napari_attmil.bags import Preset


@pytest.mark.parametrize(
    "model", [DetectionSettings, EnsembleSettings, FeatureSettings, MILSettings]
)
def test_fresh_form_gives_the_default_settings(qtbot: QtBot, model: type[Settings]) -> None:
    form = SettingsForm(model)
    qtbot.addWidget(form)
    assert form.value(model) == model()


@pytest.mark.parametrize("preset", ["default", "paper", "marrlab-code"])
def test_form_shows_every_preset_without_rounding(qtbot: QtBot, preset: Preset) -> None:
    form = SettingsForm(MILSettings)
    qtbot.addWidget(form)
    form.setValue(mil_preset(preset))
    assert form.value(MILSettings) == mil_preset(preset)


def test_control_has_title_description_and_bounds_of_its_field(qtbot: QtBot) -> None:
    form = SettingsForm(DetectionSettings)
    qtbot.addWidget(form)
    field = form.field("min_score")
    info = DetectionSettings.model_fields["min_score"]
    assert field.toolTip() == info.description
    assert (field.minimum(), field.maximum()) == (0, 1)


def test_lowest_position_of_an_optional_number_is_none(qtbot: QtBot) -> None:
    form = SettingsForm(DetectionSettings)
    qtbot.addWidget(form)
    field = form.field("cell_diameter_px")
    assert field.text() == "automatic"
    assert form.value(DetectionSettings).cell_diameter_px is None
    field.setValue(40)
    assert form.value(DetectionSettings).cell_diameter_px == 40
    form.setValue(DetectionSettings())
    assert form.value(DetectionSettings).cell_diameter_px is None


def test_every_change_is_told(qtbot: QtBot) -> None:
    form = SettingsForm(DetectionSettings)
    qtbot.addWidget(form)
    with qtbot.waitSignal(form.valueChanged):
        cast("QDoubleSpinBox", form.field("min_score")).setValue(0.8)


def test_a_field_is_shown_where_it_says(qtbot: QtBot) -> None:
    form = SettingsForm(MILSettings, EnsembleSettings)
    qtbot.addWidget(form)
    names = [*MILSettings.model_fields, *EnsembleSettings.model_fields]

    def shown() -> set[str]:
        return {name for name in names if form.field(name).isVisibleTo(form)}

    assert shown() == {"epochs", "members", "calibrate"}
    more, research = form.findChildren(Fold)
    more.setOpen(True)
    assert {"method", "seed"} <= shown() and "stop_loss" not in shown()
    research.setOpen(True)
    assert set(names) - shown() == {"reference_class"}
    assert research.findChild(QToolButton).text() == "Research settings"


def test_a_form_without_research_settings_has_no_place_for_them(qtbot: QtBot) -> None:
    form = SettingsForm(DetectionSettings)
    qtbot.addWidget(form)
    assert [fold.isVisibleTo(form) for fold in form.findChildren(Fold)] == [True, False]


class Mixed(Settings):
    switch: bool = Field(True, title="Switch", description="On or off.")
    number: int = Field(3, ge=1, le=5, title="Number", description="How many.")
    share: float = Field(0.5, gt=0, lt=1, title="Share", description="Between.")


def test_kinds_of_settings_have_kinds_of_controls(qtbot: QtBot) -> None:
    form = SettingsForm(Mixed)
    qtbot.addWidget(form)
    assert isinstance(form.field("switch"), QCheckBox)
    assert isinstance(form.field("number"), QSpinBox)
    assert isinstance(form.field("share"), QDoubleSpinBox)
    mil = SettingsForm(MILSettings)
    qtbot.addWidget(mil)
    assert isinstance(mil.field("method"), QComboBox)
    assert isinstance(mil.field("reference_class"), QLineEdit)


def test_text_is_read_without_the_blanks_around_it(qtbot: QtBot) -> None:
    form = SettingsForm(MILSettings)
    qtbot.addWidget(form)
    with qtbot.waitSignal(form.valueChanged):
        form.field("reference_class").setText(" control ")
    assert form.value(MILSettings).reference_class == "control"
    form.setValue(MILSettings())
    assert form.field("reference_class").placeholderText() == "automatic"
    assert form.value(MILSettings).reference_class == ""


def test_settings_that_are_set_elsewhere_are_not_shown_but_kept(qtbot: QtBot) -> None:
    form = SettingsForm(MILSettings)
    qtbot.addWidget(form)
    assert not form.isAncestorOf(form.field("reference_class"))
    form.setValue(MILSettings(reference_class="control"))
    assert form.value(MILSettings).reference_class == "control"


def test_open_bounds_cannot_be_reached(qtbot: QtBot) -> None:
    form = SettingsForm(Mixed)
    qtbot.addWidget(form)
    for extreme in (-1, 2):
        cast("QDoubleSpinBox", form.field("share")).setValue(extreme)
        assert 0 < form.value(Mixed).share < 1


def test_settings_that_do_not_go_together_are_refused_in_a_sentence(qtbot: QtBot) -> None:
    form = SettingsForm(Mixed)
    qtbot.addWidget(form)
    form.field("number").setRange(0, 9)
    form.field("number").setValue(9)
    with pytest.raises(UserError, match=r"Number \(number\) was given 9"):
        form.value(Mixed)
