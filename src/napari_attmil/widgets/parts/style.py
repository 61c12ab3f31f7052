"""The little style of its own that the panel adds to napari's theme."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import TypeVar

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

Sized = TypeVar("Sized", bound=QWidget)

TEXT_MARGIN_PX = 4
TEMPLATE = """
QLabel[hint="true"] {{ color: {faint}; background: transparent; }}
QLabel[warning="true"] {{ color: {text}; background: {warning_area}; border-radius: 3px;
    padding: 5px; }}
MessageEntry {{ background: {area}; border-radius: 3px; border-left: 4px solid {accent}; }}
MessageEntry[message="Warning"] {{ border-left-color: {warning}; }}
MessageEntry[message="Error"] {{ border-left-color: {error}; }}
MessageText {{ background: transparent; border: none; padding: 0px; }}
QPushButton {{ padding: 4px 8px; min-height: 18px; }}
QPushButton[primary="true"] {{ background-color: {accent}; font-weight: bold; padding: 7px; }}
QPushButton[primary="true"]:hover {{ background-color: {hover}; }}
QPushButton[primary="true"]:disabled {{ background-color: {area}; color: {disabled};
    font-weight: normal; }}
QPushButton:disabled, QToolButton:disabled {{ color: {disabled}; }}
QPushButton:focus, QToolButton:focus, QComboBox:focus {{ border: 1px solid {accent}; }}
QToolButton[fold="true"] {{ border: none; background: transparent; padding: 2px; }}
QProgressBar {{ border: none; border-radius: 3px; background: {area}; }}
QProgressBar::chunk {{ border-radius: 3px; background: {accent}; }}
QToolButton[answer="true"] {{ border: 1px solid {disabled}; border-radius: 3px; padding: 3px 8px; }}
QToolButton[answer="true"]:checked {{ background: {accent}; }}
CellCard {{ border: 1px solid {accent}; }}
StepHeading, ProbabilityBars, AttentionLegend, LossCurve, RemovalPlot, Scatter, GalleryView,
ConfusionView, ContributionBars, MeasureStrips {{
    selection-background-color: {accent}; alternate-background-color: {area}; }}
"""


def style_sheet(theme_name: str) -> str:
    """Return the panel's style sheet in the colours of a napari theme."""
    theme = get_theme(theme_name)
    is_dark = theme.text.as_rgb_tuple()[0] > 127
    text = ", ".join(str(part) for part in theme.text.as_rgb_tuple()[:3])
    return TEMPLATE.format(
        accent=theme.current.as_hex(),
        hover=theme.highlight.as_hex(),
        area=theme.foreground.as_hex(),
        text=theme.text.as_hex(),
        faint=f"rgba({text}, {190 if is_dark else 200})",
        disabled=f"rgba({text}, 110)",
        warning=theme.warning.as_hex(),
        error=theme.error.as_hex(),
        warning_area="rgba(227, 182, 23, 70)" if is_dark else "rgba(227, 182, 23, 110)",
    )


def wrapping_label(text: str = "", name: str = "") -> QLabel:
    """Return a label that breaks its lines, with a name to find it by.

    Its text is plain: the name of a class or file is never taken for HTML.
    """
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setObjectName(name)
    label.setWordWrap(True)
    return label


class SteadyLabel(QLabel):
    """A label that breaks its lines and has room for some, so that nothing below it moves.

    Parameters
    ----------
    lines
        As many as its text may need.
    name
        To find it by.
    is_hint
        Whether it is faint, as explanations are.
    """

    def __init__(self, lines: int, name: str, is_hint: bool = True) -> None:
        super().__init__()
        self._lines = lines
        self.setProperty("hint", is_hint)
        self.setObjectName(name)
        self.setWordWrap(True)

    def minimumSizeHint(self) -> QSize:
        """Return the height of all lines."""
        hint = super().minimumSizeHint()
        return QSize(hint.width(), max(hint.height(), self._height()))

    def heightForWidth(self, width: int) -> int:
        """Return the height of all lines, or more if the text needs it."""
        return max(super().heightForWidth(width), self._height())

    def _height(self) -> int:
        return self._lines * self.fontMetrics().lineSpacing()


class ElidedLabel(QLabel):
    """One line that is cut in the middle where there is no room for all of it."""

    def minimumSizeHint(self) -> QSize:
        """Return next to no width."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what there is room for."""
        middle, area = Qt.TextElideMode.ElideMiddle, self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), middle, area.width())
        role, palette, where = self.foregroundRole(), self.palette(), int(self.alignment())
        style = self.style()
        style.drawItemText(QPainter(self), area, where, palette, self.isEnabled(), shown, role)


def hint_label(text: str = "", name: str = "") -> QLabel:
    """Return a label for a line of explanation; see `wrapping_label`."""
    label = wrapping_label(text, name)
    label.setProperty("hint", True)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return label


def plain_tip(text: str) -> str:
    """Return what shows as this text in a tooltip, also where it looks like HTML."""
    return f"<qt>{html.escape(text)}</qt>".replace("\n", "<br>") if "<" in text else text


def push_button(text: str, tip: str, slot: Callable[[], object] | None = None) -> QPushButton:
    """Return a button with a tooltip, and what it does when it is pressed."""
    button = QPushButton(text)
    button.setToolTip(tip)
    if slot is not None:
        button.clicked.connect(slot)
    return button


def primary_button(text: str, tip: str, slot: Callable[[], object] | None = None) -> QPushButton:
    """Return the button of a step's main action; see `push_button`."""
    button = push_button(text, tip, slot)
    button.setProperty("primary", True)
    return button


def set_primary(button: QPushButton, is_primary: bool) -> None:
    """Make a button the one that stands out, or an ordinary one."""
    _set_property(button, "primary", is_primary)


def set_warning(label: QLabel, is_warning: bool) -> None:
    """Make a label stand out as a warning, or an ordinary one."""
    _set_property(label, "warning", is_warning)


class NarrowCombo(QComboBox):
    """A combo box that cuts long entries in the middle: names often differ at their ends."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the entry cut to the room that there is."""
        painter, option, style = QStylePainter(self), QStyleOptionComboBox(), self.style()
        self.initStyleOption(option)
        kind, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = style.subControlRect(kind, option, field, self).width() - 2 * TEXT_MARGIN_PX
        middle = Qt.TextElideMode.ElideMiddle
        option.currentText = option.fontMetrics.elidedText(option.currentText, middle, room)
        painter.drawComplexControl(kind, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def narrow_combo(tip: str, choices: Mapping[str, object] | None = None) -> QComboBox:
    """Return a combo box that shortens long entries instead of widening the panel.

    Parameters
    ----------
    tip
        What is chosen.
    choices
        The value of each entry, by its text.
    """
    combo = NarrowCombo()
    make_narrow(combo, tip)
    for text, value in (choices or {}).items():
        combo.addItem(text, value)
    return combo


def make_narrow(combo: QComboBox, tip: str) -> None:
    """Let a combo box shorten long entries; see `narrow_combo`."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
    combo.setToolTip(tip)


def scrolling(inner: QWidget, area: QScrollArea | None = None) -> QScrollArea:
    """Return a widget that scrolls where it needs more room than there is."""
    area = area or QScrollArea()
    area.setWidget(inner)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    return area


def elastic(widget: Sized, least_px: int = 80) -> Sized:
    """Let a widget take the height that is left, down to so many pixels.

    Above or below text that wraps, a scrolling parent would else be as high as the widget likes to
    be, and cut the rest off.
    """
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
    widget.setMinimumHeight(least_px)
    return widget


def scrolling_column(layout: QLayout) -> QScrollArea:
    """Return a column that scrolls by itself: what stands beside it stays in view."""
    inner = QWidget()
    inner.setLayout(layout)
    return scrolling(inner, _Column())


def yielding_column(layout: QLayout) -> QScrollArea:
    """Return a column as high as it needs, which scrolls where its panel is lower than that."""
    inner = QWidget()
    layout.setContentsMargins(0, 0, 0, 0)
    inner.setLayout(layout)
    area = scrolling(inner, _YieldingColumn())
    area.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
    return area


class _Column(QScrollArea):
    """Scrolls up and down only, and so is wide enough that nothing is cut off at the right."""

    def __init__(self) -> None:
        super().__init__()
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """Return the width of what it holds, with the bar beside it."""
        hint, bar = super().minimumSizeHint(), self.verticalScrollBar().sizeHint().width()
        return QSize(self.widget().minimumSizeHint().width() + bar, hint.height())


class _YieldingColumn(_Column):
    """Asks for the height of what it holds, and follows it."""

    def sizeHint(self) -> QSize:
        """Return the size of what it holds, with the frame around it."""
        inner, frame = self.widget(), 2 * self.frameWidth()
        # Labels that break their lines may need more than they ask for.
        return inner.sizeHint().expandedTo(inner.minimumSizeHint()) + QSize(0, frame)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask anew when what it holds asks for another height."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def _set_property(widget: QWidget, name: str, value: bool) -> None:
    """Set a property that the style sheet looks at."""
    widget.setProperty(name, value)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)
