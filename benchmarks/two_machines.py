"""Edit one study from two machines whose locks do not meet, and count what is lost.

    python benchmarks/two_machines.py [--edits 1000] --out two_machines.json

Asked for: 0 of 1,000 acknowledged edits lost, each refusal told. The machines are two processes,
each on a mount of its own of one folder (bindfs, whose locks do not meet), once with shared maps
and once without (direct_io). Every other turn a machine leaves the study open, so that the other
one is refused until it is closed. Nothing is measured where bindfs or FUSE is not to be had.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reporting import keep_rows, kept_rows, parser, report

from napari_attmil.cells.annotations import FILE_NAME, AnnotationFile, Annotations, add_box
from napari_attmil.core import UserError
from napari_attmil.images import Frame, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

EDITS_A_TURN = 10
DRIVES = {"shared maps": (), "no shared maps": ("-o", "direct_io")}


def sample_in(folder: Path) -> Sample:
    """Return the sample that both edit."""
    return Sample("s", "p", None, (Frame(folder / "a.tif"),))


def edit(folder: Path) -> None:
    """Draw as many boxes as each line of stdin asks for; tell how many are on the disk, and why."""
    sample = sample_in(folder)
    for line in sys.stdin:
        file, written = AnnotationFile(folder / FILE_NAME), 0
        try:
            for _ in range(int(line.strip(" !\n"))):
                now = file.read(sample) or Annotations()
                x = 20 * now.next_id
                boxes = add_box(now.boxes, 0, [x, 0, x + 9, 9], now.next_id)
                file.write(sample, Annotations(boxes, next_id=now.next_id + 1))
                written += 1
            print(written, flush=True)
        except UserError as error:
            print(written, error, flush=True)
        if "!" in line:
            file.close()


@contextlib.contextmanager
def mounted(below: Path, place: Path, options: tuple[str, ...]) -> Iterator[Path]:
    """Mount a folder once more; end with a sentence where that cannot be done."""
    place.mkdir()
    if shutil.which("bindfs") is None:
        sys.exit("bindfs is not installed here, so nothing was measured.")
    if subprocess.run(["bindfs", *options, below, place], check=False).returncode:
        sys.exit("FUSE is not to be had here, so nothing was measured.")
    try:
        yield place
    finally:
        subprocess.run(["fusermount", "-u", place], check=True)


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that edits."""
    command = [sys.executable, __file__, "--edit", str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process


def ask(process: subprocess.Popen[str], line: str) -> tuple[int, str]:
    """Have a machine edit; return how many edits it acknowledges, and its refusal."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    written, _, refusal = process.stdout.readline().strip().partition(" ")
    return int(written), refusal


def trial(name: str, edits: int) -> dict[str, Any]:
    """Edit from two machines in turn until so many edits are acknowledged."""
    acknowledged, refused, untold, turn = 0, 0, 0, 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "server").mkdir()
        places = [
            stack.enter_context(mounted(folder / "server", folder / each, DRIVES[name]))
            for each in "ab"
        ]
        with machine(places[0]) as one, machine(places[1]) as other:
            while acknowledged < edits:
                for process, closes in ((one, turn % 2 == 1), (other, True)):
                    written, refusal = ask(process, f"{EDITS_A_TURN}{'!' if closes else ''}")
                    acknowledged += written
                    refused += bool(refusal)
                    untold += written < EDITS_A_TURN and "open to change it" not in refusal
                turn += 1
        kept = AnnotationFile(places[1] / FILE_NAME).read(sample_in(places[1]))
        there = 0 if kept is None else len(kept.boxes)
    return {
        "drive": name,
        "acknowledged": acknowledged,
        "there": there,
        "lost": acknowledged - there,
        "turns refused": refused,
        "without a word": untold,
    }


def main() -> None:
    """Run it."""
    options = parser(__doc__ or "")
    options.add_argument("--edits", type=int, default=1000)
    options.add_argument("--edit", type=Path, help="be one of the machines, in this folder")
    arguments = options.parse_args()
    if arguments.edit:
        edit(arguments.edit)
        return
    rows = kept_rows(arguments.out)
    for name in DRIVES:
        if name not in {row["drive"] for row in rows}:
            rows.append(trial(name, arguments.edits))
            keep_rows(rows, arguments.out)
            print(rows[-1], flush=True)
    report("Edits of two machines on one drive", rows, arguments.out)


if __name__ == "__main__":
    main()
