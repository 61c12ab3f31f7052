"""How a classifier did on patients that its models had not seen, and who was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy, QWidget

from napari_attmil.core import counted
from napari_attmil.explore import held_out_table
from napari_attmil.widgets.parts import (
    ConfusionView,
    column,
    hint_label,
    plain_tip,
    set_warning,
    wrapping_label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.bags import NamedPatient
    from napari_attmil.images import Sample
    from napari_attmil.session import ClassifierLike

MOST_LINES = 5
"""Patients that are listed without scrolling."""
MATRIX_TIP = (
    "Patients who were held out. Rows: their own classes; columns: the predicted ones. Click a "
    "number to list its patients."
)


class HeldOutView(QWidget):
    """A sentence, a matrix of patients, and a list of those who were wrong.

    Signals
    -------
    sample_clicked(str)
        The sample of a listed patient.
    """

    sample_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._patients: list[NamedPatient] = []
        self._sentence = wrapping_label(name="held_out")
        self._reservation = hint_label(name="reservation")
        self._matrix = ConfusionView(MATRIX_TIP)
        self._heading = hint_label(name="patients_heading")
        self._list = QListWidget()

        parts = (self._sentence, self._reservation, self._matrix, self._heading, self._list)
        column(*parts, within=self, margin_px=0)

        self._matrix.cell_clicked.connect(self._list_cell)
        self._list.itemClicked.connect(self._open)
        self._list.itemActivated.connect(self._open)

        bold = self._sentence.font()
        bold.setBold(True)
        self._sentence.setFont(bold)
        self._list.setObjectName("held_out_patients")
        self._list.setToolTip("Click a patient to open the sample that was least right.")
        self._list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.hide()

    def setValue(self, classifier: ClassifierLike | None, samples: Sequence[Sample]) -> None:
        """Show a classifier's figures; patients are named if they are those of the samples."""
        self.setVisible(classifier is not None)
        if classifier is None:
            return
        held_out = classifier.held_out
        for part in (self._reservation, self._matrix):
            part.setVisible(held_out is not None)
        set_warning(self._sentence, held_out is None)
        if held_out is None:
            self._sentence.setText(classifier.on_new_patients)
            self._sentence.setToolTip("")
            self._show([], "")
            return
        self._sentence.setText(held_out.sentence())
        self._sentence.setToolTip(held_out.explained())
        self._reservation.setText(held_out.reservation())
        self._matrix.setValue(held_out_table(held_out, classifier.classes))
        self._patients = held_out.named(samples, classifier.classes)
        wrong = [one for one in self._patients if one.truth != one.predicted]
        self._show(wrong, f"{counted(len(wrong), 'patient')} wrong: click one to open it")

    def _list_cell(self, truth: str, predicted: str) -> None:
        """List the patients behind a number of the matrix."""
        of_cell = [
            one for one in self._patients if (one.truth, one.predicted) == (truth, predicted)
        ]
        if of_cell:
            self._show(of_cell, f"{truth}, taken for {predicted}: click one to open it")

    def _show(self, patients: Sequence[NamedPatient], heading: str) -> None:
        self._heading.setText(heading)
        self._list.clear()
        for one in sorted(patients, key=lambda one: -one.probability):
            text = f"{one.patient}: {one.truth}, taken for {one.predicted} ({one.probability:.0%})"
            item = QListWidgetItem(text)
            item.setToolTip(plain_tip(text))
            item.setData(Qt.ItemDataRole.UserRole, one.sample)
            self._list.addItem(item)
        lines = min(self._list.count(), MOST_LINES)
        self._list.setFixedHeight(lines * max(self._list.sizeHintForRow(0), 1) + 6)
        for part in (self._heading, self._list):
            part.setVisible(bool(patients))

    def _open(self, item: QListWidgetItem) -> None:
        self.sample_clicked.emit(item.data(Qt.ItemDataRole.UserRole))
