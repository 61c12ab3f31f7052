"""Teaching: colours off, the student picks the cells that matter, then sees the others' choices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QCheckBox, QLineEdit

from napari_attmil.core import CAUTION, counted
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
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.parts import (
    STRETCH,
    column,
    errors_shown,
    hint_label,
    primary_button,
    push_button,
    row,
)
from napari_attmil.workflows import own_folder

HOW = (
    "1. Start: colours, attention and the cells that counted most are hidden. 2. Look through the "
    "images and select the cells that matter: click a box, hold Shift for more. 3. Finish: see the "
    "model's and the expert's cells beside yours. How far you agree is saved beside the study."
)


class TeachingTab(ExplorerTab):
    """A round of marking cells without the model's colours."""

    def _create(self) -> None:
        self._finished: TeachingRound | None = None
        self._person = QLineEdit()
        self._person.setPlaceholderText("your name")
        self._person.setToolTip("The name under which the round is saved.")
        self._is_expert = QCheckBox("I am the expert")
        self._is_expert.setToolTip(
            "The cells you mark in this sample are saved as the expert's choice; students are "
            "compared with it."
        )
        self._start = push_button(
            "Start: hide the colours",
            "Hide everything that the model says, so that nothing gives the answer away.",
            self.start,
        )
        self._finish = primary_button(
            "Finish and compare",
            "Show the model's and the expert's cells, and save the round.",
            self.finish,
        )
        self._count = hint_label(name="count")
        self._outcome = hint_label(CAUTION, "outcome")
        self._choices = {
            name: push_button(text, tip, partial(self._select, name))
            for name, text, tip in (
                ("marked", "Select mine", "Select the cells that you marked."),
                ("model", "Select the model's", "Select as many cells of the highest attention."),
                ("expert", "Select the expert's", "Select the cells that the expert marked."),
            )
        }

    def _lay_out(self) -> None:
        beginning = (self._person, self._is_expert, self._start)
        top = row(*beginning, (self._count, 1), self._finish)
        below = row(*self._choices.values(), STRETCH)
        column(hint_label(HOW), top, self._outcome, below, STRETCH, within=self)

    def _connect(self) -> None:
        session, exploration = self._context.session, self._context.exploration
        # When the panel is closed, boxes get their colours back.
        self.at_end(exploration.set_blind, False)
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
        """Hide what the model says and clear the selection."""
        self._finished = None
        self._context.exploration.set_blind(True)
        self._context.exploration.select([])
        self._context.cells.start_selecting()
        self._outcome.setText(CAUTION)

    def finish(self) -> None:
        """Show the others' cells and how far the student agrees, and save the round."""
        session = self._context.session
        if session.state.prediction is None or session.sample is None or not session.selection:
            return
        # After an error the cells stay marked, so that the user can try again.
        with errors_shown(self, "round"):
            finished = self._round(session.selection)
            keep_round(self._file(), finished)
            self._finished = finished
            self._context.exploration.set_blind(False)
            self._outcome.setText(outcome_in_words(finished))
            self.invalidate()

    # --- inside -----------------------------------------------------------------------------

    def _round(self, marked: tuple[int, ...]) -> TeachingRound:
        session = self._context.session
        prediction, sample = session.state.prediction, session.sample
        assert prediction is not None and sample is not None
        # As many of the model's cells as of the student's, so that neither is favoured.
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
        """End the round: it was about the sample shown before."""
        self._finished = None
        self._context.exploration.set_blind(False)
        self._outcome.setText(CAUTION)
        self.invalidate()

    def _select(self, name: str, _: bool = False) -> None:
        if self._finished is not None:
            cells: Sequence[int] = getattr(self._finished, name)
            self._context.exploration.select((self._finished.sample, cell) for cell in cells)

    def _file(self) -> Path:
        cohort = self._context.session.cohort
        folder = own_folder("teaching") if cohort is None else cohort.folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / FILE_NAME


def outcome_in_words(finished: TeachingRound) -> str:
    """Return in words how far a round agrees with the model and the expert."""
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
