"""The number of workers that share long work."""

from __future__ import annotations

from typing import Final

from qtpy.QtWidgets import QSpinBox

from napari_attmil.core import Workers

MOST: Final = 256
AUTOMATIC: Final = "automatic"


class WorkersBox(QSpinBox):
    """A number of processes of this computer, or as many as pay."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(0, MOST)
        self.setSpecialValueText(AUTOMATIC)
        self.setAccessibleName("Workers")
        self.setToolTip(
            "Processes of this computer that share trainings, and samples to find cells in. The "
            "result is the same. Automatic: as many as pay, for the work, the cores and the memory."
        )

    def workers(self) -> Workers | None:
        """Return who is asked to work; None for as many as pay."""
        return Workers(self.value()) if self.value() else None
