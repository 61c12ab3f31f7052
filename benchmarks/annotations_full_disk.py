"""Edit boxes on a drive that is really full, or really read-only, and count what is lost.

Asked for: a clear sentence, work kept in memory, saved once it can be. A drive of a few MB in
memory is mounted for it; the script says so and ends where that is not allowed (Linux, root).

    python benchmarks/annotations_full_disk.py --out annotations_full_disk.json
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from annotations_survive import edit_once, fingerprint, opened
from reporting import parser, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.session import Session

EDITS_PER_PHASE = 40


@contextlib.contextmanager
def small_drive(size_mb: int) -> Iterator[Path]:
    """Mount a drive in memory for as long as it is needed."""
    with tempfile.TemporaryDirectory() as name:
        mount("-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", name)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def mount(*arguments: str) -> None:
    """Call `mount`, and end with its sentence if it is not allowed."""
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"No drive can be mounted here, so nothing was measured: {error}")


@contextlib.contextmanager
def full(drive: Path) -> Iterator[None]:
    """Leave no free byte on a drive for a while."""
    filler = drive / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    yield
    filler.unlink()


@contextlib.contextmanager
def read_only(drive: Path) -> Iterator[None]:
    """Let nothing be written to a drive for a while."""
    mount("-o", "remount,ro", str(drive))
    yield
    mount("-o", "remount,rw", str(drive))


def edit(session: Session, twin: Session, rng: np.random.Generator, seed: int) -> list[str]:
    """Make the same random edits in both sessions; return what the first one could not keep."""
    told: list[str] = []
    session.storage_failed.connect(told.append)
    same = np.random.default_rng(seed)
    for _ in range(EDITS_PER_PHASE):
        edit_once(session, rng)
        edit_once(twin, same)
    session.storage_failed.disconnect(told.append)
    return told


def trial(drive: Path, seed: int, hinder: str) -> dict[str, object]:
    """Edit freely, then hindered, then freely again; return what was told and lost."""
    session, twin = opened(drive), opened(drive, is_kept=False)
    edit(session, twin, np.random.default_rng(seed), seed)
    before = fingerprint(session)
    if hinder == "read-only":
        del session  # the system makes no drive read-only while a file on it is open
    with full(drive) if hinder == "full" else read_only(drive):
        session = session if hinder == "full" else opened(drive)
        told = edit(session, twin, np.random.default_rng(seed + 1), seed + 1)
        on_disk, in_memory = fingerprint(opened(drive)), fingerprint(session)
    session.records.retry()
    wrong = {
        "opened otherwise": on_disk != before,
        "lost from memory": in_memory != fingerprint(twin),
        "not saved afterwards": fingerprint(opened(drive)) != fingerprint(twin),
    }
    return {"edits refused": len(told), **wrong, "told": told[0]}


def main() -> None:
    """Run it."""
    options = parser(__doc__ or "")
    options.add_argument("--trials", type=int, default=10)
    arguments = options.parse_args()
    rows: list[dict[str, Any]] = []
    for hinder in ("full", "read-only"):
        trials = []
        for seed in range(arguments.trials):
            with small_drive(size_mb=2) as drive:
                trials.append(trial(drive, 2 * seed, hinder))
        table = pd.DataFrame(trials)
        print(table.pop("told")[0])
        counts = {str(name): int(count) for name, count in table.sum().items()}
        rows.append({"drive": hinder, "trials": len(table), **counts})
    report("Edits on a drive that is full or read-only", rows, arguments.out)


if __name__ == "__main__":
    main()
