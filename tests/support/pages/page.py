"""What is common to all pages: parts are found by name, text or tooltip, as a person finds them."""

from __future__ import annotations

from typing import Any, TypeVar

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QToolButton, QWidget

from napari_attmil.widgets.parts import Message, MessageBar, Severity, TaskRunner
from napari_attmil.widgets.parts.message_bar import MessageEntry

Part = TypeVar("Part", bound=QObject)


class Page:
    """A widget as a person sees it."""

    def __init__(self, widget: QWidget) -> None:
        self.widget = widget

    def part(self, kind: type[Part], name: str = "") -> Part:
        """Return the only part of a kind, or that of a name."""
        found = self.widget.findChildren(kind, name) if name else self.widget.findChildren(kind)
        assert len(found) == 1, f"{len(found)} parts are a {kind.__name__} {name!r}"
        return found[0]

    def button(self, text: str) -> QAbstractButton:
        """Return the button that says so, or something that begins so."""
        buttons = self.widget.findChildren(QAbstractButton)
        exact = [button for button in buttons if button.text() == text]
        found = exact or [button for button in buttons if button.text().startswith(text)]
        assert len(found) == 1, f"{len(found)} buttons say {text!r}"
        return found[0]

    def press(self, text: str) -> None:
        self.button(text).click()

    def can_press(self, text: str) -> bool:
        return self.button(text).isEnabled()

    def offers(self, text: str) -> bool:
        """Tell whether a button is not hidden within the page."""
        return self.button(text).isVisibleTo(self.widget)

    def label(self, name: str) -> QLabel:
        return self.part(QLabel, name)

    def text(self, name: str) -> str:
        return self.label(name).text()

    def shows(self, name: str) -> bool:
        """Tell whether a label is not hidden."""
        return not self.label(name).isHidden()

    def warns(self, name: str) -> bool:
        """Tell whether a label stands out as a warning."""
        return bool(self.label(name).property("warning"))

    def says(self, text: str) -> bool:
        """Tell whether any label says just that."""
        return any(label.text() == text for label in self.widget.findChildren(QLabel))

    def combo(self, tip: str) -> QComboBox:
        """Return the choice whose tooltip begins so."""
        combos = self.widget.findChildren(QComboBox)
        (combo,) = (combo for combo in combos if combo.toolTip().startswith(tip))
        return combo

    def choose(self, tip: str, value: Any) -> None:
        """Choose as a person does, which tells more than filling the choices in."""
        choose(self.combo(tip), value)

    def messages(self) -> list[str]:
        """Return what the bar of messages says, the newest first."""
        return [message.text for message in self._told()]

    def errors(self) -> list[str]:
        """Return what it says went wrong."""
        return [message.text for message in self._told() if message.severity is Severity.ERROR]

    def _told(self) -> list[Message]:
        bars = self.widget.findChildren(MessageBar)
        return [message for bar in bars for message in bar.messages()]

    def close_messages(self) -> None:
        for entry in self.widget.findChildren(MessageEntry):
            (close,) = entry.findChildren(QToolButton)
            close.click()

    @property
    def busy(self) -> bool:
        """Whether any part works off the main thread."""
        opening = getattr(getattr(self.widget, "context", None), "opening", None)
        runners = self.widget.findChildren(TaskRunner)
        return any(runner.busy for runner in (*runners, *filter(None, [opening])))


def choose(combo: QComboBox, value: Any) -> None:
    """Choose an entry by its value."""
    place = combo.findData(value)
    assert place >= 0, f"{value!r} is no choice"
    combo.setCurrentIndex(place)
    combo.activated.emit(place)


def entries(combo: QComboBox) -> list[str]:
    """Return what can be chosen."""
    return [combo.itemText(place) for place in range(combo.count())]
