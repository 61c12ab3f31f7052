"""What the card about one cell shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton, QWidget

from napari_attmil.core import CAUTION
from napari_attmil.explore import CellFacts, SimilarCell
from napari_attmil.widgets.card.answers import Answers
from napari_attmil.widgets.card.strips import ContributionBars, MeasureStrips
from napari_attmil.widgets.parts import (
    STRETCH,
    ProgressRow,
    column,
    hint_label,
    push_button,
    row,
    scrolling_column,
    wrapping_label,
)

PICTURE_PX, SIMILAR_PX = 150, 64
SURROUNDINGS = 2.6
"""Side of the picture, times the longer side of the cell's box."""
SIMILAR_SHOWN = 4
WIDTH_PX, HEIGHT_PX = 384, 690
BOXES = {
    "model": "The detector's box",
    "person": "A person's box",
    "accepted": "The detector's box, accepted by a person",
}
"""By who made it."""


class CellCard(QWidget):
    """Everything that is known of a cell; parts that are not (yet) known are left out.

    Parameters
    ----------
    progress
        Shows how far a classification is.

    Attributes
    ----------
    answers
        The tags of the cell.

    Signals
    -------
    go_wanted(object)
        The `CellKey` of the cell that the viewer shall go to.
    classify_wanted()
        The sample shall be classified.
    """

    go_wanted = Signal(object)
    classify_wanted = Signal()

    def __init__(self, progress: ProgressRow) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.progress = progress
        self._facts: CellFacts | None = None
        self._picture = QLabel()
        self._picture.setFixedSize(PICTURE_PX, PICTURE_PX)
        self._sample = wrapping_label(name="sample")
        self._sample.setStyleSheet("font-weight: bold;")
        self._box = hint_label(name="box")
        self._attention = wrapping_label(name="attention")
        self._missing = hint_label(name="missing")
        self._classify = push_button(
            "Classify sample",
            "Classify the sample to see what its cells say.",
            lambda: self.classify_wanted.emit(),
        )
        self._go = push_button("Go to it", "Show the cell in its image.", self._go_to_cell)
        self._bars, self._strips = ContributionBars(), MeasureStrips()
        self._said = Titled("Speaks for and against", self._bars)
        self._without = wrapping_label(name="without")
        self._measured = Titled("Beside the sample's cells", self._strips)
        self._similar = SimilarCells()
        self._others = Titled("Similar cells in other samples", self._similar)
        self.answers = Answers()
        self._state = hint_label(name="state")
        self._lay_out()
        self._similar.cell_clicked.connect(self.go_wanted)

    def _lay_out(self) -> None:
        beside = column(
            self._sample, self._box, self._attention, self._missing, self._classify, STRETCH
        )
        top = (row(self._picture, (beside, 1)), self.answers, self.progress)
        parts = (self._said, self._without, self._measured, self._others, self._state)
        body = scrolling_column(column(*top, *parts, STRETCH))
        column(body, row((hint_label(CAUTION), 1), self._go), within=self, margin_px=4)

    def sizeHint(self) -> QSize:
        """Return a size beside which the images can still be seen."""
        return QSize(WIDTH_PX, HEIGHT_PX)

    @property
    def facts(self) -> CellFacts | None:
        """What is shown."""
        return self._facts

    def setFacts(self, facts: CellFacts, missing: str = "", can_classify: bool = False) -> None:
        """Show what is known.

        Parameters
        ----------
        facts
            What is known so far.
        missing
            Why there is no attention, if there is none.
        can_classify
            Whether a button helps against it.
        """
        if self._facts is None or (facts.sample, facts.cell_id) != key_of(self._facts):
            self._picture.clear()
        self._facts = facts
        whose = f"{facts.sample} · {facts.label}" if facts.label else facts.sample
        self._sample.setText(whose)
        box = f"{BOXES[facts.made_by]}, score {facts.score:.2f}."
        self._box.setText(f"Image {facts.image}. {box}")
        self._attention.setText(facts.about_attention)
        self._attention.setVisible(bool(facts.about_attention))
        self._missing.setText(missing)
        self._missing.setVisible(bool(missing))
        self._classify.setVisible(can_classify)
        self._bars.setValue(facts.contribution, facts.strongest)
        self._said.setVisible(bool(facts.contribution))
        self._show_without(facts)
        self._strips.setValue(facts.measures)
        self._measured.setVisible(bool(facts.measures))
        self._others.setVisible(bool(facts.similar))

    def setState(self, text: str) -> None:
        """Say what is still being computed; empty when nothing is."""
        self._state.setText(f"{text}…" if text else "")
        self._state.setVisible(bool(text))

    def setPicture(self, picture: QPixmap, share: QRectF) -> None:
        """Show the cell in its surroundings, with its box, in shares of the picture's sides."""
        shown = QPixmap(picture)
        painter, side = QPainter(shown), shown.width()
        box = QRectF(*(part * side for part in share.getRect()))
        for width, colour in ((3, QColor(0, 0, 0, 150)), (1, QColor("white"))):
            painter.setPen(QPen(colour, width))
            painter.drawRect(box)
        painter.end()
        self._picture.setPixmap(shown)

    def has_picture(self) -> bool:
        """Return whether the cell's picture is shown."""
        return not self._picture.pixmap().isNull()

    def setSimilar(self, pictures: Mapping[SimilarCell, QPixmap | None]) -> None:
        """Show the pictures of the similar cells, as far as they are there."""
        self._similar.setValue(list(pictures), list(pictures.values()))

    def _show_without(self, facts: CellFacts) -> None:
        shown = facts.without is not None
        self._without.setVisible(shown)
        if facts.without is not None:
            name = max(facts.probabilities, key=lambda each: facts.probabilities[each])
            before, after = facts.probabilities[name], facts.without[name]
            self._without.setText(
                f"Without it the sample is {after:.1%} {name}, with it {before:.1%}."
            )

    def _go_to_cell(self) -> None:
        if self._facts is not None:
            self.go_wanted.emit(key_of(self._facts))


class Titled(QWidget):
    """A part of the card below its title."""

    def __init__(self, title: str, part: QWidget) -> None:
        super().__init__()
        column(hint_label(title), part, within=self, margin_px=0, spacing_px=2)


class SimilarCells(QWidget):
    """Thumbnails of cells side by side, each a button.

    Signals
    -------
    cell_clicked(object)
        The `CellKey` of the one that was pressed.
    """

    cell_clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._buttons = [self._button() for _ in range(SIMILAR_SHOWN)]
        self._cells: tuple[SimilarCell, ...] = ()
        row(*self._buttons, STRETCH, within=self, margin_px=0, spacing_px=4)

    def value(self) -> tuple[SimilarCell, ...]:
        """Return the cells shown."""
        return self._cells

    def setValue(self, cells: Sequence[SimilarCell], pictures: Sequence[QPixmap | None]) -> None:
        """Show cells; the picture of one may still be missing."""
        self._cells = tuple(cells)
        for place, button in enumerate(self._buttons):
            button.setVisible(place < len(cells))
            if place < len(cells):
                cell, picture = cells[place], pictures[place]
                metrics, middle = button.fontMetrics(), Qt.TextElideMode.ElideMiddle
                lines = filter(None, (cell.label, cell.sample))
                short = (metrics.elidedText(line, middle, SIMILAR_PX) for line in lines)
                button.setText("\n".join(short))
                button.setIcon(QIcon() if picture is None else QIcon(picture))
                whose = f"{cell.sample} ({cell.label})" if cell.label else cell.sample
                where = f"Cell {cell.cell_id} in image {cell.image} of {whose}."
                button.setToolTip(f"{where} Click to go there.")

    def press(self, place: int) -> None:
        """Go to one of the cells."""
        self._buttons[place].click()

    def _button(self) -> QToolButton:
        button = QToolButton()
        button.setIconSize(QSize(SIMILAR_PX, SIMILAR_PX))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        button.setToolTip("Go to this similar cell.")
        button.setAccessibleName("Similar cell")
        button.clicked.connect(lambda: self._on_click(self._buttons.index(button)))
        return button

    def _on_click(self, place: int) -> None:
        cell = self._cells[place]
        self.cell_clicked.emit((cell.sample, cell.cell_id))


def key_of(facts: CellFacts) -> tuple[str, int]:
    """Return the `CellKey` of a cell."""
    return facts.sample, facts.cell_id
