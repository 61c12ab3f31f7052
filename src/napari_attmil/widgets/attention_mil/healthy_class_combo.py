"""The choice of the healthy class, which is often found by its name."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox

from napari_attmil.images import reference_class
from napari_attmil.widgets.parts import make_narrow


class HealthyClassCombo(QComboBox):
    """The classes of a cohort, and the one that is used if none is chosen."""

    def __init__(self) -> None:
        super().__init__()
        make_narrow(
            self,
            "Class of the healthy samples; cells unlike theirs get attention first. If none is "
            "chosen, it is found by its name (healthy, control, normal, ...).",
        )
        self._classes: tuple[str, ...] = ()
        self.addItem("automatic", "")

    def value(self) -> str:
        """Return the chosen class; empty if it is to be found by its name."""
        return str(self.currentData())

    def is_missing(self) -> bool:
        """Return whether none is chosen and none is found by its name."""
        return not self.value() and reference_class(self._classes) is None

    def setClasses(self, classes: Sequence[str]) -> None:
        """Offer the classes of a cohort; the choice is lost only when they change."""
        if tuple(classes) == self._classes:
            return
        self._classes = tuple(classes)
        with QSignalBlocker(self):
            self.clear()
            found = reference_class(self._classes) or "none found"
            self.addItem(f"automatic ({found})" if classes else "automatic", "")
            for name in classes:
                self.addItem(name, name)
