"""Asks for a pattern of names, and shows at once what it gives."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_attmil.core import UserError
from napari_attmil.images import (
    EXAMPLES,
    FIELDS,
    Rows,
    from_names,
    guessed_pattern,
    name_within,
)
from napari_attmil.widgets.parts import column, hint_label, set_warning, wrapping_label

SHOWN = 50
"""Rows of the preview."""
EXPLANATION = (
    "{sample}, {patient} and {class} stand for a part of the name, * for anything within a folder, "
    "** for anything. With / the pattern is compared with the path in the study, otherwise with "
    "the file's name."
)


class NamePatternDialog(QDialog):
    """A pattern, how many images it fits, and the first rows that it gives.

    Parameters
    ----------
    rows, folder
        The samples, and the study's folder.
    """

    def __init__(self, rows: Rows, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Samples from names of files and folders")
        self._rows, self._folder, self._found = rows, folder, rows
        self._pattern = QComboBox()
        self._told = wrapping_label(name="fitted")
        self._preview = QTableWidget(0, 1 + len(FIELDS))
        ok, cancel = QDialogButtonBox.StandardButton.Ok, QDialogButtonBox.StandardButton.Cancel
        self._buttons = QDialogButtonBox(ok | cancel)

        parts = (hint_label(EXPLANATION), self._pattern, self._told, (self._preview, 1))
        column(*parts, self._buttons, within=self)

        self._pattern.editTextChanged.connect(self._show)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)

        self._pattern.setEditable(True)
        self._pattern.setToolTip("The pattern; type your own, or choose one.")
        self._pattern.addItems(list(EXAMPLES))
        for place, meaning in enumerate(EXAMPLES.values()):
            self._pattern.setItemData(place, meaning, 3)  # the tooltip
        self._preview.setHorizontalHeaderLabels(["Sample", "Patient", "Class", "First image"])
        self._preview.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self._preview.horizontalHeader().setStretchLastSection(True)
        self._pattern.setEditText(guessed_pattern(rows, folder))
        self._show()
        self.resize(640, 460)

    def value(self) -> Rows:
        """Return the rows that the pattern gives."""
        return self._found

    def setPattern(self, pattern: str) -> None:
        """Give another pattern."""
        self._pattern.setEditText(pattern)

    def _show(self) -> None:
        images = sum(len(row.images) for row in self._rows)
        try:
            self._found, fitted = from_names(self._rows, self._pattern.currentText(), self._folder)
            told = f"The pattern fits {fitted} of {images} images; the others stay as they are."
            told = told if fitted < images else f"The pattern fits all {images} images."
        except UserError as error:
            self._found, fitted, told = self._rows, 0, str(error)
        self._told.setText(told)
        set_warning(self._told, fitted < images)
        ok = self._buttons.button(QDialogButtonBox.StandardButton.Ok)
        if ok is not None:
            ok.setEnabled(fitted > 0)
        self._preview.setRowCount(min(len(self._found), SHOWN))
        for place, row in enumerate(self._found[:SHOWN]):
            first = name_within(self._folder, row.images[0])
            for column_, text in enumerate((row.sample, row.patient, row.label, first)):
                self._preview.setItem(place, column_, QTableWidgetItem(text))
