"""How many samples and classes the study has, and the way to their table."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QWidget

from napari_attmil.core import counted
from napari_attmil.images import Cohort
from napari_attmil.widgets import tasks
from napari_attmil.widgets.attention_mil.samples.dialog import SampleTableDialog
from napari_attmil.widgets.attention_mil.samples.regrouping import (
    part_with,
    show_image,
    use_regrouped,
)
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    Listening,
    TaskRunner,
    column,
    hint_label,
    push_button,
    showing_folder,
    tell,
)


class SamplesRow(Listening, QWidget):
    """Opens the table of samples, and lets the study take what was saved there.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._dialog: SampleTableDialog | None = None
        self._runner = TaskRunner(self)
        self._open = push_button(
            "Samples and classes…",
            "Say which images are one sample, whose it is, and its class: type, paste from a "
            "spreadsheet, or take it from the names of folders and files.",
            self.open,
        )
        self._counts = hint_label(name="sample_counts")

        column(self._open, self._counts, within=self, margin_px=0)

        self.listen(context.session.cohort_changed, self._synchronise)
        self._runner.busy_changed.connect(self._synchronise)
        self.at_end(self._close_dialog)
        self._synchronise()

    @property
    def dialog(self) -> SampleTableDialog | None:
        """The table, if it is open."""
        return self._dialog

    def open(self) -> None:
        """Open the table of samples, or bring it to the front."""
        cohort = self._context.session.cohort
        if self._dialog is not None and not self._dialog.isVisible():
            self._close_dialog()
        if self._dialog is None:
            if cohort is None:
                return
            self._dialog = SampleTableDialog(cohort, self)
            self._dialog.saved.connect(partial(self._read_again, cohort))
            self._dialog.image_wanted.connect(partial(show_image, self._context))
        self._dialog.show()
        self._dialog.raise_()
        self._dialog.activateWindow()

    def _read_again(self, former: Cohort, path: Path, kept: Path | None) -> None:
        """Read the samples as they were saved, off the main thread."""
        backup = "" if kept is None else f" The former table is kept as {kept.name}."
        saved = f"Samples and classes were saved as {path}.{backup}"
        tell_saved = partial(tell, self, saved, "samples", showing_folder(path))
        images = [] if self._dialog is None else self._dialog.images

        def use(cohort: Cohort) -> None:
            cohort = part_with(cohort, images)  # The table may have more of the study.
            if self._context.session.cohort is former:
                use_regrouped(self._context, cohort)
            if self._context.session.cohort is cohort:
                self._context.opening.note_table(path, cohort)
            tell_saved()  # after the messages on the former samples have gone

        if self._context.session.cohort is former:
            self._runner.start(tasks.open_cohort, path, on_done=use)
        else:
            tell_saved()

    def _close_dialog(self) -> None:
        if self._dialog is not None:
            self._dialog.discard()
            self._dialog = None

    def _synchronise(self) -> None:
        cohort, dialog = self._context.session.cohort, self._dialog
        if dialog is not None and dialog.cohort is not cohort and not dialog.is_changed:
            self._close_dialog()
        self._open.setEnabled(cohort is not None and not self._runner.busy)
        self._counts.setVisible(cohort is not None)
        if cohort is None:
            return
        without = cohort.labels().count(None)
        parts = [
            counted(len(cohort), "sample"),
            counted(len(cohort.patients), "patient"),
            counted(len(cohort.classes), "class", "classes"),
        ]
        more = f"; {without} without a class" if without and cohort.classes else ""
        self._counts.setText(f"{', '.join(parts)}{more}.")
