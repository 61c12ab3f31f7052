"""What all benchmarks share: peak memory, the machine in a line, a table, a JSON file."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Measured:
    """Wall time and peak memory of a block: ``with Measured() as m: ...; m.seconds, m.peak_mib``.

    Memory is the process's own above what it was at the start, sampled every 5 ms. Pages of mapped
    files do not count: the system takes them back when it needs them. ``m.peak_gpu_mib`` is what
    tensors took on the first CUDA device, 0 without one.
    """

    def __enter__(self) -> Self:
        import torch

        self._cuda = torch.cuda if torch.cuda.is_available() else None
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
        self._process = psutil.Process()
        self._start_bytes = self._peak_bytes = _own_bytes(self._process)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        self._start_s = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._cuda is not None:
            self._cuda.synchronize()  # else what is still being computed would not count
        self.seconds = time.perf_counter() - self._start_s
        self.peak_gpu_mib = self._cuda.max_memory_allocated() / 2**20 if self._cuda else 0.0
        self._stop.set()
        self._thread.join()
        self.peak_mib = (self._peak_bytes - self._start_bytes) / 2**20

    def _sample(self) -> None:
        while not self._stop.wait(0.005):
            self._peak_bytes = max(self._peak_bytes, _own_bytes(self._process))


def _own_bytes(process: psutil.Process) -> int:
    info = process.memory_info()
    return int(info.rss - getattr(info, "shared", 0))


def parser(description: str) -> argparse.ArgumentParser:
    """Return a command line with the options that every benchmark has."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments.add_argument("--device", default="auto")
    return arguments


def report(title: str, rows: list[dict[str, Any]], out: Path | None) -> None:
    """Print the rows as a table, and write them with the machine's description if asked to.

    Rows may lack some of the others' figures.
    """
    table = Table(title=f"{title}\n{machine()}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*(_as_text(row.get(name, "")) for name in names))
    Console(width=max(100, Console().width)).print(table)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"title": title, "machine": machine(), "rows": rows}, indent=2))


def kept_rows(out: Path | None) -> list[dict[str, Any]]:
    """Return the rows of a run that was stopped: those that `keep_rows` has written."""
    if out is None or not out.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(out.read_text("utf-8"))["rows"]
    return rows


def keep_rows(rows: list[dict[str, Any]], out: Path | None) -> None:
    """Write the rows that there are so far, for `kept_rows`."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"title": "so far", "rows": rows}, indent=2))


def _as_text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def timed_in_turn(
    runs: dict[str, Callable[[], object]], units: int, unit: str, repeats: int
) -> list[dict[str, Any]]:
    """Return one row a run: median units a second, ratio to the first run, peak memory.

    The runs take turns, so that a machine that slows down slows all of them, and the ratio is
    taken pair by pair.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    peak: dict[str, float] = dict.fromkeys(runs, 0.0)
    of_gpu: dict[str, float] = dict.fromkeys(runs, 0.0)
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            with Measured() as measured:
                run()
            if repeat > 0:  # the first one warms up
                seconds[name].append(measured.seconds)
            peak[name] = max(peak[name], measured.peak_mib)
            of_gpu[name] = max(of_gpu[name], measured.peak_gpu_mib)
    first = next(iter(runs))
    return [
        {
            "run": name,
            f"{unit}/s": units / statistics.median(seconds[name]),
            f"times {first}": statistics.median(
                a / b for a, b in zip(seconds[first], seconds[name], strict=True)
            ),
            "peak MiB": peak[name],
            **({"GPU MiB": of_gpu[name]} if of_gpu[name] else {}),
        }
        for name in runs
    ]


def machine() -> str:
    """Return processor, cores and versions in a line."""
    import torch

    return (
        f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, "
        f"{platform.system()}, Python {sys.version.split()[0]}, torch {torch.__version__}"
    )
