"""Independent work, done by one worker or by several; the result is the same."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from napari_attmil.core.errors import Remedy, UserError
from napari_attmil.core.progress import Progress
from napari_attmil.core.words import counted
from napari_attmil.core.worker_side import (
    TELL_EVERY_S,
    Ended,
    Job,
    ask_to_stop,
    begin_process,
    ended,
    ended_early,
    run_job,
    told_by,
)

if TYPE_CHECKING:
    from napari_attmil.core.device import Device

Result = TypeVar("Result")

LOOKS_PER_S: Final = 100
"""Files of progress that are read in a second: a cluster's lie on a drive that all share."""
AGAIN_EVERY_S: Final = 1.0
"""Progress is told again when there is none: who hears it may ask to stop."""
LOOK_EVERY_S: Final = 20.0
"""So often it is asked whether a worker is there."""
ALONE_S: Final = 300.0
"""So long no worker may be there: lost ones may come back, and others be in a queue."""
MOST_DEATHS: Final = 3
"""A single worker that ends so often without finishing a job is not replaced again."""
MOST_ON_WINDOWS: Final = 61
"""Windows waits for no more processes at once."""
WORTH_S: Final = 60.0
"""Work that takes one worker less is not shared out: processes take time to start."""
WORKER_BYTES: Final = 2 << 30
"""Memory that is counted for a worker: its libraries, and what it computes on."""


@dataclass(frozen=True)
class Workers:
    """Where jobs are done: in this process, or in several processes of this computer.

    Attributes
    ----------
    number
        How many jobs are done at once; 1 starts no process.
    ends_within_s
        How long jobs that are asked to end are waited for; None for as long as it takes.
    """

    number: int = 1
    ends_within_s: float | None = None

    @property
    def are_processes(self) -> bool:
        """Whether jobs are done outside of this process."""
        return self.number > 1

    @property
    def are_of_this_computer(self) -> bool:
        """Whether what they take says how fast this computer is."""
        return True

    @property
    def are_there(self) -> bool:
        """Whether there is a worker at all."""
        return True

    def device_for(self, device: Device) -> Device:
        """Return the device that jobs compute on where this program computes on `device`."""
        return device

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a folder that the workers see too, for as long as the context lasts."""
        with tempfile.TemporaryDirectory(prefix="attmil-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def executor(self, count: int) -> Executor:
        """Return an executor of at most `count` workers."""
        most = MOST_ON_WINDOWS if sys.platform == "win32" else count
        return _Processes(min(count, most), multiprocessing.get_context("spawn"), begin_process)

    def why_ended(self, error: BaseException) -> str:
        """Return why a worker has ended, "" if an error means something else."""
        if isinstance(error, BrokenExecutor):
            return "A worker has ended unexpectedly, perhaps for lack of memory"
        return ""


ONE_WORKER: Final = Workers()


def sensible_workers(seconds: float, device_name: str = "auto", bytes_each: int = 0) -> int:
    """Return how many processes of this computer to do some work with.

    One if a single worker does it in less than `WORTH_S`, or computes on a GPU, which processes
    would only take from each other; else `most_workers`.

    Parameters
    ----------
    seconds
        What one worker needs for all of it, about.
    device_name
        As for `choose_device`.
    bytes_each
        As for `most_workers`.
    """
    from napari_attmil.core.device import choose_device

    if seconds < WORTH_S or choose_device(device_name).name != "cpu":
        return 1
    return most_workers(bytes_each)


def most_workers(bytes_each: int = 0) -> int:
    """Return how many processes the cores and the free memory of this computer allow.

    One for each core that this program may use, as far as the memory has `WORKER_BYTES` for each,
    and `bytes_each` for its work.
    """
    import psutil

    can_tell = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if can_tell else os.cpu_count() or 1
    fit = int(psutil.virtual_memory().available) // (WORKER_BYTES + bytes_each)
    return max(1, min(cores, fit))


@dataclass(frozen=True)
class JobStep:
    """A sign of life of one job.

    Attributes
    ----------
    number
        Its place among the jobs.
    progress
        How far it is; None when it is finished.
    note
        A sentence for the user on what went wrong and was mended; mostly empty. It comes with a
        job that begins again.
    """

    number: int
    progress: Progress | None
    note: str = ""


NOT_BEGUN: Final = Progress(0, 0, "Waiting for a worker")


class JobRun(Generic[Result]):
    """Runs jobs in a ``for`` loop, one after another or several at a time, and holds their results.

    Jobs that are left early, by closing the iterator or by an error, are asked to end and waited
    for: no process stays behind.

    When a worker ends unexpectedly, its jobs are done again. As that is mostly for lack of memory,
    half as many workers go on; so they do when a job says that memory is full.

    Parameters
    ----------
    jobs
        Their results must not depend on each other, nor on how many threads compute them.
    workers
        Where they are done.

    Attributes
    ----------
    results
        By the number of the job; also what a job returned that was asked to end early, unless that
        is None.
    """

    def __init__(self, jobs: Sequence[Job[Result]], workers: Workers = ONE_WORKER) -> None:
        self._jobs, self._workers = jobs, workers
        self.results: dict[int, Result] = {}

    def __iter__(self) -> Generator[JobStep, None, None]:
        """Run the jobs.

        Raises
        ------
        UserError
            If there is too little memory even for a single worker, or no worker is left.
        """
        return self._elsewhere() if self._workers.are_processes else self._here()

    def _here(self) -> Generator[JobStep, None, None]:
        for number, job in enumerate(self._jobs):
            steps = job()
            try:
                while True:
                    yield JobStep(number, next(steps))
            except StopIteration as end:
                how = self._keep(number, ended(end.value))
            except (GeneratorExit, KeyboardInterrupt):
                self._keep(number, ended_early(steps))
                raise
            if how == "stopped":  # Ctrl+C was pressed within the job.
                raise KeyboardInterrupt
            yield JobStep(number, None)

    def _elsewhere(self) -> Generator[JobStep, None, None]:
        count, deaths = min(self._workers.number, len(self._jobs)), 0
        while len(self.results) < len(self._jobs):
            done = len(self.results)
            with self._workers.folder() as folder, self._workers.executor(count) as executor:
                trouble = yield from self._handed_out(executor, folder, count)
            if not trouble:
                return
            deaths = deaths + 1 if count == 1 and len(self.results) == done else 0
            if deaths == MOST_DEATHS:
                raise UserError(
                    f"{trouble}, and a single one could not do the work either; close other "
                    "programs that use memory, and start again.",
                    Remedy.TRY_AGAIN,
                )
            before, count = count, max(1, count // 2)
            again = f"going on with {counted(count, 'worker')} instead of {before}"
            note = f"{trouble}; {again if count < before else 'its work begins again'}."
            first = min(set(range(len(self._jobs))) - set(self.results))
            yield JobStep(first, Progress(0, 0), note)

    def _handed_out(
        self, executor: Executor, folder: Path, count: int
    ) -> Generator[JobStep, None, str]:
        """Have the jobs done that are left; return what ended it before its time, or ""."""
        left = deque(n for n in range(len(self._jobs)) if n not in self.results)
        told: dict[int, Progress] = {}
        running: dict[Future[Ended[Any]], int] = {}
        here, trouble, pause, looked = Path.cwd(), "", max(TELL_EVERY_S, count / LOOKS_PER_S), 0.0
        heard, watch = time.monotonic(), _Watch(self._workers)
        try:
            while running or (left and not trouble):
                while left and len(running) < count and not trouble:
                    number = left.popleft()
                    job: Job[Any] = self._jobs[number]
                    running[executor.submit(run_job, job, number, folder, here)] = number
                over = wait(running, min(pause, AGAIN_EVERY_S), FIRST_COMPLETED).done
                for future in sorted(over, key=_has_failed):  # What others have done is kept.
                    end, number = future.result(), running.pop(future)
                    how = self._keep(number, end)
                    if how == "stopped":  # Nobody has asked for it.
                        raise UserError(
                            f"Work was given up, since a worker does not see the folder {folder}; "
                            "leave it there while work is done, and start again: what is finished "
                            "is kept.",
                            Remedy.TRY_AGAIN,
                        )
                    if how == "out of memory":
                        # The others may still finish with the memory that they have.
                        trouble = "A worker has run out of memory"
                    else:
                        yield JobStep(number, None)
                watch.look()
                now = time.monotonic()
                for number in running.values() if now - looked >= pause else ():
                    looked, step = now, told_by(folder, number)
                    if step is not None and step != told.get(number):
                        told[number], heard = step, now
                        yield JobStep(number, step)
                if running and now - heard >= AGAIN_EVERY_S:
                    heard, number = now, min(running.values())
                    yield JobStep(number, replace(told.get(number, NOT_BEGUN), note=""))
        except Exception as error:
            trouble = self._workers.why_ended(error)
            if not trouble:
                raise
            running.clear()
        finally:
            self._end(running, folder, begun=set(told))
        return trouble

    def _end(
        self, running: Mapping[Future[Ended[Any]], int], folder: Path, begun: Collection[int]
    ) -> None:
        """Have jobs end early, and keep what they return."""
        ask_to_stop(folder)
        for future, number in running.items():
            if number not in begun:  # A cluster would forget what a job returns.
                future.cancel()
        over, lost = wait(running, self._workers.ends_within_s)
        for future in over:
            if not _has_failed(future):
                self._keep(running[future], future.result())
        for future in lost:  # Else the executor would wait for them when it ends.
            future.cancel()

    def _keep(self, number: int, end: Ended[Result]) -> str:
        if end.how == "finished" or end.result is not None:
            self.results[number] = end.result  # type: ignore[assignment]
        return end.how


class _Watch:
    """Notices that no worker is left."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._seen = self._looked = time.monotonic()

    def look(self) -> None:
        """Look now and then whether a worker is there; raise UserError if none is for long."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        if self._workers.are_there:
            self._seen = now
        elif now - self._seen >= ALONE_S:
            raise UserError(
                "No worker is left; jobs of a queue end when their wall time is over. What is "
                "finished is kept: run the same again, and it goes on where it stood.",
                Remedy.TRY_AGAIN,
            )


def _has_failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


class _Processes(ProcessPoolExecutor):
    """Processes that do not run the program's main script again.

    Spawned ones would, to find what is defined there. No job is; a script without the guard
    ``if __name__ == "__main__"`` would start over in each of them.
    """

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand out a job; this starts a process if none is idle."""
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return super().submit(*args, **kwargs)
        finally:
            sys.modules["__main__"] = main
