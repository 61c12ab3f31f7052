"""The confusion matrix: how many samples or patients of each class got which prediction."""

from __future__ import annotations

import pandas as pd
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QWidget

WIDTH_PX, HEIGHT_PX = 44, 26
LEAST_WIDTH_PX = 24
"""Of a number, where many classes share a narrow panel."""
WIDEST_NAME_PX = 130


class ConfusionView(QWidget):
    """A matrix of counts: true classes downwards, predicted ones across.

    Signals
    -------
    cell_clicked(str, str)
        A true class and a predicted one.
    """

    cell_clicked = Signal(str, str)

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.counts = pd.DataFrame()
        self.setToolTip(tip)

    def setValue(self, counts: pd.DataFrame) -> None:
        """Show (K, K) counts with the classes as index and columns."""
        self.counts = counts
        self.setAccessibleDescription(
            "; ".join(
                f"{name}: " + ", ".join(f"{count} as {named}" for named, count in row.items())
                for name, row in counts.iterrows()
            )
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room of all numbers and names."""
        return self._room(WIDTH_PX)

    def minimumSizeHint(self) -> QSize:
        """Return the room in which numbers and names can still be read."""
        return self._room(LEAST_WIDTH_PX)

    def cell_at(self, place: QPointF) -> tuple[str, str] | None:
        """Return the classes of the number at a place, None if there is none."""
        for row, name in enumerate(self.counts.index):
            for column, named in enumerate(self.counts.columns):
                if self._square(row, column).contains(place):
                    return str(name), str(named)
        return None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Emit the classes of the number that was clicked."""
        cell = self.cell_at(event.position())
        if cell is not None:
            self.cell_clicked.emit(*cell)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw numbers on squares, whose shade is the share of their class."""
        painter, palette = QPainter(self), self.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        fill = QColor(palette.color(QPalette.ColorRole.Highlight))
        metrics = painter.fontMetrics()
        painter.setPen(text)
        counts = self.counts.to_numpy()
        totals = counts.sum(axis=1)
        for row, name in enumerate(map(str, self.counts.index)):
            for column in range(len(self.counts)):
                square, count = self._square(row, column), int(counts[row, column])
                fill.setAlphaF(0.08 + 0.72 * count / max(int(totals[row]), 1))
                painter.fillRect(square.adjusted(1, 1, -1, -1), fill)
                painter.drawText(square, Qt.AlignmentFlag.AlignCenter, str(count) if count else "")
            beside = QRectF(0, self._square(row, 0).top(), self._left() - 6, HEIGHT_PX)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            beside_short = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, WIDEST_NAME_PX)
            painter.drawText(beside, right, beside_short)
            above = self._square(0, row).adjusted(1, -metrics.height() - 2, -1, 0)
            above.setHeight(metrics.height())
            short = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(above.width()))
            painter.drawText(above, Qt.AlignmentFlag.AlignCenter, short)
        if len(self.counts):
            painter.drawText(QPointF(self._left(), metrics.ascent()), "predicted by the classifier")

    def _left(self) -> int:
        metrics = QFontMetrics(self.font())
        widths = [metrics.horizontalAdvance(str(name)) for name in self.counts.index]
        return min(max(widths, default=0), WIDEST_NAME_PX) + 10

    def _room(self, width_px: int) -> QSize:
        count, line = len(self.counts), QFontMetrics(self.font()).height()
        return QSize(self._left() + count * width_px + 4, count * HEIGHT_PX + 2 * line + 8)

    def _square(self, row: int, column: int) -> QRectF:
        top = 2 * QFontMetrics(self.font()).height() + 6
        room = (self.width() - self._left() - 4) / max(len(self.counts), 1)
        width = min(WIDTH_PX, max(LEAST_WIDTH_PX, room))
        return QRectF(self._left() + column * width, top + row * HEIGHT_PX, width, HEIGHT_PX)
