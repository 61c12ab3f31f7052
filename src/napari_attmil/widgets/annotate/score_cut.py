"""Accepts or deletes the detector's boxes in bulk, by how sure it is."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSlider, QWidget

from napari_attmil.cells import Boxes
from napari_attmil.core import counted
from napari_attmil.widgets.annotate.box_tools import unconfirmed
from napari_attmil.widgets.context import PanelContext

START = 80


class ScoreCut(QWidget):
    """A slider over the scores of this image's unconfirmed boxes.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._label = QLabel()
        self._accept = QPushButton()
        self._delete = QPushButton()

        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label, 0, 0)
        layout.addWidget(self._slider, 0, 1)
        layout.addWidget(self._delete, 1, 0)
        layout.addWidget(self._accept, 1, 1)

        self._slider.valueChanged.connect(self.synchronise)
        self._slider.sliderReleased.connect(self._show_weak)
        editor = context.session.editor
        self._accept.clicked.connect(lambda: editor.accept(self._split()[1].cell_id))
        self._delete.clicked.connect(lambda: editor.delete(self._split()[0].cell_id))

        self._slider.setRange(0, 100)
        self._slider.setValue(START)
        self._slider.setAccessibleName("Score that parts the detector's boxes")
        self._slider.setToolTip(
            "Where to part the detector's boxes of this image; those below are selected."
        )
        for button, what in ((self._accept, "Confirm"), (self._delete, "Delete")):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(f"{what} these boxes of this image at once; one undo takes it back.")
        self.synchronise()

    def synchronise(self) -> None:
        """Count anew."""
        weak, sure = self._split()
        self._label.setText(f"Score {self._slider.value() / 100:.2f}")
        self._delete.setText(f"Delete {counted(len(weak), 'box', 'boxes')} below")
        self._accept.setText(f"Accept {counted(len(sure), 'box', 'boxes')} above")
        self._delete.setEnabled(len(weak) > 0)
        self._accept.setEnabled(len(sure) > 0)

    def _split(self) -> tuple[Boxes, Boxes]:
        """Return the unconfirmed boxes of the image below and above the cut."""
        shown = self._context.session.boxes.of_image(self._context.cells.camera.image_index())
        boxes = unconfirmed(shown)
        is_weak = boxes.score < self._slider.value() / 100
        return boxes[is_weak], boxes[~is_weak]

    def _show_weak(self) -> None:
        self._context.session.select(self._split()[0].cell_id)
