"""The panel "Train detector"."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTreeWidget, QTreeWidgetItem

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
        return [item.text(0) for item in self._rows("reviewed")]

    def ticked(self) -> int:
        """Return how many reviewed images are ticked."""
        return self.part(ReviewedList).count()

    def untick(self, row: int) -> None:
        self._rows("reviewed")[row].setCheckState(0, Qt.CheckState.Unchecked)

    def tests(self) -> list[str]:
        """Return the names of the images that test the detector."""
        rows = self._rows("reviewed")
        return [item.text(0) for item in rows if item.checkState(1) == Qt.CheckState.Checked]

    def let_test(self, row: int, is_test: bool = True) -> None:
        state = Qt.CheckState.Checked if is_test else Qt.CheckState.Unchecked
        self._rows("reviewed")[row].setCheckState(1, state)

    def curves(self) -> dict[str, list[float]]:
        return self.part(LossCurve).value()

    def asks_for_a_decision(self) -> bool:
        """Tell whether a new detector waits to be accepted."""
        return self.offers("Use it")

    def detectors(self) -> list[str]:
        """Return the names of the study's detectors, the one in use with a tick."""
        return self.part(DetectorList).names()

    def use_detector(self, row: int) -> None:
        self.select(row)
        self.press("Use the selected detector")

    def select(self, row: int) -> None:
        self.part(QTreeWidget, "detectors").setCurrentItem(self._rows("detectors")[row])

    def _rows(self, name: str) -> list[QTreeWidgetItem]:
        tree = self.part(QTreeWidget, name)
        items = map(tree.topLevelItem, range(tree.topLevelItemCount()))
        return [item for item in items if item is not None]
