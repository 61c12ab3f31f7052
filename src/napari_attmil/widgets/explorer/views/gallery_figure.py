"""A gallery as a figure for a page: PNG, SVG or PDF, with scale bar and caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QBuffer, QIODevice, QMarginsF, QRectF, QSize, QSizeF, Qt
from qtpy.QtGui import QColor, QFont, QImage, QPageSize, QPainter, QPdfWriter
from qtpy.QtSvg import QSvgGenerator

from napari_attmil.core import UserError, write_atomically
from napari_attmil.reports import GalleryScale
from napari_attmil.widgets.explorer.views.gallery_view import draw_scale_bar
from napari_attmil.widgets.thumbnails import qimage_of

CELL_PX, GAP_PX, TEXT_PX, MARGIN_PX = 120, 8, 20, 16
PNG_ENLARGED = 2
"""Print needs more pixels than a screen."""
POINTS_PER_PX = 0.75
SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, eq=False)
class FigureRow:
    """Cells beside each other.

    Attributes
    ----------
    label
        What stands above them; empty for nothing.
    images
        (h, w) or (h, w, 3) uint8 each.
    captions
        What stands below each.
    """

    label: str
    images: Sequence[npt.NDArray[np.uint8]]
    captions: Sequence[str]


@dataclass(frozen=True, eq=False)
class GalleryFigure:
    """What is drawn.

    Attributes
    ----------
    rows
        From top to bottom.
    scale
        Of all images.
    caption
        Stands below the rows.
    """

    rows: Sequence[FigureRow]
    scale: GalleryScale
    caption: str

    @property
    def size(self) -> QSize:
        """Width and height in pixels before any enlargement."""
        longest = max((len(row.images) for row in self.rows), default=1)
        width = max(longest * (CELL_PX + GAP_PX) + 2 * MARGIN_PX, 480)
        height = sum(self._row_height(row) for row in self.rows)
        return QSize(width, height + 2 * MARGIN_PX + 3 * TEXT_PX)

    def draw(self, painter: QPainter) -> None:
        """Draw the figure, black on white, in its own size."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(QRectF(0, 0, self.size.width(), self.size.height()), QColor("white"))
        font = QFont(painter.font())
        font.setPixelSize(12)
        painter.setFont(font)
        painter.setPen(QColor("black"))
        top = float(MARGIN_PX)
        for row in self.rows:
            self._draw_row(painter, row, top)
            top += self._row_height(row)
        area = QRectF(MARGIN_PX, top, self.size.width() - 2 * MARGIN_PX, 3 * TEXT_PX)
        painter.drawText(area, Qt.TextFlag.TextWordWrap, self.caption)

    def _draw_row(self, painter: QPainter, row: FigureRow, top: float) -> None:
        if row.label:
            painter.drawText(QRectF(MARGIN_PX, top, 600, TEXT_PX), 0, row.label)
            top += TEXT_PX
        for place, (image, caption) in enumerate(zip(row.images, row.captions, strict=True)):
            left = MARGIN_PX + place * (CELL_PX + GAP_PX)
            square = QRectF(left, top, CELL_PX, CELL_PX)
            painter.drawImage(square, qimage_of(image))
            draw_scale_bar(painter, square, self.scale)
            below = QRectF(left, top + CELL_PX, CELL_PX, TEXT_PX)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, caption)

    def _row_height(self, row: FigureRow) -> int:
        return CELL_PX + TEXT_PX + GAP_PX + (TEXT_PX if row.label else 0)


def save_figure(path: Path, figure: GalleryFigure) -> None:
    """Write a figure, whole or not at all; the suffix of the path says how.

    Raises
    ------
    UserError
        If the suffix is another than .png, .svg and .pdf, or the file cannot be drawn or written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(
            f"A figure cannot be saved as {suffix or 'a file without suffix'!r}; choose a name "
            f"that ends in {', '.join(SUFFIXES)}."
        )
    # Qt would not report a full disk.
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    {".png": _write_png, ".svg": _write_svg, ".pdf": _write_pdf}[suffix](buffer, figure)
    content = buffer.data().data()
    if not content:
        raise UserError(f"{path} could not be drawn; export fewer cells, or close other programs.")
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def _write_png(buffer: QBuffer, figure: GalleryFigure) -> None:
    image = QImage(figure.size * PNG_ENLARGED, QImage.Format.Format_RGB32)
    _paint(image, figure, PNG_ENLARGED)
    image.save(buffer, "PNG")


def _write_svg(buffer: QBuffer, figure: GalleryFigure) -> None:
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(figure.size)
    generator.setViewBox(QRectF(0, 0, figure.size.width(), figure.size.height()))
    generator.setTitle(figure.caption)
    _paint(generator, figure, 1)


def _write_pdf(buffer: QBuffer, figure: GalleryFigure) -> None:
    writer = QPdfWriter(buffer)
    points = QSizeF(figure.size) * POINTS_PER_PX
    writer.setPageSize(QPageSize(points, QPageSize.Unit.Point))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))
    _paint(writer, figure, writer.width() / figure.size.width())


def _paint(device: Any, figure: GalleryFigure, enlarged: float) -> None:
    painter = QPainter(device)
    painter.scale(enlarged, enlarged)
    figure.draw(painter)
    painter.end()
