from __future__ import annotations

import subprocess
import sys
import threading
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.widgets.parts.workers import TaskRunner
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytestqt.qtbot import QtBot


@pytest.fixture
def runner(qtbot: QtBot) -> Iterator[TaskRunner]:
    runner = TaskRunner()
    yield runner
    runner.stop_listening()


def run(
    qtbot: QtBot, runner: TaskRunner, task: Any, *args: Any
) -> tuple[list[Any], list[Progress], list[int]]:
    """Run a task to its end and return what it returned and told."""
    results, told, ends = list[Any](), list[Progress](), list[int]()
    runner.start(
        task,
        *args,
        on_done=results.append,
        on_progress=told.append,
        on_end=lambda: ends.append(1),
    )
    qtbot.waitUntil(lambda: not runner.busy, timeout=10_000)
    return results, told, ends


def count_to(number: int, stop: Event) -> Generator[Progress, None, bool]:
    for done in range(1, number + 1):
        yield Progress(done, number, f"{done}")
    return threading.current_thread() is threading.main_thread()


def test_task_runs_off_the_main_thread_and_returns(qtbot: QtBot, runner: TaskRunner) -> None:
    results, told, ends = run(qtbot, runner, count_to, 3)
    assert results == [False]
    assert [progress.done for progress in told] == [1, 2, 3]
    assert ends == [1]


def test_stopped_task_returns_what_it_has(qtbot: QtBot, runner: TaskRunner) -> None:
    def until_stopped(stop: Event) -> Generator[Progress, None, str]:
        yield Progress(0, 0, "waiting")
        stop.wait(10)
        return "so far"

    results: list[str] = []
    runner.start(until_stopped, on_done=results.append)
    assert runner.busy
    runner.stop()
    qtbot.waitUntil(lambda: not runner.busy, timeout=10_000)
    assert results == ["so far"]


def test_second_task_waits_for_its_own_start(qtbot: QtBot, runner: TaskRunner) -> None:
    results = []
    runner.start(count_to, 3, on_done=lambda _: results.append("first"))
    runner.start(count_to, 3, on_done=lambda _: results.append("second"))
    qtbot.waitUntil(lambda: not runner.busy, timeout=10_000)
    assert results == ["first"]


def failing(error: Exception, stop: Event) -> Generator[Progress, None, None]:
    yield Progress(0, 1, "about to fail")
    raise error


def test_mistake_of_the_person_is_told_as_its_sentence(
    qtbot: QtBot, runner: TaskRunner, notifications: list[tuple[str, str]]
) -> None:
    results, _, ends = run(qtbot, runner, failing, UserError("Give it a label."))
    assert notifications == [("error", "Give it a label.")]
    assert results == [] and ends == [1]


@pytest.mark.parametrize("error", [ValueError("odd shape"), RuntimeError("torch says no")])
def test_other_errors_are_told_with_their_type_and_end_the_work(
    qtbot: QtBot, runner: TaskRunner, notifications: list[tuple[str, str]], error: Exception
) -> None:
    _, _, ends = run(qtbot, runner, failing, error)
    ((severity, message),) = notifications
    assert severity == "error"
    assert type(error).__name__ in message and str(error) in message
    assert ends == [1] and not runner.busy


def test_full_memory_becomes_advice(
    qtbot: QtBot, runner: TaskRunner, notifications: list[tuple[str, str]]
) -> None:
    pytest.importorskip("torch")
    run(qtbot, runner, failing, RuntimeError("CUDA out of memory. Tried to allocate"))
    assert "choose the device cpu" in notifications[0][1]


def test_runner_can_be_used_again_after_an_error(
    qtbot: QtBot, runner: TaskRunner, notifications: list[tuple[str, str]]
) -> None:
    run(qtbot, runner, failing, UserError("No."))
    results, _, _ = run(qtbot, runner, count_to, 1)
    assert results == [False]


def test_closed_runner_never_calls_back_and_its_task_ends(qtbot: QtBot, runner: TaskRunner) -> None:
    ended = threading.Event()

    def endless(stop: Event) -> Generator[Progress, None, None]:
        try:
            while not stop.is_set():
                yield Progress(0, 0, "again")
        finally:
            ended.set()

    called, begun = list[object](), list[Progress]()
    runner.start(endless, on_done=called.append, on_progress=begun.append)
    qtbot.waitUntil(lambda: bool(begun), timeout=10_000)
    runner.stop_listening()
    assert not runner.busy
    qtbot.waitUntil(ended.is_set, timeout=10_000)
    assert called == []


PROGRAM = """
import threading
from qtpy.QtWidgets import QApplication
from napari_attmil.widgets.parts.workers import Progress, TaskRunner

begun = threading.Event()

def task(stop):
    yield Progress(0, 2, "")
    begun.set()
    print("stopped" if stop.wait(60) else "not stopped", flush=True)
    yield Progress(1, 2, "")

application = QApplication([])
runner = TaskRunner()
runner.start(task, on_done=print)
assert begun.wait(60)
if {closes}:
    runner.stop_listening()
"""


@pytest.mark.parametrize("closes", [False, True])
def test_a_program_that_ends_during_a_task_ends_it_first(closes: bool) -> None:
    program = [sys.executable, "-c", PROGRAM.format(closes=closes)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "stopped\n", "")
