"""What more workers bring: cells found, features read and an evaluation, by whole commands.

    python benchmarks/workers.py [--patients 6] [--runs 1] [--workers 1,2] [--out workers.json]

A simulated cohort of five classes is written once, and copied for each number of workers, so that
nothing is stored beforehand. Asked for: two workers at least 1.8 times as fast as one. The reports'
figures must be the same to the last digit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from reporting import keep_rows, parser, report


def command(*arguments: str | Path) -> tuple[float, float]:
    """Run an `attmil` command; return wall and processor seconds of it and its processes."""
    start, used = time.perf_counter(), _used()
    subprocess.run([sys.executable, "-m", "napari_attmil.cli", *map(str, arguments)], check=True)
    return time.perf_counter() - start, _used() - used


def _used() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def figures(folder: Path) -> Any:
    """Return an evaluation's figures of all methods."""
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))["methods"]


def main() -> None:
    """Evaluate with each number of workers, and print one table."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--patients", type=int, default=6, help="a class")
    arguments.add_argument("--runs", type=int, default=1)
    arguments.add_argument("--workers", default="1,2")
    asked = arguments.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        cohort = Path(scratch) / "cohort"
        command("simulate", "--out", cohort, "--patients", str(asked.patients))
        found: list[Any] = []
        for workers in asked.workers.split(","):
            study, out = Path(scratch) / f"study-{workers}", Path(scratch) / f"report-{workers}"
            shutil.copytree(cohort, study)
            at = ["--device", asked.device, "--workers", workers]
            wall, used = command("evaluate", study, "--out", out, "--runs", str(asked.runs), *at)
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
