"""The panel "Annotate cells" and its sheet of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QKeySequenceEdit,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QSlider,
    QTableView,
    QTreeWidget,
    QWidget,
)

from napari_attmil.widgets.annotate.box_panel import BoxPanel
from napari_attmil.widgets.annotate.cell_candidates import CellCandidates
from napari_attmil.widgets.annotate.history_sheet import HistoryModel, HistorySheet
from napari_attmil.widgets.annotate.score_cut import ScoreCut
from napari_attmil.widgets.viewer.key_registry import from_qt, to_qt
from support.hand import MOUSE
from support.pages.page import Page

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.cells import Boxes
    from napari_attmil.widgets.annotate.panel import AnnotateWidget


class AnnotatePage(Page):
    """Tools for the boxes of the image shown."""

    def __init__(self, bench: AnnotateWidget) -> None:
        super().__init__(bench)
        self._bench = bench
        self.boxes = Page(self.part(BoxPanel))
        self.score_cut = ScoreCutPage(self.part(ScoreCut))

    def detect_ahead(self) -> None:
        """Let cells be detected ahead, by a click of the mouse."""
        tick = next(box for box in self.widget.findChildren(QCheckBox) if "ahead" in box.text())
        MOUSE.mouseClick(tick, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))

    def tools_bar(self) -> QScrollBar:
        """Return the bar beside the tools, which is there where they have too little room."""
        part: QWidget | None = self.boxes.widget
        while part is not None and not isinstance(part, QScrollArea):
            part = part.parentWidget()
        assert part is not None
        bar = part.verticalScrollBar()
        assert bar is not None
        return bar

    def choose_to_import(self, what: str) -> None:
        """Choose an entry of the menu of *Import boxes…*."""
        button = self.button("Import boxes…")
        assert isinstance(button, QPushButton)
        menu = button.menu()
        assert menu is not None
        (action,) = (action for action in menu.actions() if action.text().startswith(what))
        action.trigger()

    def dialog(self) -> QDialog | None:
        """Return the open dialog."""
        return next((d for d in self.widget.findChildren(QDialog) if d.isVisible()), None)

    def candidates(self) -> Boxes:
        """Return what the detector thinks possible in the image shown, once it is known."""
        candidates = self._bench.tools.findChild(CellCandidates)
        assert candidates is not None
        return candidates.of_image_shown()


class ImportPage(Page):
    """The preview of an import."""

    def rows(self) -> list[list[str]]:
        """Return the list of images, as it is shown."""
        return self._texts("The images of the study that the files have boxes for")

    def left_out(self) -> list[list[str]]:
        """Return the reasons for which something is left out, and how much of it."""
        return self._texts("What is left out, by reason")

    def tick(self, name: str) -> None:
        """Tick or untick a class."""
        self.press(name)

    def _texts(self, name: str) -> list[list[str]]:
        trees = self.widget.findChildren(QTreeWidget)
        (tree,) = (tree for tree in trees if tree.accessibleName() == name)
        items = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]
        return [[item.text(c) for c in range(tree.columnCount())] for item in items if item]


class ExportPage(Page):
    """The preview of an export."""

    def go_to(self, path: Path) -> None:
        """Type where to write to."""
        field = self.part(QLineEdit)
        field.setText(str(path))
        field.editingFinished.emit()


class ScoreCutPage(Page):
    """The slider over the scores of the detector's boxes."""

    def set(self, per_cent: int) -> None:
        self.part(QSlider).setValue(per_cent)


class KeySheetPage(Page):
    """Which key does what."""

    def key(self, title: str) -> str:
        """Return the key of an action, in napari's words."""
        return from_qt(self._field(title).keySequence())

    def change(self, title: str, key: str) -> None:
        field = self._field(title)
        field.setKeySequence(to_qt(key))
        field.editingFinished.emit()

    def _field(self, title: str) -> QKeySequenceEdit:
        fields = self.widget.findChildren(QKeySequenceEdit)
        (field,) = (field for field in fields if field.accessibleName() == f"Key for {title}")
        return field


class HistoryPage(Page):
    """The list of all that was done."""

    def __init__(self, bench: AnnotateWidget) -> None:
        super().__init__(bench.findChildren(HistorySheet)[-1])

    def rows(self) -> list[tuple[str, ...]]:
        """Return who did what and where, the last change first."""
        model = self.part(HistoryModel)
        return [
            tuple(str(model.index(line, place).data()) for place in (1, 2, 3))
            for line in range(model.rowCount())
        ]

    def taken_back(self) -> list[bool]:
        """Return which changes are struck through."""
        model, role = self.part(HistoryModel), Qt.ItemDataRole.FontRole
        fonts = [model.index(line, 2).data(role) for line in range(model.rowCount())]
        return [font is not None and font.strikeOut() for font in fonts]

    def click(self, line: int) -> None:
        view, index = self.part(QTableView), self.part(HistoryModel).index(line, 2)
        view.scrollTo(index)
        place = view.visualRect(index).center()
        MOUSE.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
