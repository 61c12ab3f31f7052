"""Commands about the detector: fit it to your own images, and which of them to review next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil.cells import FinetuneSettings
from napari_attmil.cli.options import DeviceName, ModelOut, Weights, option
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import open_labelled_cohort, say, say_device, say_study, shown
from napari_attmil.core import check_writable

DEFAULTS = FinetuneSettings()
NO_BOXES = (
    "No image has boxes yet: find the cells in napari (panel Annotate), or with `attmil detect`, "
    "whose table `attmil import` brings into the project."
)


def finetune(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PROJECT|COCO.JSON",
            help="A cohort with reviewed images, or a COCO file, all images of which are used.",
        ),
    ],
    out: ModelOut,
    weights: Weights = None,
    steps: Annotated[int, option(FinetuneSettings, "steps")] = DEFAULTS.steps,
    minutes: Annotated[float, option(FinetuneSettings, "minutes")] = DEFAULTS.minutes,
    seed: Annotated[int, option(FinetuneSettings, "seed")] = DEFAULTS.seed,
    device: DeviceName = "auto",
) -> None:
    """Fit the detector to reviewed images; Ctrl+C keeps the best weights so far."""
    from napari_attmil.workflows import Study, finetune_images, finetune_study

    check_outputs([out], [source, weights])
    check_writable(out)
    settings = FinetuneSettings.checked(steps=steps, minutes=minutes, seed=seed)
    say_device(device)
    if source.suffix.lower() == ".json":
        from napari_attmil.cells.finetuning import read_labelled_images

        images = read_labelled_images(source)
        stage = finetune_images(images, settings, device, out, weights, source.parent)
    else:
        study = Study.of(open_labelled_cohort(source), weights)
        check_outputs([out], [study.detector_path])
        say_study(study)
        stage = finetune_study(study, settings, device, out)
    tuning = shown(stage)
    if not tuning.is_finished:
        say("Stopped; the best weights so far are kept, and the same command goes on from there.")
    if tuning.last is not None and tuning.last.written:
        print(f"Detector written to {out}")


def queue(
    project: Annotated[Path, typer.Argument(help="A cohort whose cells were detected.")],
    limit: Annotated[int, typer.Option(min=1, help="Most images to name.")] = 20,
) -> None:
    """Name the images to review next, beginning with the one the detector is least sure of.

    Each line has the doubt, the file, and the page within it, counted from 1. Images in which
    nobody has looked for cells are not named.
    """
    import numpy as np

    from napari_attmil.cells.annotations import AnnotationFile, uncertainties
    from napari_attmil.session import OPEN_STATES, SampleState, entries_of

    cohort = open_labelled_cohort(project)
    annotated = AnnotationFile.beside(cohort.folder).read_all(cohort.samples)
    samples = {sample.name: sample for sample in cohort.samples if sample.name in annotated}
    waiting = [
        entry
        for name, sample in samples.items()
        for entry in entries_of(sample, SampleState.of(annotated[name]))
        if entry.state in OPEN_STATES
    ]
    if not waiting:
        say("No image is waiting: all with boxes are reviewed." if annotated else NO_BOXES)
    doubt = uncertainties([entry.scores for entry in waiting])
    for place in np.argsort(-doubt, kind="stable")[:limit]:
        entry = waiting[place]
        frame = samples[entry.sample].frames[entry.image_index]
        print(f"{doubt[place]:.3f}\t{frame.path}\t{frame.page + 1}")
