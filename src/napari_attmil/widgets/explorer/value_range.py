"""A histogram in the colours of the boxes, above a slider with two ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QRangeSlider

from napari_attmil.widgets.parts import column

STEPS = 1000
FADED = 0.25


class Histogram(QWidget):
    """Bars, each in a colour of its own, over an axis with a few numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._heights: npt.NDArray[Any] = np.zeros(0)
        self._colours: npt.NDArray[Any] = np.zeros((0, 4))
        self._ticks: Sequence[str] = ()
        self._range = (0.0, 1.0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def setValue(
        self, heights: npt.NDArray[Any], colours: npt.NDArray[Any], ticks: Sequence[str]
    ) -> None:
        """Show bars.

        Parameters
        ----------
        heights
            (b,) not negative.
        colours
            (b, 4) RGBA.
        ticks
            Numbers at even distances, from the left end to the right one.
        """
        self._heights, self._colours, self._ticks = heights, colours, ticks
        self.update()

    def setRange(self, low: float, high: float) -> None:
        """Fade what lies outside of a range, from 0 (left end) to 1."""
        self._range = (low, high)
        self.update()

    def sizeHint(self) -> QSize:
        """Return a size at which bars can be told apart."""
        return QSize(320, 110)

    def minimumSizeHint(self) -> QSize:
        """Return the height of the strip of colours and its numbers."""
        return QSize(160, 3 * QFontMetrics(self.font()).height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw bars, strip and numbers."""
        painter = QPainter(self)
        text_height = QFontMetrics(self.font()).height()
        strip = QRectF(0, self.height() - 2 * text_height, self.width(), text_height - 4)
        tallest = max(float(self._heights.max(initial=0)), 1e-12)
        width = self.width() / max(len(self._heights), 1)
        text = self.palette().color(self.palette().ColorRole.WindowText)
        for place, (height, colour) in enumerate(zip(self._heights, self._colours, strict=True)):
            centre = (place + 0.5) / len(self._heights)
            painter.setOpacity(1.0 if self._range[0] <= centre <= self._range[1] else FADED)
            fill = QColor.fromRgbF(*(float(part) for part in colour))
            left, length = place * width, height / tallest * (strip.top() - 4)
            painter.fillRect(QRectF(left, strip.top(), width + 0.5, strip.height()), fill)
            painter.fillRect(QRectF(left, strip.top() - 2 - length, width - 1, length), text)
        painter.setOpacity(1.0)
        painter.setPen(QPen(text, 0.7))
        painter.drawRect(strip.adjusted(0, 0, -1, 0))
        self._draw_ticks(painter, strip.bottom() + 1)

    def _draw_ticks(self, painter: QPainter, top: float) -> None:
        metrics = QFontMetrics(self.font())
        for place, tick in enumerate(self._ticks):
            width = metrics.horizontalAdvance(tick)
            centre = self.width() * place / max(len(self._ticks) - 1, 1)
            left = min(max(centre - width / 2, 0), self.width() - width)
            painter.drawText(QPointF(left, top + metrics.ascent()), tick)


class ValueRange(QWidget):
    """Histogram and slider.

    Signals
    -------
    range_changed(float, float)
        The user has moved an end of the range; 0 is the left end, 1 the right one.
    """

    range_changed = Signal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self.histogram = Histogram()
        self._slider = QRangeSlider(Qt.Orientation.Horizontal)

        column((self.histogram, 1), self._slider, within=self, margin_px=0, spacing_px=2)

        self._slider.valueChanged.connect(self._on_slider)

        self._slider.setRange(0, STEPS)
        self._slider.setValue((0, STEPS))
        self._slider.setToolTip("Drag either end: cells outside the range fade or hide.")

    def setRange(self, low: float, high: float) -> None:
        """Show a range, 0 to 1, without emitting `range_changed`."""
        self.histogram.setRange(low, high)
        wanted = (round(STEPS * low), round(STEPS * high))
        if wanted != tuple(self._slider.value()):
            with QSignalBlocker(self._slider):
                self._slider.setValue(wanted)

    def _on_slider(self, value: tuple[int, int]) -> None:
        low, high = value[0] / STEPS, value[1] / STEPS
        self.histogram.setRange(low, high)
        self.range_changed.emit(low, high)
