"""Kill imports, merges, exports and repairs at random moments, run them again, and compare.

    python benchmarks/commands_survive.py [--kills 200] --out commands_survive.json

Asked for: after a kill no box that was there is lost, every file can be read, and the same command
run again succeeds, with the result of a run that nobody killed. The moments are spread over the
time that a command takes. Edits are those of `annotations_survive.py`; here a second program edits
after each kill. Goes on where it was stopped. Needs a system with fork and SIGKILL.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from annotations_survive import edit_once
from PIL import Image
from reporting import keep_rows, kept_rows, parser, report

from napari_attmil.cells.annotations import FILE_NAME, AnnotationFile
from napari_attmil.cli import app
from napari_attmil.core import UserError
from napari_attmil.session import Session
from napari_attmil.workflows import open_cohort

SEED = 7
EDITS = 60
IMPORTED_BOXES = 400
SIZE = (900, 900)
KNOWN = (".napari-attmil-export.json", ".napari-attmil")
"""Hidden files that belong to a study or an export."""
UNFINISHED = ".attmil-unfinished"
"""In names that are removed after a day."""


@dataclass
class Job:
    """A command, what it works on, and what counts as its result."""

    name: str
    run: Callable[[Path], None]
    """In a folder with the studies `mine` and `theirs` and the file `boxes.json`."""
    result: Callable[[Path], object]


def edited(folder: Path, seed: int, edits: int = EDITS) -> None:
    """Edit the boxes of a study at random."""
    cohort, session = open_cohort(folder), Session()
    session.open_cohort(cohort, AnnotationFile.beside(folder))
    session.show(cohort.samples[0])
    rng = np.random.default_rng(seed)
    for _ in range(edits):
        edit_once(session, rng)


def make(folder: Path) -> None:
    """Write a study, another person's copy of it with edits of both, and boxes to import."""
    mine, rng = folder / "mine", np.random.default_rng(SEED)
    for sample in ("s1", "s2"):
        (mine / sample).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            Image.new("L", SIZE, 128).save(mine / sample / name)
    edited(mine, SEED)
    shutil.copytree(mine, folder / "theirs")
    edited(mine, SEED + 1)
    edited(folder / "theirs", SEED + 2)
    corners = rng.uniform(0, 860, (IMPORTED_BOXES, 2)).round().tolist()
    content = {
        "images": [{"id": 1, "file_name": "s2/a.png"}, {"id": 2, "file_name": "s1/b.png"}],
        "annotations": [
            {"id": n, "image_id": 1 + n % 2, "category_id": 1, "bbox": [*corner, 20, 20]}
            for n, corner in enumerate(corners)
        ],
        "categories": [{"id": 1, "name": "RBC"}],
    }
    (folder / "boxes.json").write_text(json.dumps(content))


def attmil(*arguments: object) -> None:
    """Run a command as the terminal does."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        app(list(map(str, arguments)), standalone_mode=False)


def boxes_in(study: Path, images: Path | None = None) -> dict[str, Any]:
    """Return all boxes of a study, and which images are reviewed, by sample."""
    cohort, file = open_cohort(images or study), study / FILE_NAME
    if images is not None:  # a merged file lies without its images
        there = study / "images"
        shutil.copytree(images, there, ignore=shutil.ignore_patterns("*.sqlite*"))
        shutil.copy(file, there / FILE_NAME)
        cohort, file = open_cohort(there), there / FILE_NAME
    found = AnnotationFile(file).read_all(cohort.samples)
    return {
        name: (
            sorted(map(tuple, each.boxes.xyxy.tolist())),
            sorted(map(tuple, each.deleted.xyxy.tolist())),
            sorted(each.reviewed),
        )
        for name, each in found.items()
    }


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files of an export."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and UNFINISHED not in path.name
    }


def damage(folder: Path) -> None:
    """Overwrite a third of the pages of my study's boxes, where they have not been already."""
    path = folder / "mine" / FILE_NAME
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(SEED)
    for page in rng.choice(np.arange(1, len(content) // 4096), len(content) // 12288, False):
        content[4096 * page : 4096 * (page + 1)] = bytes(4096)
    path.write_bytes(content)


def jobs() -> list[Job]:
    """Return the commands to kill."""

    def export(format_name: str, name: str) -> Job:
        def run(folder: Path) -> None:
            attmil("export", folder / "mine", "--format", format_name, "--out", folder / name)

        return Job(f"export {format_name}", run, lambda folder: outputs(folder, name))

    def outputs(folder: Path, name: str) -> object:
        out = folder / name
        return files_in(out) if out.is_dir() else out.read_bytes()

    def edit(folder: Path) -> None:
        edited(folder / "mine", SEED + 3, 20)

    def merge(folder: Path) -> None:
        attmil("merge", folder / "mine", folder / "theirs", "--out", folder / "joined")

    return [
        Job("edit", edit, lambda folder: boxes_in(folder / "mine").keys()),
        Job(
            "import",
            lambda folder: attmil("import", folder / "mine", folder / "boxes.json"),
            lambda folder: boxes_in(folder / "mine"),
        ),
        Job("merge", merge, lambda folder: boxes_in(folder / "joined", folder / "mine")),
        export("coco", "out.json"),
        export("voc", "voc"),
        export("yolo", "yolo"),
        export("imagej", "imagej"),
        Job(
            "repair",
            lambda folder: attmil("repair", folder / "mine"),
            lambda folder: boxes_in(folder / "mine"),
        ),
    ]


def killed(run: Callable[[Path], None], folder: Path, after_s: float) -> bool:
    """Run a command in another process and kill it then; return whether it had not ended."""

    def quietly() -> None:
        with contextlib.suppress(BaseException):
            run(folder)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=quietly)
    process.start()
    process.join(after_s)
    was_running = process.is_alive()
    process.kill()
    process.join()
    return was_running


def is_subset(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Return whether no box that was there is missing."""
    return all(set(boxes) <= set(now[name][0]) for name, (boxes, _, _) in before.items())


def trial(job: Job, template: Path, share: float, duration_s: float, wanted: object) -> list[str]:
    """Kill a command and run it again; return what went wrong, and "killed" if it was running."""
    faults = []
    # All runs are in one place, as journals and exports name it.
    folder = template.with_name("work")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    before = None if job.name == "repair" else boxes_in(folder / "mine")
    if killed(job.run, folder, share * duration_s):
        faults.append("killed")
    if before is not None:
        try:
            now = boxes_in(folder / "mine")
            if job.name in ("import", "edit"):
                lost = job.name == "import" and not is_subset(before, now)
            else:
                lost = now != before
            faults += ["lost"] * lost
        except UserError as error:
            print(job.name, f"{share:.2f}", "not read:", error, flush=True)
            faults.append("unreadable")
    try:
        job.run(folder)
    except Exception as error:
        # A merge that was put in place before it was killed is not made twice.
        if job.name != "merge" or not (folder / "joined" / "conflicts.csv").exists():
            print(job.name, f"{share:.2f}", "blocked:", error, flush=True)
            return [*faults, "blocked"]
    try:
        if job.result(folder) != wanted:
            print(job.name, f"{share:.2f}", "another result", flush=True)
            faults.append("other")
    except UserError:
        faults.append("unreadable")
    names = [path.name for path in folder.rglob(".*") if UNFINISHED not in path.name]
    left = [name for name in names if not name.endswith(KNOWN)]
    if left:
        print(job.name, f"{share:.2f}", "left:", *left, flush=True)
    return [*faults, *["leftovers"] * bool(left)]


def count(found: list[list[str]], fault: str) -> int:
    """Return how many trials had a fault."""
    return sum(fault in each for each in found)


def measure(job: Job, template: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Kill a command at moments that are spread over the time it takes."""
    folder = template.with_name("work")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    # Before it is timed: what it imports is then there in every process that is killed.
    job.run(folder)
    wanted = job.result(folder)
    durations = []
    for _ in range(3):
        shutil.rmtree(folder)
        shutil.copytree(template, folder)
        start = time.perf_counter()
        killed(job.run, folder, 60.0)
        durations.append(time.perf_counter() - start)
    found: list[list[str]] = []
    # A command may have ended before its moment, where the machine is quicker than it was.
    while (done := count(found, "killed")) < kills and len(found) < 4 * kills:
        share = (done + rng.random()) / kills
        found.append(trial(job, template, share, sorted(durations)[1], wanted))
    return {
        "command": job.name,
        "takes s": sorted(durations)[1],
        "runs": len(found),
        "killed": count(found, "killed"),
        "lost": count(found, "lost"),
        "unreadable": count(found, "unreadable"),
        "blocked": count(found, "blocked"),
        "another result": count(found, "other"),
        "hidden files left": count(found, "leftovers"),
    }


def main() -> None:
    """Run it."""
    options = parser(__doc__ or "")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--only", help="a command")
    arguments = options.parse_args()
    rng, rows = random.Random(SEED), kept_rows(arguments.out)
    rows = [row for row in rows if row["command"] != "all"]
    known = {row["command"] for row in rows}
    chosen = [job for job in jobs() if arguments.only in (None, job.name)]
    with tempfile.TemporaryDirectory() as name:
        sound, spoilt = Path(name, "sound"), Path(name, "spoilt")
        make(sound)
        shutil.copytree(sound, spoilt)
        damage(spoilt)
        for job in (job for job in chosen if job.name not in known):
            template = spoilt if job.name == "repair" else sound
            rows.append(measure(job, template, arguments.kills // len(chosen), rng))
            keep_rows(rows, arguments.out)
            print(rows[-1], flush=True)
    counts = [key for key in rows[0] if key not in ("command", "takes s")]
    rows.append({"command": "all"} | {key: sum(row[key] for row in rows) for key in counts})
    report("Commands that were killed and run again", rows, arguments.out)


if __name__ == "__main__":
    main()
