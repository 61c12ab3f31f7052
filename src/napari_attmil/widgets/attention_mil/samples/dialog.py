"""The window "Samples and classes": which images are a sample, of whom, and of which class."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDialog, QMessageBox, QWidget

from napari_attmil.core import UserError, counted
from napari_attmil.images import (
    COHORT_CSV,
    FIELDS,
    Cohort,
    Rows,
    remarks,
    rows_of,
    with_images,
    write_whole_table,
)
from napari_attmil.widgets import tasks
from napari_attmil.widgets.attention_mil.samples.name_pattern import NamePatternDialog
from napari_attmil.widgets.attention_mil.samples.table import SampleTable
from napari_attmil.widgets.attention_mil.samples.view import SampleTableView
from napari_attmil.widgets.parts import (
    STRETCH,
    TaskRunner,
    column,
    hint_label,
    primary_button,
    push_button,
    row,
    set_warning,
    stop_listening_within,
    wrapping_label,
)

SIZE_PX = (760, 560)
COLUMNS_PX = (190, 150, 150)


class SampleTableDialog(QDialog):
    """A table of a cohort's samples, which is saved as its cohort.csv.

    Parameters
    ----------
    cohort
        Whose samples they are.

    Attributes
    ----------
    cohort
        Whose samples they are.

    Signals
    -------
    saved(Path, object)
        The table was written to a file; the second is where a former file is kept, or None.
    image_wanted(Path)
        An image to look at.
    """

    saved = Signal(object, object)
    image_wanted = Signal(object)

    def __init__(self, cohort: Cohort, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cohort = cohort
        self._path = cohort.table or cohort.folder / COHORT_CSV
        self._others: Rows = ()
        """Samples of the study that are not open: they stay in the table."""
        self._new: list[Path] = []
        self._runner = TaskRunner(self)
        self._create()
        self._lay_out()
        self._connect()
        self.setWindowTitle("Samples and classes")
        self.resize(*SIZE_PX)
        self._table.start(rows_of(cohort))
        self._view.go_to(0, FIELDS.index("label"))
        look = (tasks.look_for_others, self._table.samples, self._path)
        self._runner.start(*look, on_done=self._use_others)
        self._synchronise()

    def _create(self) -> None:
        self._table = SampleTable(self)
        self._view = SampleTableView(self._table)
        for place, width in enumerate(COLUMNS_PX):
            self._view.setColumnWidth(place, width)
        self._names = push_button(
            "From names…",
            "Take samples, patients or classes from the names of folders and files.",
            self._ask_for_pattern,
        )
        self._merge = push_button("Merge", "Make the selected rows one sample.", self._view.merge)
        self._part = push_button(
            "Split", "Give each image of the selected rows a row of its own.", self._view.part
        )
        self._fill = push_button(
            "Fill down",
            "Give all selected cells of a column the value of the first (Ctrl+D).",
            self._view.fill_down,
        )
        self._paste = push_button(
            "Paste", "Paste cells from a spreadsheet (Ctrl+V).", self._view.paste
        )
        self._add = push_button(
            "Add new images",
            "Images in the study's folder that the table does not list.",
            self._add_new,
        )
        stack = self._table.undo_stack
        self._undo = push_button("Undo", "Take the last change back (Ctrl+Z).", stack.undo)
        self._redo = push_button("Redo", "Make the change again (Ctrl+Shift+Z).", stack.redo)
        self._left_out = hint_label(name="left_out")
        self._problem = wrapping_label(name="problem")
        self._show = push_button("Show", "Go to the row.", self._show_problem)
        self._remarks = hint_label(name="remarks")
        self._where = hint_label(name="where")
        self._save = primary_button(
            "Save", "Write the table, and use it at once; boxes stay as they are.", self.save
        )
        self._cancel = push_button("Cancel", "Close without saving.", self.close)

    def _lay_out(self) -> None:
        tools = (self._names, self._merge, self._part, self._fill, self._paste)
        column(
            row(*tools, STRETCH, self._undo, self._redo),
            (self._view, 1),
            self._add,
            self._left_out,
            row((self._problem, 1), self._show),
            self._remarks,
            self._where,
            row(STRETCH, self._cancel, self._save),
            within=self,
        )

    def _connect(self) -> None:
        stack = self._table.undo_stack
        for key, slot in (("Undo", stack.undo), ("Redo", stack.redo), ("Save", self.save)):
            QShortcut(getattr(QKeySequence.StandardKey, key), self, slot)
        for changed in (stack.canUndoChanged, stack.canRedoChanged):
            changed.connect(self._synchronise)
        self._table.changed.connect(self._synchronise)
        self._runner.busy_changed.connect(self._synchronise)
        self._view.selectionModel().selectionChanged.connect(self._synchronise)
        self._view.told.connect(self._tell_left_out)
        self._view.images_wanted.connect(
            lambda place: self.image_wanted.emit(self._table.samples[place].images[0])
        )
        # Enter belongs to the table, not to a button.
        for button in (
            self._names,
            self._merge,
            self._part,
            self._fill,
            self._paste,
            self._add,
            self._undo,
            self._redo,
            self._save,
            self._cancel,
        ):
            button.setAutoDefault(False)

    @property
    def is_changed(self) -> bool:
        """Whether there are changes that are not saved."""
        return not self._table.undo_stack.isClean()

    @property
    def images(self) -> list[Path]:
        """The images in the rows."""
        return [image for row in self._table.samples for image in row.images]

    def save(self) -> None:
        """Write the table and close."""
        if self._table.problem() is not None or self._runner.busy:
            return
        try:
            kept = write_whole_table(self._path, self._table.samples, self._others)
        except UserError as error:
            self._say(str(error))
            return
        self._table.undo_stack.setClean()
        self.saved.emit(self._path, kept)
        self.close()

    def discard(self) -> None:
        """Close without a question: the panel goes away."""
        self._table.undo_stack.setClean()
        stop_listening_within(self)
        self.close()
        self.deleteLater()

    def reject(self) -> None:
        """Close, however the person does it, but ask before changes are lost."""
        if not self.is_changed or self._may_lose():
            super().reject()

    def _may_lose(self) -> bool:
        question = "The changes of the table are not saved. Close and lose them?"
        box = QMessageBox(QMessageBox.Icon.Warning, "Not saved yet", question, parent=self)
        lose = box.addButton("Close and lose the changes", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton("Stay", QMessageBox.ButtonRole.RejectRole))
        box.exec()
        return box.clickedButton() is lose

    def _ask_for_pattern(self) -> None:
        dialog = NamePatternDialog(self._table.samples, self.cohort.folder, self)
        if dialog.exec():
            self._table.change("Taken from names", dialog.value())

    def _use_others(self, found: tuple[Rows, list[Path]]) -> None:
        self._others, self._new = found
        self._add.setText(f"Add {counted(len(self._new), 'new image')}")
        self._synchronise()

    def _add_new(self) -> None:
        added, self._new = self._new, []
        self._table.change("Images added", with_images(self._table.samples, added))
        self._synchronise()

    def _tell_left_out(self, text: str) -> None:
        self._left_out.setText(text)
        self._left_out.setVisible(bool(text))

    def _say(self, problem: str) -> None:
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        set_warning(self._problem, True)

    def _show_problem(self) -> None:
        problem = self._table.problem()
        if problem is not None:
            self._view.go_to(problem.row, FIELDS.index(problem.field))

    def _where_in_words(self) -> str:
        if self._runner.busy:
            return "Looking for other images in the folder…"
        count = sum(len(row.images) for row in self._others)
        rest = f", with {counted(count, 'other image')} of the study as before" if count else ""
        return f"Save writes to {self._path}{rest}."

    def _synchronise(self) -> None:
        """Show what is wrong, what is noteworthy, and what can be done."""
        stack, chosen = self._table.undo_stack, self._view.chosen_rows()
        rows, problem = self._table.samples, self._table.problem()
        self._say("" if problem is None else problem.text)
        self._remarks.setText(" ".join(remarks(rows)))
        self._where.setText(self._where_in_words())
        self._save.setEnabled(problem is None and not self._runner.busy)
        self._show.setVisible(problem is not None)
        self._undo.setEnabled(stack.canUndo())
        self._redo.setEnabled(stack.canRedo())
        self._merge.setEnabled(len(chosen) > 1)
        self._fill.setEnabled(len(chosen) > 1)
        self._part.setEnabled(any(len(rows[place].images) > 1 for place in chosen))
        self._add.setVisible(bool(self._new))
        self._left_out.setVisible(bool(self._left_out.text()))
