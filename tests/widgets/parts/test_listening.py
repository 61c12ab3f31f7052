from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from napari.utils.events import EmitterGroup
from psygnal import Signal as PsygnalSignal
from qtpy.QtCore import QObject, Signal

from napari_attmil.widgets.parts.listening import Listening, stop_listening_within
from napari_attmil.widgets.parts.timers import pause_timer

if TYPE_CHECKING:
    from qtpy.QtWidgets import QApplication


class Sender(QObject):
    qt = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.napari = EmitterGroup(self, value=None).value


class PsygnalSender:
    psygnal = PsygnalSignal(int)


class Part(Listening, QObject):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.heard: list[int] = []

    def hear(self, value: Any) -> None:
        self.heard.append(getattr(value, "value", value))


def say(sender: Any, kind: str, number: int) -> None:
    if kind == "napari":
        sender.napari(value=number)
    else:
        getattr(sender, kind).emit(number)


@pytest.mark.parametrize("kind", ["psygnal", "qt", "napari"])
def test_a_signal_is_heard_until_listening_stops_and_no_more(qapp: QApplication, kind: str) -> None:
    sender: Any = PsygnalSender() if kind == "psygnal" else Sender()
    part, signal = Part(), getattr(sender, kind)
    part.listen(signal, part.hear)
    say(sender, kind, 1)
    part.stop_listening()
    say(sender, kind, 2)
    part.stop_listening()
    assert part.heard == [1]
    part.listen(signal, part.hear)
    say(sender, kind, 3)
    assert part.heard == [1, 3]


def test_what_is_to_happen_at_the_end_happens_once_and_the_last_thing_first() -> None:
    done: list[str] = []
    ears = Listening()
    ears.at_end(done.append, "connected first")
    ears.at_end(done.append, "connected last")
    ears.stop_listening()
    ears.stop_listening()
    assert done == ["connected last", "connected first"]


def test_parts_of_parts_stop_with_the_whole_and_their_timers_too(qapp: QApplication) -> None:
    sender, whole = Sender(), Part()
    inner = Part(QObject(whole))
    inner.listen(sender.qt, inner.hear)
    timer = pause_timer(lambda: None, 60_000, inner)
    timer.start()
    stop_listening_within(whole)
    sender.qt.emit(1)
    assert inner.heard == [] and not timer.isActive()


def test_what_came_last_stops_first_so_that_it_can_still_use_what_it_is_built_on(
    qapp: QApplication,
) -> None:
    done: list[str] = []
    whole = Part()
    for name in ("base", "user of the base"):
        Part(whole).at_end(done.append, name)
    stop_listening_within(whole)
    assert done == ["user of the base", "base"]
