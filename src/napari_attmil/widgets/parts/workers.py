"""Long work off the main thread: one task at a time, with progress, stop, and errors told.

A task is a stage as `workflows` has them: a generator function that yields `Progress`. Its argument
`stop` is a `threading.Event` that is set when the person presses Stop: the task then
ends early and returns what it has.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any
from weakref import WeakSet

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, QThreadPool, Signal

from napari_attmil.widgets.parts.graphics_clash import keep_triton_out
from napari_attmil.widgets.parts.listening import Listening
from napari_attmil.widgets.parts.messages import tell_error, untell
from napari_attmil.workflows import Progress, Stage

_STOPS: WeakSet[Event] = WeakSet()
"""The events that tell tasks to stop, for as long as anything knows them."""
LONGEST_END_S = 90
"""Longer than jobs of a cluster are waited for."""


Task = Callable[..., Stage[Any]]


@dataclass(frozen=True)
class _Failure:
    error: Exception


class TaskRunner(Listening, QObject):
    """Runs one task at a time for one panel; when it stops listening, it ends it.

    Signals
    -------
    busy_changed(bool)
        A task starts or has ended, however it ended.
    """

    busy_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.at_end(self._abandon)
        self._worker: GeneratorWorker | None = None
        self._stop = Event()
        self._on_done: Callable[[Any], None] | None = None
        self._on_progress: Callable[[Progress], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._again: Callable[[], object] | None = None
        self._elsewhere: Callable[[], object] | None = None

    @property
    def _topic(self) -> str:
        return f"task {id(self)}"

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return self._worker is not None

    def start(
        self,
        task: Task,
        *args: Any,
        on_done: Callable[[Any], None],
        on_progress: Callable[[Progress], None] | None = None,
        on_end: Callable[[], None] | None = None,
        again: Callable[[], object] | None = None,
        elsewhere: Callable[[], object] | None = None,
    ) -> None:
        """Start a task; what the panel tells of an error of the last one goes.

        Parameters
        ----------
        task, *args
            What to run; the event that tells it to stop comes as the keyword `stop`.
        on_done
            Gets what the task returns; called on the main thread, not after an error.
        on_progress
            Gets every progress value.
        on_end
            Called however the task ends.
        again, elsewhere
            Start such a task anew, or with another place to save to; offered beside an error.
        """
        if self.busy:
            return
        self._stop = Event()
        _STOPS.add(self._stop)
        self._on_done, self._on_progress, self._on_end = on_done, on_progress, on_end
        self._again, self._elsewhere = again, elsewhere
        untell(self, self._topic)
        self._worker = create_worker(_guarded, task, self._stop, args, _start_thread=False)
        self._worker.yielded.connect(self._tell_progress)
        self._worker.returned.connect(self._finish)
        self._worker.start()
        self.busy_changed.emit(True)

    def stop(self) -> None:
        """Ask the task to end early with what it has."""
        self._stop.set()

    def _abandon(self) -> None:
        """End the task and never call back: the panel goes away."""
        self._stop.set()
        worker, self._worker = self._worker, None
        self._on_done = self._on_progress = self._on_end = None
        if worker is not None:
            worker.yielded.disconnect(self._tell_progress)
            worker.returned.disconnect(self._finish)
            worker.quit()

    def _tell_progress(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)

    def _finish(self, outcome: Any) -> None:
        if self._worker is None:
            return
        on_done, on_end = self._on_done, self._on_end
        self._worker = None
        self._on_done = self._on_progress = self._on_end = None
        try:
            if on_end is not None:
                on_end()
        finally:
            self.busy_changed.emit(False)
        if isinstance(outcome, _Failure):
            tell_error(self, outcome.error, self._topic, self._again, self._elsewhere)
        elif on_done is not None:
            on_done(outcome)


def _guarded(task: Task, stop: Event, args: tuple[Any, ...]) -> Stage[Any | _Failure]:
    """Run a task and return its error instead of raising it.

    napari's worker swallows every RuntimeError, as torch raises them, and then never ends.
    """
    try:
        keep_triton_out()
        return (yield from task(*args, stop=stop))
    except Exception as error:
        return _Failure(error)


def _end_all() -> None:
    """Let all tasks end before Qt does: a thread that outlives it aborts the whole program."""
    pool = QThreadPool.globalInstance()
    if len(_STOPS) and pool is not None:
        for stop in list(_STOPS):
            stop.set()
        pool.waitForDone(1000 * LONGEST_END_S)


# Called in reverse order at the end of the program, and so before what Qt's binding has registered.
atexit.register(_end_all)
