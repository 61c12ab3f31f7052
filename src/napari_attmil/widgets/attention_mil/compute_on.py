"""The computer, or the cluster, that does long work."""

from __future__ import annotations

import os
from typing import Final

from qtpy.QtWidgets import QComboBox

from napari_attmil.widgets.parts import make_narrow

HERE: Final = "This computer"
SCHEDULER: Final = "DASK_SCHEDULER_ADDRESS"
"""The environment variable in which Dask itself looks for a scheduler."""


class ComputeOnCombo(QComboBox):
    """A combo box with this computer, and an address of a Dask scheduler to be typed in."""

    def __init__(self) -> None:
        super().__init__()
        make_narrow(
            self,
            "Who trains, evaluates, and finds cells in whole studies: this computer, or the "
            "workers of a Dask scheduler, whose address you type here, such as tcp://host:8786. "
            "The study has to lie on a drive that all workers see at the same path.",
        )
        self.setAccessibleName("Compute on")
        self.setEditable(True)
        self.setCompleter(None)  # It would turn a "t" into this computer.
        self.addItem(HERE)
        if address := os.environ.get(SCHEDULER, "").strip():
            self.addItem(address)

    def value(self) -> str:
        """Return the scheduler's address; "" for this computer."""
        text = self.currentText().strip()
        return "" if text.casefold() == HERE.casefold() else text

    def setValue(self, address: str) -> None:
        """Show a scheduler's address; "" for this computer."""
        self.setCurrentText(address or HERE)
