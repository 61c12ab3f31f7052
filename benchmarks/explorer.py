"""How long the explorer takes with 100,000 cells: one sample of 400 images, and a cohort.

xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/explorer.py --out explorer.json

Prints milliseconds until the screen shows the change, and those for which the program's own thread
was at work: on a busy machine the former grow with what else runs. The images are noise, the
attention random: what is timed does not look at them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS_PER_IMAGE, SIDE_PX, IMAGES_PER_SAMPLE = 250, 512, 10
REPEATS = 7
Figures = dict[str, tuple[float, float]]


def main() -> None:
    """Time all steps, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        figures = measure(options.images, Path(scratch) / "study")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ms until drawn, ms at work")
    for name, (until_drawn, at_work) in figures.items():
        print(f"{until_drawn:8.0f} {at_work:8.0f}  {name}")
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2), "utf-8")


def measure(images: int, folder: Path) -> Figures:
    """Return milliseconds by step, until drawn and at work."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    viewer.add_image(np.broadcast_to(noise, (images, SIDE_PX, SIDE_PX)), name="blood")
    figures: Figures = {}

    def opened() -> Any:
        return viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")[1]

    explorer, figures["open the panel"] = timed(opened)
    importlib.import_module("napari_attmil.bags.classifier")  # torch is not what is timed
    before = memory_mib()
    _, figures["100,000 cells come, first drawing"] = timed(
        lambda: fill(explorer.context.session, rng)
    )
    print(f"memory for the cells: {memory_mib() - before:.0f} MiB")
    time_exploring(explorer, figures)
    time_frames(viewer, explorer, figures)
    time_edits(explorer, figures)
    time_cohort(explorer, images, folder, figures)
    time_card(explorer, folder.with_name("simulated"), figures)
    explorer.close_panel()
    viewer.close()
    return figures


def fill(session: Any, rng: np.random.Generator, sample: str | None = None) -> None:
    """Give the shown sample of the session classified cells; or another one, by name."""
    from napari_attmil.session import LoadedClassifier

    images = len(session.sample) if sample is None else IMAGES_PER_SAMPLE
    key = session.key if sample is None else session.key_of(sample)
    count = images * CELLS_PER_IMAGE
    session.editor.merge(cells(images, rng), key=key)
    attention = rng.random(count) ** 4
    ids = np.arange(1, count + 1)
    prediction = prediction_of(ids, attention, rng)
    if session.predictions.classifier is None:
        never_asked: Any = SimpleNamespace(classes=prediction.classes)
        session.predictions.use(LoadedClassifier(never_asked, "stand-in"))
    boxes = session.boxes if sample is None else session.states_of_samples()[sample].boxes
    session.predictions.set(prediction, boxes, key)


def cells(images: int, rng: np.random.Generator) -> Any:
    """Return cells of 25 to 40 px anywhere."""
    from napari_attmil.cells import Boxes

    count = images * CELLS_PER_IMAGE
    corner = rng.uniform(0, SIDE_PX - 40, (count, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(25, 40, (count, 2))], axis=1)
    return Boxes.from_detections(
        np.repeat(np.arange(images), CELLS_PER_IMAGE), xyxy, rng.random(count)
    )


def prediction_of(ids: Any, attention: Any, rng: np.random.Generator) -> Any:
    """Return what a classifier of two classes could have said."""
    from napari_attmil.bags import Prediction

    return Prediction(
        "blood",
        ("healthy", "sickle"),
        np.array([0.3, 0.7], dtype=np.float32),
        ids,
        (attention / attention.sum()).astype(np.float32),
        rng.normal(size=(len(ids), 2)).astype(np.float32),
    )


def time_exploring(explorer: Any, figures: Figures) -> None:
    """Time tabs, colours, filter and gallery."""
    exploration, gallery = explorer.context.exploration, explorer.gallery
    for name in ("gallery", "table", "map", "colours"):
        look = partial(explorer.show_tab, getattr(explorer, name))
        figures[f"first look at the tab {name}"] = timed(look)[1]
    shares = iter(np.linspace(0.1, 0.9, REPEATS))
    figures["recolour: move the range"] = median(
        lambda: exploration.colour(low=float(next(shares)))
    )
    maps = iter(["viridis", "paper"] * REPEATS)
    figures["recolour: another map"] = median(lambda: exploration.colour(colour_map=next(maps)))
    explorer.show_tab(explorer.map)
    figures["recolour the points of the tab map"] = median(
        lambda: exploration.colour(colour_map=next(maps))
    )
    explorer.show_tab(gallery)
    limits = iter(np.linspace(0.1, 0.9, REPEATS))
    figures["filter the gallery"] = median(
        lambda: exploration.set_filter(f"score > {next(limits)}")
    )
    exploration.set_filter("")
    settle(0.5)
    time_scrolling(gallery, figures, "")


def time_scrolling(gallery: Any, figures: Figures, where: str) -> None:
    """Time steps over the whole gallery."""
    bar = gallery._view.verticalScrollBar()
    places = iter(np.linspace(0, bar.maximum(), REPEATS).astype(int).tolist())
    figures[f"scroll the gallery, per step{where}"] = median(lambda: bar.setValue(next(places)))


def time_frames(viewer: Any, explorer: Any, figures: Figures) -> None:
    """Time the change to another image, and a flight to a cell."""
    frames = iter(range(1, 4 * REPEATS))
    figures["show the next image with its 250 boxes"] = median(
        lambda: viewer.dims.set_point(0, next(frames))
    )
    ids = iter(explorer.context.session.boxes.cell_id[:: 250 * 40].tolist())
    figures["fly to a cell of another image"] = median(
        lambda: explorer.context.cells.show_cell(next(ids))
    )


def time_edits(explorer: Any, figures: Figures) -> None:
    """Time edits of the image shown."""
    session = explorer.context.session
    index = explorer.context.cells.camera.image_index()
    ids = iter(session.boxes.of_image(index).cell_id.tolist())
    figures["delete a box"] = median(lambda: session.editor.delete([next(ids)]))
    figures["undo"] = median(session.editor.undo)
    figures["draw a box"] = median(lambda: session.editor.add(index, [100, 100, 130, 130]))


def time_cohort(explorer: Any, images: int, folder: Path, figures: Figures) -> None:
    """Time the gallery of a cohort with as many cells."""
    from napari_attmil.session import WHOLE_COHORT

    context, rng = explorer.context, np.random.default_rng(1)
    cohort = write_cohort(folder, images // IMAGES_PER_SAMPLE)
    context.image_choice.use_cohort(cohort)
    for sample in cohort.samples:
        fill(context.session, rng, sample.name)
    context.image_choice.show_sample(cohort.samples[1].name)
    explorer.show_tab(explorer.gallery)
    exploration = context.exploration
    figures["gallery of the cohort"] = timed(lambda: exploration.set_scope(WHOLE_COHORT))[1]
    limits = iter(np.linspace(0.1, 0.9, REPEATS))
    figures["filter the gallery of the cohort"] = median(
        lambda: exploration.set_filter(f"score > {next(limits)}")
    )
    time_scrolling(explorer.gallery, figures, " of the cohort")
    names = iter([sample.name for sample in cohort.samples[2:]])
    figures["show another sample of the cohort"] = median(
        lambda: context.image_choice.show_sample(next(names))
    )


def time_card(explorer: Any, folder: Path, figures: Figures) -> None:
    """Time the card about a cell, of samples of some 400 cells with a classifier of their own."""
    context = explorer.context
    names = simulate_classified(context, folder)
    card = explorer.card_host

    def asked(name: str, cell: int) -> Any:
        return partial(context.exploration.ask_about, (name, cell))

    def complete(ask: Any) -> None:
        ask()
        while card.card is None or not card.card.facts.similar:
            settle(0.005)

    cells = len(context.session.boxes)
    figures[f"card: first content, {cells} cells"] = timed(asked(names[0], 5))[1]
    card.close_card()
    settle(2)
    card._on_classifier()  # nothing is kept
    figures["card: complete, first of its study"] = timed(lambda: complete(asked(names[0], 7)))[1]
    figures["card: complete, another cell"] = timed(lambda: complete(asked(names[0], 9)))[1]
    ids = iter(range(11, 11 + REPEATS))
    figures["card: another cell, first content"] = median(lambda: asked(names[0], next(ids))())


def simulate_classified(context: Any, folder: Path) -> list[str]:
    """Draw samples, train on them for a moment, classify them, and show the first."""
    from napari_attmil.bags import EnsembleSettings, MILSettings
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.core import StageRun, finished
    from napari_attmil.images import open_cohort
    from napari_attmil.simulation import SimulationSettings, simulate_cohort
    from napari_attmil.widgets.parts.graphics_clash import keep_triton_out
    from napari_attmil.workflows import classify_study, train_classifier

    keep_triton_out()  # as the panels' tasks do

    drawn = SimulationSettings(
        patients_per_class=2,
        samples_per_patient=1,
        images_per_sample=13,
        classes=("healthy", "sickle"),
    )
    finished(simulate_cohort(folder, drawn))
    context.image_choice.use_cohort(open_cohort(folder))
    study, detection = context.cohort_study(), DetectionSettings()
    ensemble = EnsembleSettings(members=5, calibrate=False)
    fast = MILSettings(epochs=2)
    trained = finished(train_classifier(study, fast, ensemble, detection, "cpu"))
    assert trained is not None
    context.session.predictions.use(trained.classifier)
    for step in StageRun(classify_study(study, trained.classifier.model, detection, "cpu")):
        if (done := step.detail) is not None:
            key = context.session.key_of(done.sample.name)
            context.session.editor.merge(done.boxes, key=key)
            context.session.predictions.set(done.prediction, done.boxes, key)
    names = [sample.name for sample in study.cohort.samples]
    context.image_choice.show_sample(names[0])
    return names


def write_cohort(folder: Path, samples: int) -> Any:
    """Write samples of ten images each."""
    import tifffile

    from napari_attmil.images import Cohort, open_sample

    noise = np.random.default_rng(0).integers(0, 255, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    for sample in range(samples):
        (folder / f"sample_{sample:03d}").mkdir(parents=True)
        for image in range(IMAGES_PER_SAMPLE):
            tifffile.imwrite(folder / f"sample_{sample:03d}" / f"{image}.tif", noise)
    return Cohort(tuple(open_sample(path) for path in sorted(folder.iterdir())), folder)


def median(step: Callable[[], Any]) -> tuple[float, float]:
    """Return the median milliseconds of a repeated step, until drawn and at work."""
    both = np.median([timed(step)[1] for _ in range(REPEATS)], axis=0)
    return float(both[0]), float(both[1])


def timed(step: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return what a step returns, and the milliseconds until its change is drawn and at work."""
    from qtpy.QtWidgets import QApplication

    settle(0.3)
    began, thread_began = time.perf_counter(), time.thread_time()
    outcome = step()
    for _ in range(3):  # what an event starts is drawn within the next round
        QApplication.processEvents()
    taken = time.perf_counter() - began, time.thread_time() - thread_began
    return outcome, (1000 * taken[0], 1000 * taken[1])


def settle(seconds: float) -> None:
    """Let Qt work for a while."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()


def memory_mib() -> float:
    """Return the program's memory."""
    return float(psutil.Process().memory_info().rss / 2**20)


if __name__ == "__main__":
    main()
