from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtWidgets import QPushButton
from support.pages.page import Page

from napari_attmil.widgets.parts.progress_row import ProgressRow, RemainingTime, in_words
from napari_attmil.widgets.parts.workers import TaskRunner
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def test_time_that_remains_follows_from_the_time_taken() -> None:
    now = [0.0]
    remaining = RemainingTime(lambda: now[0])
    assert remaining.seconds(0, 10) is None
    now[0] = 4
    assert remaining.seconds(2, 10) == 16
    now[0] = 20
    assert remaining.seconds(10, 10) is None


def test_another_stage_is_timed_afresh() -> None:
    now = [0.0]
    remaining = RemainingTime(lambda: now[0])
    remaining.seconds(0, 10)
    now[0] = 100
    assert remaining.seconds(0, 60) is None
    now[0] = 101
    assert remaining.seconds(1, 60) == 59


def test_a_pause_as_of_a_sleeping_computer_does_not_count() -> None:
    now = [0.0]
    remaining = RemainingTime(lambda: now[0])
    for done in range(4):
        now[0] = 2.0 * done
        remaining.seconds(done, 10)
    now[0] += 3600
    assert remaining.seconds(4, 10) == 6 * 2
    now[0] += 2
    assert remaining.seconds(5, 10) == 5 * 2


def test_steps_that_grow_longer_are_no_pauses() -> None:
    now = [0.0]
    remaining = RemainingTime(lambda: now[0])
    remaining.seconds(0, 4)
    now[0] = 20
    remaining.seconds(1, 4)
    now[0] = 120
    assert remaining.seconds(2, 4) == 120


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 s"), (22, "about 20 s"), (200, "about 3 min"), (7200, "about 2.0 h")],
)
def test_time_is_told_as_a_person_would(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_row_is_hidden_until_work_begins_and_shows_how_far_it_is(qtbot: QtBot) -> None:
    row = ProgressRow(TaskRunner(), "Cancel", "Stop.")
    qtbot.addWidget(row)
    assert row.isHidden()
    row.begin("Loading")
    assert not row.isHidden()
    row.setValue(Progress(3, 12, "3 of 12"))
    assert row.value() == (3, 12)


def test_stop_is_told_once(qtbot: QtBot) -> None:
    told = []

    class Runner(TaskRunner):
        def stop(self) -> None:
            told.append(1)

    row = ProgressRow(Runner(), "Stop", "Stop.")
    qtbot.addWidget(row)
    row.begin("Training")
    stop = Page(row).part(QPushButton)
    stop.click()
    stop.click()
    assert told == [1]
    row.begin("Training again")
    assert stop.isEnabled() and stop.text() == "Stop"
