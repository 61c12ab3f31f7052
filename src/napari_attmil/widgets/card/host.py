"""Opens the card about a cell, fills it in as answers come, and keeps it beside the cell."""

from __future__ import annotations

from functools import partial
from weakref import WeakKeyDictionary

from qtpy.compat import isalive
from qtpy.QtCore import QRectF
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_attmil import workflows
from napari_attmil.cells.annotations import NOT_A_CELL
from napari_attmil.explore import CellFacts, SimilarCell
from napari_attmil.session import UNTOUCHED, CellKey, Exploration, SampleKey
from napari_attmil.widgets.card.card import (
    PICTURE_PX,
    SIMILAR_PX,
    SIMILAR_SHOWN,
    SURROUNDINGS,
    CellCard,
)
from napari_attmil.widgets.card.cell_menu import offer_menu
from napari_attmil.widgets.card.window import CardWindow
from napari_attmil.widgets.classifying import classify_shown, missing_to_classify
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, ProgressRow, TaskRunner, pause_timer
from napari_attmil.widgets.thumbnails import Cutout, Thumbnails
from napari_attmil.workflows import AskedCell, CellReader, CellsAtHand, Progress

TIGHT = 1.3
"""Side of a similar cell's picture, times the longer side of its box."""
_ANSWERING: WeakKeyDictionary[Exploration, CardHost] = WeakKeyDictionary()
"""Several panels of a viewer could show the card; one does."""


class CardHost(Listening, QWidget):
    """Answers when somebody asks about a cell, for as long as its panel is open.

    Parameters
    ----------
    context
        The panel's.
    panel
        The panel; its window gets the card.
    """

    def __init__(self, context: PanelContext, panel: QWidget) -> None:
        super().__init__(panel)
        self.hide()
        self._context, self._panel = context, panel
        self._window: CardWindow | None = None
        self._card = CellCard(ProgressRow(context.runner, "Cancel", "Stop; nothing changes."))
        self._card.setParent(self)
        self._thumbnails = Thumbnails(context, self)
        self._runner = TaskRunner(self)
        self._reader = CellReader()
        self._asked: AskedCell | None = None
        """The cell that the card is about."""
        self._next_timer = pause_timer(self._compute, parent=self)
        self._connect()

    def _connect(self) -> None:
        context = self._context
        exploration, session = context.exploration, context.session
        self._thumbnails.loaded.connect(self._show_pictures)
        self._card.go_wanted.connect(self._go)
        self._card.classify_wanted.connect(lambda: classify_shown(context, self._card.progress))
        self._card.answers.given.connect(self._tag)
        self.listen(exploration.cell_asked, self._on_asked)
        self.listen(exploration.selection_changed, self._on_selection)
        self.listen(session.classifier_changed, self._on_classifier)
        self.listen(session.prediction_changed, self._again)
        self.listen(session.boxes_changed, self._again)
        self.listen(exploration.colouring_changed, self._on_blind)
        self.listen(context.cells.clicks.clicked, self._on_click)
        self.listen(context.cells.clicks.menu_wanted, self._on_menu)
        self.listen(context.viewer.events.theme, self._apply_theme)
        self.at_end(self._let_go)

    @property
    def card(self) -> CellCard | None:
        """The card, if it is open."""
        is_open = self._window is not None and isalive(self._window) and self._window.isVisible()
        return self._card if is_open else None

    # --- who asks ---------------------------------------------------------------------------

    def _answers(self) -> bool:
        return _ANSWERING.setdefault(self._context.exploration, self) is self

    def _on_click(self, cell: int) -> None:
        """Answer to a click in the image where the question makes sense: cells have colours."""
        session = self._context.session
        is_asked = session.state.prediction is not None or self.card is not None
        if self._answers() and is_asked and session.sample is not None:
            self._context.exploration.ask_about((session.sample.name, cell))

    def _on_menu(self, cell: int) -> None:
        sample = self._context.session.sample
        if self._answers() and sample is not None:
            offer_menu(self._context, (sample.name, cell), self)

    def _on_asked(self, key: CellKey) -> None:
        if self._answers():
            self._show(key)

    def _on_selection(self) -> None:
        """Follow the selection while the card is open."""
        selected = self._context.exploration.selection
        if self.card is not None and len(selected) == 1 and selected[0] != self._key():
            self._show(selected[0])

    def _on_classifier(self) -> None:
        self._reader = CellReader()
        self._again()

    def _on_blind(self) -> None:
        """Give no answer away while somebody is taught."""
        if self._context.exploration.is_blind:
            self.close_card()

    def _again(self) -> None:
        """Answer anew: boxes or predictions have changed."""
        key = self._key()
        if self.card is None or key is None:
            return
        if self._snapshot(key) is None:
            self.close_card()
        else:
            self._show(key)

    def _key(self) -> CellKey | None:
        """Return which cell the card is about."""
        asked = self._asked
        return None if asked is None else (asked.cells.sample.name, asked.cell_id)

    # --- the answer -------------------------------------------------------------------------

    def _show(self, key: CellKey) -> None:
        """Show what is known now, and have the rest computed."""
        self._asked = asked = self._snapshot(key)
        if asked is None:
            return
        self._take_over(asked, asked.facts())
        self._open(key)
        self._card.setState("Measuring the cells")
        self._runner.stop()  # the former cell's; what it has read is kept
        self._next_timer.start()

    def _snapshot(self, key: CellKey) -> AskedCell | None:
        """Return the cell with what is at hand about it; None if it has gone."""
        context, (name, cell) = self._context, key
        session, states = context.session, context.session.states_of_samples()
        shown, cohort = session.sample, session.cohort
        samples = () if cohort is None else cohort.samples
        if shown is not None and shown.name == name:
            state = session.state
            cells = CellsAtHand(shown, state.boxes, context.images, session.key)
        elif sample := next((each for each in samples if each.name == name), None):
            state = states.get(name, UNTOUCHED)
            cells = CellsAtHand(sample, state.boxes, key=session.key_of(name))
        else:
            return None
        if cell not in state.boxes.cell_id:
            return None
        others = [
            CellsAtHand(each, said.classified, key=session.key_of(each.name))
            for each in samples
            if each.name != name and (said := states.get(each.name, UNTOUCHED)).prediction
        ]
        return AskedCell(cells, cell, state.prediction, state.classified, others, samples)

    def _compute(self) -> None:
        asked, loaded = self._asked, self._context.session.predictions.classifier
        if asked is None or self.card is None or self._runner.busy:
            return  # a former cell's task comes back here when it ends
        in_cohort = isinstance(asked.cells.key, SampleKey)
        study = self._context.cohort_study() if in_cohort else None
        self._runner.start(
            workflows.look_at_cell,
            asked,
            study or self._context.shown_study(),
            None if loaded is None else loaded.model,
            self._context.device_name,
            self._reader,
            on_done=partial(self._take_over, asked),
            on_progress=partial(self._on_progress, asked),
            on_end=partial(self._on_end, asked),
        )

    def _on_progress(self, asked: AskedCell, progress: Progress) -> None:
        if asked is self._asked and progress.detail is not None:
            self._card.setState(progress.text)
            self._take_over(asked, progress.detail)

    def _on_end(self, asked: AskedCell) -> None:
        if asked is self._asked:
            self._card.setState("")
        else:
            self._next_timer.start()

    def _take_over(self, asked: AskedCell, facts: CellFacts) -> None:
        """Show facts, unless another cell has been asked about since."""
        if asked is self._asked:
            self._card.setFacts(facts, *self._missing(facts))
            self._show_answers(asked)
            self._show_pictures()

    def _show_answers(self, asked: AskedCell) -> None:
        notes = self._context.session.notes
        of_cell = notes.of(asked.cell_id, asked.cells.key).tags
        self._card.answers.setValue(notes.tags(), of_cell)

    def _tag(self, tag: str, is_on: bool) -> None:
        """Note the answer of whoever looks at the cell."""
        if self._asked is not None:
            cell = {self._asked.cells.key: [self._asked.cell_id]}
            self._context.session.notes.tag(cell, tag, is_on)
        if self._asked is not None:
            self._show_answers(self._asked)  # One answer takes the place of another.

    def _missing(self, facts: CellFacts) -> tuple[str, bool]:
        """Return why there is no attention, and whether the sample can be classified now."""
        session, sample = self._context.session, self._context.session.sample
        key = None if self._asked is None else self._asked.cells.key
        if NOT_A_CELL in session.notes.of(facts.cell_id, key).tags:
            return "Tagged as not a cell, so that it has no say in classifications.", False
        if facts.attention is not None or self._context.exploration.is_blind:
            return "", False
        if sample is None or sample.name != facts.sample:
            return "The sample is not classified: go to it to see the cell's attention.", False
        missing = missing_to_classify(self._context)
        if missing:
            return f"No attention yet. {missing}", False
        if session.state.prediction is not None and not session.state.is_stale:
            return "Not among the cells drawn for the classification (Cells per sample).", False
        newer = "The box is newer than the classification: classify again"
        text = newer if session.state.prediction is not None else "Classify the sample"
        return f"{text} to see its attention.", True

    # --- pictures ---------------------------------------------------------------------------

    def _show_pictures(self) -> None:
        facts, card = self._card.facts, self._card
        if facts is None:
            return
        cutout = cutout_of(facts, facts.xyxy, SURROUNDINGS, PICTURE_PX)
        picture = self._thumbnails.pixmap(cutout)
        if picture is not None:
            card.setPicture(picture, box_within(facts.xyxy, cutout))
        shown = facts.similar[:SIMILAR_SHOWN]
        cutouts = [cutout_of(each, each.xyxy, TIGHT, SIMILAR_PX) for each in shown]
        pictures = map(self._thumbnails.pixmap, cutouts)
        card.setSimilar(dict(zip(shown, pictures, strict=True)))

    # --- the card as a window ---------------------------------------------------------------

    def close_card(self) -> None:
        """Close the card and stop what is computed for it."""
        self._asked = None
        self._runner.stop()
        if self._window is not None and isalive(self._window):
            self._window.close()

    def _open(self, key: CellKey) -> None:
        """Bring the card into view, beside the cell."""
        if self._window is None or not isalive(self._window):
            within = self._panel.window()
            main = within if isinstance(within, QMainWindow) else None
            self._window = CardWindow(self._card, main, self.close_card)
            self._apply_theme()
        context, sample = self._context, self._context.session.sample
        is_shown = sample is not None and sample.name == key[0]
        self._window.setWindowTitle(f"Cell {key[1]}")
        self._window.place_beside(context.cells.offsets_of(key[1]) if is_shown else None)
        self._window.show()

    def _go(self, key: CellKey) -> None:
        self._context.go_to_cell(key)
        self._context.exploration.ask_about(key)

    def _apply_theme(self) -> None:
        if self._window is not None and isalive(self._window):
            self._window.set_theme(self._context.viewer.theme)

    def _let_go(self) -> None:
        if _ANSWERING.get(self._context.exploration) is self:
            del _ANSWERING[self._context.exploration]
        if self._window is not None and isalive(self._window):
            self._window.close()
            self._window.deleteLater()
        self._window = None


def cutout_of(
    cell: CellFacts | SimilarCell, xyxy: tuple[float, float, float, float], around: float, size: int
) -> Cutout:
    """Return which part of an image shows a cell, `around` times as wide as its longer side."""
    x_min, y_min, x_max, y_max = xyxy
    side = around * max(x_max - x_min, y_max - y_min, 1)
    centre = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    return Cutout(cell.sample, cell.cell_id, cell.image - 1, *centre, side, size)


def box_within(xyxy: tuple[float, float, float, float], cutout: Cutout) -> QRectF:
    """Return where a box lies in a cutout, in shares of its side."""
    x_min, y_min, x_max, y_max = xyxy
    left, top = cutout.x - cutout.side_px / 2, cutout.y - cutout.side_px / 2
    side = cutout.side_px
    return QRectF(
        (x_min - left) / side, (y_min - top) / side, (x_max - x_min) / side, (y_max - y_min) / side
    )
