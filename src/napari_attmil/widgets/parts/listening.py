"""Connections to objects that live longer, and their end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject


class Listening:
    """Remembers what it is connected to, and disconnects all of it at once.

    Mixed into a widget or any other class, or used as it is. What belongs to the object itself
    ends with it and needs no `listen`.
    """

    def listen(self, signal: Any, slot: Callable[..., Any]) -> None:
        """Connect a slot to a signal of psygnal's, napari's or Qt's until `stop_listening`."""
        signal.connect(slot)
        self.at_end(signal.disconnect, slot)

    def at_end(self, action: Callable[..., Any], *args: Any) -> None:
        """Have an action carried out by `stop_listening`; the last one comes first."""
        self._endings.callback(action, *args)

    def stop_listening(self) -> None:
        """Disconnect everything and end all work; does nothing the second time."""
        self._endings.close()

    @cached_property
    def _endings(self) -> ExitStack:
        return ExitStack()


def stop_listening_within(root: QObject) -> None:
    """Let an object and all that Qt knows to be its parts stop listening, the latest part first."""
    if not isalive(root):  # Qt has deleted it, and all that it listened to is gone
        return
    for each in (root, *reversed(root.findChildren(QObject))):
        if isinstance(each, Listening):
            each.stop_listening()
