"""A study's detectors, and which one is in use."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_attmil.cells.finetuning import (
    DetectorModel,
    detector_in_use,
    fitted_detectors,
    use_detector,
)
from napari_attmil.widgets.parts import column, errors_shown, push_button

COLUMNS = {
    "Detector": "The one in use has a tick.",
    "Made": "When it was trained.",
    "Held out": "How well it finds the cells of held-out images, before and after.",
    "From": "The detector it was trained from: the beginning of its fingerprint.",
    "Data": "What it was trained on.",
}
"""Headings of the list with their tooltips; short, as panels are narrow."""
SHIPPED = "as it came"


class DetectorList(QWidget):
    """Lists the detectors of a study, the one in use ticked, and switches between them.

    Signals
    -------
    chosen()
        Another detector is in use.
    """

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._project: Path | None = None
        self._tree = QTreeWidget()
        self._tree.setHeaderLabels(list(COLUMNS))
        for place, explanation in enumerate(COLUMNS.values()):
            self._tree.headerItem().setToolTip(place, explanation)
        self._tree.setRootIsDecorated(False)
        self._tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._tree.setToolTip("The detectors of this study; the one in use has a tick.")
        self._tree.setAccessibleName("Detectors of this study")
        self._use = push_button(
            "Use the selected detector",
            "Cells of this study are found with it from now on.",
            self.use_selected,
        )
        column(self._tree, self._use, within=self, margin_px=0)
        self._tree.itemActivated.connect(self.use_selected)
        self._tree.itemSelectionChanged.connect(self._synchronise)

    def setProject(self, project: Path | None) -> None:
        """Show the detectors of a study folder."""
        self._project = project
        self._tree.clear()
        in_use = None if project is None else detector_in_use(project)
        self._add(("shipped", SHIPPED, "", "", "its model card"), None, in_use)
        for model in [] if project is None else fitted_detectors(project):
            self._add(_row(model), model.path, in_use)
        for place in range(len(COLUMNS)):
            self._tree.resizeColumnToContents(place)
        self._synchronise()

    def names(self) -> list[str]:
        """Return the names in the list, the one in use with a tick."""
        items = [self._tree.topLevelItem(row) for row in range(self._tree.topLevelItemCount())]
        return [item.text(0) for item in items if item is not None]

    def use_selected(self) -> None:
        """Use the selected detector from now on."""
        items = self._tree.selectedItems()
        if self._project is None or not items:
            return
        with errors_shown(self, "use", self.use_selected):
            use_detector(self._project, items[0].data(0, Qt.ItemDataRole.UserRole))
            self.chosen.emit()

    def _add(self, texts: tuple[str, ...], path: Path | None, in_use: Path | None) -> None:
        tick = "✓ " if path == in_use else ""
        item = QTreeWidgetItem([tick + texts[0], *texts[1:]])
        item.setData(0, Qt.ItemDataRole.UserRole, path)
        for place, text in enumerate(texts):
            item.setToolTip(place, text)
        self._tree.addTopLevelItem(item)

    def _synchronise(self) -> None:
        self._use.setEnabled(self._project is not None and bool(self._tree.selectedItems()))


def _row(model: DetectorModel) -> tuple[str, ...]:
    parent = str(model.provenance.get("parent", ""))[:8]
    return (model.name, model.created, model.scores, parent, str(model.provenance.get("data", "")))
