"""A person's mouse at the controls of a window: only what can be seen and pressed is pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QPoint, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QMenu,
    QPushButton,
    QScrollArea,
    QTabBar,
    QWidget,
)

from support.hand import LEFT, MOUSE

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_MS = 20_000
"""For a menu or dialog to appear."""


class Mouse:
    """Presses buttons, tabs and entries of menus by what they say, and counts the clicks."""

    def __init__(self, window: QWidget) -> None:
        self._window, self.clicks = window, 0

    def press(self, text: str, within: QWidget | None = None) -> None:
        """Click the button that says so, wherever in the window it can be seen."""
        self.click(self.button(text, within or self._window))

    def choose(self, text: str, *entries: str) -> None:
        """Click a button that has a menu, then an entry of it, and of the menu that opens there."""
        self._later(QApplication.activePopupWidget, lambda menu: self._take(menu, entries))
        self.press(text)

    def press_in_dialog(self, opens: str, *answers: str) -> None:
        """Click a button that opens a dialog which waits for an answer, then its buttons."""

        def answer(dialog: QWidget) -> None:
            for text in answers:
                self.press(text, dialog)

        self._later(QApplication.activeModalWidget, answer)
        self.press(opens)

    def turn_to(self, title: str) -> None:
        """Click the tab of a panel, or of a page in it."""
        for bar in self._window.findChildren(QTabBar):
            for place in range(bar.count()):
                if bar.isVisible() and bar.tabText(place).startswith(title):
                    self._click_at(bar, bar.tabRect(place).center())
                    return
        raise AssertionError(f"no tab is called {title!r}")

    def click(self, widget: QWidget) -> None:
        """Click the middle of a control, after it was scrolled into view."""
        parent: QObject | None = widget.parent()
        while parent is not None:
            if isinstance(parent, QScrollArea):
                parent.ensureWidgetVisible(widget)
            parent = parent.parent()
        QApplication.processEvents()
        assert widget.isVisible(), f"{widget} cannot be seen"
        assert widget.isEnabled(), f"{widget} is grey: {widget.toolTip()}"
        self._click_at(widget, widget.rect().center())

    def _click_at(self, widget: QWidget, pos: QPoint) -> None:
        there = QApplication.widgetAt(widget.mapToGlobal(pos))
        is_free = there is widget or (there is not None and widget.isAncestorOf(there))
        assert is_free, f"{there} lies over {widget}"
        self.clicks += 1
        MOUSE.mouseClick(widget, LEFT, pos=pos)
        QApplication.processEvents()

    def button(self, text: str, within: QWidget) -> QAbstractButton:
        """Return the button that says so, and can be seen."""
        buttons = [each for each in within.findChildren(QAbstractButton) if each.isVisible()]
        found = [each for each in buttons if _says(each, text)]
        shown = sorted(each.text() for each in buttons if each.text())
        assert len(found) == 1, f"{len(found)} buttons say {text!r}; there are {shown}"
        return found[0]

    def _take(self, menu: QWidget, entries: tuple[str, ...]) -> None:
        assert isinstance(menu, QMenu)
        for text in entries:
            MOUSE.qWait(50)
            found = [each for each in menu.actions() if each.text().startswith(text)]
            assert len(found) == 1, f"{[each.text() for each in menu.actions()]}"
            assert found[0].isEnabled(), f"{text!r} is grey"
            below = found[0].menu()
            self._click_at(menu, menu.actionGeometry(found[0]).center())
            if isinstance(below, QMenu):
                menu = below

    def _later(
        self, find: Callable[[], QWidget | None], act: Callable[[QWidget], None], waited: int = 0
    ) -> None:
        """Act on a window as soon as it is there: Qt waits for its answer meanwhile."""

        def look() -> None:
            window = find()
            if window is not None and window.isVisible():
                try:
                    act(window)
                except Exception:
                    window.close()  # Otherwise the test would wait for an answer for ever.
                    raise
            elif waited < PATIENCE_MS:
                self._later(find, act, waited + 50)

        QTimer.singleShot(50, look)


def _says(button: QAbstractButton, text: str) -> bool:
    said = button.text().replace("&", "")
    if isinstance(button, QPushButton):
        return said == text
    return said == text or button.toolTip().startswith(text)
