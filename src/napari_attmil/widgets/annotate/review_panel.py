"""The progress of the review, its buttons, and the list of images."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QProgressBar, QWidget

from napari_attmil.session import QueueOrder, ReviewState
from napari_attmil.widgets.annotate.queue_view import QueueModel, QueueView
from napari_attmil.widgets.annotate.reviewing import Reviewing
from napari_attmil.widgets.parts import (
    column,
    in_words,
    narrow_combo,
    row,
    set_primary,
)
from napari_attmil.widgets.viewer import ActionButton, ImagePictures, KeyRegistry

SHOWN = {
    "all images": frozenset(ReviewState),
    "to review": frozenset(ReviewState) - {ReviewState.REVIEWED},
    **{f"only {state}": frozenset({state}) for state in ReviewState},
}


class ReviewBar(QWidget):
    """Progress, previous, skip, reviewed.

    Parameters
    ----------
    reviewing
        The queue.
    keys
        Which key does what.
    """

    def __init__(self, reviewing: Reviewing, keys: KeyRegistry) -> None:
        super().__init__()
        self._reviewing = reviewing
        self._bar = QProgressBar()
        self._text = QLabel()
        names = ("previous", "skip", "reviewed_next")
        self._buttons = {name: ActionButton(keys, name) for name in names}

        previous, skip, reviewed = self._buttons.values()
        buttons = row((previous, 1), (skip, 1), (reviewed, 2))
        column(self._text, self._bar, buttons, within=self, margin_px=0)

        for name, function in reviewing.functions().items():
            self._buttons[name].clicked.connect(function)
        reviewing.queue_changed.connect(self._synchronise)
        reviewing.entries_changed.connect(self._synchronise)
        reviewing.place_changed.connect(self._synchronise)

        set_primary(reviewed, True)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(10)
        self._bar.setToolTip("How many images of the study are reviewed.")
        self._bar.setAccessibleName("Reviewed images")
        self._synchronise()

    def text(self) -> str:
        """Return the progress in words."""
        return self._text.text()

    def _synchronise(self) -> None:
        done, total = self._reviewing.counts()
        self._bar.setRange(0, max(total, 1))
        self._bar.setValue(done)
        seconds = self._reviewing.pace.seconds_left(total - done)
        left = f", {in_words(seconds)} left" if seconds is not None else ""
        self._text.setText(f"{done} of {total} reviewed{left}" if total else "No images are open.")
        for button in self._buttons.values():
            button.setEnabled(self._reviewing.can_go)


class QueuePanel(QWidget):
    """The list of images, what it shows and in which order.

    Parameters
    ----------
    reviewing
        The queue.
    """

    def __init__(self, reviewing: Reviewing) -> None:
        super().__init__()
        self._reviewing = reviewing
        self.pictures = ImagePictures(self)
        self.model = QueueModel(self.pictures, self)
        self.view = QueueView(self.model)
        self._shown = narrow_combo("Which images the list shows.", SHOWN)
        self._order = narrow_combo(
            "The order of the images.", {order.value: order for order in QueueOrder}
        )
        for combo in (self._shown, self._order):
            combo.setAccessibleName(combo.toolTip())

        choices = row((self._shown, 1), (self._order, 1))
        column(choices, (self.view, 1), within=self, margin_px=0)

        self._shown.activated.connect(self._arrange)
        self._order.activated.connect(self._arrange)
        self.view.place_chosen.connect(lambda name, index: reviewing.show((name, index)))
        reviewing.queue_changed.connect(self._fill)
        reviewing.entries_changed.connect(self.model.update_entries)
        reviewing.place_changed.connect(self._mark)

        self._fill()

    def _arrange(self) -> None:
        self._reviewing.arrange(QueueOrder(self._order.currentData()), self._shown.currentData())

    def _fill(self) -> None:
        if tuple(self._reviewing.samples) != tuple(self.model.samples):
            self.pictures.clear()
        self.model.set_entries(self._reviewing.queue, self._reviewing.samples)
        self._mark()

    def _mark(self) -> None:
        self.view.show_place(self._reviewing.place)
