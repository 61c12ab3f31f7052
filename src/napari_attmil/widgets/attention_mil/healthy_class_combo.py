"""Chooses the class of the healthy samples, which a cohort's names often tell."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QWidget

from napari_attmil.images import reference_class
from napari_attmil.widgets.parts import make_narrow


class HealthyClassCombo(QComboBox):
    """The classes of a cohort, and which of them is taken if none is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        make_narrow(
            self,
            "Class of the healthy samples: what is unlike their cells is looked at first. It is "
            "found by its name (healthy, control, normal, ...) where none is chosen.",
        )
        self._classes: tuple[str, ...] = ()
        self.addItem("automatic", "")

    def value(self) -> str:
        """Return the class that was chosen; empty to find it by its name."""
        return str(self.currentData())

    def is_missing(self) -> bool:
        """Return whether no class was chosen and no name tells."""
        return not self.value() and reference_class(self._classes) is None

    def setClasses(self, classes: Sequence[str]) -> None:
        """Offer the classes of a cohort; what was chosen stays as long as the classes do."""
        if tuple(classes) == self._classes:
            return
        self._classes = tuple(classes)
        with QSignalBlocker(self):
            self.clear()
            found = reference_class(self._classes) or "none found"
            self.addItem(f"automatic ({found})" if classes else "automatic", "")
            for name in classes:
                self.addItem(name, name)
