"""The panel "Train detector"."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QTreeWidget

from napari_attmil.widgets.detector.detector_list import DetectorList
from napari_attmil.widgets.detector.reviewed_list import ReviewedList
from napari_attmil.widgets.parts import LossCurve
from support.pages.page import Page

TRAIN = "Train on the ticked images"


class DetectorPage(Page):
    """Reviewed images, the training, and the detectors of the study."""

    def can_train(self) -> bool:
        return self.can_press(TRAIN)

    def reviewed(self) -> list[str]:
        """Return the names of the reviewed images, ticked or not."""
        rows = self.part(QListWidget)
        return [rows.item(row).text() for row in range(rows.count())]

    def ticked(self) -> int:
        """Return how many reviewed images are ticked."""
        return self.part(ReviewedList).count()

    def untick(self, row: int) -> None:
        self.part(QListWidget).item(row).setCheckState(Qt.CheckState.Unchecked)

    def curves(self) -> dict[str, list[float]]:
        return self.part(LossCurve).value()

    def asks_for_a_decision(self) -> bool:
        """Tell whether a new detector waits to be accepted."""
        return self.offers("Accept")

    def detectors(self) -> list[str]:
        """Return the names of the study's detectors, the one in use with a tick."""
        return self.part(DetectorList).names()

    def use_detector(self, row: int) -> None:
        tree = self.part(QTreeWidget)
        tree.setCurrentItem(tree.topLevelItem(row))
        self.press("Use the selected detector")
