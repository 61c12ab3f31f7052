"""Thumbnails of cells in a scrolling grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qtpy.QtCore import QModelIndex, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPalette, QPen
from qtpy.QtWidgets import QAbstractItemView, QListView, QStyledItemDelegate, QToolTip

from napari_attmil.explore import CORNERS
from napari_attmil.reports import GalleryScale
from napari_attmil.widgets.explorer.cell_model import CellModel, in_words
from napari_attmil.widgets.thumbnails import Cutout, Thumbnails

GAP_PX = 6
BAR_PX = 3


@dataclass(frozen=True)
class GalleryLook:
    """How cells are shown.

    Attributes
    ----------
    scale
        Of all thumbnails.
    size_px
        Side of a thumbnail on the screen.
    column
        Whose value stands below a thumbnail.
    group
        Another column whose value stands before it; empty for none.
    title
        What the cells are and how they are ordered.
    names_samples
        Whether class and sample stand below a thumbnail too.
    """

    scale: GalleryScale = field(default_factory=GalleryScale)
    size_px: int = 96
    column: str = ""
    group: str = ""
    title: str = ""
    names_samples: bool = False


class GalleryView(QListView):
    """Cells of a `CellModel` as thumbnails at one scale.

    Parameters
    ----------
    model
        The cells.
    thumbnails
        Where their pictures come from.
    """

    def __init__(self, model: CellModel, thumbnails: Thumbnails) -> None:
        super().__init__()
        self._cells, self._thumbnails = model, thumbnails
        self._look = GalleryLook()
        self.setModel(model)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setItemDelegate(_CellDelegate(self))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        thumbnails.loaded.connect(self.viewport().update)

    @property
    def look(self) -> GalleryLook:
        """How cells are shown."""
        return self._look

    def setLook(self, look: GalleryLook) -> None:
        """Show cells in another way."""
        self._look = look
        self.setGridSize(self.cell_size())
        self.viewport().update()

    def cell_size(self) -> QSize:
        """Return the room that a thumbnail takes with its caption."""
        lines = (2 if self._look.names_samples else 1) * QFontMetrics(self.font()).height()
        return QSize(self._look.size_px + GAP_PX, self._look.size_px + lines + GAP_PX)

    def cutout(self, row: int) -> Cutout:
        """Return what a row shows."""
        return cutout_of(self._cells, row, self._look.scale, self._look.size_px)

    def caption(self, row: int) -> str:
        """Return the one or two lines below a row's thumbnail."""
        look = self._look
        if not look.names_samples:
            return self._words(row, look.group, look.column)
        label, sample = self._words(row, "class"), self._words(row, "sample")
        names = sample if label in sample else f"{label} · {sample}"
        return f"{self._words(row, look.column)}\n{names}"

    def _words(self, row: int, *columns: str) -> str:
        shown = [name for name in columns if name in self._cells.table]
        return " ".join(in_words(self._cells.value(row, name), digits=3) for name in shown)

    def group(self, row: int) -> str:
        """Return the group of a row; empty where there are none."""
        cells, group = self._cells, self._look.group
        return in_words(cells.value(row, group)) if group in cells.table else ""

    def tip(self, row: int) -> str:
        """Return the tooltip of a row's thumbnail."""
        sample, cell = self._cells.key(row)
        image, label = self._cells.value(row, "image"), self._words(row, "class")
        whose = f"{sample} ({label})" if label else sample
        return f"Cell {cell} in image {image} of {whose}. Double-click to go there."

    def paint_cell(self, painter: QPainter, area: QRectF, row: int) -> None:
        """Draw a thumbnail with its scale bar and caption."""
        side = self._look.size_px
        square = QRectF(area.left() + GAP_PX / 2, area.top() + 2, side, side)
        pixmap = self._thumbnails.pixmap(self.cutout(row))
        if pixmap is None:
            painter.fillRect(square, self.palette().color(QPalette.ColorRole.AlternateBase))
        else:
            painter.drawPixmap(square, pixmap, QRectF(pixmap.rect()))
            draw_scale_bar(painter, square, self._look.scale)
        below = area.adjusted(0, side + 2, 0, 0)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        caption = elided(self.caption(row), painter.fontMetrics(), side)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, caption)


def elided(caption: str, metrics: QFontMetrics, width_px: int) -> str:
    """Return the lines of a caption, each shortened in its middle to a width."""
    middle = Qt.TextElideMode.ElideMiddle
    return "\n".join(metrics.elidedText(line, middle, width_px) for line in caption.split("\n"))


def cutout_of(cells: CellModel, row: int, scale: GalleryScale, size_px: int) -> Cutout:
    """Return which part of an image shows a cell at a scale."""
    sample, cell_id = cells.key(row)
    x_min, y_min, x_max, y_max = (float(cells.value(row, name)) for name in CORNERS)
    image_index = int(cells.value(row, "image")) - 1
    centre = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    return Cutout(sample, cell_id, image_index, *centre, scale.side_px(sample), size_px)


class _CellDelegate(QStyledItemDelegate):
    def __init__(self, view: GalleryView) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter, option: Any, index: QModelIndex) -> None:
        area = QRectF(option.rect)
        self._view.paint_cell(painter, area, index.row())
        if self._view.selectionModel().isSelected(index):
            accent = self._view.palette().color(QPalette.ColorRole.Highlight)
            painter.setPen(QPen(accent, 3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(area.adjusted(1.5, 1.5, -1.5, -1.5))

    def sizeHint(self, option: Any, index: QModelIndex) -> QSize:
        return self._view.cell_size()

    def helpEvent(
        self, event: QHelpEvent | None, view: Any, option: Any, index: QModelIndex
    ) -> bool:
        if event is not None and index.isValid():
            QToolTip.showText(event.globalPos(), self._view.tip(index.row()), self._view)
        return index.isValid()


def draw_scale_bar(painter: QPainter, square: QRectF, scale: GalleryScale) -> None:
    """Draw the bar of a scale into the lower right of a thumbnail, white with a dark rim."""
    length = square.width() * scale.bar / scale.side
    inset = max(0.05 * square.width(), 3.0)
    thick = max(float(np.round(square.width() / 32)), BAR_PX - 1)
    bar = QRectF(square.right() - inset - length, square.bottom() - inset, length, -thick)
    painter.fillRect(bar.normalized().adjusted(-1, -1, 1, 1), QColor(0, 0, 0, 150))
    painter.fillRect(bar.normalized(), QColor(255, 255, 255))
