"""Teaching: colours off, the student picks the cells that matter, then sees the model's."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_attmil.explore.report import top_cells
from napari_attmil.explore.teaching import FILE_NAME, Agreement, TeachingRound, keep_round, now
from napari_attmil.settings import CAUTION, UserError
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer_tab import ExplorerTab
from napari_attmil.widgets.style import hint_label, plain, primary_button
from napari_attmil.widgets.tasks import own_folder
from napari_attmil.widgets.workers import tell_error

HOW = (
    "1. Start: the boxes lose their colours. 2. Look through the images and select the cells that "
    "matter: click a box, hold Shift for more. 3. Compare: see the model's cells beside yours."
)


class TeachingTab(ExplorerTab):
    """A round of marking cells without the model's colours."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._person = QLineEdit()
        self._person.setPlaceholderText("your name")
        self._person.setToolTip("Under which name the round is kept.")
        self._start = QPushButton("Start: hide the colours")
        self._start.setToolTip("Take the colours off the boxes, so that they tell nothing.")
        self._compare = primary_button(
            "Compare with the model", "Show the model's colours and keep how far you agree."
        )
        self._count = hint_label()
        self._outcome = hint_label(CAUTION)

        row = QHBoxLayout()
        row.addWidget(self._person)
        row.addWidget(self._start)
        row.addWidget(self._count, 1)
        row.addWidget(self._compare)
        layout = QVBoxLayout(self)
        layout.addWidget(hint_label(HOW))
        layout.addLayout(row)
        layout.addWidget(self._outcome)
        layout.addStretch(1)

        self._start.clicked.connect(self.start)
        self._compare.clicked.connect(self.compare)
        self.listen(context.session.selection_changed, self.invalidate)
        self.listen(context.session.prediction_changed, self.invalidate)
        self.listen(context.exploration.colouring_changed, self.invalidate)

    def close_tab(self) -> None:
        """Stop listening; boxes get their colours back."""
        super().close_tab()
        self._context.exploration.set_blind(False)

    def refresh(self) -> None:
        """Show how many cells are selected."""
        session, is_blind = self._context.session, self._context.exploration.is_blind
        ready = session.prediction is not None
        self._start.setEnabled(ready and not is_blind)
        self._compare.setEnabled(ready and is_blind and bool(session.selection))
        selected = f"{plain(len(session.selection), 'cell')} selected."
        self._count.setText(selected if ready else "Classify the sample first.")

    def start(self) -> None:
        """Hide the colours and let go of all cells."""
        self._context.exploration.set_blind(True)
        self._context.exploration.select([])
        self._context.cells.start_selecting()
        self._outcome.setText(CAUTION)

    def compare(self) -> None:
        """Show the model's cells, say how far the student agrees, and keep it."""
        session = self._context.session
        prediction = session.prediction
        if prediction is None or session.sample is None or not session.selection:
            return
        # As many of the model's as of the student's: neither is favoured.
        rows = top_cells(prediction.attention, len(session.selection))
        teaching_round = TeachingRound(
            person=self._person.text().strip() or "unnamed",
            sample=session.sample.name,
            shown=tuple(session.boxes.cell_id.tolist()),
            marked=session.selection,
            model=tuple(prediction.cell_id[rows].tolist()),
            expert=None,
            time=now(),
        )
        self._context.exploration.set_blind(False)
        self._outcome.setText(agreement_in_words(teaching_round.with_model))
        try:
            keep_round(self._file(), teaching_round)
        except UserError as error:
            tell_error(error)

    def _file(self) -> Path:
        cohort = self._context.session.cohort
        folder = own_folder("teaching") if cohort is None else cohort.folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / FILE_NAME


def agreement_in_words(agreement: Agreement) -> str:
    """Return how a student and the model agree, as a person says it."""
    marked = agreement.both + agreement.only_marked
    beyond = "" if agreement.kappa is None else f" Beyond chance (kappa): {agreement.kappa:.2f}."
    return (
        f"{agreement.both} of your {plain(marked, 'cell')} are among the {marked} that count most "
        f"for the model.{beyond} {CAUTION}"
    )
