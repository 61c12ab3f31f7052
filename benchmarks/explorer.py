"""How long the explorer takes with 100,000 cells over 400 images.

xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/explorer.py --out explorer.json

Prints milliseconds until the screen shows the change. The images are noise, the attention random:
what is timed does not look at them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES, CELLS_PER_IMAGE, SIDE_PX = 400, 250, 512
REPEATS = 5


def main() -> None:
    """Time all steps, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = scratch
        figures = measure(options.images)
    for name, milliseconds in figures.items():
        print(f"{milliseconds:9.0f} ms  {name}")
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2), "utf-8")


def measure(images: int) -> dict[str, float]:
    """Return milliseconds by step."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    viewer.add_image(np.broadcast_to(noise, (images, SIDE_PX, SIDE_PX)), name="blood")
    figures: dict[str, float] = {}

    def opened() -> Any:
        return viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")[1]

    explorer, figures["open the panel, no cells yet"] = timed(opened)
    _, figures["first drawing of all boxes"] = timed(lambda: fill(explorer.context.session, rng))
    time_exploring(explorer, figures)
    time_frames(viewer, explorer, figures)
    explorer.close_panel()
    viewer.close()
    return figures


def fill(session: Any, rng: np.random.Generator) -> None:
    """Give the session classified cells."""
    from napari_attmil.bags.classifier import Prediction
    from napari_attmil.cells.boxes import Boxes
    from napari_attmil.loaded_classifier import LoadedClassifier

    images = len(session.sample)
    count = images * CELLS_PER_IMAGE
    corner = rng.uniform(0, SIDE_PX - 40, (count, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(25, 40, (count, 2))], axis=1)
    image_index = np.repeat(np.arange(images), CELLS_PER_IMAGE)
    session.merge(Boxes.from_detections(image_index, xyxy, rng.random(count)))
    attention = rng.random(count) ** 4
    prediction = Prediction(
        session.sample.name,
        ("healthy", "sickle"),
        np.array([0.3, 0.7], dtype=np.float32),
        session.boxes.cell_id,
        (attention / attention.sum()).astype(np.float32),
        rng.normal(size=(count, 2)).astype(np.float32),
    )
    never_asked: Any = SimpleNamespace(classes=prediction.classes)
    session.use_classifier(LoadedClassifier(never_asked, "stand-in"))
    session.set_prediction(prediction, session.boxes)


def time_exploring(explorer: Any, figures: dict[str, float]) -> None:
    """Time tabs, colours, filter and gallery."""
    exploration, gallery = explorer.context.exploration, explorer.gallery
    for name in ("gallery", "table", "map", "colours"):
        tab = getattr(explorer, name)

        def show(tab: Any = tab) -> None:
            explorer.show_tab(tab)
            settle_until(lambda: not tab._is_stale)

        _, figures[f"first look at the tab {name}"] = timed(show)
    shares = iter(np.linspace(0.1, 0.9, 2 * REPEATS))
    figures["recolour: move the range"] = median(
        lambda: exploration.colour(low=float(next(shares)))
    )
    maps = iter(["viridis", "paper"] * REPEATS)
    figures["recolour: another map"] = median(lambda: exploration.colour(colour_map=next(maps)))
    explorer.show_tab(gallery)
    limits = iter(np.linspace(0.1, 0.9, 2 * REPEATS))
    figures["filter the gallery"] = median(
        lambda: exploration.set_filter(f"score > {next(limits)}")
    )
    exploration.set_filter("")
    settle(0.5)
    bar = gallery._view.verticalScrollBar()
    places = iter(np.linspace(0, bar.maximum(), 4 * REPEATS).astype(int).tolist())
    figures["scroll the gallery, per step"] = median(lambda: bar.setValue(next(places)))


def time_frames(viewer: Any, explorer: Any, figures: dict[str, float]) -> None:
    """Time the change to another image, and a flight to a cell."""
    frames = iter(range(1, 4 * REPEATS))
    figures["show another image with its boxes"] = median(
        lambda: viewer.dims.set_point(0, next(frames))
    )
    cells = explorer.context.session.boxes.cell_id
    ids = iter(cells[:: len(cells) // (2 * REPEATS)].tolist())
    figures["fly to a cell"] = median(lambda: explorer.context.cells.show_cell(next(ids)))


def median(step: Callable[[], Any]) -> float:
    """Return the median milliseconds of a repeated step, drawing included."""
    return float(np.median([timed(step)[1] for _ in range(REPEATS)]))


def timed(step: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a step returns, and the milliseconds until its change is drawn."""
    from qtpy.QtWidgets import QApplication

    settle(0.3)
    began = time.perf_counter()
    outcome = step()
    for _ in range(3):  # what an event starts is drawn within the next round
        QApplication.processEvents()
    return outcome, 1000 * (time.perf_counter() - began)


def settle(seconds: float) -> None:
    """Let Qt work for a while."""
    settle_until(lambda: False, seconds)


def settle_until(is_done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Let Qt work until something is done."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not is_done() and time.monotonic() < end:
        QApplication.processEvents()


if __name__ == "__main__":
    main()
