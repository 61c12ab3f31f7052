"""What an evaluation compares, and how often; asked before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QSpinBox, QWidget

from napari_attmil.bags import METHODS, TABLE_1, Method
from napari_attmil.core import FieldSpec, counted
from napari_attmil.evaluation import EvaluationSettings
from napari_attmil.widgets.parts import (
    STRETCH,
    column,
    form,
    hint_label,
    narrow_combo,
    primary_button,
    wrapping_label,
)

WHAT: Final = (
    "Each patient is classified by classifiers that were trained without that patient. The report "
    "says how often they are right, which classes they mistake, and how well they find the cells "
    "that decide. The classifier in use stays as it is."
)
COMPARED: Final[dict[str, tuple[Method, ...]]] = {
    "nothing else": (),
    "the paper's four methods": TABLE_1,
    "all methods": tuple(METHODS),
}
"""By what is shown: methods beside the one that the panel is set to train."""


class EvaluateDialog(QDialog):
    """Asks what is compared, and with how many folds and runs.

    Parameters
    ----------
    method
        The method of the settings in the panel.
    is_ensemble
        Whether these settings make an ensemble, which is then what is evaluated.
    out
        Folder of the report.
    """

    def __init__(
        self, method: Method, is_ensemble: bool, out: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._own = () if is_ensemble else (method,)
        self._others = narrow_combo(
            "What else is trained and tested on the same patients.",
            {title: title for title in COMPARED},
        )
        self._folds, self._runs = _number("folds"), _number("runs")
        controls = FieldSpec.of(EvaluationSettings, "controls")
        self._controls = QCheckBox("Check it: shuffled classes must give chance")
        self._controls.setToolTip(controls.description)
        self._effort = hint_label(name="effort")
        self._place = hint_label(f"The report is written into {out}.", "place")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._lay_out()
        self._others.activated.connect(self._synchronise)
        self._controls.toggled.connect(self._synchronise)
        self._folds.valueChanged.connect(self._synchronise)
        self._runs.valueChanged.connect(self._synchronise)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._synchronise()

    def value(self) -> EvaluationSettings:
        """Return what was chosen."""
        others = COMPARED[self._others.currentData()]
        return EvaluationSettings(
            folds=self._folds.value(),
            runs=self._runs.value(),
            methods=tuple(dict.fromkeys((*others, *self._own))),
            controls=self._controls.isChecked(),
        )

    def _lay_out(self) -> None:
        self.setWindowTitle("Evaluate by patient")
        start = primary_button("Evaluate", "Start. It can be stopped, and goes on from there.")
        self._buttons.addButton(start, QDialogButtonBox.ButtonRole.AcceptRole)
        what = wrapping_label()
        what.setText(WHAT)
        fields = form({"Compare with": self._others, "Folds": self._folds, "Runs": self._runs})
        told = (self._controls, self._effort, self._place)
        column(what, fields, *told, STRETCH, self._buttons, within=self)
        self.resize(440, 340)

    def _synchronise(self) -> None:
        plan = self.value()
        rows = len(plan.methods) + (not self._own) + 2 * plan.controls
        trainings = counted(rows * plan.folds * plan.runs, "training")
        self._effort.setText(f"{trainings}, each of which is kept as soon as it is finished.")


def _number(name: str) -> QSpinBox:
    """Return the control of one of the numbers of `EvaluationSettings`."""
    spec, box = FieldSpec.of(EvaluationSettings, name), QSpinBox()
    box.setRange(int(spec.ge or 0), int(spec.le or 0))
    box.setValue(getattr(EvaluationSettings(), name))
    box.setToolTip(spec.description)
    return box
