"""Small bars and strips that show one cell beside all cells of its sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_attmil.explore import CellMeasure

GAP_PX = 8
ROW_PX = 4
"""Between rows."""


class Rows(QWidget):
    """Rows of text and drawing: a name, a drawing, a number."""

    names: Sequence[str] = ()

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return the room of all rows."""
        return QSize(260, len(self.names) * self.row_height())

    minimumSizeHint = sizeHint

    def row_height(self) -> int:
        """Return the height of a row."""
        return QFontMetrics(self.font()).height() + ROW_PX

    def areas(self, place: int) -> tuple[QRectF, QRectF, QRectF]:
        """Return where name, drawing and number of a row go."""
        metrics = QFontMetrics(self.font())
        widest = max((metrics.horizontalAdvance(name) for name in self.names), default=0)
        left, right = min(widest + 2, self.width() // 2), metrics.horizontalAdvance("−0.00000")
        row = QRectF(0, place * self.row_height(), self.width(), self.row_height())
        middle = row.adjusted(left + GAP_PX, 3, -right - GAP_PX, -3)
        return row.adjusted(0, 0, left - row.width(), 0), middle, row

    def draw_texts(self, painter: QPainter, place: int, number: str) -> QRectF:
        """Draw name and number of a row, and return where its drawing goes."""
        name, middle, row = self.areas(place)
        elide = Qt.TextElideMode.ElideMiddle
        text = painter.fontMetrics().elidedText(self.names[place], elide, int(name.width()))
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, text)
        side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(row, side, number)
        return middle


class ContributionBars(Rows):
    """What a cell speaks for, to the right, and against, to the left."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, float] = {}
        self._strongest = 1.0
        self.setToolTip(
            "What the cell adds to the logarithm of each class's probability, beside the mean over "
            "the classes. A full half is the strongest cell of the sample."
        )

    def value(self) -> dict[str, float]:
        """Return what is shown, by class."""
        return self._values

    def setValue(self, contribution: Mapping[str, float], strongest: float) -> None:
        """Show contributions; the largest that can be shown is `strongest`."""
        self._values = dict(sorted(contribution.items(), key=lambda pair: -pair[1]))
        self.names, self._strongest = tuple(self._values), max(strongest, 1e-12)
        described = (f"{name} {value:+.3f}" for name, value in self._values.items())
        self.setAccessibleDescription(", ".join(described))
        self.updateGeometry()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars in the theme's colours."""
        painter, palette = QPainter(self), self.palette()
        for place, value in enumerate(self._values.values()):
            area = self.draw_texts(painter, place, f"{value:+.3f}".replace("-", "−"))
            length = area.width() / 2 * min(abs(value) / self._strongest, 1)
            middle = area.center().x()
            bar = QRectF(min(middle, middle + length * (1 if value > 0 else -1)), 0, length, 0)
            bar.setTop(area.top() + 1)
            bar.setBottom(area.bottom() - 1)
            fill = QColor(palette.color(QPalette.ColorRole.Highlight))
            fill.setAlphaF(1 if value > 0 else 0.45)
            painter.fillRect(area, palette.color(QPalette.ColorRole.AlternateBase))
            painter.fillRect(bar, fill)
            painter.setPen(palette.color(QPalette.ColorRole.WindowText))
            painter.drawLine(QLineF(middle, area.top(), middle, area.bottom()))


class MeasureStrips(Rows):
    """Each measure as a strip: the sample's cells as a band, the cell as a mark."""

    def __init__(self) -> None:
        super().__init__()
        self._measures: tuple[CellMeasure, ...] = ()

    def value(self) -> tuple[CellMeasure, ...]:
        """Return what is shown."""
        return self._measures

    def setValue(self, measures: Sequence[CellMeasure]) -> None:
        """Show measures."""
        self._measures = tuple(measures)
        self.names = tuple(each.title for each in measures)
        self.setAccessibleDescription(
            ", ".join(f"{each.title} {each.value:.3g}, {each.place}" for each in measures)
        )
        self.updateGeometry()
        self.update()

    def event(self, event: QEvent) -> bool:
        """Say of the row under the mouse where the cell stands."""
        if isinstance(event, QHelpEvent):
            row = event.pos().y() // self.row_height()
            if row < len(self._measures):
                measure = self._measures[row]
                QToolTip.showText(event.globalPos(), f"{measure.title}: {measure.place}.", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the strips in the theme's colours."""
        painter, palette = QPainter(self), self.palette()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = palette.color(QPalette.ColorRole.WindowText)
        for place, measure in enumerate(self._measures):
            area = self.draw_texts(painter, place, f"{measure.value:.3g}")
            least, low, middle, high, most = measure.quantiles
            ends = min(least, measure.value), max(most, measure.value)
            scale = area.width() / max(ends[1] - ends[0], 1e-12)

            def across(
                value: float, area: QRectF = area, scale: float = scale, start: float = ends[0]
            ) -> float:
                return area.left() + (value - start) * scale

            band = QRectF(across(least), area.center().y() - 2, across(most) - across(least), 4)
            painter.fillRect(band, palette.color(QPalette.ColorRole.AlternateBase))
            inner = QRectF(across(low), area.top() + 2, across(high) - across(low), 0)
            inner.setBottom(area.bottom() - 2)
            painter.fillRect(inner, palette.color(QPalette.ColorRole.AlternateBase))
            painter.setPen(QPen(text, 1))
            painter.drawLine(QLineF(across(middle), inner.top(), across(middle), inner.bottom()))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(palette.color(QPalette.ColorRole.Highlight))
            painter.drawEllipse(QPointF(across(measure.value), area.center().y()), 4.5, 4.5)
