"""Every patient as a row below the class, every sample as a bar of its class probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

from napari_attmil.explore import PROBABILITY, WRONG, class_colour

BAR_PX, GAP_PX, ROW_PX = 64, 6, 20
INDENT_PX = 14
"""Left of names, where the colour of a class is."""


class PatientStrips(QWidget):
    """Bars of samples, by patient; wrong ones are crossed out, undecided ones framed.

    Signals
    -------
    sample_clicked(str)
        The sample whose bar was pressed.
    """

    sample_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._table = pd.DataFrame()
        self._bars: dict[str, QRectF] = {}
        self.classes: list[tuple[str, float]] = []
        self.patients: list[tuple[str, float]] = []
        """Names, each with the top of its line."""
        self._left = 0

    def setValue(self, table: pd.DataFrame) -> None:
        """Show samples; see `explore.cohort_table.sample_table`."""
        self._table = table.sort_values(["class", "patient"], kind="stable", ignore_index=True)
        self._left = self._right_of(self._table["patient"]) + GAP_PX
        self._place()
        self.setMinimumSize(self.sizeHint())
        self.update()

    def bars(self) -> Mapping[str, QRectF]:
        """Return the place of each sample's bar."""
        return self._bars

    def sizeHint(self) -> QSize:
        """Return the room of all bars and names."""
        of_bars = max((bar.right() for bar in self._bars.values()), default=100)
        right = max(of_bars, self._right_of(name for name, _ in self.classes))
        bottom = max((bar.bottom() for bar in self._bars.values()), default=20)
        return QSize(int(right) + 1, int(bottom) + GAP_PX)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Emit the sample that was pressed."""
        sample = self._sample_at(event.position())
        if sample:
            self.sample_clicked.emit(sample)

    def event(self, event: QEvent) -> bool:
        """Show the tooltip of a bar."""
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
        probabilities = self._probabilities()
        for name, top in self.classes:
            if PROBABILITY + name in probabilities:
                colour = QColor(class_colour(probabilities.index(PROBABILITY + name)))
                painter.fillRect(QRectF(2, top + ROW_PX / 2 - 4, 8, 8), colour)
            self._write(painter, name, top)
        for name, top in self.patients:
            self._write(painter, name, top)
        for row in self._table.to_dict("records"):
            self._draw_bar(painter, self._bars[str(row["sample"])], row, text)

    def _draw_bar(
        self, painter: QPainter, bar: QRectF, row: Mapping[Any, Any], text: QColor
    ) -> None:
        left = bar.left()
        for place, name in enumerate(self._probabilities()):
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

    def _probabilities(self) -> list[str]:
        return [name for name in map(str, self._table) if name.startswith(PROBABILITY)]

    def _right_of(self, names: Iterable[object]) -> int:
        metrics = QFontMetrics(self.font())
        widths = [metrics.horizontalAdvance(str(name)) for name in names]
        return INDENT_PX + max(widths, default=0)

    def _write(self, painter: QPainter, name: str, top: float) -> None:
        line = QRectF(INDENT_PX, top, self.width(), ROW_PX)
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, name)

    def _place(self) -> None:
        self._bars, self.classes, self.patients = {}, [], []
        line = 0
        for label, of_class in self._table.groupby("class", sort=False, dropna=False):
            if label:
                self.classes.append((str(label), self._top(line)))
                line += 1
            for patient, samples in of_class.groupby("patient", sort=False, dropna=False):
                self.patients.append((str(patient), self._top(line)))
                for place, sample in enumerate(samples["sample"]):
                    left = self._left + place * (BAR_PX + GAP_PX)
                    bar = QRectF(left, self._top(line) + 2, BAR_PX, ROW_PX - 4)
                    self._bars[str(sample)] = bar
                line += 1

    def _top(self, line: int) -> float:
        return 2.0 + line * (ROW_PX + 2)

    def _sample_at(self, place: QPointF) -> str:
        return next((name for name, bar in self._bars.items() if bar.contains(place)), "")

    def _tip(self, sample: str) -> str:
        row = self._table[self._table["sample"] == sample].iloc[0]
        if not row["predicted"]:
            return f"{sample}: not classified. Click to open it."
        doubt = f", {row['result']}" if row["result"] else ""
        return f"{sample}: {row['predicted']} {row['probability']:.0%}{doubt}. Click to open it."
