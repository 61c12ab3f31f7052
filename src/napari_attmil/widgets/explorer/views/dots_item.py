"""Very many points in a plot of pyqtgraph, drawn together and cached as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QRectF
from qtpy.QtGui import QImage, QPainter

from napari_attmil.core import Float64Array
from napari_attmil.explore import draw_dots

CASING = 0.5
"""Grey around the points, which shows those of the background's own colour in any theme."""
CASING_PX = 1.0


class DotsItem(pg.GraphicsObject):
    """Round points of one size on the screen, with a casing around each cloud of them.

    pyqtgraph's own item asks each of 100,000 points for its pen and brush, which takes a second;
    and it draws them all again for every step of a lasso.

    Parameters
    ----------
    diameter_px
        Of a point, in pixels of the screen before a large screen's scaling.
    """

    def __init__(self, diameter_px: float) -> None:
        super().__init__()
        self._diameter_px = diameter_px
        self._points: Float64Array = np.zeros((0, 2))
        self._colours: Float64Array = np.zeros((0, 3))
        self._picture = QImage()
        self._drawn_for: tuple[Any, ...] = ()

    def setData(self, points: Float64Array, colours: Float64Array) -> None:
        """Show (n, 2) points in (n, 3) RGB colours from 0 to 1, later ones over earlier ones."""
        self._points, self._colours = points, colours
        self._drawn_for = ()
        self.informViewBoundsChanged()
        self.update()

    def dataBounds(
        self, axis: int, frac: float = 1.0, orthoRange: Any = None
    ) -> tuple[float | None, float | None]:
        """Return the lowest and the highest value of an axis, for a view that shows all points."""
        values = self._points[:, axis]
        return (float(values.min()), float(values.max())) if len(values) else (None, None)

    def pixelPadding(self) -> float:
        """Return how far a point reaches beyond its middle."""
        return self._diameter_px / 2 + CASING_PX

    def boundingRect(self) -> QRectF:
        """Return what the view shows; nothing is drawn beyond it."""
        return QRectF(self.viewRect())

    def viewTransformChanged(self) -> None:
        """Follow the view, which shows another part of the plane."""
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(self, painter: QPainter, *_: Any) -> None:
        """Draw the picture of the points, a new one if the view has changed."""
        transform = painter.transform()
        place = transform.mapRect(self.boundingRect()).toAlignedRect()
        ratio = painter.device().devicePixelRatioF()
        if self._drawn_for != (transform, place, ratio):
            self._drawn_for = (transform, place, ratio)
            places = pg.transformCoordinates(transform, self._points, transpose=True)
            places -= (place.x(), place.y())
            self._picture = self._drawn(ratio * places, place.height(), place.width(), ratio)
        painter.resetTransform()
        painter.drawImage(place.topLeft(), self._picture)

    def _drawn(self, places: Float64Array, height: int, width: int, ratio: float) -> QImage:
        shape = round(ratio * height), round(ratio * width)
        # In the form of the screen, and with pixels of its own.
        picture = QImage(shape[1], shape[0], QImage.Format.Format_ARGB32_Premultiplied)
        picture.fill(0)
        painter = QPainter(picture)
        grey = np.full_like(self._colours, CASING)
        for colours, casing in ((grey, CASING_PX), (self._colours, 0.0)):
            diameter_px = ratio * (self._diameter_px + 2 * casing)
            dots = draw_dots(places, colours, shape, diameter_px)
            form = QImage.Format.Format_RGBA8888_Premultiplied
            drawn = QImage(dots.tobytes(), shape[1], shape[0], 4 * shape[1], form)
            painter.drawImage(0, 0, drawn)
        painter.end()
        picture.setDevicePixelRatio(ratio)
        return picture
