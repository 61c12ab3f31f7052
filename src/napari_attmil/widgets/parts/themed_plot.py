"""A plot of pyqtgraph's in the colours of napari's theme."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy.QtCore import QEvent
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from napari_attmil.widgets.parts.layouts import column

MARGIN_PX = 6


class ThemedPlot(QWidget):
    """Fills itself with a plot, without pyqtgraph's menu and buttons.

    Parameters
    ----------
    view
        What turns the mouse into zoom and pan; None leaves the axes as they are.
    """

    def __init__(self, view: pg.ViewBox | None = None) -> None:
        super().__init__()
        self._plot = pg.PlotWidget(viewBox=view)
        self._legend: pg.LegendItem | None = None
        column(self._plot, within=self, margin_px=0)
        self._plot.hideButtons()
        self._plot.setMenuEnabled(False)
        # pyqtgraph draws the title of an axis a little beyond it, where it would be cut off.
        self._plot.getPlotItem().layout.setContentsMargins(MARGIN_PX, 1, 1, MARGIN_PX)
        for side in ("bottom", "left"):
            # Values as the tables have them: "0.04" and not "40 (x0.001)".
            self._plot.getAxis(side).enableAutoSIPrefix(False)
        if view is None:
            self._plot.setMouseEnabled(False, False)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the theme's colours."""
        super().showEvent(event)
        self._apply_palette()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._apply_palette()

    def _apply_palette(self) -> None:
        palette = self.palette()
        self._plot.setBackground(palette.color(palette.ColorRole.AlternateBase))
        text = palette.color(palette.ColorRole.WindowText)
        for side in ("bottom", "left"):
            self._plot.getAxis(side).setPen(text)
            self._plot.getAxis(side).setTextPen(text)
        for _, label in self._legend.items if self._legend is not None else ():
            label.setText(label.text, color=text)
