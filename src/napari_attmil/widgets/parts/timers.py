"""A timer up to a pause."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

from napari_attmil.widgets.parts.listening import Listening


def pause_timer(
    slot: Callable[[], None], after_ms: int = 0, parent: QObject | None = None
) -> QTimer:
    """Return a timer that calls once, so long after it was last started.

    A timer of its own dies with the panel: give the panel as its parent, or keep the timer. It
    stops when its parent stops listening.
    """
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(after_ms)
    timer.timeout.connect(slot)
    if isinstance(parent, Listening):
        parent.at_end(timer.stop)
    return timer
