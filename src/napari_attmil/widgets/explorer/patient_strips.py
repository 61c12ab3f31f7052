"""Every patient as a row, every sample as a bar of its class probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from qtpy.QtWidgets import QToolTip, QWidget

from napari_attmil.explore.colours import class_colour
from napari_attmil.explore.sample_table import PROBABILITY, WRONG

BAR_PX, GAP_PX, ROW_PX = 64, 6, 20


class PatientStrips(QWidget):
    """Bars of samples, by patient; wrong ones are crossed out, undecided ones framed.

    Signals
    -------
    sample_clicked(str)
        The sample whose bar was pressed.
    """

    sample_clicked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = pd.DataFrame()
        self._bars: dict[str, QRectF] = {}
        self._left = 0

    def setValue(self, table: pd.DataFrame) -> None:
        """Show samples; see `explore.sample_table.sample_table`."""
        self._table = table.sort_values(["class", "patient"], kind="stable", ignore_index=True)
        names = [self._name(row) for row in self._table.to_dict("records")]
        metrics = QFontMetrics(self.font())
        self._left = max((metrics.horizontalAdvance(name) for name in names), default=0) + 10
        self._place_bars()
        self.setMinimumSize(self.sizeHint())
        self.update()

    def bars(self) -> Mapping[str, QRectF]:
        """Return where each sample's bar lies."""
        return self._bars

    def sizeHint(self) -> QSize:
        """Return the room of all bars."""
        right = max((bar.right() for bar in self._bars.values()), default=100)
        bottom = max((bar.bottom() for bar in self._bars.values()), default=20)
        return QSize(int(right) + GAP_PX, int(bottom) + GAP_PX)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Tell which sample was pressed."""
        sample = self._sample_at(event.position())
        if sample:
            self.sample_clicked.emit(sample)

    def event(self, event: QEvent) -> bool:
        """Say what a bar is on hovering."""
        if isinstance(event, QHelpEvent):
            sample = self._sample_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), self._tip(sample) if sample else "")
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars."""
        painter = QPainter(self)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(text)
        former = ""
        for row in self._table.to_dict("records"):
            bar = self._bars[str(row["sample"])]
            if self._name(row) != former:
                former = self._name(row)
                beside = QRectF(0, bar.top() - 2, self._left - 6, ROW_PX)
                painter.drawText(beside, Qt.AlignmentFlag.AlignVCenter, former)
            self._draw_bar(painter, bar, row, text)

    def _draw_bar(
        self, painter: QPainter, bar: QRectF, row: Mapping[Any, Any], text: QColor
    ) -> None:
        left = bar.left()
        names = [name for name in map(str, self._table) if name.startswith(PROBABILITY)]
        for place, name in enumerate(names):
            share = float(row[name])
            width = bar.width() * share if share == share else 0.0
            colour = QColor(class_colour(place))
            painter.fillRect(QRectF(left, bar.top(), width, bar.height()), colour)
            left += width
        painter.setPen(QPen(text, 2 if row["result"] == "undecided" else 0.7))
        painter.drawRect(bar)
        if row["result"] == WRONG:
            painter.setPen(QPen(QColor("black"), 3))
            painter.drawLine(bar.topLeft(), bar.bottomRight())
            painter.setPen(QPen(QColor("white"), 1.2))
            painter.drawLine(bar.topLeft(), bar.bottomRight())
        painter.setPen(text)

    def _place_bars(self) -> None:
        self._bars = {}
        line, place, former = -1, 0, None
        for row in self._table.to_dict("records"):
            if self._name(row) != former:
                line, place, former = line + 1, 0, self._name(row)
            left = self._left + place * (BAR_PX + GAP_PX)
            top = 4 + line * (ROW_PX + 2)
            self._bars[str(row["sample"])] = QRectF(left, top, BAR_PX, ROW_PX - 4)
            place += 1

    def _sample_at(self, place: QPointF) -> str:
        return next((name for name, bar in self._bars.items() if bar.contains(place)), "")

    def _name(self, row: Mapping[Any, Any]) -> str:
        return f"{row['class']} · {row['patient']}" if row["class"] else str(row["patient"])

    def _tip(self, sample: str) -> str:
        row = self._table[self._table["sample"] == sample].iloc[0]
        if not row["predicted"]:
            return f"{sample}: not classified. Click to open it."
        doubt = f", {row['result']}" if row["result"] else ""
        return f"{sample}: {row['predicted']} {row['probability']:.0%}{doubt}. Click to open it."
