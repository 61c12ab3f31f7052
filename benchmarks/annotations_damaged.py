"""Damage `annotations.sqlite` at random, and count changes of boxes that nobody is told of.

    python benchmarks/annotations_damaged.py [--damages 2000] --out annotations_damaged.json

Asked for: no silent change. Bits are flipped, parts and whole pages overwritten, pages swapped, the
end is cut, the file is emptied or filled with zeros; closed, with a write-ahead log beside the
file, and with the log but without its index (`-shm`). What then opens has to be what was written;
otherwise a sentence has to say so. The file is then repaired, with a copy of the day before or
without one, and what comes back is counted. Without its index, a damage of the log's last commit
leaves what was there before, as after a kill: that is counted by itself. Goes on where it was
stopped.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from annotations_survive import edit_once, fingerprint, opened
from reporting import keep_rows, kept_rows, parser, report

from napari_attmil.cells.annotations import FILE_NAME, AnnotationFile, repair_file
from napari_attmil.core import UserError
from napari_attmil.images import Cohort, Frame, Sample
from napari_attmil.session import Session

EDITS = 60
CLOSED, WITH_LOG, WITHOUT_INDEX = PLACES = ("closed", "with its log", "its log without the index")
BACKUP = "annotations-backup-2020-01-01.sqlite"


class Whole:
    """A study's files as they should be, and what a person would find in them."""

    def __init__(self, folder: Path, place: str, has_copy: bool) -> None:
        rng = np.random.default_rng(PLACES.index(place) + 3 * has_copy)
        self.name = place + (", a copy of yesterday" if has_copy else "")
        # A study stays in its place: what it is of is kept by name.
        self.folder = folder
        session = opened(folder)
        states = [fingerprint(session)]
        for number in range(EDITS):
            edit_once(session, rng)
            states.append(fingerprint(session))
            if has_copy and number == EDITS // 2:
                file = folder / FILE_NAME
                with contextlib.closing(sqlite3.connect(file)) as connection:
                    connection.execute("VACUUM INTO ?", (str(folder / BACKUP),))
        if place != CLOSED:  # copied while it is open
            self.files = contents(folder)
        del session  # its file is closed with it
        if place == CLOSED:
            self.files = contents(folder)
        if place == WITHOUT_INDEX:
            del self.files[f"{FILE_NAME}-shm"]
        self.states = states

    def restore(self) -> None:
        """Put all files back."""
        for path in list(self.folder.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a study without the marks of who writes."""
    names = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", BACKUP)
    return {n: (folder / n).read_bytes() for n in names if (folder / n).exists()}


def flip(content: bytearray, rng: np.random.Generator) -> None:
    """Change one bit."""
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))


def overwrite(content: bytearray, rng: np.random.Generator) -> None:
    """Put noise over a part."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 4096))
    length = min(length, len(content) - start)
    content[start : start + length] = rng.bytes(length)


def page(content: bytearray, rng: np.random.Generator) -> None:
    """Put zeros, noise or another page over a page of 4,096 bytes."""
    number, other = rng.integers(len(content) // 4096, size=2).tolist()
    pages = (bytes(4096), rng.bytes(4096), bytes(content[4096 * other : 4096 * (other + 1)]))
    content[4096 * number : 4096 * (number + 1)] = pages[rng.integers(3)]


def cut(content: bytearray, rng: np.random.Generator) -> None:
    """Lose the end."""
    del content[int(rng.integers(len(content))) :]


def empty(content: bytearray, rng: np.random.Generator) -> None:
    """Lose all, or have zeros in place of it."""
    content[:] = bytes(len(content) * int(rng.integers(2)))


KINDS = {"bits": flip, "parts": overwrite, "pages": page, "cuts": cut, "zeros": empty}


def found(whole: Whole) -> str:
    """Return whether a person finds what there was last, or earlier, or else, or a sentence."""
    if not (whole.folder / FILE_NAME).exists():
        return "gone"
    sample, told = Sample("s", "p", None, (Frame(whole.folder / "a.tif"),)), list[str]()
    session = Session()
    session.storage_failed.connect(told.append)
    try:
        file = AnnotationFile(whole.folder / FILE_NAME)
        session.open_cohort(Cohort((sample,), whole.folder), file)
        session.show(sample)
        now = fingerprint(session)
    except UserError as error:
        told.append(str(error))
    if told:
        return "told"
    return "same" if now == whole.states[-1] else "earlier" if now in whole.states else "changed"


def damage_once(whole: Whole, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """Damage a file and open it; return what became of it, and of it once it was repaired."""
    whole.restore()
    names = [name for name in whole.files if name != BACKUP]
    name = names[rng.integers(len(names))]
    content = bytearray(whole.files[name])
    KINDS[kind](content, rng)
    (whole.folder / name).write_bytes(content)
    became = found(whole)
    if became == "earlier" and not name.endswith("-wal"):
        became = "changed"
    if became != "told":
        return became, ""
    try:
        repair_file(whole.folder / FILE_NAME)
    except UserError:
        return became, "told"
    return became, found(whole)


def row_of(kind: str, name: str, outcomes: list[tuple[str, str]]) -> dict[str, Any]:
    """Count outcomes."""
    first, then = [one for one, _ in outcomes], [two for _, two in outcomes if two]
    return {
        "damage": kind,
        "file": name,
        "damages": len(outcomes),
        "told": first.count("told"),
        "without effect": first.count("same"),
        "before the log's end": first.count("earlier"),
        "silently changed": first.count("changed") + first.count("gone"),
        "repaired": then.count("same"),
        "in part": then.count("changed") + then.count("earlier"),
        "nothing to be had": then.count("told") + then.count("gone"),
    }


def main() -> None:
    """Run it."""
    options = parser(__doc__ or "")
    options.add_argument("--damages", type=int, default=2000)
    arguments = options.parse_args()
    rows, each = kept_rows(arguments.out), -(-arguments.damages // (6 * len(KINDS)))
    rows = [row for row in rows if row["damage"] != "all"]
    known = {(row["file"], row["damage"]) for row in rows}
    for place in PLACES:
        for has_copy in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                whole = Whole(Path(folder), place, has_copy)
                for number, kind in enumerate(KINDS):
                    if (whole.name, kind) in known:
                        continue
                    rng = np.random.default_rng([number, PLACES.index(place), has_copy])
                    outcomes = [damage_once(whole, kind, rng) for _ in range(each)]
                    rows.append(row_of(kind, whole.name, outcomes))
                    keep_rows(rows, arguments.out)
                    print(rows[-1], flush=True)
    counts = [name for name in rows[0] if name not in ("damage", "file")]
    total = {name: sum(row[name] for row in rows) for name in counts}
    rows.append({"damage": "all", "file": "", **total})
    report("Damages of annotations.sqlite", rows, arguments.out)


if __name__ == "__main__":
    main()
