"""Teaching: colours off, the student picks the cells that matter, then sees the others' choices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_attmil.core import CAUTION, UserError, counted
from napari_attmil.explore import (
    FILE_NAME,
    Agreement,
    TeachingRound,
    expert_of,
    keep_round,
    now,
    read_rounds,
    top_cells,
)
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.parts import hint_label, primary_button, tell_error
from napari_attmil.workflows import own_folder

HOW = (
    "1. Start: colours, attention and the cells that counted most are hidden. 2. Look through the "
    "images and select the cells that matter: click a box, hold Shift for more. 3. Finish: see the "
    "model's and the expert's cells beside yours. How far you agree is kept beside the study."
)


class TeachingTab(ExplorerTab):
    """A round of marking cells without the model's colours."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._finished: TeachingRound | None = None
        self._create()
        self._lay_out()
        self._connect()

    def _create(self) -> None:
        self._person = QLineEdit()
        self._person.setPlaceholderText("your name")
        self._person.setToolTip("Under which name the round is kept.")
        self._is_expert = QCheckBox("I am the expert")
        self._is_expert.setToolTip(
            "What you mark in this sample is kept as the expert's choice, by which students are "
            "measured."
        )
        self._start = QPushButton("Start: hide the colours")
        self._start.setToolTip("Hide whatever the model says, so that nothing tells.")
        self._finish = primary_button(
            "Finish and compare", "Show the model's and the expert's cells, and keep the round."
        )
        self._count = hint_label(name="count")
        self._outcome = hint_label(CAUTION, "outcome")
        self._choices = {
            "marked": _choice("Select mine", "The cells that you marked."),
            "model": _choice("Select the model's", "As many cells of the highest attention."),
            "expert": _choice("Select the expert's", "The cells that the expert marked."),
        }

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        for widget in (self._person, self._is_expert, self._start):
            row.addWidget(widget)
        row.addWidget(self._count, 1)
        row.addWidget(self._finish)
        below = QHBoxLayout()
        for button in self._choices.values():
            below.addWidget(button)
        below.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addWidget(hint_label(HOW))
        layout.addLayout(row)
        layout.addWidget(self._outcome)
        layout.addLayout(below)
        layout.addStretch(1)

    def _connect(self) -> None:
        session, exploration = self._context.session, self._context.exploration
        # When the panel is closed, boxes get their colours back.
        self.at_end(exploration.set_blind, False)
        self._start.clicked.connect(self.start)
        self._finish.clicked.connect(self.finish)
        for name, button in self._choices.items():
            button.clicked.connect(lambda _=False, name=name: self._select(name))
        self.listen(session.selection_changed, self.invalidate)
        self.listen(session.prediction_changed, self.invalidate)
        self.listen(session.sample_changed, self._leave_round)
        self.listen(exploration.colouring_changed, self.invalidate)

    def refresh(self) -> None:
        """Show how many cells are selected, and what can be looked at."""
        session, is_blind = self._context.session, self._context.exploration.is_blind
        ready = session.state.prediction is not None
        self._start.setEnabled(ready and not is_blind)
        self._finish.setEnabled(ready and is_blind and bool(session.selection))
        selected = f"{counted(len(session.selection), 'cell')} selected."
        self._count.setText(selected if ready else "Classify the sample first.")
        for name, button in self._choices.items():
            has_cells = self._finished is not None and bool(getattr(self._finished, name))
            button.setVisible(has_cells and not is_blind)

    def start(self) -> None:
        """Hide what the model says and let go of all cells."""
        self._finished = None
        self._context.exploration.set_blind(True)
        self._context.exploration.select([])
        self._context.cells.start_selecting()
        self._outcome.setText(CAUTION)

    def finish(self) -> None:
        """Show the others' cells, say how far the student agrees, and keep it."""
        session = self._context.session
        if session.state.prediction is None or session.sample is None or not session.selection:
            return
        try:
            finished = self._round(session.selection)
            keep_round(self._file(), finished)
        except UserError as error:
            tell_error(error)  # the cells stay marked, so that it can be tried again
            return
        self._finished = finished
        self._context.exploration.set_blind(False)
        self._outcome.setText(outcome_in_words(finished))
        self.invalidate()

    # --- inside -----------------------------------------------------------------------------

    def _round(self, marked: tuple[int, ...]) -> TeachingRound:
        session = self._context.session
        prediction, sample = session.state.prediction, session.sample
        assert prediction is not None and sample is not None
        # As many of the model's as of the student's: neither is favoured.
        rows = top_cells(prediction.attention, len(marked))
        is_expert = self._is_expert.isChecked()
        expert = None if is_expert else expert_of(read_rounds(self._file())[0], sample.name)
        return TeachingRound(
            person=self._person.text().strip() or "unnamed",
            sample=sample.name,
            shown=tuple(session.boxes.cell_id.tolist()),
            marked=marked,
            model=tuple(prediction.cell_id[rows].tolist()),
            expert=None if expert is None else expert.marked,
            time=now(),
            is_expert=is_expert,
        )

    def _leave_round(self) -> None:
        """Another sample is shown: the round was about the former one."""
        self._finished = None
        self._context.exploration.set_blind(False)
        self._outcome.setText(CAUTION)
        self.invalidate()

    def _select(self, name: str) -> None:
        if self._finished is not None:
            cells: Sequence[int] = getattr(self._finished, name)
            self._context.exploration.select((self._finished.sample, cell) for cell in cells)

    def _file(self) -> Path:
        cohort = self._context.session.cohort
        folder = own_folder("teaching") if cohort is None else cohort.folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / FILE_NAME


def outcome_in_words(finished: TeachingRound) -> str:
    """Return how a round agrees with the others, as a person says it."""
    model, expert = finished.with_model, finished.with_expert
    marked = model.both + model.only_marked
    words = [
        f"{model.both} of your {counted(marked, 'cell')} are among the {marked} that count most "
        f"for the model{_beyond_chance(model)}."
    ]
    if expert is not None:
        wanted = expert.both + expert.only_reference
        words.append(
            f"{expert.both} are among the {counted(wanted, 'cell')} that the expert marked"
            f"{_beyond_chance(expert)}."
        )
    if finished.is_expert:
        words.append("Your marks are kept as the expert's.")
    return " ".join([*words, CAUTION])


def _beyond_chance(agreement: Agreement) -> str:
    return "" if agreement.kappa is None else f" (beyond chance, kappa: {agreement.kappa:.2f})"


def _choice(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(f"Select {tip[0].lower()}{tip[1:]}")
    return button
