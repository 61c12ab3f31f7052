"""What holds for a while: a flag within a call, a timer up to a pause."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QTimer


class Flag:
    """Sets an attribute to True for a while, so that the layer's own echo is not followed."""

    def __init__(self, owner: object, name: str) -> None:
        self._owner, self._name = owner, name

    def __enter__(self) -> None:
        self._before = getattr(self._owner, self._name)
        setattr(self._owner, self._name, True)

    def __exit__(self, *error: object) -> None:
        setattr(self._owner, self._name, self._before)


def pause_timer(slot: Callable[[], None], after_ms: int) -> QTimer:
    """Return a timer that calls once, so long after it was last started."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(after_ms)
    timer.timeout.connect(slot)
    return timer
