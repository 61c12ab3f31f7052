"""The frame of one step: a heading with number, tick and one line of state, which folds it."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QAbstractButton, QSizePolicy, QToolButton, QWidget

from napari_attmil.widgets.parts.layouts import column


class StepHeading(QAbstractButton):
    """Number, title, and what was achieved; click or press space to fold the step."""

    def __init__(self, number: int, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number, self._summary, self._done = number, "", False
        self.setText(title)
        self.setCheckable(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(f"Step {number}: {title}. Click to open or close it.")

    def setState(self, summary: str, done: bool) -> None:
        """Show what the step holds now and whether it is done."""
        self._summary, self._done = summary, done
        self.setAccessibleDescription(summary)
        self.update()

    def sizeHint(self) -> QSize:
        """Return a height that suits the font."""
        return QSize(200, QFontMetrics(self.font()).height() + 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the heading in the theme's colours."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(palette.ColorRole.AlternateBase))
        painter.drawRoundedRect(area, 4, 4)
        if self.hasFocus():
            painter.setPen(QPen(palette.color(palette.ColorRole.Highlight), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area, 4, 4)
        text = palette.color(palette.ColorRole.WindowText)
        left = self._draw_badge(painter, area, text)
        self._draw_chevron(painter, area, text)
        self._draw_texts(painter, area.adjusted(left, 0, -30, 0), text)

    def _draw_badge(self, painter: QPainter, area: QRectF, text: QColor) -> float:
        palette = self.palette()
        side = min(area.height() - 12, 22)
        badge = QRectF(8, area.center().y() - side / 2, side, side)
        accent = palette.color(palette.ColorRole.Highlight)
        painter.setPen(QPen(accent, 1.5))
        painter.setBrush(accent if self._done else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(badge)
        painter.setPen(QPen(text, 1.8))
        if self._done:
            x, y, unit = badge.center().x(), badge.center().y(), side / 10
            tick = [(-2.4, 0.1), (-0.6, 1.9), (2.6, -1.8)]
            points = [QPointF(x + right * unit, y + down * unit) for right, down in tick]
            painter.drawPolyline(QPolygonF(points))
        else:
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, str(self._number))
        return float(badge.right() + 8)

    def _draw_chevron(self, painter: QPainter, area: QRectF, text: QColor) -> None:
        x, y = area.right() - 16, area.center().y()
        painter.setPen(QPen(text, 1.6))
        across, along = (5.0, 2.5) if self.isChecked() else (2.5, 5.0)
        if self.isChecked():
            points = [(x - across, y - along), (x, y + along), (x + across, y - along)]
        else:
            points = [(x - across, y - along), (x + across, y), (x - across, y + along)]
        painter.drawPolyline(QPolygonF([QPointF(*point) for point in points]))

    def _draw_texts(self, painter: QPainter, area: QRectF, text: QColor) -> None:
        bold = QFont(self.font())
        bold.setBold(True)
        painter.setFont(bold)
        painter.setPen(text)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, self.text())
        used = QFontMetrics(bold).horizontalAdvance(self.text()) + 14
        painter.setFont(self.font())
        faint = QColor(text)
        faint.setAlphaF(0.75)
        painter.setPen(faint)
        room = area.adjusted(used, 0, 0, 0)
        shown = QFontMetrics(self.font()).elidedText(
            self._summary, Qt.TextElideMode.ElideMiddle, int(room.width())
        )
        painter.drawText(room, middle | Qt.AlignmentFlag.AlignRight, shown)


class StepFrame(QWidget):
    """One numbered step of the panel: heading and content.

    Signals
    -------
    opened(bool)
        The content was unfolded or folded.
    asked()
        A person has unfolded it, and wants to see it.
    """

    opened = Signal(bool)
    asked = Signal()

    def __init__(
        self, number: int, title: str, content: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._heading = StepHeading(number, title)
        self._content = content

        column(self._heading, content, within=self, margin_px=0, spacing_px=0)

        self._heading.toggled.connect(self._on_toggled)
        self._heading.clicked.connect(lambda is_open: self.asked.emit() if is_open else None)

        content.setVisible(False)

    def isOpen(self) -> bool:
        """Return whether the content is unfolded."""
        return self._heading.isChecked()

    def setOpen(self, is_open: bool) -> None:
        """Unfold or fold the content."""
        self._heading.setChecked(is_open)

    def setState(self, summary: str, done: bool) -> None:
        """Show one line of state in the heading, and a tick if the step is done."""
        self._heading.setState(summary, done)

    def _on_toggled(self, is_open: bool) -> None:
        self._content.setVisible(is_open)
        self.opened.emit(is_open)


class Fold(QWidget):
    """A small heading that shows or hides what lies below it."""

    def __init__(self, title: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._button = QToolButton()
        self._content = content

        column(self._button, content, within=self, margin_px=0, spacing_px=3)

        self._button.toggled.connect(self._on_toggled)

        self._button.setText(title)
        self._button.setCheckable(True)
        self._button.setProperty("fold", True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setToolTip("Show or hide the settings that rarely need a change.")
        self._on_toggled(False)

    def setOpen(self, is_open: bool) -> None:
        """Show or hide the content."""
        self._button.setChecked(is_open)

    def _on_toggled(self, is_open: bool) -> None:
        self._button.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._content.setVisible(is_open)
