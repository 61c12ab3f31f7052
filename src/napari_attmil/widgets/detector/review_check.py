"""What should be known before a training: what it is tested on, and which cells have no box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from napari_attmil import workflows
from napari_attmil.cells.finetuning import (
    WEIGHTS_IN_WORDS,
    HoldOut,
    hold_out_in_words,
    training_folder,
)
from napari_attmil.core import counted
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    Listening,
    TaskRunner,
    column,
    errors_shown,
    hint_label,
    pause_timer,
    push_button,
    row,
    set_warning,
    wrapping_label,
)
from napari_attmil.widgets.viewer import OverlayBoxes, Place
from napari_attmil.workflows import CheckedImage, Progress


class ReviewCheck(Listening, QWidget):
    """Checks the reviewed images off the main thread while it is visible, and tells the result.

    Parameters
    ----------
    context
        The panel's.

    Signals
    -------
    checked(images)
        Gives the checked images.
    """

    checked = Signal(object)

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._runner = TaskRunner(self)
        self._layers = OverlayBoxes(context.viewer, context.image_choice)
        self.at_end(self._layers.clear)
        self._pause = pause_timer(self._start, parent=self)
        self._images: Sequence[CheckedImage] = ()
        self._left_out: frozenset[Place] = frozenset()
        self._is_due, self._next_shown = False, 0
        self._progress = hint_label(name="checking")
        self._tested = hint_label(name="hold_out")
        self._missed = wrapping_label(name="without_box")
        set_warning(self._missed, True)
        self._show = push_button(
            "Show",
            "Show the next image with these cells (pink). Draw a box around each, or leave it if "
            "it is no cell.",
            self.show_next,
        )
        self._warning = QWidget()
        row((self._missed, 1), self._show, within=self._warning, margin_px=0)
        column(self._progress, self._tested, self._warning, within=self, margin_px=0)
        self._runner.busy_changed.connect(self._on_busy)
        self._tell()

    @property
    def images(self) -> Sequence[CheckedImage]:
        """The images as they were checked last."""
        return self._images

    def refresh(self, left_out: frozenset[Place]) -> None:
        """Check the images again soon, without some of them."""
        self._left_out, self._is_due = left_out, True
        if self.isVisible():
            self._pause.start()

    def choose_test(self, place: Place, is_test: bool) -> None:
        """Let an image test the detector from now on, or train it."""
        cohort = self._context.session.cohort
        names = {image.place: image.name for image in self._images}
        if cohort is not None and place in names:
            folder = training_folder(cohort.folder)
            with errors_shown(self, "test", lambda: self.choose_test(place, is_test)):
                HoldOut.read(folder).with_choice(names[place], is_test).write(folder)
        self.refresh(self._left_out)

    def show_next(self) -> None:
        """Show the next image with clear cells that have no box."""
        images = [image for image in self._images if len(image.without_box)]
        if not images:
            return
        image = images[self._next_shown % len(images)]
        self._next_shown += 1
        if self._context.image_choice.show_sample(*image.place):
            self._layers.show({"No box": image.without_box}, image.place[1])

    def clear_layers(self) -> None:
        """Take away the boxes that `show_next` has shown."""
        self._layers.clear()

    def showEvent(self, event: QShowEvent) -> None:
        """Check what has changed while nobody saw it."""
        super().showEvent(event)
        if self._is_due:
            self._pause.start()

    # --- inside -----------------------------------------------------------------------------

    def _start(self) -> None:
        study = self._context.cohort_study()
        if self._runner.busy:
            self._runner.stop()  # `_on_busy` starts anew.
            return
        self._is_due = False
        if study is None or not any(each.reviewed for each in study.annotations.values()):
            self._take(())
            return
        self._runner.start(
            workflows.check_reviewed,
            study,
            self._context.device_name,
            self._left_out,
            self._images,
            on_done=self._take,
            on_progress=self._on_progress,
        )

    def _on_busy(self, is_busy: bool) -> None:
        self._progress.setVisible(is_busy)
        if not is_busy and self._is_due and self.isVisible():
            self._pause.start()

    def _on_progress(self, progress: Progress) -> None:
        self._progress.setText(f"{progress.text}…")

    def _take(self, images: Any) -> None:
        if images is not None:
            self._images = images
            self._tell()
            self.checked.emit(images)

    def _tell(self) -> None:
        images = self._images
        corrections = {image.name: image.corrections for image in images}
        looks = {image.name: image.look for image in images}
        held = [image.name for image in images if image.is_held_out]
        learnt = [image.name for image in images if image.is_learnt]
        words = hold_out_in_words(corrections, looks, held, learnt) if images else []
        self._tested.setText(" ".join([*words, WEIGHTS_IN_WORDS] if held else words))
        self._tested.setVisible(bool(words))
        self._progress.hide()
        missed = [len(image.without_box) for image in images if len(image.without_box)]
        cells = counted(sum(missed), "clear cell has", "clear cells have")
        self._missed.setText(
            f"{cells} no box in {counted(len(missed), 'reviewed image')}. The detector would learn "
            "that nothing is there."
        )
        self._warning.setVisible(bool(missed))
