from __future__ import annotations

import pytest
from napari.utils.events import EmitterGroup
from psygnal import Signal as PsygnalSignal
from qtpy.QtCore import QObject, Signal

from napari_attmil.widgets.parts.listening import Listening, stop_listening_within
from napari_attmil.widgets.parts.timers import pause_timer


class Sender(QObject):
    qt = Signal(int)

    def __init__(self):
        super().__init__()
        self.napari = EmitterGroup(self, value=None).value


class PsygnalSender:
    psygnal = PsygnalSignal(int)


class Part(Listening, QObject):
    def __init__(self, parent=None):
        super().__init__(parent)
        self.heard = []

    def hear(self, value):
        self.heard.append(getattr(value, "value", value))


def said_by(kind):
    """Return a signal of one kind, and what makes it say a number."""
    sender = PsygnalSender() if kind == "psygnal" else Sender()
    signal = getattr(sender, kind)
    say = (lambda number: signal(value=number)) if kind == "napari" else signal.emit
    return sender, signal, say


@pytest.mark.parametrize("kind", ["psygnal", "qt", "napari"])
def test_a_signal_is_heard_until_listening_stops_and_no_more(qapp, kind):
    sender, signal, say = said_by(kind)
    part = Part()
    part.listen(signal, part.hear)
    say(1)
    part.stop_listening()
    say(2)
    part.stop_listening()
    assert part.heard == [1]
    part.listen(signal, part.hear)
    say(3)
    assert part.heard == [1, 3] and sender is not None


def test_what_is_to_happen_at_the_end_happens_once_and_the_last_thing_first():
    done = []
    ears = Listening()
    ears.at_end(done.append, "connected first")
    ears.at_end(done.append, "connected last")
    ears.stop_listening()
    ears.stop_listening()
    assert done == ["connected last", "connected first"]


def test_parts_of_parts_stop_with_the_whole_and_their_timers_too(qapp):
    sender, whole = Sender(), Part()
    inner = Part(QObject(whole))
    inner.listen(sender.qt, inner.hear)
    timer = pause_timer(lambda: None, 60_000, inner)
    timer.start()
    stop_listening_within(whole)
    sender.qt.emit(1)
    assert inner.heard == [] and not timer.isActive()


def test_what_came_last_stops_first_so_that_it_can_still_use_what_it_is_built_on(qapp):
    done, whole = [], Part()
    for name in ("base", "user of the base"):
        Part(whole).at_end(done.append, name)
    stop_listening_within(whole)
    assert done == ["user of the base", "base"]
