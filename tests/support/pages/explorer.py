"""The panel "Explore cells"."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QAction, QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QLabel,
    QLineEdit,
    QSlider,
    QTableView,
    QToolButton,
    QWidget,
)
from superqt import QRangeSlider

from napari_attmil.widgets.explorer.cell_model import CellModel, TableModel
from napari_attmil.widgets.explorer.gallery_export import export
from napari_attmil.widgets.explorer.views import (
    FigureView,
    GalleryView,
    PatientStrips,
    RemovalPlot,
    Scatter,
)
from napari_attmil.widgets.parts import ConfusionView, ProbabilityBars, TaskRunner
from napari_attmil.widgets.thumbnails import Thumbnails
from support.pages.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from pytestqt.qtbot import QtBot
    from qtpy.QtCore import QModelIndex

    from napari_attmil.session import CellKey
    from napari_attmil.widgets.explorer.panel import ExploreWidget
    from napari_attmil.widgets.explorer.tabs import ExplorerTab

LEFT = Qt.MouseButton.LeftButton


class TabPage(Page):
    """What all tabs do."""

    def __init__(self, tab: ExplorerTab, explorer: ExploreWidget, qtbot: QtBot) -> None:
        super().__init__(tab)
        self._tab, self._explorer, self.qtbot = tab, explorer, qtbot

    def open(self) -> None:
        """Bring the tab to the front, and wait until it shows how things stand."""
        self._explorer.show_tab(self._tab)
        self.settle()

    def settle(self) -> None:
        """Wait until what has changed is shown."""
        self.wait(lambda: not self._tab.is_stale)

    def wait(self, condition: Any, timeout: int = 10_000) -> None:
        self.qtbot.waitUntil(condition, timeout=timeout)

    def press_when_ready(self, text: str) -> None:
        """Press a button as soon as it can be pressed."""
        self.wait(lambda: self.can_press(text))
        self.press(text)


class ScopePage(TabPage):
    """The line above the tabs."""

    def filter(self, condition: str) -> None:
        field = self.part(QLineEdit)
        field.setText(condition)
        field.editingFinished.emit()


class ColoursPage(TabPage):
    """What boxes are coloured by."""

    def colour_by(self, column: str) -> None:
        self.choose("What the boxes are coloured by", column)

    def hide_outside(self) -> None:
        self.choose("What happens to cells outside", True)

    def drag_range(self, low: float, high: float) -> None:
        """Drag both ends of the slider; 0 is the left end, 1 the right one."""
        slider = self.part(QRangeSlider)
        slider.setValue((round(low * slider.maximum()), round(high * slider.maximum())))


class CellsPage(TabPage):
    """A tab that shows cells in rows."""

    @property
    def view(self) -> QAbstractItemView:
        return self.part(QTableView)

    @property
    def model(self) -> CellModel:
        return self.part(CellModel)

    def keys(self) -> list[CellKey]:
        """Return samples and ids of the cells, in the order shown."""
        return [self.model.key(row) for row in range(self.model.rowCount())]

    def ids(self) -> list[int]:
        """Return the ids of the cells, in the order shown."""
        return [cell for _, cell in self.keys()]

    def selected_rows(self) -> set[int]:
        return selected_rows(self.view)

    def selected_ids(self) -> set[int]:
        return {self.ids()[row] for row in self.selected_rows()}

    def place(self, row: int) -> QPoint:
        """Return where a row is drawn in the view."""
        return self.view.visualRect(self.index(row)).center()

    def index(self, row: int) -> QModelIndex:
        return self.model.index(row, 0)

    def click(self, row: int) -> None:
        self.qtbot.mouseClick(self.view.viewport(), LEFT, pos=self.place(row))

    def double_click(self, row: int) -> None:
        self.qtbot.mouseDClick(self.view.viewport(), LEFT, pos=self.place(row))

    def press_key(self, key: str) -> None:
        """Press a key that one of the view's shortcuts stands for."""
        (shortcut,) = (s for s in self.view.findChildren(QShortcut) if s.key().toString() == key)
        shortcut.activated.emit()


class GalleryPage(CellsPage):
    """Thumbnails."""

    @property
    def view(self) -> GalleryView:
        return self.part(GalleryView)

    @property
    def thumbnails(self) -> Thumbnails:
        return self.part(Thumbnails)

    def show_highest_of_each(self, group: str) -> None:
        self.choose("Every cell, or only the highest", group)

    def turn_order(self) -> None:
        """Begin with the other end."""
        order = "Which end the cells begin with"
        self.choose(order, not self.combo(order).currentData())

    def export(self, path: Path) -> None:
        """Write the figure to a file, without asking for its name."""
        direct = Qt.FindChildOption.FindDirectChildrenOnly
        runner = self.widget.findChild(TaskRunner, options=direct)
        assert runner is not None
        export(path, runner, self.view, self.thumbnails)


class TablePage(CellsPage):
    """Rows of numbers."""

    def click_heading(self, column: str) -> None:
        view = self.part(QTableView)
        header, place = view.horizontalHeader(), list(self.model.table.columns).index(column)
        assert header is not None
        view.scrollTo(self.model.index(0, place))
        where = QPoint(header.sectionViewportPosition(place) + 5, header.height() // 2)
        self.qtbot.mouseClick(header.viewport(), LEFT, pos=where)

    def select(self, row: int) -> None:
        self.part(QTableView).selectRow(row)

    def write(self, row: int, column: str, text: str) -> None:
        """Write into a cell of the table, as its editor does."""
        assert self.model.setData(self._cell(row, column), text)
        self.wait(lambda: not self._tab.is_stale)

    def can_write(self, row: int, column: str) -> bool:
        return bool(self._cell(row, column).flags() & Qt.ItemFlag.ItemIsEditable)

    def _cell(self, row: int, column: str) -> QModelIndex:
        return self.model.index(row, list(self.model.table.columns).index(column))


class ScatterPage(Page):
    """Points in the plane."""

    @property
    def scatter(self) -> Scatter:
        return self.widget if isinstance(self.widget, Scatter) else self.part(Scatter)

    @property
    def plot(self) -> pg.PlotWidget:
        return self.part(pg.PlotWidget)

    @property
    def points(self) -> npt.NDArray[np.float64]:
        return self.scatter.points

    def scene_place(self, row: int) -> QPointF:
        """Return where a point lies in the scene."""
        return self.plot.getViewBox().mapViewToScene(QPointF(*self.points[row]))

    def point_at(self, row: int) -> None:
        """Move the mouse over a point."""
        self.plot.scene().sigMouseMoved.emit(self.scene_place(row))

    def lasso(self, corners: Iterable[tuple[float, float]]) -> None:
        """Draw a line around what lies within corners, given in the units of the axes."""
        box, places = self.plot.getViewBox(), list(corners)
        scene = [box.mapViewToScene(QPointF(*place)) for place in places]
        for number in range(1, len(scene)):
            box.mouseDragEvent(_Drag(scene, number))

    def ringed(self) -> int:
        """Return how many points are ringed."""
        items = self.plot.getPlotItem().items
        casing, rings = (item for item in items if isinstance(item, pg.ScatterPlotItem))
        assert len(casing.points()) == len(rings.points())
        return len(rings.points())

    def is_ringed(self, row: int) -> bool:
        """Tell whether a point is ringed."""
        items = self.plot.getPlotItem().items
        *_, rings = (item for item in items if isinstance(item, pg.ScatterPlotItem))
        places = [(point.pos().x(), point.pos().y()) for point in rings.points()]
        return tuple(self.points[row].tolist()) in places

    def click(self, row: int) -> None:
        """Click a point."""
        scene = self.scene_place(row)
        self.plot.getViewBox().mouseClickEvent(
            SimpleNamespace(
                button=lambda: LEFT,
                accept=lambda: None,
                double=lambda: False,
                modifiers=lambda: Qt.KeyboardModifier.NoModifier,
                scenePos=lambda: scene,
            )
        )

    def colour_on_screen(self, row: int) -> tuple[int, ...]:
        """Return red, green and blue where a point is drawn."""
        picture, place = self.plot.grab().toImage(), self.plot.mapFromScene(self.scene_place(row))
        ratio = picture.devicePixelRatio()
        colour = picture.pixelColor(int(ratio * place.x()), int(ratio * place.y()))
        return colour.getRgb()[:3]


class _Drag(SimpleNamespace):
    """A move of the mouse with the left button held, as pyqtgraph tells of it."""

    def __init__(self, scene: list[QPointF], number: int) -> None:
        super().__init__(
            button=lambda: LEFT,
            accept=lambda: None,
            modifiers=lambda: Qt.KeyboardModifier.NoModifier,
            isStart=lambda: number == 1,
            isFinish=lambda: number == len(scene) - 1,
            buttonDownScenePos=lambda: scene[0],
            scenePos=lambda: scene[number],
        )


class MapPage(ScatterPage, CellsPage):
    """Cells as points."""

    def shows_picture(self) -> bool:
        """Tell whether the cell that was pointed at is shown."""
        return any(not label.pixmap().isNull() for label in self.widget.findChildren(QLabel))

    def column_across(self) -> str:
        return str(self.combo("What is drawn from left to right").currentData())


class SamplePage(TabPage):
    """What if cells were not there?"""

    def prepare(self) -> None:
        self.press("What if cells were not there?")
        self.wait(self.is_prepared)

    def is_prepared(self) -> bool:
        return self.part(RemovalPlot).isVisible()

    @property
    def slider(self) -> QSlider:
        (slider,) = (s for s in self.widget.findChildren(QSlider) if s.toolTip())
        return slider

    def drag_line(self, count: float) -> None:
        """Drag the line of the curve to a number of cells."""
        plot = self.part(RemovalPlot).findChild(pg.PlotWidget)
        (line,) = (i for i in plot.getPlotItem().items if isinstance(i, pg.InfiniteLine))
        line.setValue(count)

    def probabilities(self) -> list[tuple[str, float]]:
        """Return what is said of the whole sample."""
        return self.widget.findChildren(ProbabilityBars)[0].value()

    def without(self) -> list[tuple[str, float]]:
        """Return what is said without the cells that were taken away."""
        return self.widget.findChildren(ProbabilityBars)[1].value()


class CohortPage(TabPage):
    """All samples."""

    @property
    def strips(self) -> PatientStrips:
        return self.part(PatientStrips)

    @property
    def confusion(self) -> ConfusionView:
        return self.part(ConfusionView)

    @property
    def table(self) -> pd.DataFrame:
        """The samples, one a row."""
        return self.part(TableModel).table

    def classify_all(self) -> None:
        self.press_when_ready("Classify all samples")
        self.wait(lambda: not self.busy and not self._tab.is_stale)

    def click_bar(self, sample: str) -> None:
        place = self.strips.bars()[sample].center().toPoint()
        self.qtbot.mouseClick(self.strips, LEFT, pos=place)

    def click_number(self, true_class: str, named: str) -> None:
        """Click the number of samples of a class that were taken for another."""
        size = self.confusion.size()
        place = next(
            QPoint(x, y)
            for x in range(0, size.width(), 4)
            for y in range(0, size.height(), 4)
            if self.confusion.cell_at(QPointF(x, y)) == (true_class, named)
        )
        self.qtbot.mouseClick(self.confusion, LEFT, pos=place)

    def click_beside_numbers(self) -> None:
        self.qtbot.mouseClick(self.confusion, LEFT, pos=QPoint(1, 1))

    def selected_samples(self) -> list[str]:
        rows = selected_rows(self.part(QTableView))
        return [str(self.table["sample"].iat[row]) for row in rows]

    def show_curves(self, name: str) -> FigureView:
        """Show the curves of all classes in place of the confusions."""
        summary = self.combo("How the samples as a whole")
        summary.setCurrentIndex(("confusions", "roc", "precision-recall").index(name))
        return self.part(FigureView, name)


class TeachingPage(TabPage):
    """A round of marking cells."""

    def be_expert(self, is_expert: bool) -> None:
        self.part(QCheckBox).setChecked(is_expert)

    def mark(self, cell: int) -> None:
        """Start a round, mark a cell and compare."""
        self.press_when_ready("Start")
        self._explorer.context.session.select([cell])
        self.press_when_ready("Finish")


class ShapePage(TabPage):
    """Cells of a high score against the others."""

    def compare(self, score: str) -> None:
        combo = self.combo("Cells that are high in this")
        combo.setCurrentIndex(combo.findData(score))
        self.press("Compare")

    def figure(self, name: str) -> FigureView:
        return self.part(FigureView, name)


class AskPage(TabPage):
    """One cell after the other."""

    def find(self) -> None:
        """Look for cells to ask about, and wait until the first one is shown."""
        self.press_when_ready("Find cells to ask about")
        self.wait(lambda: not self.busy and bool(self.text("count")))
        self.settle()

    def press_key(self, key: str) -> None:
        """Press a key that one of the tab's shortcuts stands for."""
        wanted = QKeySequence(key)
        (shortcut,) = (s for s in self.widget.findChildren(QShortcut) if s.key() == wanted)
        shortcut.activated.emit()
        self.settle()

    def other_classes(self) -> list[str]:
        """Return the classes that a cell can be said to be of."""
        return [action.text() for action in self._classes()]

    def name_class(self, name: str) -> None:
        (action,) = (action for action in self._classes() if action.text() == name)
        action.trigger()
        self.settle()

    def _classes(self) -> list[QAction]:
        (button,) = (b for b in self.widget.findChildren(QToolButton) if b.menu() is not None)
        menu = button.menu()
        assert menu is not None
        return menu.actions()


class ExplorerPage(Page):
    """The line above the tabs, and all tabs."""

    def __init__(self, explorer: ExploreWidget, qtbot: QtBot) -> None:
        super().__init__(explorer)
        self.scope = ScopePage(explorer.scope_bar, explorer, qtbot)
        self.colours = ColoursPage(explorer.colours, explorer, qtbot)
        self.gallery = GalleryPage(explorer.gallery, explorer, qtbot)
        self.table = TablePage(explorer.table, explorer, qtbot)
        self.sample = SamplePage(explorer.sample, explorer, qtbot)
        self.map = MapPage(explorer.map, explorer, qtbot)
        self.shape = ShapePage(explorer.shape, explorer, qtbot)
        self.cohort = CohortPage(explorer.cohort, explorer, qtbot)
        self.asking = AskPage(explorer.asking, explorer, qtbot)
        self.teaching = TeachingPage(explorer.teaching, explorer, qtbot)


def selected_rows(view: QAbstractItemView) -> set[int]:
    """Return the rows that are selected in a view."""
    model = view.selectionModel()
    assert model is not None
    return {index.row() for index in model.selectedIndexes()}


def is_drawn(widget: QWidget) -> bool:
    """Tell whether a widget shows more than one colour."""
    picture = widget.grab().toImage()
    width, height = picture.width(), picture.height()
    seen = {picture.pixel(x, y) for x in range(0, width, 3) for y in range(0, height, 3)}
    return len(seen) > 1
