"""The panel "Classify samples"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QListWidget, QSlider

from napari_attmil.bags import EnsembleSettings, MILSettings
from napari_attmil.widgets.attention_mil.colour_map_button import ColourMapButton
from napari_attmil.widgets.attention_mil.compute_on import ComputeOnCombo
from napari_attmil.widgets.attention_mil.device_combo import DeviceCombo
from napari_attmil.widgets.attention_mil.healthy_class_combo import HealthyClassCombo
from napari_attmil.widgets.attention_mil.top_cells import TopCells
from napari_attmil.widgets.attention_mil.workers_box import WorkersBox
from napari_attmil.widgets.parts import (
    ConfusionView,
    LossCurve,
    ProbabilityBars,
    ProgressRow,
    SettingsForm,
)
from support.hand import MOUSE
from support.pages.page import Page, choose, entries

if TYPE_CHECKING:
    from qtpy.QtWidgets import QComboBox

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget


class ImagesPage(Page):
    """Step 1."""

    @property
    def layers(self) -> QComboBox:
        return self.combo("The image layer")

    def entries(self) -> list[str]:
        """Return the image layers in the order of the list."""
        return entries(self.layers)

    def choose_layer(self, name: str) -> None:
        place = self.layers.findText(name)
        self.layers.setCurrentIndex(place)
        self.layers.activated.emit(place)


class CellsPage(Page):
    """Step 2."""

    def set(self, name: str, value: float) -> None:
        """Give a setting of the detection."""
        cast("QDoubleSpinBox", self.part(SettingsForm).field(name)).setValue(value)

    def shows_progress(self) -> bool:
        return not self.part(ProgressRow).isHidden()


class ClassifierPage(Page):
    """Step 3."""

    @property
    def device(self) -> DeviceCombo:
        return self.part(DeviceCombo)

    @property
    def compute_on(self) -> ComputeOnCombo:
        return self.part(ComputeOnCombo)

    @property
    def workers(self) -> WorkersBox:
        return self.part(WorkersBox)

    def settings(self) -> tuple[MILSettings, EnsembleSettings]:
        """Return the settings of a training, and of an ensemble of them."""
        form = self.part(SettingsForm)
        return form.value(MILSettings), form.value(EnsembleSettings)

    def set(self, **settings: float | str) -> None:
        """Give settings of the training or the ensemble."""
        form = self.part(SettingsForm)
        for model in (MILSettings, EnsembleSettings):
            own = {name: value for name, value in settings.items() if name in model.model_fields}
            form.setValue(form.value(model).replace(**own))

    def choose_preset(self, name: str) -> None:
        self.choose("Which set of training settings", name)

    def choose_healthy(self, name: str) -> None:
        choose(self.part(HealthyClassCombo), name)

    @property
    def matrix(self) -> ConfusionView:
        """The matrix of held-out patients."""
        return self.part(ConfusionView)

    def held_out_patients(self) -> list[str]:
        """Return the patients that are listed."""
        listed = self.part(QListWidget, "held_out_patients")
        return [listed.item(row).text() for row in range(listed.count())]

    def press_patient(self, place: int) -> None:
        """Click a listed patient."""
        listed = self.part(QListWidget, "held_out_patients")
        middle = listed.visualItemRect(listed.item(place)).center()
        MOUSE.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=middle)

    def losses(self) -> list[float]:
        """Return the total losses that are drawn; none before a training."""
        curves = self.widget.findChildren(LossCurve)
        return curves[0].value()["loss"] if curves else []


class ResultPage(Page):
    """Step 4."""

    def probabilities(self) -> list[tuple[str, float]]:
        """Return classes and probabilities, the most probable first."""
        return self.bars.value()

    @property
    def bars(self) -> ProbabilityBars:
        return self.part(ProbabilityBars)

    def shows_result(self) -> bool:
        return self.bars.isVisibleTo(self.widget)

    def top_cells(self) -> tuple[int, ...]:
        """Return the ids of the thumbnails."""
        return self.part(TopCells).value()

    def press_top_cell(self, place: int) -> None:
        self.part(TopCells).button(place).click()

    def fade_below(self, per_cent: int) -> str:
        """Move the slider, and return what it says then."""
        slider = self.part(QSlider)
        slider.setValue(per_cent)
        (label,) = (each for each in self.widget.findChildren(QLabel) if each.buddy() is slider)
        return label.text()

    def colour_maps(self) -> dict[str, Any]:
        """Return the actions of the button beside the legend, by their colours."""
        menu = self.part(ColourMapButton).menu()
        assert menu is not None
        return {action.data(): action for action in menu.actions()}


class AttentionMILPage(Page):
    """All steps."""

    def __init__(self, panel: AttentionMILWidget) -> None:
        super().__init__(panel)
        self.images = ImagesPage(panel.images_step)
        self.cells = CellsPage(panel.cells_step)
        self.classifier = ClassifierPage(panel.classifier_step)
        self.result = ResultPage(panel.result_step)
