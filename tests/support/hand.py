"""A person's hand at the window of a viewer."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

MOUSE: Any = QTest
"""PyQt6 declares its static methods as those of an instance."""
LEFT = Qt.MouseButton.LeftButton
Place = tuple[float, float]
"""x and y, in world coordinates."""


class Hand:
    """Moves the mouse over the canvas and presses keys; counts what a person would call actions."""

    def __init__(self, viewer: Any) -> None:
        self._viewer, self.actions = viewer, 0
        (self._canvas,) = (
            widget
            for widget in QApplication.allWidgets()
            if type(widget).__name__ == "CanvasBackendDesktop" and widget.isVisible()
        )

    def key(
        self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
    ) -> None:
        MOUSE.keyClick(self._canvas, key, modifier)
        QApplication.processEvents()
        self.actions += 1

    def click(
        self,
        x: float,
        y: float,
        modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
        button: Qt.MouseButton = LEFT,
    ) -> None:
        self.point_at(x, y)
        MOUSE.mouseClick(self._canvas, button, modifier, pos=self._pixel(x, y))
        QApplication.processEvents()
        self.actions += 1

    def point_at(self, x: float, y: float) -> None:
        for nearer in (2, 0):  # no mouse jumps
            MOUSE.mouseMove(self._canvas, self._pixel(x, y) + QPoint(nearer, 0))
            QApplication.processEvents()

    def press(self, x: float, y: float) -> None:
        self.point_at(x, y)
        MOUSE.mousePress(self._canvas, LEFT, pos=self._pixel(x, y))

    def release(self, x: float, y: float) -> None:
        MOUSE.mouseRelease(self._canvas, LEFT, pos=self._pixel(x, y))
        QApplication.processEvents()

    def drag(self, start: Place, end: Place) -> None:
        self.press(*start)
        for share in (0.3, 0.7, 1):
            self.point_at(*(np.array(start) + share * (np.array(end) - start)))
        self.release(*end)
        self.actions += 1

    def _pixel(self, x: float, y: float) -> QPoint:
        camera = self._viewer.scene.camera
        size = np.array([self._canvas.width(), self._canvas.height()])
        place = (np.array([x, y]) - camera.center[:-3:-1]) * camera.zoom + size / 2
        return QPoint(*(round(float(value)) for value in place))
