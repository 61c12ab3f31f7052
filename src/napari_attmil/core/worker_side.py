"""What a worker does: it runs a job on one thread, tells how far it is, and ends when asked to.

Both go through small files in a folder that is seen from both sides. Unlike a queue, they work
the same on this computer and on a cluster, and a worker that is killed leaves no lock behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from napari_attmil.core.device import is_out_of_memory
from napari_attmil.core.progress import Progress

Result = TypeVar("Result")

TELL_EVERY_S: Final = 0.2
_STOP: Final = "stop"
_ONE_AT_A_TIME = threading.Lock()
"""Torch's random numbers are those of a whole process, and a cluster's may have several threads."""


@dataclass(frozen=True)
class Unfinished(Generic[Result]):
    """What a job has when it is interrupted."""

    result: Result


Job = Callable[[], Generator[Progress, None, Result | Unfinished[Result]]]
"""Independent work: a stage that can be pickled, as a `functools.partial` of a module's function.

A KeyboardInterrupt is thrown into a stage that has to end early; it may then return what it has as
`Unfinished`. The details of its progress have to be plain JSON values.
"""


@dataclass(frozen=True)
class Ended(Generic[Result]):
    """How a job has ended, and what it returned; None if it has returned nothing."""

    how: Literal["finished", "stopped", "out of memory"]
    result: Result | None = None


def begin_process() -> None:
    """Prepare a process of this computer: called in it, before its first job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the process that waits for it.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # There are other workers for the other cores. Read when torch and numpy are loaded.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def run_job(job: Job[Result], number: int, folder: Path, current: Path) -> Ended[Result]:
    """Run a job in a worker.

    Parameters
    ----------
    job
        The work.
    number
        What it is called among the others.
    folder
        Where it tells how far it is, and is told to stop.
    current
        The current folder of the program that waits for it, whose relative paths the job may have.
    """
    with _ONE_AT_A_TIME:
        if is_stopped(folder):
            return Ended("stopped")
        with contextlib.suppress(OSError):  # Another machine may lack it, and need only full paths.
            os.chdir(current)
        try:
            return _run(job, _progress_file(folder, number), folder)
        except Exception as error:
            if not (is_out_of_memory(error) or is_out_of_memory(error.__cause__ or error)):
                raise
            return Ended("out of memory")


def ask_to_stop(folder: Path) -> None:
    """Let all jobs end at their next step."""
    with contextlib.suppress(FileNotFoundError):  # They end too when the folder is gone.
        (folder / _STOP).touch()


def is_stopped(folder: Path) -> bool:
    """Return whether jobs have to end; so they do when their folder is gone."""
    return os.path.exists(folder / _STOP) or not os.path.exists(folder)


def told_by(folder: Path, number: int) -> Progress | None:
    """Return how far a job was when it last told; None before."""
    try:
        return Progress(**json.loads(_progress_file(folder, number).read_text("utf-8")))
    except (OSError, ValueError):
        return None


def ended_early(steps: Generator[Progress, None, Result | Unfinished[Result]]) -> Ended[Result]:
    """Ask a stage to end, and return what it gives."""
    try:
        steps.throw(KeyboardInterrupt)
    except StopIteration as end:
        return ended(end.value)
    except KeyboardInterrupt:
        pass
    finally:
        steps.close()
    return Ended("stopped")


def ended(returned: Result | Unfinished[Result]) -> Ended[Result]:
    """Return how a job has ended that returned something."""
    if isinstance(returned, Unfinished):
        return Ended("stopped", returned.result)
    return Ended("finished", returned)


def _run(job: Job[Result], progress: Path, folder: Path) -> Ended[Result]:
    steps, told_at = job(), -TELL_EVERY_S
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return ended(end.value)
        if time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            if is_stopped(folder):
                return ended_early(steps)
            _tell(progress, step)


def _tell(path: Path, step: Progress) -> None:
    fresh = path.with_suffix(".new")
    with contextlib.suppress(OSError):  # Windows replaces no file that is being read.
        fresh.write_text(json.dumps(asdict(step)), "utf-8")
        fresh.replace(path)


def _progress_file(folder: Path, number: int) -> Path:
    return folder / f"{number}.json"


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
