"""A study's detectors, and which one is in use."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QMessageBox,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_attmil.cells.detection import detector_names, is_offered
from napari_attmil.cells.finetuning import (
    DetectorModel,
    accept_candidate,
    candidate,
    candidate_path,
    delete_detector,
    detector_in_use,
    fitted_detectors,
    use_detector,
)
from napari_attmil.widgets.parts import column, errors_shown, push_button, row

COLUMNS = {
    "Detector": "The one in use has a tick.",
    "Made": "When it was trained.",
    "Precision": (
        "Precision on held-out images, of the detector before and of this one: average precision "
        "(AP) over overlaps of 0.5 to 0.95, in which untouched boxes count a quarter."
    ),
    "From": "The detector it was trained from: the beginning of its fingerprint.",
    "Data": "What it was trained on.",
}
"""Headings of the list with their tooltips; short, as panels are narrow."""
BUILT_IN = "built in"


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
        self._tree.setObjectName("detectors")
        self._tree.setRootIsDecorated(False)
        self._tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._tree.setToolTip("The detectors of this study; the one in use has a tick.")
        self._tree.setAccessibleName("Detectors of this study")
        self._use = push_button(
            "Use the selected detector",
            "Cells of this study are found with it from now on.",
            self.use_selected,
        )
        self._delete = push_button(
            "Delete…",
            "Delete the selected detector from the disk; not the one in use.",
            self.delete_selected,
        )
        buttons = row((self._use, 1), self._delete)
        column(self._tree, buttons, within=self, margin_px=0)
        self._tree.itemActivated.connect(self.use_selected)
        self._tree.itemSelectionChanged.connect(self._synchronise)

    def setProject(self, project: Path | None) -> None:
        """Show the detectors of a study folder."""
        self._project = project
        self._tree.clear()
        in_use = None if project is None else detector_in_use(project)
        self._add((BUILT_IN, "", "", "", "its model card"), None, in_use)
        for model in [] if project is None else _models(project):
            self._add(_row(model), model.path, in_use)
        for name in [] if project is None else detector_names():
            self._add((name, "", "", "", "an installed package"), Path(name), in_use)
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
        path = items[0].data(0, Qt.ItemDataRole.UserRole)
        with errors_shown(self, "use", self.use_selected):
            if path == candidate_path(self._project):
                accept_candidate(self._project)
            else:
                use_detector(self._project, path)
            self.chosen.emit()

    def delete_selected(self) -> None:
        """Delete the selected detector, if the person is sure."""
        items = self._tree.selectedItems()
        if self._project is None or not items:
            return
        path, name = items[0].data(0, Qt.ItemDataRole.UserRole), items[0].text(0)
        answer = QMessageBox.question(
            self, "Delete a detector", f"Delete the detector {name!r}? This cannot be undone."
        )
        if answer == QMessageBox.StandardButton.Yes:
            with errors_shown(self, "delete", self.delete_selected):
                delete_detector(self._project, path)
                self.chosen.emit()

    def _add(self, texts: tuple[str, ...], path: Path | None, in_use: Path | None) -> None:
        tick = "✓ " if path == in_use else ""
        item = QTreeWidgetItem([tick + texts[0], *texts[1:]])
        item.setData(0, Qt.ItemDataRole.UserRole, path)
        for place, text in enumerate(texts):
            item.setToolTip(place, text)
        self._tree.addTopLevelItem(item)

    def _synchronise(self) -> None:
        items = [] if self._project is None else self._tree.selectedItems()
        self._use.setEnabled(bool(items))
        path = items[0].data(0, Qt.ItemDataRole.UserRole) if items else None
        in_use = None if self._project is None else detector_in_use(self._project)
        is_file = path is not None and not is_offered(path)
        self._delete.setEnabled(is_file and path != in_use)


def _models(project: Path) -> list[DetectorModel]:
    """Return all detectors of a study, the newest first."""
    newest = candidate(project)
    return [*([] if newest is None else [newest]), *fitted_detectors(project)]


def _row(model: DetectorModel) -> tuple[str, ...]:
    parent = str(model.provenance.get("parent", ""))[:8]
    name = "new" if model.is_candidate else model.name
    return (name, model.created, model.scores, parent, str(model.provenance.get("data", "")))
