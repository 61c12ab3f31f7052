"""What Dask's scheduler costs a task, and what to put together into one.

    python benchmarks/scheduler.py [--tasks 100000] [--out scheduler.json]

A real scheduler and two worker processes on this machine do so many tasks that do nothing, one by
one and put together. Then a cluster of many workers is simulated: threads that sleep for drawn
times, as samples take different times, on a scheduler that is real. Last, jobs that do nothing go
through `JobRun`, as all work of this program does, to processes and to the cluster.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster
from reporting import keep_rows, parser, report

from napari_attmil.core import JobRun, Progress, Workers, open_cluster

TOGETHER = (100, 10, 1)
"""So many tasks are put together into one."""
SIMULATED_WORKERS = 64
DRAWN_S = (0.02, 0.1, 0.5, 2.0)
"""Mean durations of tasks; they are drawn from a log-normal distribution."""
SPREAD = 0.8
"""Of the logarithm of a duration: the slowest of 20 tasks takes four times the median."""
DRAWN_TASKS = 2000
JOBS = 1000


def nothing(numbers: Sequence[int]) -> int:
    """Return how many tasks there were."""
    return len(numbers)


def sleep(seconds: Sequence[float]) -> float:
    """Sleep for the times of some tasks."""
    time.sleep(float(np.sum(seconds)))
    return float(np.sum(seconds))


def job() -> Generator[Progress, None, int]:
    """Do nothing, as a job."""
    yield Progress(1, 1)
    return 1


def in_parts(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Return the items, some at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def of_nothing(client: Client, tasks: int, out: Path | None) -> list[dict[str, Any]]:
    """Return what tasks cost that do nothing."""
    rows = []
    for size in TOGETHER:
        parts = in_parts(range(tasks), size)
        start, used = time.perf_counter(), time.process_time()
        found = client.gather(client.map(nothing, parts, pure=False, batch_size=1000))
        seconds, used = time.perf_counter() - start, time.process_time() - used
        assert sum(found) == tasks
        rows.append(
            {
                "what": f"{tasks:,} tasks, {size} at a time",
                "seconds": seconds,
                "ms a scheduled task": 1000 * seconds / len(parts),
                "of processor (client, scheduler)": 1000 * used / len(parts),
                "tasks/s": tasks / seconds,
            }
        )
        keep_rows(rows, out)
    return rows


def of_drawn_times(client: Client) -> list[dict[str, Any]]:
    """Return which share of the workers' time is work, by how long tasks take."""
    rng, rows = np.random.default_rng(0), []
    for mean in DRAWN_S:
        drawn = rng.lognormal(np.log(mean) - SPREAD**2 / 2, SPREAD, DRAWN_TASKS)
        start = time.perf_counter()
        client.gather(client.map(sleep, in_parts(drawn.tolist(), 1), pure=False))
        seconds = time.perf_counter() - start
        rows.append(
            {
                "what": f"{DRAWN_TASKS:,} tasks of {mean:g} s on {SIMULATED_WORKERS} workers",
                "seconds": seconds,
                "share of the workers' time": float(drawn.sum()) / SIMULATED_WORKERS / seconds,
            }
        )
    return rows


def of_jobs(what: str, workers: Workers) -> dict[str, Any]:
    """Return what a job costs that does nothing; starting processes is not counted."""
    run: JobRun[int] = JobRun([partial(job)] * JOBS, workers)
    times = [time.perf_counter() for step in run if step.progress is None]
    seconds = times[-1] - times[0]
    assert len(run.results) == JOBS
    return {"what": what, "seconds": seconds, "ms a scheduled task": 1000 * seconds / (JOBS - 1)}


def main() -> None:
    """Print the figures."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--tasks", type=int, default=100_000)
    options = arguments.parse_args()
    rows: list[dict[str, Any]] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        rows += of_nothing(Client(cluster), options.tasks, options.out)
    threads = SIMULATED_WORKERS // 2
    with LocalCluster(n_workers=2, threads_per_worker=threads, dashboard_address=":0") as cluster:
        rows += of_drawn_times(Client(cluster))
    keep_rows(rows, options.out)
    rows.append(of_jobs(f"{JOBS:,} jobs in 2 processes", Workers(2)))
    with tempfile.TemporaryDirectory() as folder, open_cluster("local", Path(folder), 2) as workers:
        rows.append(of_jobs(f"{JOBS:,} jobs on a cluster of 2 workers", workers))
    report("Overhead of a scheduler", rows, options.out)


if __name__ == "__main__":
    import scheduler  # workers find the jobs in a module of this name, not in __main__

    scheduler.main()
