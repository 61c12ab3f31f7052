"""How quick the review queue is with 2,000 images and 100,000 boxes.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/review_queue.py

Prints a table and writes JSON: opening the panel, the list's first drawing, one edit until list
and counts show it, marking an image and showing the next, another order. No detector is run. On a
busy machine the times until drawn grow with what else runs; those at work hardly do.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 9


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--boxes", type=int, default=50, help="in every image")
    parser.add_argument("--out", type=Path, default=Path("review_queue.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        figures = measure(Path(scratch) / "study", options.images, options.boxes)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ms until drawn, ms at work")
    for name, (until_drawn, at_work) in figures.items():
        print(f"{name:40s} {1000 * until_drawn:8.0f} {1000 * at_work:8.0f}")
    options.out.write_text(json.dumps(figures, indent=1), "utf-8")


def measure(folder: Path, images: int, boxes_per_image: int) -> dict[str, tuple[float, float]]:
    """Return seconds by what was done: until it was drawn, and those the main thread worked."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_attmil.session import QueueOrder, ReviewState

    cohort = write_study(folder, images)
    viewer = napari.Viewer()
    figures: dict[str, tuple[float, float]] = {}

    def timed(name: str, function: Callable[[], Any], repeats: int = 1) -> Any:
        taken = []
        for _ in range(repeats):
            start, at_work = time.perf_counter(), time.thread_time()
            result = function()
            QApplication.processEvents()
            taken.append((time.perf_counter() - start, time.thread_time() - at_work))
        until_drawn, worked = np.median(taken, axis=0)
        figures[name] = float(until_drawn), float(worked)
        return result

    _, bench = timed(
        "open the panel",
        lambda: viewer.window.add_plugin_dock_widget("napari-attmil", "Annotate cells"),
    )
    session = bench.context.session
    timed("open the study", lambda: bench.context.image_choice.use_cohort(cohort))
    fill(session, cohort, boxes_per_image)
    bench.context.image_choice.show_sample(cohort.samples[0].name)
    timed("read how all images stand", bench.reviewing.refresh)
    timed("reviewed, next image", bench.reviewing.mark_and_go_on, REPEATS)
    timed("one box added", lambda: session.editor.add(0, [10, 10, 40, 40]), REPEATS)
    session.select([session.boxes.cell_id[0]])
    timed("one box moved with a key", lambda: bench.tools.nudge("right", 1), REPEATS)
    every = frozenset(ReviewState)
    timed("order by doubt", lambda: bench.reviewing.arrange(QueueOrder.DOUBT, every))
    bench.close_panel()
    viewer.close()
    return figures


def write_study(folder: Path, images: int) -> Any:
    """Write images of 256 x 256 px, each a sample of its own."""
    import tifffile

    from napari_attmil.images import Cohort, open_sample

    folder.mkdir(parents=True)
    image = np.random.default_rng(0).integers(90, 160, (256, 256), dtype=np.uint8)
    for number in range(images):
        tifffile.imwrite(folder / f"image_{number:04d}.tif", image)
    return Cohort(tuple(open_sample(path) for path in sorted(folder.glob("*.tif"))), folder)


def fill(session: Any, cohort: Any, boxes_per_image: int) -> None:
    """Give every image boxes of a detector, in memory only: writing is measured elsewhere."""
    from napari_attmil.cells import Boxes

    rng = np.random.default_rng(1)
    session.open_cohort(cohort)
    for sample in cohort.samples:
        low = rng.uniform(0, 220, (boxes_per_image, 2))
        corners = np.concatenate([low, low + 30], axis=1)
        score = rng.uniform(0.5, 1, boxes_per_image)
        found = Boxes.from_detections(np.zeros(boxes_per_image), corners, score)
        session.editor.merge(found, key=session.key_of(sample.name))
    session.show(None)


if __name__ == "__main__":
    main()
