"""How far the review is, and the buttons that go through it."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_attmil.session import QueueOrder, ReviewState
from napari_attmil.widgets.annotate.queue_view import QueueModel, QueueView
from napari_attmil.widgets.annotate.reviewing import Reviewing
from napari_attmil.widgets.parts import in_words, narrow_combo, set_primary
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

    def __init__(
        self, reviewing: Reviewing, keys: KeyRegistry, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._reviewing = reviewing
        self._bar = QProgressBar()
        self._text = QLabel()
        self._buttons = {
            name: ActionButton(keys, name) for name in ("previous", "skip", "reviewed_next")
        }

        row = QHBoxLayout()
        for button in self._buttons.values():
            row.addWidget(button, 2 if button is self._buttons["reviewed_next"] else 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        layout.addWidget(self._bar)
        layout.addLayout(row)

        for name, function in reviewing.functions().items():
            self._buttons[name].clicked.connect(function)
        reviewing.queue_changed.connect(self._synchronise)
        reviewing.entries_changed.connect(self._synchronise)
        reviewing.place_changed.connect(self._synchronise)

        set_primary(self._buttons["reviewed_next"], True)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(10)
        self._bar.setToolTip("How many images of the study are reviewed.")
        self._bar.setAccessibleName("Reviewed images")
        self._synchronise()

    def text(self) -> str:
        """Return what is said about the progress."""
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

    def __init__(self, reviewing: Reviewing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._reviewing = reviewing
        self.pictures = ImagePictures(self)
        self.model = QueueModel(self.pictures, self)
        self.view = QueueView(self.model)
        self._shown = _combo("Which images the list shows.", list(SHOWN))
        self._order = _combo("In which order images come up.", list(QueueOrder))

        row = QHBoxLayout()
        row.addWidget(self._shown, 1)
        row.addWidget(self._order, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)

        self._shown.activated.connect(self._arrange)
        self._order.activated.connect(self._arrange)
        self.view.place_chosen.connect(lambda name, index: reviewing.show((name, index)))
        reviewing.queue_changed.connect(self._fill)
        reviewing.entries_changed.connect(self.model.update_entries)
        reviewing.place_changed.connect(self._mark)

        self._fill()

    def _arrange(self) -> None:
        order = list(QueueOrder)[self._order.currentIndex()]
        self._reviewing.arrange(order, SHOWN[self._shown.currentText()])

    def _fill(self) -> None:
        if tuple(self._reviewing.samples) != tuple(self.model.samples):
            self.pictures.clear()
        self.model.set_entries(self._reviewing.queue, self._reviewing.samples)
        self._mark()

    def _mark(self) -> None:
        self.view.show_place(self._reviewing.place)


def _combo(tip: str, texts: list[str]) -> QComboBox:
    combo = narrow_combo(tip)
    combo.addItems([str(text) for text in texts])
    combo.setAccessibleName(tip)
    return combo
