"""How frequent the classes are where the samples come from, as a person says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QWidget

from napari_attmil.bags import checked_prior
from napari_attmil.core import UserError
from napari_attmil.widgets.parts import (
    STRETCH,
    column,
    form,
    hint_label,
    primary_button,
    push_button,
    set_warning,
    wrapping_label,
)

QUESTION: Final = "How frequent are the classes where the sample comes from?"
WHY: Final = (
    "Where a disease is rare, it is less probable than its cells alone suggest. Count the samples "
    "that are examined, not those of the study."
)
DECIMALS: Final = 3
"""Of a per cent: a disease of 1 in 100,000 can be given."""


class FrequenciesDialog(QDialog):
    """Asks for the share of each class in per cent.

    Parameters
    ----------
    assumed
        Share of each class in the training.
    prior
        What was said before; None for the shares of the training.
    """

    def __init__(
        self,
        assumed: Mapping[str, float],
        prior: Mapping[str, float] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._assumed = assumed
        self._shares = {name: _per_cent(name) for name in assumed}
        self._together = hint_label(name="together")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._use = primary_button("Use", "Show probabilities for these frequencies.")
        self._as_trained = push_button(
            "As in the training", "Fill in what the training assumed.", lambda: self._fill_in(None)
        )
        self._lay_out()

        for share in self._shares.values():
            share.valueChanged.connect(self._synchronise)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)

        self._fill_in(prior)

    def value(self) -> dict[str, float] | None:
        """Return the share of each class; None if they are those of the training."""
        given = {name: share.value() for name, share in self._shares.items()}
        if given == {name: round(100 * share, DECIMALS) for name, share in self._assumed.items()}:
            return None
        return checked_prior(given, tuple(self._assumed))

    def _lay_out(self) -> None:
        self.setWindowTitle("Frequencies of the classes")
        self._buttons.addButton(self._use, QDialogButtonBox.ButtonRole.AcceptRole)
        self._buttons.addButton(self._as_trained, QDialogButtonBox.ButtonRole.ResetRole)
        fields, question = form(dict(self._shares)), wrapping_label(QUESTION)
        column(
            question, hint_label(WHY), fields, self._together, STRETCH, self._buttons, within=self
        )
        self.resize(400, 260)

    def _fill_in(self, prior: Mapping[str, float] | None = None) -> None:
        for name, share in (prior or self._assumed).items():
            self._shares[name].setValue(100 * share)
        self._synchronise()

    def _synchronise(self) -> None:
        """Say how the shares are taken, or why they cannot be."""
        together = sum(share.value() for share in self._shares.values())
        try:
            self.value()
            missing = ""
        except UserError as error:
            missing = str(error)
        scaled = "" if abs(together - 100) < 0.01 else "; scaled to 100%"
        self._together.setText(missing or f"Together {together:g}%{scaled}.")
        set_warning(self._together, bool(missing))
        self._use.setEnabled(not missing)


def _per_cent(name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, 100)
    box.setDecimals(DECIMALS)
    box.setSuffix("%")
    box.setAccessibleName(f"Share of {name}")
    box.setToolTip(f"How many of 100 samples are {name}.")
    return box
