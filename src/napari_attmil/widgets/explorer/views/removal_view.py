"""What if: the curve of probabilities while cells are taken away, and where on it one stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_attmil.explore import class_colour
from napari_attmil.widgets.parts import colour_plot

if TYPE_CHECKING:
    from napari_attmil.bags.attribution import RemovalCurve

SHADE_ALPHA = 40
"""Of 255."""


class RemovalPlot(QWidget):
    """Class probabilities against the number of cells taken away.

    Signals
    -------
    count_chosen(int)
        The line was dragged to another number of cells.
    """

    count_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plot = pg.PlotWidget()
        self._legend = self._plot.addLegend(
            offset=(-8, 14), labelTextSize="8pt", colCount=2, verSpacing=-6
        )
        self._line = pg.InfiniteLine(0, movable=True, pen=pg.mkPen("#888888", width=2))

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)

        self._line.sigPositionChanged.connect(self._on_line)

        self._plot.setMouseEnabled(False, False)
        self._plot.hideButtons()
        self._plot.setMenuEnabled(False)
        self._plot.setYRange(0, 1)
        self._plot.setLabel("bottom", "cells taken away")
        self._plot.setLabel("left", "probability")
        self._plot.setMinimumHeight(90)
        self.setToolTip(
            "How the probabilities move as the cells that count most are taken away; dashed, when "
            "as many random cells go (shaded: nine in ten random choices). Drag the line."
        )

    def setCurve(self, classes: Sequence[str], curve: RemovalCurve) -> None:
        """Draw a `RemovalCurve`: a line a class, dashed and shaded what random cells do instead."""
        self._plot.clear()
        for place, name in enumerate(classes):
            colour = class_colour(place)
            borders = (curve.random_low, curve.random_high)
            low, high = (pg.PlotDataItem(border[:, place]) for border in borders)
            shade = pg.mkColor(colour)
            shade.setAlpha(SHADE_ALPHA)
            self._plot.addItem(pg.FillBetweenItem(low, high, brush=shade))
            self._plot.plot(curve.probabilities[:, place], pen=pg.mkPen(colour, width=2), name=name)
            dashed = pg.mkPen(colour, width=1, style=Qt.PenStyle.DashLine)
            self._plot.plot(curve.random_mean[:, place], pen=dashed)
        self._line.setBounds((0, len(curve.cell_id)))
        self._plot.addItem(self._line)
        self._apply_palette()

    def clear(self) -> None:
        """Draw nothing."""
        self._plot.clear()

    def setCount(self, count: int) -> None:
        """Move the line without telling of it."""
        self._line.blockSignals(True)
        self._line.setValue(count)
        self._line.blockSignals(False)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the theme's colours."""
        super().showEvent(event)
        self._apply_palette()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._apply_palette()

    def _on_line(self) -> None:
        self.count_chosen.emit(round(self._line.value()))

    def _apply_palette(self) -> None:
        colour_plot(self._plot, self, self._legend)
