"""What the colours of the boxes mean."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QLinearGradient, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_attmil.explore import COLOUR_MAPS, UNSCORED_COLOUR, ColourMap, map_colours

TIP = (
    "What the colours of the boxes mean. Attention is the weight of a cell in the result for its "
    "sample."
)
STOPS = np.linspace(0, 1, 21)


class AttentionLegend(QWidget):
    """A strip of the colours from low attention to high, and the colour of new boxes."""

    def __init__(self) -> None:
        super().__init__()
        self._with_unscored = False
        self._title = "attention"
        self._colours = map_colours(STOPS)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(TIP)

    def setColouring(self, title: str, colour_map: ColourMap) -> None:
        """Name the value that the boxes are coloured by, and its colour map."""
        self._title, self._colours = title, map_colours(STOPS, colour_map)
        self.setToolTip(f"{TIP} Low to high: {COLOUR_MAPS[colour_map]}.")
        self.update()

    def setUnscoredShown(self, is_shown: bool) -> None:
        """Show or hide the colour of boxes that are newer than the classification."""
        self._with_unscored = is_shown
        self.update()

    def sizeHint(self) -> QSize:
        """Return the size of one line."""
        return QSize(240, QFontMetrics(self.font()).height() + 6)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette, metrics = self.palette(), QFontMetrics(self.font())
        text = palette.color(palette.ColorRole.WindowText)
        right = self._draw_unscored(painter, text) if self._with_unscored else float(self.width())
        low, high = f"low {self._title}", "high"
        strip = QRectF(metrics.horizontalAdvance(low) + 7, 3, 0, self.height() - 6)
        strip.setRight(right - metrics.horizontalAdvance(high) - 8)
        gradient = QLinearGradient(strip.topLeft(), strip.topRight())
        for stop, colour in zip(STOPS, self._colours, strict=True):
            gradient.setColorAt(float(stop), QColor.fromRgbF(*(float(part) for part in colour)))
        painter.setPen(QPen(text, 0.7))
        painter.setBrush(gradient)
        painter.drawRoundedRect(strip, 2, 2)
        middle = Qt.AlignmentFlag.AlignVCenter
        area = QRectF(0, 0, right, self.height())
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, low)
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, high)

    def _draw_unscored(self, painter: QPainter, text: QColor) -> float:
        """Draw the colour of new boxes at the right end; return where it begins."""
        label = "new"
        width = QFontMetrics(self.font()).horizontalAdvance(label)
        painter.setPen(text)
        painter.drawText(
            QRectF(0, 0, self.width(), self.height()),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            label,
        )
        side = self.height() - 8
        swatch = QRectF(self.width() - width - side - 5, 4, side, side)
        painter.setPen(QPen(QColor.fromRgbF(*UNSCORED_COLOUR), 2.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(swatch)
        return float(swatch.left() - 14)
