"""What a training takes beside busy programs, against an idle machine.

    python benchmarks/contention.py [--members 3] [--loops 2] [--repeats 3] [--calibrate]

Asked for: at most 1.3 times the processor time of an idle machine. Features are there already, of
a cohort of the size of the standard one. The busy programs are endless loops that this script
starts and ends. "All threads" is what a training took before it chose how many pay.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

from reporting import parser, report
from simulated_bags import simulated_bags, standard_cohort

from napari_attmil.bags import EnsembleSettings, MILSettings
from napari_attmil.bags.network import attention_mil
from napari_attmil.bags.training import EnsembleTrainer
from napari_attmil.core import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator


def training(members: int, calibrate: bool, every_thread: bool, out: Any) -> None:
    """Train, and put processor and wall seconds into a queue; in a process of its own."""
    if every_thread:
        vars(attention_mil)["compute_threads"] = contextlib.nullcontext
    bags = simulated_bags(standard_cohort())
    settings = MILSettings(epochs=60)
    _warm_up(bags, settings)
    used, start = time.process_time(), time.perf_counter()
    ensemble = EnsembleSettings(members=members, calibrate=calibrate)
    for _ in EnsembleTrainer(bags, settings, ensemble, choose_device("cpu")).epochs():
        pass
    out.put((time.process_time() - used, time.perf_counter() - start))


def _warm_up(bags: list[Any], settings: MILSettings) -> None:
    """Load all that a first training loads."""
    few = settings.replace(epochs=1, components=8)
    ensemble = EnsembleSettings(members=1, calibrate=False)
    for _ in EnsembleTrainer(bags[::12], few, ensemble, choose_device("cpu")).epochs():
        pass


def busy() -> None:
    """Compute without end."""
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Run some endless loops meanwhile."""
    loops = [multiprocessing.Process(target=busy, daemon=True) for _ in range(count)]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.terminate()
            loop.join()


def seconds(members: int, calibrate: bool, every_thread: bool) -> tuple[float, float]:
    """Return processor and wall seconds of a training in a new process."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=training, args=(members, calibrate, every_thread, out))
    process.start()
    found: tuple[float, float] = out.get()
    process.join()
    return found


def main() -> None:
    """Measure idle and busy in turn, and print one table."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--members", type=int, default=3)
    arguments.add_argument("--calibrate", action="store_true")
    arguments.add_argument("--loops", type=int, default=2)
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    rows: list[dict[str, Any]] = []
    for every_thread, name in ((False, "as it is"), (True, "all threads")):
        idle, beside = [], []
        for _ in range(asked.repeats):
            idle.append(seconds(asked.members, asked.calibrate, every_thread))
            with busy_loops(asked.loops):
                beside.append(seconds(asked.members, asked.calibrate, every_thread))
        rows.append(
            {
                "training": name,
                "idle, processor s": statistics.median(used for used, _ in idle),
                "idle, wall s": statistics.median(wall for _, wall in idle),
                "busy, processor s": statistics.median(used for used, _ in beside),
                "busy, wall s": statistics.median(wall for _, wall in beside),
                "times": statistics.median(
                    one[0] / other[0] for one, other in zip(beside, idle, strict=True)
                ),
            }
        )
    load = os.getloadavg()[1] if hasattr(os, "getloadavg") else float("nan")
    title = f"{asked.members} members beside {asked.loops} busy loops; load at the end {load:.1f}"
    report(title, rows, asked.out)


if __name__ == "__main__":
    main()
