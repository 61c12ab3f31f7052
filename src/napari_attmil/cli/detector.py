"""Commands about the detector: fit it to one's own images, and which of them to look at next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.checkpoints import check_writable
from napari_attmil.cli.options import DeviceName, Seed, Weights, app
from napari_attmil.settings import FinetuneSettings
from napari_attmil.terminal import follow, open_labelled_cohort, say

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.cells.augmentation import LabelledImage
    from napari_attmil.cells.finetuning import FinetuneProgress

DEFAULTS = FinetuneSettings()
NO_BOXES = (
    "No image has boxes yet: find the cells in napari (panel Annotate), or with `attmil detect`, "
    "whose table `attmil import` brings into the project."
)


@app.command()
def finetune(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PROJECT|COCO.JSON",
            help="A cohort with reviewed images, or a COCO file, of which all images count.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Model file to write.", show_default=False)],
    weights: Weights = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = DEFAULTS.steps,
    minutes: Annotated[float, typer.Option(help="Minutes at most.")] = DEFAULTS.minutes,
    seed: Seed = 0,
    device: DeviceName = "auto",
) -> None:
    """Fit the detector to reviewed images; Ctrl+C keeps the best weights so far."""
    check_writable(out)
    settings = FinetuneSettings.checked(steps=steps, minutes=minutes, seed=seed)
    images, project = _reviewed(source)
    from napari_attmil.cells.finetuning import finetune as fine_tuning
    from napari_attmil.device import choose_device

    tuning = fine_tuning(images, settings, out, choose_device(device), weights, project)
    last = None
    try:
        for last in follow("Fine-tuning", tuning, _detail):
            if last.note:
                say(last.note)
    except KeyboardInterrupt:
        say("Stopped; the best weights so far are kept, and the same command goes on from there.")
    if last is not None and last.written:
        print(f"Detector written to {out}")


@app.command()
def queue(
    project: Annotated[
        Path, typer.Argument(help="A cohort whose cells were detected.", show_default=False)
    ],
    limit: Annotated[int, typer.Option(min=1, help="Images to name.")] = 20,
) -> None:
    """Name the images to review next, the one that the detector is least sure of first.

    A line has the doubt, the file, and the page within it, from 1.
    """
    from napari_attmil.cells.project import AnnotationFile
    from napari_attmil.cells.queue import doubts, rank_images

    cohort = open_labelled_cohort(project)
    kept = AnnotationFile.beside(cohort.folder).read_all(cohort.samples)
    waiting = [
        (f"{frame.path}\t{frame.page + 1}", _scores(kept[sample.name].boxes.of_image(index)))
        for sample in cohort.samples
        if sample.name in kept
        for index, frame in enumerate(sample.frames)
        if index not in kept[sample.name].reviewed
    ]
    if not waiting:
        say("No image is waiting: all with boxes are reviewed." if kept else NO_BOXES)
    scores = [score for _, score in waiting]
    doubt = doubts(scores)
    for place in rank_images(scores)[:limit]:
        print(f"{doubt[place]:.3f}\t{waiting[place][0]}")


def _scores(boxes: Boxes) -> npt.NDArray[np.float32]:
    """Return how sure each box is; one that a person has seen is."""
    return np.where(boxes.source == Source.MODEL, boxes.score, np.float32(1))


def _reviewed(source: Path) -> tuple[list[LabelledImage], Path]:
    """Return the images to learn from, and the folder that keeps how it is done."""
    from napari_attmil.cells.project import AnnotationFile
    from napari_attmil.cells.reviewed import read_coco, reviewed_images

    if source.suffix.lower() == ".json":
        return read_coco(source), source.parent
    cohort = open_labelled_cohort(source)
    return reviewed_images(cohort.samples, AnnotationFile.beside(cohort.folder)), cohort.folder


def _detail(step: FinetuneProgress) -> str:
    best = "" if step.best is None else f", best AP {step.best.ap:.3f}"
    return f"loss {step.loss:.2f}{best}"
