"""Edit one study from two machines whose locks do not meet, and count what is lost.

    python benchmarks/two_machines.py [--edits 1000] --out two_machines.json

Asked for: 0 of 1,000 acknowledged edits lost, each refusal told. The machines are two processes,
each on a mount of its own of one folder (bindfs, whose locks do not meet), once with shared maps
and once without (direct_io). Every other turn a machine leaves the study open, so that the other
one is refused until it is closed. Nothing is measured where bindfs or FUSE is not to be had.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from reporting import keep_rows, kept_rows, parser, report

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.two_machines import DRIVES, CannotMountError, Machine, boxes_in, mounted

EDITS_A_TURN = 10


def trial(name: str, edits: int) -> dict[str, Any]:
    """Edit from two machines in turn until so many edits are acknowledged."""
    acknowledged, refused, untold, turn = 0, 0, 0, 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "server").mkdir()
        places = [
            stack.enter_context(mounted(folder / "server", folder / each, *DRIVES[name]))
            for each in "ab"
        ]
        with Machine(places[0]) as one, Machine(places[1]) as other:
            while acknowledged < edits:
                for machine, closes in ((one, turn % 2 == 1), (other, True)):
                    written, refusal = machine.draw(EDITS_A_TURN, closes)
                    acknowledged += written
                    refused += bool(refusal)
                    untold += written < EDITS_A_TURN and "open to change it" not in refusal
                turn += 1
        there = boxes_in(places[1])
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
    arguments = options.parse_args()
    rows = kept_rows(arguments.out)
    for name in DRIVES:
        if name not in {row["drive"] for row in rows}:
            try:
                rows.append(trial(name, arguments.edits))
            except CannotMountError as error:
                sys.exit(f"{error}, so nothing was measured.")
            keep_rows(rows, arguments.out)
            print(rows[-1], flush=True)
    report("Edits of two machines on one drive", rows, arguments.out)


if __name__ == "__main__":
    main()
