"""The boxes of the image shown: counts by origin, and the tools for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain

import numpy as np
from qtpy.QtWidgets import QPushButton, QWidget

from napari_attmil.cells import Boxes, Source
from napari_attmil.cells.annotations import NOT_A_CELL
from napari_attmil.core import counted
from napari_attmil.session import DOUBTFUL_SCORE
from napari_attmil.widgets.annotate.score_cut import ScoreCut
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.notes_menu import TAG_KEYS
from napari_attmil.widgets.parts import Listening, SteadyLabel, column, hint_label, row
from napari_attmil.widgets.viewer import ActionButton

BUTTONS = (
    ("draw", "select", "delete_selected", "accept_selected", "snap"),
    ("find_in_view", "next_doubtful", *TAG_KEYS),
    ("undo", "redo", "history", "hide_boxes", "keys"),
)
LOOKS = "Thin: the detector's. Medium: accepted. Bold: yours."
NOTHING_OPEN = "Open images with the button above."
TEXTS = {
    **{"next_doubtful": "Doubtful", "hide_boxes": "Hide", "snap": "Snap"},
    **{"keys": "Keys…", "history": "History…"},
}


class BoxPanel(Listening, QWidget):
    """Counts, buttons, and the slider over scores.

    Parameters
    ----------
    context
        The panel's.
    functions
        What the buttons do, by the name of the action.
    """

    def __init__(self, context: PanelContext, functions: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self._context = context
        self._counts = SteadyLabel(2, "counts", is_hint=False)
        self._looks = hint_label(LOOKS, "looks")
        self._buttons: dict[str, QPushButton] = {}
        self._cut = ScoreCut(context)

        for name in chain(*BUTTONS):
            self._buttons[name] = ActionButton(context.keys, name, TEXTS.get(name, ""))
            self._buttons[name].clicked.connect(functions[name])
        lines = [row(*((self._buttons[name], 1) for name in line)) for line in BUTTONS]
        above = (self._counts, self._looks)
        column(*above, *lines, self._cut, within=self, margin_px=0, spacing_px=4)

        context.tell_undo_in(self._looks, self.show_hint)
        session = context.session
        self.listen(session.boxes_changed, self._synchronise)
        self.listen(session.selection_changed, self._synchronise)
        self.listen(session.sample_changed, self._synchronise)
        self.listen(context.viewer.dims.events.current_step, self._synchronise)
        self._synchronise()

    def show_hint(self, text: str) -> None:
        """Say what undo did or why a key did nothing, until something is done."""
        self._looks.setText(text)

    def _synchronise(self) -> None:
        self._looks.setText(LOOKS)
        session, context = self._context.session, self._context
        index = context.cells.camera.image_index()
        boxes, cells = session.boxes.of_image(index), session.state.cells.of_image(index)
        is_open = context.images is not None
        counts = _counts(cells, len(boxes) - len(cells))
        self._counts.setText(counts if is_open else NOTHING_OPEN)
        for name, button in self._buttons.items():
            button.setEnabled(is_open or name in ("keys", "history"))
        for name in ("delete_selected", "accept_selected", "snap", *TAG_KEYS):
            self._buttons[name].setEnabled(bool(session.selection))
        editor = session.editor
        for name, title in (("undo", editor.undo_title), ("redo", editor.redo_title)):
            self._buttons[name].setEnabled(bool(title))
            tip = context.keys.tip(name)
            self._buttons[name].setToolTip(f"{title}: {tip}" if title else tip)
        self._cut.synchronise()


def _counts(boxes: Boxes, others: int) -> str:
    """Return how many boxes of cells an image has, where they come from, and how many others."""
    if not len(boxes):
        tagged = counted(others, "box is", "boxes are")
        empty = "No boxes in this image."
        return f"No cells in this image; {tagged} tagged “{NOT_A_CELL}”." if others else empty
    tagged = counted(others, "more is", "more are")
    made = np.bincount(boxes.source, minlength=len(Source))
    doubtful = int(np.count_nonzero(boxes.score[boxes.source == Source.MODEL] < DOUBTFUL_SCORE))
    return (
        f"{counted(len(boxes), 'box', 'boxes')} in this image: {made[Source.PERSON]} yours, "
        f"{made[Source.ACCEPTED]} accepted, {made[Source.MODEL]} detected, {doubtful} doubtful"
        f"{f'; {tagged} tagged “{NOT_A_CELL}”.' if others else '.'}"
    )
