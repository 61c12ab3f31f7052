"""The rows of the table of samples for Qt's views: cells that can be typed in, undo and redo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QColor, QUndoCommand, QUndoStack

from napari_attmil.images import FIELDS, Problem, Rows, problems, with_values

TITLES = ("Sample", "Patient", "Class", "Images")
TIPS = (
    "The images of one patient at one time. Rows of the same name become one sample.",
    "Whom the sample comes from. Samples of one patient are never parted when results are tested.",
    "What the sample is called: healthy or a diagnosis. Empty, NA or ? where it is not known.",
    "The image files of the row. Double-click to look at them.",
)
IMAGES = len(FIELDS)
WARNING = QColor(227, 182, 23, 110)
NAMES_SHOWN = 20
_PARENTLESS = QModelIndex()


class SampleTable(QAbstractTableModel):
    """Rows that are changed as a whole, each change being one step of undo.

    Signals
    -------
    changed()
        The rows are other ones.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self._rows: Rows = ()
        self._problems: dict[tuple[int, int], Problem] = {}

    @property
    def samples(self) -> Rows:
        """The rows as they stand."""
        return self._rows

    def start(self, rows: Rows) -> None:
        """Show rows that cannot be undone."""
        self.undo_stack.clear()
        self.use(rows)

    def change(self, title: str, rows: Rows) -> None:
        """Make other rows the present ones, as a step of undo with a title."""
        if rows != self._rows:
            self.undo_stack.push(_Change(self, title, self._rows, rows))

    def use(self, rows: Rows) -> None:
        """Show rows; the undo stack calls this."""
        found = problems(rows)
        marks = {(each.row, FIELDS.index(each.field)): each for each in reversed(found)}
        if len(rows) == len(self._rows):  # the selection stays
            self._rows, self._problems = rows, marks
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, IMAGES))
        else:
            self.beginResetModel()
            self._rows, self._problems = rows, marks
            self.endResetModel()
        self.changed.emit()

    def problem(self) -> Problem | None:
        """Return what stands against saving the rows first of all, if anything."""
        return self._problems[min(self._problems)] if self._problems else None

    def rowCount(self, parent: QModelIndex = _PARENTLESS) -> int:
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _PARENTLESS) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return the titles of the columns and the numbers of the rows."""
        if orientation == Qt.Orientation.Vertical:
            return section + 1 if role == Qt.ItemDataRole.DisplayRole else None
        texts = {Qt.ItemDataRole.DisplayRole: TITLES, Qt.ItemDataRole.ToolTipRole: TIPS}
        return texts[role][section] if role in texts else None  # type: ignore[index]

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let all columns but the images be typed in."""
        flags = super().flags(index)
        return flags if index.column() == IMAGES else flags | Qt.ItemFlag.ItemIsEditable

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text, what is wrong with it, or its mark."""
        mark = self._problems.get((index.row(), index.column()))
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self.text(index.row(), index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(index) if mark is None else mark.text
        if role == Qt.ItemDataRole.BackgroundRole and mark is not None:
            return WARNING
        return None

    def text(self, row: int, column: int) -> str:
        """Return a cell's text."""
        sample = self._rows[row]
        if column < IMAGES:
            return str(getattr(sample, FIELDS[column]))
        first, count = sample.images[0].name, len(sample.images)
        return first if count == 1 else f"{count}: {first} …"

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Take what was typed."""
        if role != Qt.ItemDataRole.EditRole or index.column() == IMAGES:
            return False
        values = {(index.row(), FIELDS[index.column()]): str(value)}
        self.change(f"{TITLES[index.column()]} typed", with_values(self._rows, values))
        return True

    def classes(self) -> Sequence[str]:
        """Return the classes that are there, for completion."""
        return sorted({row.label for row in self._rows if row.label})

    def _tip(self, index: QModelIndex) -> str | None:
        images = self._rows[index.row()].images
        more = [f"and {len(images) - NAMES_SHOWN} more"] if len(images) > NAMES_SHOWN else []
        return "\n".join([*map(str, images[:NAMES_SHOWN]), *more])


class _Change(QUndoCommand):
    """Rows before and after."""

    def __init__(self, table: SampleTable, title: str, before: Rows, after: Rows) -> None:
        super().__init__(title)
        self._table, self._before, self._after = table, before, after

    def redo(self) -> None:
        self._table.use(self._after)

    def undo(self) -> None:
        self._table.use(self._before)
