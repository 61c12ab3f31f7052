"""What more workers bring: cells found, features read and an evaluation, by whole commands.

    python benchmarks/workers.py [--patients 6] [--runs 1] [--workers 1t,1,2] [--out workers.json]

Table 1's four methods on a simulated cohort of five classes. It is written once, and copied for
each number of workers, so that nothing is stored beforehand. Asked for: two workers at least 1.8
times as fast as one. A single worker finds cells on all cores already: on a machine of few cores
compare with ``1t``, one worker on one thread. The reports' figures must be the same to the last
digit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from reporting import keep_rows, parser, report


def command(*arguments: str | Path, threads: int | None = None) -> tuple[float, float]:
    """Run an `attmil` command; return wall and processor seconds of it and its processes."""
    start, used = time.perf_counter(), _used()
    program = [sys.executable, "-m", "napari_attmil.cli", *map(str, arguments)]
    few = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    subprocess.run(program, check=True, env={**os.environ, **few})
    return time.perf_counter() - start, _used() - used


def _used() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def figures(folder: Path) -> Any:
    """Return an evaluation's figures of all methods, but for how long they took."""
    methods = json.loads((folder / "report.json").read_text(encoding="utf-8"))["methods"]
    return {
        name: {key: value for key, value in method.items() if not key.startswith("seconds")}
        for name, method in methods.items()
    }


def main() -> None:
    """Evaluate with each number of workers, and print one table."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--patients", type=int, default=6, help="a class")
    arguments.add_argument("--runs", type=int, default=1)
    arguments.add_argument("--workers", default="1t,1,2", help="1t is one on a single thread")
    asked = arguments.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        cohort = Path(scratch) / "cohort"
        command("simulate", "--out", cohort, "--patients", str(asked.patients))
        found: list[Any] = []
        for workers in asked.workers.split(","):
            threads = 1 if workers.endswith("t") else None
            study, out = Path(scratch) / f"study-{workers}", Path(scratch) / f"report-{workers}"
            shutil.copytree(cohort, study)
            how = ["--runs", str(asked.runs), "--no-ensemble", "--device", asked.device]
            wall, used = command(
                "evaluate",
                study,
                "--out",
                out,
                *how,
                "--workers",
                workers.rstrip("t"),
                threads=threads,
            )
            found.append(figures(out))
            first = rows[0]["wall s"] if rows else wall
            rows.append(
                {
                    "workers": workers,
                    "wall s": wall,
                    "processor s": used,
                    "times as fast": first / wall,
                    "same figures": found[-1] == found[0],
                }
            )
            keep_rows(rows, asked.out)
    report(f"{5 * asked.patients} patients, evaluated {asked.runs} times", rows, asked.out)


if __name__ == "__main__":
    main()
