"""A figure of matplotlib's in a panel, in the theme's colours and sharp at any size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from qtpy.QtCore import QEvent
from qtpy.QtGui import QContextMenuEvent, QImage, QPainter, QPaintEvent, QPalette, QResizeEvent
from qtpy.QtWidgets import QMenu, QWidget

from napari_attmil.explore import write_cells
from napari_attmil.widgets.parts import (
    FIGURES,
    TABLES,
    ask_where_to_save,
    endings_of,
    errors_shown,
    showing_folder,
    tell,
    with_ending,
)

if TYPE_CHECKING:
    from napari_attmil.reports import Drawing

SMALLEST_PX = (260, 100)
KINDS = f"{FIGURES};;{TABLES}"


class FigureView(QWidget):
    """Shows a drawing, drawn only when it is visible. A right click saves it.

    Parameters
    ----------
    name
        Of the widget, and of the file that is proposed.
    tip
        What is drawn.
    """

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._drawing: Drawing | None = None
        self.numbers = pd.DataFrame()
        self._image: QImage | None = None
        self.setMinimumSize(*SMALLEST_PX)
        self.setToolTip(tip)

    def setToolTip(self, tip: str) -> None:
        """Describe the drawing, and how to save it."""
        super().setToolTip(f"{tip} Right-click to save the figure or its numbers.")

    def setDrawing(self, drawing: Drawing, numbers: pd.DataFrame) -> None:
        """Show a drawing, whose numbers can be saved too."""
        self._drawing, self.numbers, self._image = drawing, numbers, None
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._drawing = self._image = None
        self.update()

    def save(self, path: Path) -> None:
        """Write the figure, or the numbers into a table, as the suffix says."""
        from napari_attmil.reports import save_figure

        if self._drawing is None:
            return
        path = with_ending(path, KINDS)
        with errors_shown(self, "save", elsewhere=self._ask_where_to_save):
            if path.suffix.lower() in endings_of(TABLES):
                write_cells(path, [self.numbers])
            else:
                save_figure(path, self._drawing, (self.width(), self.height()))
            tell(self, f"Written to {path}.", "save", showing_folder(path))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer to save."""
        if self._drawing is not None:
            menu = QMenu(self)
            menu.addAction("Save figure or numbers…", self._ask_where_to_save)
            menu.exec(event.globalPos())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it, anew only if it or the room for it has changed."""
        if self._drawing is None:
            return
        if self._image is None:
            self._image = self._rendered(self._drawing)
        QPainter(self).drawImage(0, 0, self._image)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw anew in another size."""
        super().resizeEvent(event)
        self._image = None

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._image = None
            self.update()

    def _rendered(self, drawing: Drawing) -> QImage:
        from napari_attmil.reports import rendered  # matplotlib is loaded when needed

        ink = self.palette().color(QPalette.ColorRole.WindowText).name()
        ratio = self.devicePixelRatioF()
        pixels = rendered(drawing, (self.width(), self.height()), ink, ratio)
        height, width = pixels.shape[:2]
        form = QImage.Format.Format_RGBA8888
        image = QImage(pixels.tobytes(), width, height, 4 * width, form).copy()
        image.setDevicePixelRatio(ratio)
        return image

    def _ask_where_to_save(self) -> None:
        title, proposed = "Save the figure or its numbers", f"{self.objectName()}.png"
        if path := ask_where_to_save(self, title, proposed, KINDS):
            self.save(path)
