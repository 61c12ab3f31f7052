"""A study's detectors, and which one is in use."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.cells.finetuning import (
    DetectorModel,
    detector_in_use,
    fitted_detectors,
    use_detector,
)
from napari_attmil.core import UserError
from napari_attmil.widgets.parts import tell_error

COLUMNS = {
    "Detector": "The one in use has a tick.",
    "Made": "When it was fitted.",
    "Held out": "How well it finds the cells of the images held out, before and after.",
    "From": "The detector it was fitted from: the beginning of its fingerprint.",
    "Data": "What it learnt from.",
}
"""Headers of the list, and what each says at the mouse: short, as panels are narrow."""
SHIPPED = "as it came"


class DetectorList(QWidget):
    """Lists the detectors of a project, the one in use ticked, and lets another one be used.

    Signals
    -------
    chosen()
        Another detector is in use.
    """

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._project: Path | None = None
        self._tree = QTreeWidget()
        self._tree.setHeaderLabels(list(COLUMNS))
        for place, explanation in enumerate(COLUMNS.values()):
            self._tree.headerItem().setToolTip(place, explanation)
        self._tree.setRootIsDecorated(False)
        self._tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._tree.setToolTip("The detectors of this study; the one in use has a tick.")
        self._tree.setAccessibleName("Detectors of this study")
        self._use = QPushButton("Use the selected detector")
        self._use.setToolTip("Cells of this study are found with it from now on.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._tree)
        layout.addWidget(self._use)
        self._use.clicked.connect(self.use_selected)
        self._tree.itemActivated.connect(self.use_selected)
        self._tree.itemSelectionChanged.connect(self._synchronise)

    def setProject(self, project: Path | None) -> None:
        """Show the detectors of another project, or those of the same one anew."""
        self._project = project
        self._tree.clear()
        in_use = None if project is None else detector_in_use(project)
        self._add(("shipped", SHIPPED, "", "", "its model card"), None, in_use)
        for model in [] if project is None else fitted_detectors(project):
            self._add(_row(model), model.path, in_use)
        for column in range(len(COLUMNS)):
            self._tree.resizeColumnToContents(column)
        self._synchronise()

    def names(self) -> list[str]:
        """Return the names that are listed, the one in use with a tick."""
        items = [self._tree.topLevelItem(row) for row in range(self._tree.topLevelItemCount())]
        return [item.text(0) for item in items if item is not None]

    def use_selected(self) -> None:
        """Use the selected detector from now on."""
        items = self._tree.selectedItems()
        if self._project is None or not items:
            return
        try:
            use_detector(self._project, items[0].data(0, Qt.ItemDataRole.UserRole))
        except UserError as error:
            tell_error(error)
            return
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
