"""The export of boxes for other programs: which format, where, and what will be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFileDialog, QLineEdit, QWidget

from napari_attmil.cells.annotations import Annotations
from napari_attmil.cells.exchange import FORMATS, ExportPlan
from napari_attmil.core import counted
from napari_attmil.images import Sample
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import (
    STRETCH,
    MessageBar,
    MessageBoard,
    TaskRunner,
    column,
    form,
    hint_label,
    narrow_combo,
    primary_button,
    push_button,
    row,
    set_warning,
    stop_listening_within,
    wrapping_label,
)

MOST_NAMED = 3


class ExportDialog(QDialog):
    """Shows what an export would write; nothing is written before it is accepted.

    Parameters
    ----------
    samples
        The samples whose boxes are exported.
    annotations
        Their boxes, by the samples' names.
    folder
        Names of images are relative to it, and the dialog starts in it.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        annotations: Mapping[str, Annotations],
        folder: Path,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.plan: ExportPlan | None = None
        self._samples, self._annotations, self._folder = samples, annotations, folder
        self.message_board = MessageBoard(self)
        self._runner = TaskRunner(self)
        titles = {each.title: name for name, each in FORMATS.items()}
        self._format = narrow_combo("The format that the other program reads.", titles)
        self._where = QLineEdit()
        self._where.setToolTip("The file, or the folder, that is written.")
        self._where.setAccessibleName("Where to write")
        self._browse = push_button("Browse…", "Choose another place.", self._choose_place)
        self._summary = wrapping_label(name="export_summary")
        self._notes = hint_label(name="export_notes")
        self._foreign = wrapping_label(name="export_foreign")
        self._replace = QCheckBox("Replace them")
        self._replace.setToolTip("Replace files that this program did not write as they are now.")
        self._export = primary_button("Export", "Write the files.")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._lay_out()
        self._format.activated.connect(self._on_format)
        self._where.editingFinished.connect(self._look)
        self._replace.toggled.connect(self._synchronise)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: stop_listening_within(self))
        self._on_format()

    @property
    def may_replace(self) -> bool:
        """Whether files of others may be replaced."""
        return self._replace.isChecked()

    def _lay_out(self) -> None:
        self.setWindowTitle("Export boxes")
        self._buttons.addButton(self._export, QDialogButtonBox.ButtonRole.AcceptRole)
        place = QWidget()
        row((self._where, 1), self._browse, within=place, margin_px=0)
        fields = form({"Format": self._format, "Where": place})
        told = (self._summary, self._notes, self._foreign, self._replace)
        bar = MessageBar(self.message_board)
        column(bar, fields, *told, STRETCH, self._buttons, within=self)
        set_warning(self._foreign, True)
        self.resize(560, 360)

    def _on_format(self) -> None:
        """Propose a place for this format."""
        suffix = FORMATS[self._format.currentData()].suffix
        name = f"boxes{suffix}" if suffix else f"boxes-{self._format.currentData()}"
        self._where.setText(str(self._folder / name))
        self._look()

    def _choose_place(self) -> None:
        suffix = FORMATS[self._format.currentData()].suffix
        if suffix:
            kind = f"{self._format.currentText()} (*{suffix})"
            name, _ = QFileDialog.getSaveFileName(self, "Export boxes", self._where.text(), kind)
            name = name if not name or Path(name).suffix else name + suffix
        else:
            name = QFileDialog.getExistingDirectory(
                self, "Export boxes into a folder", str(self._folder)
            )
        if name:
            self._where.setText(name)
            self._look()

    def _look(self) -> None:
        """Find out what would be written."""
        self._show(None)
        self._summary.setText("Preparing the files…")
        path = Path(self._where.text()).expanduser()
        path = path if path.is_absolute() else self._folder / path
        content = (self._samples, self._annotations, self._folder)
        # What an earlier look still finds is for another format or place.
        stop_listening_within(self._runner)
        self.message_board.clear_all()
        self._runner = TaskRunner(self)
        self._runner.start(
            tasks.plan_boxes_export,
            *(path, self._format.currentData(), *content),
            on_done=self._show,
            on_end=self._summary.clear,
        )

    def _show(self, plan: ExportPlan | None) -> None:
        self.plan = plan
        self._replace.setChecked(False)
        if plan is not None:
            boxes, images = counted(plan.box_count, "box", "boxes"), plan.image_count
            self._summary.setText(
                f"{boxes} of {counted(images, 'image')} in {counted(len(plan.contents), 'file')}."
            )
            self._notes.setText("\n".join(plan.notes))
            self._foreign.setText(_foreign(plan, self._folder))
        self._synchronise()

    def _synchronise(self) -> None:
        has_foreign = self.plan is not None and bool(self.plan.foreign)
        self._notes.setVisible(self.plan is not None)
        self._foreign.setVisible(has_foreign)
        self._replace.setVisible(has_foreign)
        self._export.setEnabled(
            self.plan is not None
            and bool(self.plan.image_count)
            and (not has_foreign or self.may_replace)
        )


def _foreign(plan: ExportPlan, folder: Path) -> str:
    names = [
        path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        for path in plan.foreign
    ]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return (
        f"Not written by this program, or changed since: {', '.join(names[:MOST_NAMED])}{more}. "
        "Choose another place, or replace them."
    )
