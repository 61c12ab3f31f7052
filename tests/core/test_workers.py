"""Independent work on one worker and on several, whose processes may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import jobs

from napari_attmil.core import JobRun, Progress, UserError, Workers, workers as workers_file
from napari_attmil.core.worker_side import Ended

ONE, TWO = Workers(1), Workers(2)


def results_of(run: JobRun[int]) -> list[int]:
    for _ in run:
        pass
    return [run.results[number] for number in sorted(run.results)]


def children() -> set[int]:
    """Return the processes that Python has started to work for this one."""
    found = psutil.Process().children(recursive=True)
    return {one.pid for one in found if "spawn_main" in " ".join(one.cmdline())}


def wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end, f"{path} was never written"
        time.sleep(0.02)


def test_two_workers_give_the_results_of_one() -> None:
    work = [partial(jobs.square, number) for number in range(5)]
    steps = list(JobRun(work, TWO))
    assert sorted(step.number for step in steps if step.progress is None) == [0, 1, 2, 3, 4]
    assert results_of(JobRun(work, TWO)) == results_of(JobRun(work, ONE)) == [0, 1, 4, 9, 16]
    assert children() == set()


def test_one_worker_is_this_process_and_two_are_others_of_one_thread_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    work = [jobs.process_id, jobs.process_id, jobs.threads]
    assert results_of(JobRun(work, ONE))[:2] == [os.getpid()] * 2
    *others, threads = results_of(JobRun(work, TWO))
    assert os.getpid() not in others and threads == 1


def test_progress_says_which_job_it_is_of_and_when_each_is_done() -> None:
    work = [partial(jobs.square, number) for number in range(2)]
    told = [(step.number, step.progress and step.progress.text) for step in JobRun(work, ONE)]
    assert told == [(0, "Squaring 0"), (0, None), (1, "Squaring 1"), (1, None)]


@pytest.mark.parametrize("workers", [ONE, TWO])
def test_jobs_that_are_left_are_asked_to_end_and_keep_what_they_have(workers: Workers) -> None:
    run: JobRun[int] = JobRun([jobs.counts_until_asked_to_end] * 3, workers)
    with closing(iter(run)) as steps:
        for step in steps:
            if step.progress is not None and step.progress.done > 3:
                break
    assert set(run.results) <= {0, 1}  # the third had not begun
    assert max(run.results.values()) > 3
    assert children() == set()


def test_worker_that_is_killed_is_replaced_and_its_work_done_again(tmp_path: Path) -> None:
    work = [partial(jobs.waits_the_first_time, tmp_path, number) for number in range(4)]
    run: JobRun[int] = JobRun(work, TWO)
    notes: list[str] = []
    killed = False
    for step in run:
        notes += filter(None, [step.note])
        if step.number == 0 and step.progress and len(run.results) >= 2 and not killed:
            (first,) = tmp_path.glob("0-*")  # waits
            os.kill(int(first.name.split("-")[1]), signal.SIGKILL)
            killed = True
    assert run.results == {0: 0, 1: 1, 2: 4, 3: 9}
    assert notes == [
        "A worker has ended unexpectedly, perhaps for lack of memory; going on with 1 worker "
        "instead of 2."
    ]
    assert len(list(tmp_path.glob("0-*"))) == 2
    tried_once = [number for number in run.results if len(list(tmp_path.glob(f"{number}-*"))) == 1]
    assert {1, 2} <= set(tried_once)  # what was finished is not done again


def test_what_is_done_beside_a_broken_one_is_kept() -> None:
    class Broken(Executor):
        """Breaks in its first job, and does the others."""

        handed_out = 0

        def submit(self, *arguments: Any, **more: Any) -> Future[Any]:
            future: Future[Any] = Future()
            number = self.handed_out
            self.handed_out += 1
            if number == 0:
                future.set_exception(BrokenExecutor())
            else:
                future.set_result(Ended("finished", arguments[2]))
            return future

    class BreakingWorkers(Workers):
        def executor(self, count: int) -> Executor:
            return Broken() if count == 8 else super().executor(count)

    run: JobRun[int] = JobRun([partial(jobs.square, n) for n in range(8)], BreakingWorkers(8))
    steps = list(run)
    (note,) = [place for place, step in enumerate(steps) if step.note]
    assert [step.number for step in steps[note:]].count(0) > 0
    assert {step.number for step in steps[:note] if step.progress is None} == set(range(1, 8))
    assert run.results == {0: 0, **{number: number for number in range(1, 8)}}


@pytest.mark.parametrize("after", [0, 1])
def test_stop_is_heard_while_a_job_tells_nothing(after: int) -> None:
    run: JobRun[int] = JobRun([partial(jobs.says_little, 6, after)] * 2, TWO)
    steps = [(step.number, step.progress) for step in run]
    told = Progress(1, 2, "Said once") if after else Progress(0, 0, "Waiting for a worker")
    assert steps.count((0, told)) > 3
    assert [number for number, progress in steps if progress is None].count(0) == 1


def test_folder_of_the_work_that_vanishes_is_told(tmp_path: Path) -> None:
    class InFolder(Workers):
        @contextmanager
        def folder(self) -> Iterator[Path]:
            (tmp_path / "work").mkdir()
            yield tmp_path / "work"

    run: JobRun[int] = JobRun([jobs.counts_until_asked_to_end] * 2, InFolder(2))
    with pytest.raises(UserError, match=r"does not see the folder .*work; leave it there"):
        for step in run:
            if step.progress and step.progress.done > 3 and (tmp_path / "work").exists():
                (tmp_path / "work").rename(tmp_path / "elsewhere")
    assert children() == set()


def test_windows_waits_for_61_processes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")  # Python refuses more there
    with Workers(100).executor(100) as executor:
        assert executor._max_workers == 61  # type: ignore[attr-defined]
    with Workers(2).executor(2) as executor:
        assert executor._max_workers == 2  # type: ignore[attr-defined]


def test_full_memory_halves_the_workers(tmp_path: Path) -> None:
    work = [partial(jobs.fills_memory_the_first_time, tmp_path, number) for number in range(3)]
    run: JobRun[int] = JobRun(work, TWO)
    notes = [step.note for step in run if step.note]
    assert run.results == {0: 0, 1: 1, 2: 4}
    assert notes == ["A worker has run out of memory; going on with 1 worker instead of 2."]


def test_what_a_worker_lost_begins_again_and_nothing_else(tmp_path: Path) -> None:
    work = [partial(jobs.fills_memory_the_first_time, tmp_path, number) for number in (1, 0)]
    steps = list(JobRun(work, TWO))
    (note,) = [place for place, step in enumerate(steps) if step.note]
    assert any(step.number == 0 and step.progress is None for step in steps[:note])
    assert {step.number for step in steps[note:]} == {1}


def test_single_worker_that_is_lost_is_told_as_one(tmp_path: Path) -> None:
    run: JobRun[int] = JobRun([partial(jobs.fills_memory_the_first_time, tmp_path, 0)], TWO)
    assert [step.note for step in run if step.note] == [
        "A worker has run out of memory; its work begins again."
    ]
    assert run.results == {0: 0}


def test_work_that_kills_every_worker_ends_with_a_sentence() -> None:
    with pytest.raises(UserError, match="a single one could not do the work either; close other"):
        results_of(JobRun([partial(jobs.dies, 3)] * 2, TWO))
    assert children() == set()


def test_mistake_in_a_job_is_told_as_it_is() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        results_of(JobRun([partial(jobs.square, None)] * 2, TWO))  # type: ignore[arg-type]
    assert children() == set()


SCRIPT = """
from functools import partial
from pathlib import Path
from support import jobs
from napari_attmil.core import JobRun, Workers
print("begun", flush=True)
files = [Path(name) for name in {files}]
for _ in JobRun([partial(jobs.counts_until_asked_to_end, file) for file in files], Workers(2)):
    pass
"""


def test_workers_end_with_the_program_that_was_killed(tmp_path: Path) -> None:
    files = [tmp_path / "0", tmp_path / "1"]
    script = tmp_path / "script.py"  # without a guard: it must not be run again by the workers
    script.write_text(SCRIPT.format(files=[str(file) for file in files]))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE)
    for file in files:
        wait_for(file)
    program.kill()
    assert program.communicate()[0].split() == [b"begun"]
    workers = [psutil.Process(int(file.read_text())) for file in files if _is_alive(file)]
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def _is_alive(file: Path) -> bool:
    return psutil.pid_exists(int(file.read_text()))


def test_little_work_and_work_of_a_gpu_is_not_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_file, "most_workers", lambda *_: 8)
    assert workers_file.sensible_workers(59, "cpu") == 1
    assert workers_file.sensible_workers(61, "cpu") == 8
