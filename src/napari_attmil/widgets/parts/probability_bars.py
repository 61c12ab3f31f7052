"""Class probabilities as horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QLineF, QRectF, QSize, Qt
from qtpy.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

ROW_GAP = 5
LEAST_SPREAD_PX = 2
"""A shorter line would be a blot."""
TIP = "How probable the classifier holds each class for this sample."
SPREAD_TIP = (
    "The line across a bar goes from the least to the most that one of its {count} models says "
    "alone."
)


@dataclass(frozen=True)
class _Row:
    """A class as it is drawn: its probability, and between which ones the models' lie."""

    name: str
    probability: float
    low: float
    high: float


class ProbabilityBars(QWidget):
    """One row a class, the most probable first: name, bar with the models' spread, per cent."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(TIP)

    def value(self) -> list[tuple[str, float]]:
        """Return class names and probabilities, as shown."""
        return [(row.name, row.probability) for row in self._rows]

    def setValue(
        self,
        classes: Sequence[str],
        probabilities: Sequence[float],
        of_models: Sequence[Sequence[float]] = (),
    ) -> None:
        """Show how probable classes are.

        Parameters
        ----------
        classes
            Their names.
        probabilities
            0 to 1 each.
        of_models
            What each model says alone, likewise; the spread of two or more is drawn.
        """
        alone = of_models if len(of_models) > 1 else [probabilities]
        low, high = np.min(alone, axis=0), np.max(alone, axis=0)
        self._rows = [
            _Row(str(classes[k]), float(probabilities[k]), float(low[k]), float(high[k]))
            for k in np.argsort(-np.asarray(probabilities), kind="stable")
        ]
        self.setAccessibleDescription(
            ", ".join(f"{row.name} {row.probability:.0%}" for row in self._rows)
        )
        spread = f" {SPREAD_TIP.format(count=len(of_models))}" if len(of_models) > 1 else ""
        self.setToolTip(TIP + spread)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of all rows."""
        return QSize(240, max(len(self._rows), 1) * self._row_height())

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars in the theme's colours."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bold = QFont(self.font())
        bold.setBold(True)
        metrics = QFontMetrics(bold)
        names = [metrics.horizontalAdvance(row.name) for row in self._rows]
        name_width = min(max(names, default=0), self.width() * 2 // 5)
        number_width = metrics.horizontalAdvance("100.0%")
        bar_width = max(self.width() - name_width - number_width - 16, 10)
        for place, row in enumerate(self._rows):
            line = QRectF(0, place * self._row_height(), self.width(), self._row_height() - ROW_GAP)
            painter.setFont(bold if place == 0 else self.font())
            self._draw_texts(painter, line, row, name_width)
            bar = QRectF(name_width + 8, line.top() + 2, bar_width, line.height() - 4)
            self._draw_bar(painter, bar, row.probability)
            if bar_width * (row.high - row.low) > LEAST_SPREAD_PX:
                self._draw_spread(painter, bar, row)

    def _draw_texts(self, painter: QPainter, line: QRectF, row: _Row, name_width: int) -> None:
        metrics, middle = painter.fontMetrics(), Qt.AlignmentFlag.AlignVCenter
        name = metrics.elidedText(row.name, Qt.TextElideMode.ElideMiddle, name_width)
        painter.setPen(self.palette().color(self.palette().ColorRole.WindowText))
        painter.drawText(line, middle | Qt.AlignmentFlag.AlignLeft, name)
        number = f"{row.probability:.1%}"
        painter.drawText(line, middle | Qt.AlignmentFlag.AlignRight, number)

    def _draw_bar(self, painter: QPainter, bar: QRectF, probability: float) -> None:
        palette = self.palette()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(palette.ColorRole.AlternateBase))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setBrush(palette.color(palette.ColorRole.Highlight))
        filled = QRectF(bar.left(), bar.top(), max(bar.width() * probability, 2), bar.height())
        painter.drawRoundedRect(filled, 3, 3)

    def _draw_spread(self, painter: QPainter, bar: QRectF, row: _Row) -> None:
        """Draw from the least to the most probable of the models, with a tick at either end."""
        painter.setPen(QPen(self.palette().color(self.palette().ColorRole.WindowText), 1))
        left, right = bar.left() + bar.width() * row.low, bar.left() + bar.width() * row.high
        middle, tick = bar.center().y(), bar.height() / 4
        painter.drawLine(QLineF(left, middle, right, middle))
        for end in (left, right):
            painter.drawLine(QLineF(end, middle - tick, end, middle + tick))

    def _row_height(self) -> int:
        return QFontMetrics(self.font()).height() + 4 + ROW_GAP
