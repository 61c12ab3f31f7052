"""A person at a real window, from an empty napari on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtWidgets import QAbstractButton

from napari_attmil.widgets.context import session_of
from napari_attmil.widgets.dock_panel import DockPanel
from support.hand import Hand
from support.mouse import Mouse
from support.pages.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

Panel = TypeVar("Panel", bound=DockPanel)
LONG_MS, SHORT_MS = 240_000, 20_000
"""For a training, and for anything else."""
CLASSIFY, ANNOTATE, EXPLORE = "Classify samples", "Annotate cells", "Explore cells"


class Walk:
    """A window, a mouse, keys, and how much of both was needed."""

    def __init__(self, viewer: Any, qtbot: QtBot, panel: str) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        window = viewer.window._qt_window
        window.resize(1600, 1000)
        self.window, self.mouse, self.hand = window, Mouse(window), Hand(viewer)
        viewer.window.add_plugin_dock_widget("napari-attmil", panel)
        self.settle()

    @property
    def session(self) -> Any:
        return session_of(self.viewer)

    @property
    def actions(self) -> int:
        return self.mouse.clicks + self.hand.actions

    def panel(self, kind: type[Panel]) -> Panel:
        """Return the open panel of a kind."""
        (panel,) = self.window.findChildren(kind)
        return panel

    def shows_button(self, text: str) -> bool:
        return bool(self._buttons(text))

    def is_in_sight(self, text: str) -> bool:
        """Tell whether a button can be seen without scrolling."""
        (found,) = self._buttons(text)
        return found.visibleRegion().boundingRect() == found.rect()

    def stands_out(self, text: str) -> bool:
        (found,) = self._buttons(text)
        return bool(found.property("primary"))

    def settle(self) -> None:
        """Wait until nothing runs in any panel."""
        self.qtbot.wait(300)
        panels = self.window.findChildren(DockPanel)
        self.qtbot.waitUntil(lambda: not any(Page(p).busy for p in panels), timeout=LONG_MS)
        self.qtbot.wait(300)

    def until(self, is_true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(is_true, timeout=SHORT_MS)

    def _buttons(self, text: str) -> list[QAbstractButton]:
        buttons = self.window.findChildren(QAbstractButton)
        return [button for button in buttons if button.isVisible() and button.text() == text]
