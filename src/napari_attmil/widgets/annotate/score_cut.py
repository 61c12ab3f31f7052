"""Accepts or deletes many boxes of the detector at once, by their score."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QWidget

from napari_attmil.cells import Boxes, Source
from napari_attmil.core import counted
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import push_button

START = 80


class ScoreCut(QWidget):
    """A slider over the scores of this image's unconfirmed boxes.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._label = QLabel()
        editor, tip = context.session.editor, "these boxes of this image; one undo reverts it."
        self._accept = push_button(
            "", f"Confirm {tip}", lambda: editor.accept(self._split()[1].cell_id)
        )
        self._delete = push_button(
            "", f"Delete {tip}", lambda: editor.delete(self._split()[0].cell_id)
        )

        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label, 0, 0)
        layout.addWidget(self._slider, 0, 1)
        layout.addWidget(self._delete, 1, 0)
        layout.addWidget(self._accept, 1, 1)

        self._slider.valueChanged.connect(self.synchronise)
        self._slider.sliderReleased.connect(self._show_weak)

        self._slider.setRange(0, 100)
        self._slider.setValue(START)
        self._slider.setAccessibleName("Score that divides the detector's boxes")
        self._slider.setToolTip(
            "Divides the detector's boxes of this image by score; those below are selected."
        )
        for button in (self._accept, self._delete):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.synchronise()

    def synchronise(self) -> None:
        """Update counts and buttons."""
        weak, sure = self._split()
        self._label.setText(f"Score {self._slider.value() / 100:.2f}")
        self._delete.setText(f"Delete {counted(len(weak), 'box', 'boxes')} below")
        self._accept.setText(f"Accept {counted(len(sure), 'box', 'boxes')} above")
        self._delete.setEnabled(len(weak) > 0)
        self._accept.setEnabled(len(sure) > 0)

    def _split(self) -> tuple[Boxes, Boxes]:
        """Return the unconfirmed boxes of the image below and above the cut."""
        shown = self._context.session.boxes.of_image(self._context.cells.camera.image_index())
        boxes = shown[shown.source == Source.MODEL]
        is_weak = boxes.score < self._slider.value() / 100
        return boxes[is_weak], boxes[~is_weak]

    def _show_weak(self) -> None:
        self._context.session.select(self._split()[0].cell_id)
