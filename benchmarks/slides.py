"""How a scan of a whole slide with 200,000 cells is opened, shown, searched and corrected.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/slides.py --out slides.json

The slide of 60,000 x 40,000 px is that of `whole_slide.py`, made first if `--slide` does not exist.
Prints seconds by the clock and those for which the program was at work: on a busy machine, or where
OpenGL is drawn by the processor, the former grow with what else runs. A frame is one step of the
view by 50 px of the screen; the same is timed with a plain image of 1,000 px, which is what napari
itself takes. Of the detection a region is timed, and by its parts the whole slide is judged.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from reporting import Measured, parser, report
from whole_slide import write_slide

from napari_attmil import workflows
from napari_attmil.cells import Boxes, DetectionSettings
from napari_attmil.core import StageRun
from napari_attmil.images import open_sample, read_images

ZOOMS: Final = (0.02, 0.05, 0.15, 0.5, 1.0, 2.0)
"""Pixels of the screen a pixel of the slide; all of it is seen at the first."""
FRAMES: Final = 30


def main() -> None:
    """Measure, print, and write."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--slide", type=Path, default=Path("slide.tif"))
    arguments.add_argument("--region", type=int, default=4000, help="side in pixels; 0 for none")
    arguments.add_argument("--no-window", action="store_true")
    given = arguments.parse_args()
    truth = given.slide.with_suffix(".npy")
    if not given.slide.exists():
        np.save(truth, write_slide(given.slide, 60_000, 40_000, 200_000))
    cells = np.load(truth)
    rows = [] if given.no_window else in_the_viewer(given.slide, cells)
    if given.region:
        rows += detection(given.slide, cells, given.region, given.device)
    report(f"A slide with {len(cells):,} cells", rows, given.out)


def in_the_viewer(slide: Path, cells: np.ndarray) -> list[dict[str, Any]]:
    """Return the figures of opening, moving and correcting."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        link = Path(scratch) / "slide.tif"
        link.symlink_to(slide.absolute())
        return _in_the_viewer(link, cells)


def _in_the_viewer(slide: Path, cells: np.ndarray) -> list[dict[str, Any]]:
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1280, 900)
    widget = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")[1]
    context, rows = widget.context, []
    plain = viewer.add_image(np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), np.uint8))
    shapes = viewer.add_shapes([np.array([[0, 0], [0, 9], [9, 9], [9, 0]])])  # compiled once
    draw(0.5)
    rows.append({"step": "a frame of a plain image", **frames(viewer, 1.0)})
    viewer.layers.remove(shapes)
    viewer.layers.remove(plain)
    with timed(rows, "open and show the slide"):
        context.image_choice.use_cohort(workflows.open_cohort(slide))
        draw()
    boxes = Boxes.from_detections(np.zeros(len(cells)), cells, np.full(len(cells), 0.9))
    with timed(rows, "take over all cells, write and show them"):
        context.session.editor.merge(boxes, (0,))
        draw()
    draw(1)
    size_um = context.session.sample.pixel_size_um
    for zoom in ZOOMS:
        viewer.scene.camera.center = (0, 20_000 * size_um, 30_000 * size_um)
        with timed(rows, f"look at {zoom:g} px of the screen a px"):
            viewer.scene.camera.zoom = zoom / size_um
            draw()
        draw(0.8)
        held = context.cells.layer.nshapes
        step = f"a frame at {zoom:g}, {held} boxes are shapes"
        rows.append({"step": step, **frames(viewer, zoom / size_um)})
    ids = context.session.boxes.cell_id
    with timed(rows, "show a cell"):
        context.cells.show_cell(int(ids[150_000]))
        draw()
    draw(0.8)
    with timed(rows, "delete it"):
        context.cells.delete_selected()
        draw()
    assert len(context.session.boxes) == len(cells) - 1
    with timed(rows, "take that back"):
        context.undo()
        draw()
    widget.close_panel()
    viewer.close()
    return rows


def draw(seconds: float = 0.0) -> None:
    """Let the program draw, and go on for some time."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    QApplication.processEvents()
    while time.monotonic() < end:
        time.sleep(0.005)
        QApplication.processEvents()


def frames(viewer: Any, zoom: float) -> dict[str, Any]:
    """Move the view step by step; return the median of a step."""
    camera, taken, worked = viewer.scene.camera, [], []
    camera.zoom = zoom
    draw(0.3)
    for _ in range(FRAMES):
        started, at_work = time.perf_counter(), time.process_time()
        _, y, x = camera.center
        camera.center = (0, y + 30 / zoom, x + 40 / zoom)
        draw()
        taken.append(time.perf_counter() - started)
        worked.append(time.process_time() - at_work)
    return {"s": float(np.median(taken)), "s at work": float(np.median(worked)), "MiB": _memory()}


@contextmanager
def timed(rows: list[dict[str, Any]], step: str) -> Iterator[None]:
    """Add a row with what a block takes."""
    started, at_work = time.perf_counter(), time.process_time()
    yield
    row = {"s": time.perf_counter() - started, "s at work": time.process_time() - at_work}
    rows.append({"step": step, **row, "MiB": _memory()})


def _memory() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


def detection(slide: Path, cells: np.ndarray, side: int, device: str) -> list[dict[str, Any]]:
    """Return the figures of a plan for the whole slide, and of a search in a region."""
    sample = open_sample(slide)
    images, settings = read_images(sample), DetectionSettings()
    planned = _measured(workflows.plan_cells(images, [0], settings, device))
    plan = planned.pop("result")
    low = np.array([20_000, 20_000])
    view = np.array([*low, *(low + side)], np.float32)
    searched = _measured(workflows.detect_cells(images, [0], settings, device, view=view))
    found = searched.pop("result").boxes
    centre = (cells[:, :2] + cells[:, 2:]) / 2
    there = int(np.count_nonzero(np.all((centre >= low) & (centre < low + side), axis=1)))
    return [
        {"step": f"plan: {plan.text}", **planned},
        {"step": f"{side} px: {len(found)} cells found, {there} there", **searched},
    ]


def _measured(stage: Any) -> dict[str, Any]:
    run, at_work = StageRun(stage), time.process_time()
    with Measured() as measured:
        for _ in run:
            pass
    taken = {"s": measured.seconds, "s at work": time.process_time() - at_work}
    return {**taken, "MiB above before": measured.peak_mib, "result": run.result}


if __name__ == "__main__":
    main()
