"""Kill a process that edits boxes at random moments, and count what is lost.

Asked for: never a committed edit lost, never a file that does not open. Needs a system with fork
and SIGKILL.

    python benchmarks/annotations_survive.py --kills 200 --out annotations_survive.json
"""

from __future__ import annotations

import multiprocessing
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from reporting import parser, report

from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.core import UserError
from napari_attmil.images import Cohort, Frame, Sample
from napari_attmil.session import Session

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MOST_EDITS = 60
"""A process is killed after at most so many edits."""
LONGEST_WAIT_S = 0.05
"""And at most so long after the last of them was told, so that it is in the middle of another."""


def opened(folder: Path, is_kept: bool = True) -> Session:
    """Return a session on a project of one image, or on the same in memory only."""
    sample = Sample("s", "p", None, (Frame(folder / "a.tif"),))
    session = Session()
    file = AnnotationFile(folder / "annotations.sqlite") if is_kept else None
    session.open_cohort(Cohort((sample,), folder), file)
    session.show(sample)
    return session


def edit_once(session: Session, rng: np.random.Generator) -> None:
    """Draw, move, delete, confirm, take back or make again, as the random numbers say."""
    step, ids, at = rng.integers(8), session.boxes.cell_id, rng.uniform(0, 900, 2)
    box = [*at, *at + 20]
    if step == 0:
        session.editor.delete(ids[:2])
    elif step == 1 and len(ids):
        session.editor.move(int(ids[-1]), box)
    elif step == 2:
        session.editor.undo()
    elif step == 3:
        session.editor.redo()
    elif step == 4:
        session.editor.set_reviewed(0, not session.state.reviewed)
    else:
        session.editor.add(0, box)


def edit_until_killed(folder: Path, seed: int, told: Connection) -> None:
    """Edit without end; every edit that is on disk is told."""
    session, rng, done = opened(folder), np.random.default_rng(seed), 0
    while True:
        edit_once(session, rng)
        done += 1
        told.send(done)


def kill_once(folder: Path, rng: random.Random) -> tuple[int, int]:
    """Let another process edit, and kill it; return its seed and how many edits it has told."""
    seed, edits = rng.randrange(2**31), rng.randrange(1, MOST_EDITS)
    processes = multiprocessing.get_context("fork")
    hears, tells = processes.Pipe(duplex=False)
    editor = processes.Process(target=edit_until_killed, args=(folder, seed, tells), daemon=True)
    editor.start()
    done = 0
    while done < edits:
        done = hears.recv()
    editor.join(rng.uniform(0, LONGEST_WAIT_S))
    editor.kill()
    editor.join()
    while hears.poll():
        done = hears.recv()
    return seed, done


def fingerprint(session: Session) -> str:
    """Return what a person would find: boxes, reviewed images, the next undo and redo."""
    marks = sorted(session.state.reviewed), session.editor.undo_title, session.editor.redo_title
    return f"{session.boxes.digest()} {marks}"


def expected(folder: Path, seed: int, done: int) -> set[str]:
    """Return what may be there: after the edits that were told, or one more that was under way."""
    session, rng, states = opened(folder, is_kept=False), np.random.default_rng(seed), []
    for _ in range(done + 1):
        edit_once(session, rng)
        states.append(fingerprint(session))
    return set(states[-2:])


def main() -> None:
    """Run it."""
    options = parser(__doc__ or "")
    options.add_argument("--kills", type=int, default=200)
    arguments = options.parse_args()
    rng, lost, unopened, edits = random.Random(0), 0, 0, 0
    for _ in range(arguments.kills):
        with tempfile.TemporaryDirectory() as name:
            seed, done = kill_once(Path(name), rng)
            edits += done
            try:
                AnnotationFile(Path(name) / "annotations.sqlite").read_all([])
                lost += fingerprint(opened(Path(name))) not in expected(Path(name), seed, done)
            except UserError:
                unopened += 1
    rows = [{"kills": arguments.kills, "edits": edits, "lost": lost, "not opening": unopened}]
    report("Edits after a kill at a random moment", rows, arguments.out)


if __name__ == "__main__":
    main()
