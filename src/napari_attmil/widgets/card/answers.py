"""Buttons for the answers to the card: tags of the cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QToolButton, QWidget
from superqt.utils import QFlowLayout


class Answers(QWidget):
    """A button for each tag, pressed for those that the cell has.

    Signals
    -------
    given(str, bool)
        A tag, and whether the cell is to have it.
    """

    given = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self._buttons: dict[str, QToolButton] = {}
        self._flow = QFlowLayout(self)
        self._flow.setContentsMargins(0, 0, 0, 0)

    def value(self) -> frozenset[str]:
        """Return the tags that the cell has."""
        return frozenset(tag for tag, button in self._buttons.items() if button.isChecked())

    def setValue(self, tags: Sequence[str], of_cell: Collection[str]) -> None:
        """Offer tags, and show which of them the cell has."""
        for tag in [tag for tag in self._buttons if tag not in tags]:
            button = self._buttons.pop(tag)
            self._flow.removeWidget(button)
            button.deleteLater()
        for tag in tags:
            if tag not in self._buttons:
                self._buttons[tag] = self._button(tag)
                self._flow.addWidget(self._buttons[tag])
            self._buttons[tag].setChecked(tag in of_cell)

    def press(self, tag: str) -> None:
        """Give an answer, or take it back."""
        self._buttons[tag].click()

    def _button(self, tag: str) -> QToolButton:
        button = QToolButton()
        button.setText(tag[:1].upper() + tag[1:])
        button.setCheckable(True)
        button.setProperty("answer", True)
        button.setToolTip(f"Tag the cell “{tag}”, or take the tag off again; undo takes it back.")
        button.clicked.connect(lambda is_on: self.given.emit(tag, is_on))
        return button
