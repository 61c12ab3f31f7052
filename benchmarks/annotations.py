"""How long a large project takes to open, an image's boxes to come, and one edit to be on disk.

2,000 images with 50 boxes each, in samples of 20 images; asked for are 3 s, 300 ms (with the
drawing of the image, which is not measured here) and 50 ms. The viewer reads a study's boxes ahead,
on the thread that opens it, and copies the file on another one before a day's first edit.

    python benchmarks/annotations.py [--boxes 50] --out annotations.json
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import parser, report

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.images import Cohort, Frame, Sample
from napari_attmil.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES, IMAGES_PER_SAMPLE, BOXES_PER_IMAGE = 100, 20, 50
REPEATS = 11


def cohort_in(folder: Path) -> Cohort:
    """Return a cohort whose images need not be there: boxes alone are read."""
    samples = []
    for number in range(SAMPLES):
        frames = tuple(
            Frame(folder / f"s{number}" / f"{index}.tif") for index in range(IMAGES_PER_SAMPLE)
        )
        samples.append(Sample(f"s{number}", f"p{number}", None, frames))
    return Cohort(tuple(samples), folder)


def detections(rng: np.random.Generator) -> Boxes:
    """Return the boxes of one sample."""
    count = IMAGES_PER_SAMPLE * BOXES_PER_IMAGE
    corners = rng.uniform(0, 1000, (count, 2))
    image_index = np.repeat(np.arange(IMAGES_PER_SAMPLE), BOXES_PER_IMAGE)
    xyxy = np.concatenate([corners, corners + 30], axis=1)
    return Boxes.from_detections(image_index, xyxy, rng.uniform(0.5, 1, count))


def opened(folder: Path) -> Session:
    """Return a session with the project open and its first sample shown."""
    cohort = cohort_in(folder)
    session = Session()
    session.open_cohort(cohort, AnnotationFile.beside(folder))
    session.show(cohort.samples[0])
    return session


def medians(
    action: Callable[[Any], object], prepared: Callable[[int], Any] = lambda number: number
) -> dict[str, float]:
    """Return the median times of an action that is told its number, or what is made of it before.

    The first warms up.
    """
    wall, processor = [], []
    for repeat in range(REPEATS):
        given = prepared(repeat)
        start, start_processor = time.perf_counter(), time.thread_time()
        action(given)
        wall.append(time.perf_counter() - start)
        processor.append(time.thread_time() - start_processor)
    return {
        "median ms": 1000 * statistics.median(wall[1:]),
        "its own thread's ms": 1000 * statistics.median(processor[1:]),
    }


def read_ahead(folder: Path) -> AnnotationFile:
    """Return a file whose boxes are read."""
    file = AnnotationFile.beside(folder)
    file.read_ahead(cohort_in(folder).samples)
    return file


def on_a_new_day(folder: Path) -> Session:
    """Return a session whose first edit is the day's first."""
    session = opened(folder)
    for copy in folder.glob("*-backup-*"):
        copy.unlink()
    return session


def measure(folder: Path) -> list[dict[str, Any]]:
    """Fill a project, and return one row a step with its median and what is asked for."""
    session, rng = opened(folder), np.random.default_rng(0)
    for sample in cohort_in(folder).samples:
        session.show(sample)
        session.editor.merge(detections(rng))
    samples = cohort_in(folder).samples
    drawn: list[int] = []
    actions: dict[str, tuple[float, Callable[..., object], *tuple[Callable[[int], Any], ...]]] = {
        "open the project": (3000, lambda _: opened(folder)),
        "open it, its boxes read ahead": (
            300,
            lambda file: Session().open_cohort(cohort_in(folder), file),
            lambda _: read_ahead(folder),
        ),
        "show another sample's image: its boxes": (300, lambda n: session.show(samples[n])),
        "draw a box": (50, lambda n: drawn.append(session.editor.add(n % 20, [5, 5, 35, 35]))),
        "move a box": (50, lambda n: session.editor.move(drawn[n], [6, 6, 36, 36])),
        "mark an image as reviewed": (50, lambda n: session.editor.set_reviewed(n % 20, n < 20)),
        "undo": (50, lambda _: session.editor.undo()),
        "redo": (50, lambda _: session.editor.redo()),
        "read all boxes again": (3000, lambda _: AnnotationFile.beside(folder).read_all(samples)),
        "draw a day's first box": (
            50,
            lambda session: session.editor.add(0, [5, 5, 35, 35]),
            lambda _: on_a_new_day(folder),
        ),
    }
    boxes = SAMPLES * IMAGES_PER_SAMPLE * BOXES_PER_IMAGE
    return [
        {"step": name, "boxes": boxes, **medians(*action), "asked for ms": asked_ms}
        for name, (asked_ms, *action) in actions.items()
    ]


def main() -> None:
    """Run it."""
    global BOXES_PER_IMAGE
    options = parser(__doc__ or "")
    options.add_argument("--boxes", type=int, default=BOXES_PER_IMAGE, help="in each image")
    arguments = options.parse_args()
    BOXES_PER_IMAGE = arguments.boxes
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = measure(Path(folder))
    report("Annotations of 2,000 images", rows, arguments.out)


if __name__ == "__main__":
    main()
