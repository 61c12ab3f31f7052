"""Ask: the cells whose answers teach the classifier most, one after the other, a key each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QPixmap, QShortcut
from qtpy.QtWidgets import QLabel, QMenu, QToolButton
from superqt.utils import QFlowLayout

from napari_attmil import workflows
from napari_attmil.bags import STRATEGIES
from napari_attmil.cells.annotations import (
    ALTERED,
    CANNOT_TELL,
    NOT_A_CELL,
    NOT_ALTERED,
    OF_CLASS,
    answer_of,
)
from napari_attmil.session import CellKey, SessionKey
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.notes_menu import diseases_of
from napari_attmil.widgets.parts import (
    STRETCH,
    ProgressRow,
    SteadyLabel,
    TaskRunner,
    column,
    hint_label,
    narrow_combo,
    primary_button,
    push_button,
    row,
    tell,
    wrapping_label,
)
from napari_attmil.widgets.thumbnails import Cutout, Thumbnails
from napari_attmil.widgets.viewer import to_qt

if TYPE_CHECKING:
    from napari_attmil.bags import Classifier, Strategy
    from napari_attmil.explore import CellToAsk
    from napari_attmil.workflows import Progress, Update

ASKED_AT_ONCE = 60
CLOSE_PX, FIELD_PX = 184, 184
SPACING_PX = 5
CLOSE, FIELD = 1.5, 6.0
"""Sides of the two pictures, times the longer side of the cell's box."""
FRAME = 1.1
"""Side of the frame in the field, likewise."""
ANSWERS = (
    ("Altered", "A", ALTERED, "The cell is altered by the disease of its sample."),
    ("Not altered", "N", NOT_ALTERED, "The cell looks healthy."),
    ("Cannot tell", "?", CANNOT_TELL, "Nobody could say; it is not asked about again."),
    ("Not a cell", "X", NOT_A_CELL, "Dirt, a platelet or a part of a cell: it leaves the sample."),
)
STRATEGY_TITLES = {
    "disagreement": "Models disagree most",
    "highest": "Most probably altered",
    "mix": "Both in turns",
}
TO_BEGIN = "Say of single cells what they are: the classifier learns which ones its classes mean."
NO_CLASSIFIER = "Train or load a classifier first: it knows which answers it needs."
NO_COHORT = "Open a study whose samples have classes."
DONE = "All of these have answers: update the classifier, or ask for more."


class AskTab(ExplorerTab):
    """One cell after the other, large, with its field beside it; answers are tags of the cells."""

    def _create(self) -> None:
        self._runner = TaskRunner(self)
        self._questions: tuple[CellToAsk, ...] = ()
        self._skipped: set[CellKey] = set()
        self._shown: CellKey | None = None
        self._thumbnails = Thumbnails(self._context, self)
        titles = {STRATEGY_TITLES[name]: name for name in STRATEGIES}
        self._strategy = narrow_combo("Which cells are asked about first.", titles)
        self._strategy.setMinimumContentsLength(max(map(len, titles)) - 4)
        self._ask = push_button(
            "Find cells to ask about",
            f"Let the classifier judge all samples and choose {ASKED_AT_ONCE} cells.",
            self.ask,
        )
        self._update = primary_button(
            "Update the classifier",
            "Train it again on the samples and on all answers, and say what that changes.",
            self.update_classifier,
        )
        self._progress = ProgressRow(self._runner, "Stop", "Stop; answers are kept.")
        self._close, self._field = _picture(CLOSE_PX, "cell"), _picture(FIELD_PX, "field")
        self._whose = wrapping_label(name="whose")
        self._whose.setStyleSheet("font-weight: bold;")
        self._why, self._count = hint_label(name="why"), hint_label(name="count")
        self._buttons = [
            self._button(f"{title} ({key})", f"{tip} Key {key}.", partial(self.answer, tag))
            for title, key, tag, tip in ANSWERS
        ]
        self._class = self._button("Another class", "The cell is typical of this class.", None)
        self._class.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._class.setMenu(QMenu(self._class))
        self._skip = push_button("Skip (S)", "Come back to this cell at the end.", self.skip)
        self._go = push_button("Go to it", "Show the cell in its image.", self._go_to_cell)
        self._outcome = SteadyLabel(2, "outcome", is_hint=False)

    def _lay_out(self) -> None:
        top = row(self._ask, self._strategy, STRETCH, self._update)
        pictures = row(self._close, self._field)
        answers = QFlowLayout()
        answers.setHorizontalSpacing(SPACING_PX)
        answers.setVerticalSpacing(SPACING_PX)
        for button in (*self._buttons, self._class, self._skip, self._go):
            answers.addWidget(button)
        about = column(self._whose, self._why, answers, self._count, self._outcome, STRETCH)
        column(top, self._progress, row(pictures, (about, 1)), STRETCH, within=self)

    def _connect(self) -> None:
        session = self._context.session
        self._runner.busy_changed.connect(self.invalidate)
        self._thumbnails.loaded.connect(self._show_pictures)
        self.listen(session.records.changed, self._on_boxes)
        self.listen(session.classifier_changed, self.invalidate)
        self.listen(session.cohort_changed, self._forget)
        self._shortcuts = [
            self._shortcut(key, partial(self.answer, tag)) for _, key, tag, _ in ANSWERS
        ]
        self._shortcuts.append(self._shortcut("S", self.skip))
        self._undo = self._shortcut("", self._context.undo)
        self.listen(self._context.keys.keys_changed, self._set_keys)
        self._set_keys()

    # --- what a person does -----------------------------------------------------------------

    def ask(self) -> None:
        """Look for the cells to ask about, off the main thread."""
        study, classifier = self._context.cohort_study(), self._classifier()
        if study is None or classifier is None:
            return
        samples = study.cohort.samples
        keys = {sample.name: self._context.session.key_of(sample.name) for sample in samples}
        self._progress.start(
            "Loading the detector",
            workflows.ask_study,
            study,
            classifier,
            ASKED_AT_ONCE,
            cast("Strategy", self._strategy.currentData()),
            self._context.detection_settings,
            self._context.device_name,
            on_done=self._begin,
            on_progress=lambda progress: self._keep_boxes(progress, keys),
            again=self.ask,
        )

    def answer(self, tag: str, _: bool = False) -> None:
        """Say what the cell is, and show the next one."""
        asked = self.current
        if asked is None or self._runner.busy or _key(asked) != self._shown:
            return  # Nobody has seen that cell yet.
        session = self._context.session
        key = session.key_of(asked.sample.name)
        session.notes.tag({key: [asked.question.cell_id]}, tag)
        self.refresh()

    def skip(self) -> None:
        """Leave the cell for the end."""
        if self.current is not None:
            self._skipped.add(_key(self.current))
            self.refresh()

    def update_classifier(self) -> None:
        """Train the classifier again, off the main thread."""
        study, classifier = self._context.cohort_study(), self._classifier()
        if study is None or classifier is None:
            return
        self._progress.start(
            "Loading the detector",
            self._context.shared(workflows.update_classifier),
            study,
            classifier,
            self._context.detection_settings,
            self._context.device_name,
            on_done=self._take_over,
            again=self.update_classifier,
        )

    @property
    def current(self) -> CellToAsk | None:
        """The cell that is shown: the first without an answer, skipped ones last."""
        open_cells = [asked for asked in self._questions if not self._answer(asked)]
        return min(open_cells, key=lambda asked: _key(asked) in self._skipped, default=None)

    # --- inside -----------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the cell that is asked about, and how many have answers."""
        asked, busy, session = self.current, self._runner.busy, self._context.session
        classifier = session.predictions.classifier
        is_ready = session.cohort is not None and classifier is not None
        self._ask.setEnabled(is_ready and not busy)
        self._update.setEnabled(is_ready and not busy and self._has_answers())
        for part in (*self._buttons, self._class, self._skip, self._go):
            part.setEnabled(asked is not None and not busy)
        self._show_question(asked)
        self._count.setText(self._counted())
        self._show_pictures()

    def _show_question(self, asked: CellToAsk | None) -> None:
        session = self._context.session
        self._shown = None if asked is None else _key(asked)
        if asked is None:
            ready = DONE if self._questions else TO_BEGIN
            missing = NO_COHORT if session.cohort is None else NO_CLASSIFIER
            self._whose.setText("")
            self._why.setText(ready if session.predictions.classifier is not None else missing)
            return
        sample, question = asked.sample, asked.question
        title = sample.image_titles()[asked.image_index]
        self._whose.setText(f"{sample.name} · {sample.label}: is this cell altered?")
        self._why.setText(
            f"{title}, cell {question.cell_id}. The classifier finds it {question.score:.0%} "
            "probably altered."
        )
        self._fill_classes(sample.label)

    def _fill_classes(self, own: str | None) -> None:
        """Offer the other diseases of the study."""
        others = [name for name in diseases_of(self._context.session) if name != own]
        menu = self._class.menu()
        assert menu is not None
        menu.clear()
        for name in others:
            menu.addAction(name, partial(self.answer, f"{OF_CLASS}{name}"))
        self._class.setVisible(bool(others))

    def _show_pictures(self) -> None:
        asked = self.current
        for label, around, size in ((self._close, CLOSE, CLOSE_PX), (self._field, FIELD, FIELD_PX)):
            if asked is None:
                label.setPixmap(QPixmap())
                continue
            picture = self._thumbnails.pixmap(_cutout(asked, around, size))
            label.setPixmap(QPixmap() if picture is None else picture)
        for following in self._following():
            self._thumbnails.pixmap(_cutout(following, CLOSE, CLOSE_PX))
            self._thumbnails.pixmap(_cutout(following, FIELD, FIELD_PX))

    def _following(self) -> list[CellToAsk]:
        """Return the next few cells, whose pictures are cut while a person thinks."""
        open_cells = [asked for asked in self._questions if not self._answer(asked)]
        return open_cells[1:4]

    def _counted(self) -> str:
        if not self._questions:
            return ""
        said = Counter(filter(None, map(self._answer, self._questions)))
        listed = ", ".join(f"{count} {answer}" for answer, count in said.most_common())
        answered = f"{said.total()} of {len(self._questions)} answered"
        return f"{answered} ({listed})." if listed else f"{answered}."

    def _answer(self, asked: CellToAsk) -> str:
        session = self._context.session
        key = session.key_of(asked.sample.name)
        return answer_of(session.notes.of(asked.question.cell_id, key))

    def _on_boxes(self, _: object) -> None:
        self.invalidate()

    def _has_answers(self) -> bool:
        states = self._context.session.states_of_samples().values()
        return any(answer_of(note) for state in states for note in state.notes.values())

    def _keep_boxes(self, progress: Progress, keys: Mapping[str, SessionKey]) -> None:
        """Take over cells found on the way: an answer is kept with its box."""
        session, bag = self._context.session, progress.detail
        if bag is None or bag.sample_boxes is None:
            return
        state = session.states_of_samples().get(bag.sample)
        images = 1 + int(bag.sample_boxes.image_index.max())
        if state is None or not state.is_searched(images):
            session.editor.merge(bag.sample_boxes, key=keys[bag.sample], automatic=True)

    def _begin(self, questions: Sequence[CellToAsk]) -> None:
        states = self._context.session.states_of_samples()
        found = []
        for asked in questions:
            # The cell may have got another id when its box was taken over.
            boxes = states[asked.sample.name].boxes if asked.sample.name in states else None
            cell = 0 if boxes is None else workflows.cell_asked_about(boxes, asked)
            if cell:
                found.append(replace(asked, question=replace(asked.question, cell_id=cell)))
        self._questions, self._skipped = tuple(found), set()
        if not questions:
            tell(self, "No cell is left to ask about: all have answers.", "ask")
        self.setFocus()
        self.invalidate()

    def _take_over(self, update: Update | None) -> None:
        if update is None:
            return
        self._outcome.setText(update.in_words())
        self._questions = ()
        self._context.session.predictions.use(update.training.classifier)
        self.invalidate()

    def _forget(self) -> None:
        self._questions, self._skipped = (), set()
        self._outcome.setText("")
        self.invalidate()

    def _classifier(self) -> Classifier | None:
        used = self._context.session.predictions.classifier
        return None if used is None else cast("Classifier", used.model)

    def _go_to_cell(self) -> None:
        if self.current is not None:
            self._context.go_to_cell(_key(self.current))

    def _set_keys(self) -> None:
        self._undo.setKey(to_qt(self._context.keys.key("undo")))

    def _button(self, text: str, tip: str, on_click: Any) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setProperty("answer", True)
        # The keys go on working after a click.
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        if on_click is not None:
            button.clicked.connect(on_click)
        return button

    def _shortcut(self, key: str, on_press: Any) -> QShortcut:
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(on_press)
        return shortcut


def _key(asked: CellToAsk) -> CellKey:
    return asked.sample.name, asked.question.cell_id


def _picture(size_px: int, name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setFixedSize(size_px, size_px)
    return label


def _cutout(asked: CellToAsk, around: float, size_px: int) -> Cutout:
    """Return which part of the image is shown, `around` times as wide as the cell's longer side.

    In a field the cell is framed; a close picture it fills.
    """
    x_min, y_min, x_max, y_max = asked.xyxy
    cell_px = max(x_max - x_min, y_max - y_min, 1)
    framed_px = FRAME * cell_px if around == FIELD else 0
    centre = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    sample, cell_id = _key(asked)
    place = (sample, cell_id, asked.image_index, *centre)
    return Cutout(*place, around * cell_px, size_px, framed_px)
