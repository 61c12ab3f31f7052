"""All that was done to the study's samples: when, by whom, what and where."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import QAbstractItemView, QDialog, QDialogButtonBox, QTableView, QWidget

from napari_attmil.core import counted
from napari_attmil.session import History, Move, Step
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import STRETCH, Listening, column, hint_label, push_button, row

HEADINGS = ("When", "Who", "What", "Where")
HOW = "Click a change to go to its image. Those struck through were taken back."


class HistoryModel(QAbstractTableModel):
    """The steps of a history, the last one first; views ask only for what they show."""

    def __init__(self, history: History, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self._steps: tuple[Step, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Show the history as it is now."""
        self.beginResetModel()
        self._steps = tuple(reversed(self._history.steps))
        self.endResetModel()

    def step(self, place: int) -> Step:
        """Return the step in a row."""
        return self._steps[place]

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of steps."""
        return 0 if parent is not None and parent.isValid() else len(self._steps)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(HEADINGS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a text, or the look of a step that was taken back."""
        step = self._steps[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(step, index.column())
        if role == Qt.ItemDataRole.FontRole and not step.is_done:
            font = QFont()
            font.setStrikeOut(True)
            return font
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return a heading."""
        is_heading = orientation == Qt.Orientation.Horizontal
        return HEADINGS[section] if is_heading and role == Qt.ItemDataRole.DisplayRole else None

    def _text(self, step: Step, place: int) -> str:
        if place == 0:
            return when(step.made_at)
        if place == 1:
            return f"{step.author} (automatic)" if step.automatic else step.author
        return step.title if place == 2 else self._history.place(step)


class HistorySheet(Listening, QDialog):
    """The history as a list, with a way back to each step.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._history = context, context.session.history
        self._model = HistoryModel(self._history, self)
        self._view = QTableView()
        self._told = hint_label(HOW, "told")
        self._back_to = push_button(
            "Undo to here",
            "Take back everything that was done after the chosen change; one Redo brings it back.",
            self._undo_to,
        )
        self._only = push_button(
            "Take back only this",
            "Take back the chosen change alone, also if it is not yours. Later changes stay.",
            self._take_back,
        )
        self._redo = push_button("Redo", "Make again what was taken back last.", context.redo)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._lay_out()
        self._view.clicked.connect(self._go)
        self._view.selectionModel().selectionChanged.connect(self._synchronise)
        self._buttons.rejected.connect(self.reject)
        self.listen(self._history.changed, self._refresh)
        self.listen(self._history.moved, self._tell)
        self._synchronise()

    def _lay_out(self) -> None:
        self.setWindowTitle("History of the study")
        view = self._view
        view.setModel(self._model)
        view.setAccessibleName("History")
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setWordWrap(False)
        view.setShowGrid(False)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(22)
        view.horizontalHeader().setResizeContentsPrecision(50)
        view.horizontalHeader().setStretchLastSection(True)
        view.resizeColumnsToContents()
        buttons = row(self._back_to, self._only, self._redo, STRETCH, self._buttons)
        column(self._told, (view, 1), buttons, within=self)
        self.resize(620, 480)

    def text(self) -> str:
        """Return what is told above the list."""
        return self._told.text()

    def _chosen(self) -> Step | None:
        rows = self._view.selectionModel().selectedRows()
        return self._model.step(rows[0].row()) if rows else None

    def _go(self, index: QModelIndex) -> None:
        """Show the image of a step."""
        part = self._model.step(index.row()).parts[0]
        image = part.images[0] if part.images else None
        self._context.image_choice.show_key(part.key, image)

    def _undo_to(self) -> None:
        step = self._chosen()
        if step is not None:
            self._history.undo_to(step)

    def _take_back(self) -> None:
        step = self._chosen()
        if step is not None:
            self._history.take_back(step)

    def _refresh(self) -> None:
        step = self._chosen()
        self._model.refresh()
        rows = range(self._model.rowCount())
        place = next((place for place in rows if self._model.step(place) is step), None)
        if place is not None:
            self._view.selectRow(place)
        self._synchronise()

    def _synchronise(self) -> None:
        step, steps = self._chosen(), list(self._history.steps)
        later = 0
        if step is not None:
            later = sum(each.is_done for each in steps[steps.index(step) + 1 :])
        self._back_to.setEnabled(later > 0)
        self._back_to.setText(
            f"Undo to here ({counted(later, 'change')})" if later else "Undo to here"
        )
        self._only.setEnabled(step is not None and step.is_done)
        self._redo.setEnabled(bool(self._history.redo_title))

    def _tell(self, move: Move) -> None:
        self._told.setText(move.text)


def when(made_at: str) -> str:
    """Return a time of the journal, which is UTC, as it is here: "12 Mar 2026, 14:05"."""
    try:
        return f"{datetime.fromisoformat(made_at).astimezone():%d %b %Y, %H:%M}"
    except ValueError:
        return made_at
