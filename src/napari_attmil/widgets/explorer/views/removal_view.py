"""The curve of class probabilities as cells are removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtCore import QSignalBlocker, Qt, Signal

from napari_attmil.explore import class_colour
from napari_attmil.widgets.parts import ThemedPlot

if TYPE_CHECKING:
    from napari_attmil.bags.attribution import RemovalCurve

SHADE_ALPHA = 40
"""Of 255."""


class RemovalPlot(ThemedPlot):
    """Class probabilities against the number of removed cells.

    Signals
    -------
    count_chosen(int)
        The line was dragged to another number of cells.
    """

    count_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._legend = self._plot.addLegend(
            offset=(-8, 14), labelTextSize="8pt", colCount=2, verSpacing=-6
        )
        self._line = pg.InfiniteLine(0, movable=True, pen=pg.mkPen("#888888", width=2))

        self._line.sigPositionChanged.connect(
            lambda line: self.count_chosen.emit(round(line.value()))
        )
        self._plot.setYRange(0, 1)
        self._plot.setLabel("bottom", "cells removed")
        self._plot.setLabel("left", "probability")
        self._plot.setMinimumHeight(90)
        self.setToolTip(
            "How the probabilities change as the cells with the highest attention are removed; "
            "dashed, as many random cells (shaded: nine in ten random choices). Drag the line."
        )

    def setCurve(self, classes: Sequence[str], curve: RemovalCurve) -> None:
        """Draw a solid line for each class, and dashed with shading the curve of random cells."""
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
        """Move the line without emitting `count_chosen`."""
        with QSignalBlocker(self._line):
            self._line.setValue(count)
