"""Class probabilities as horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

ROW_GAP = 5


class ProbabilityBars(QWidget):
    """One row a class, the most probable first: name, bar, per cent."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[str, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("How probable the classifier holds each class for this sample.")

    def value(self) -> list[tuple[str, float]]:
        """Return class names and probabilities, as shown."""
        return list(self._rows)

    def setValue(self, classes: Sequence[str], probabilities: Sequence[float]) -> None:
        """Show the probabilities (0 to 1) of classes."""
        order = np.argsort(-np.asarray(probabilities), kind="stable")
        self._rows = [(str(classes[row]), float(probabilities[row])) for row in order]
        self.setAccessibleDescription(
            ", ".join(f"{name} {probability:.0%}" for name, probability in self._rows)
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of all rows."""
        return QSize(240, max(len(self._rows), 1) * self._row_height())

    def minimumSizeHint(self) -> QSize:
        """Return the height of all rows."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars in the theme's colours."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        bold = QFont(self.font())
        bold.setBold(True)
        metrics = QFontMetrics(bold)
        name_width = min(
            max((metrics.horizontalAdvance(name) for name, _ in self._rows), default=0),
            self.width() * 2 // 5,
        )
        number_width = metrics.horizontalAdvance("100.0 %")
        bar_left = name_width + 8
        bar_width = max(self.width() - bar_left - number_width - 8, 10)
        middle = Qt.AlignmentFlag.AlignVCenter
        for place, (name, probability) in enumerate(self._rows):
            top, height = place * self._row_height(), self._row_height() - ROW_GAP
            painter.setFont(bold if place == 0 else self.font())
            painter.setPen(palette.color(palette.ColorRole.WindowText))
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, name_width)
            painter.drawText(
                QRectF(0, top, name_width, height), middle | Qt.AlignmentFlag.AlignLeft, shown
            )
            painter.drawText(
                QRectF(self.width() - number_width, top, number_width, height),
                middle | Qt.AlignmentFlag.AlignRight,
                f"{100 * probability:.1f} %",
            )
            bar = QRectF(bar_left, top + 2, bar_width, height - 4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(palette.color(palette.ColorRole.AlternateBase))
            painter.drawRoundedRect(bar, 3, 3)
            painter.setBrush(palette.color(palette.ColorRole.Highlight))
            painter.drawRoundedRect(
                QRectF(bar.left(), bar.top(), max(bar.width() * probability, 2), bar.height()), 3, 3
            )

    def _row_height(self) -> int:
        return QFontMetrics(self.font()).height() + 4 + ROW_GAP
