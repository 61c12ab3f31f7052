"""Cells as points in the plane: hovering, clicking, and a lasso around many."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt, Signal

from napari_attmil.core import Float64Array
from napari_attmil.widgets.explorer.views.dots_item import DotsItem
from napari_attmil.widgets.parts import ThemedPlot

REACH_PX = 12
"""Points farther from the mouse do not count as hit."""
SIZE_PX = 6
RING: dict[str, Any] = {"pxMode": True, "size": SIZE_PX + 6, "brush": None}


class Scatter(ThemedPlot):
    """Points of which some are selected.

    Signals
    -------
    chosen(object, bool)
        (m,) positions of points that were clicked or lassoed, and whether they are added to
        the selection.
    hovered(int)
        The position of the point under the mouse, -1 for none.
    entered(int), menu_wanted(int)
        The position of a point that was double-clicked, or clicked with the right button.
    """

    chosen = Signal(object, bool)
    hovered = Signal(int)
    entered = Signal(int)
    menu_wanted = Signal(int)

    def __init__(self) -> None:
        self._box = _LassoBox(self._on_lasso, self._on_click)
        super().__init__(self._box)
        self.points: Float64Array = np.zeros((0, 2))
        self._dots = DotsItem(SIZE_PX)
        # White with a dark casing: seen over points of any colour, in any theme.
        self._casing = pg.ScatterPlotItem(pen=pg.mkPen("black", width=4), **RING)
        self._rings = pg.ScatterPlotItem(pen=pg.mkPen("white", width=2), **RING)
        for item in (self._dots, self._casing, self._rings):
            self._plot.addItem(item)
        self._plot.scene().sigMouseMoved.connect(self._on_moved)

    def setPoints(
        self, points: Float64Array, colours: Float64Array, titles: tuple[str, str] = ("", "")
    ) -> None:
        """Show (n, 2) points in (n, 3) RGB colours from 0 to 1; those that are NaN are left out."""
        self.points = points
        is_given = np.isfinite(points).all(axis=1)
        self._dots.setData(points[is_given], colours[is_given])
        self._plot.setLabel("bottom", titles[0])
        self._plot.setLabel("left", titles[1])
        self.setSelected(np.zeros(0, dtype=np.intp))

    def setSelected(self, positions: npt.NDArray[np.intp]) -> None:
        """Ring some points."""
        for item in (self._casing, self._rings):
            item.setData(pos=self.points[positions])

    def nearest(self, scene_place: QPointF) -> int:
        """Return the position of the point at a place of the scene, -1 if there is none."""
        if not len(self.points):
            return -1
        centre = self._box.mapSceneToView(scene_place)
        away = (self.points - (centre.x(), centre.y())) / self._box.viewPixelSize()
        distance = np.hypot(*away.T)
        if not np.isfinite(distance).any():
            return -1
        place = int(np.nanargmin(distance))
        return place if distance[place] <= REACH_PX else -1

    def _on_moved(self, place: QPointF) -> None:
        self.hovered.emit(self.nearest(place))

    def _on_click(self, event: Any) -> None:
        place = self.nearest(event.scenePos())
        if event.button() == Qt.MouseButton.RightButton:
            if place >= 0:
                self.menu_wanted.emit(place)
            return
        if place >= 0 and event.double():
            self.entered.emit(place)
            return
        positions = np.array([place] if place >= 0 else [], dtype=np.intp)
        self.chosen.emit(positions, _adds(event))

    def _on_lasso(self, polygon: Float64Array, event: Any) -> None:
        from skimage.measure import points_in_poly

        inside = np.flatnonzero(points_in_poly(np.nan_to_num(self.points), polygon))
        self.chosen.emit(inside[np.isfinite(self.points[inside]).all(axis=1)], _adds(event))


class _LassoBox(pg.ViewBox):
    """A view whose left button draws a lasso; wheel and right button zoom as usual."""

    def __init__(self, on_lasso: Any, on_click: Any) -> None:
        super().__init__(enableMenu=False)
        self._on_lasso, self._on_click = on_lasso, on_click
        self._path: list[tuple[float, float]] = []
        self._line = pg.PlotCurveItem(pen=pg.mkPen("#888888", width=2))
        self.addItem(self._line, ignoreBounds=True)

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            start = self.mapSceneToView(event.buttonDownScenePos())
            self._path = [(start.x(), start.y())]
        place = self.mapSceneToView(event.scenePos())
        self._path.append((place.x(), place.y()))
        self._line.setData(*np.array([*self._path, self._path[0]]).T)
        if event.isFinish():
            self._line.setData([], [])
            self._on_lasso(np.array(self._path), event)

    def mouseClickEvent(self, event: Any) -> None:
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            event.accept()
            self._on_click(event)


def _adds(event: Any) -> bool:
    both = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
    return bool(event.modifiers() & both)
