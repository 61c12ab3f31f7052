"""Commands about the detector: fit it to your own images, and which of them to review next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil import workflows
from napari_attmil.cells import FinetuneSettings
from napari_attmil.cli.options import DeviceName, ModelOut, PlaneOptions, option
from napari_attmil.cli.terminal import open_labelled_cohort, say, say_device, say_study, shown
from napari_attmil.core import check_writable, counted
from napari_attmil.workflows import check_outputs

if TYPE_CHECKING:
    from napari_attmil.cells.finetuning import FinetuneProgress
    from napari_attmil.workflows import Study

HoldOutNames = Annotated[
    list[str] | None,
    typer.Option(
        metavar="IMAGE",
        help="Image to test the detector on instead of learning from it, as a path within the "
        "study; repeat it for several. Kept with the study. Chosen automatically if not given.",
    ),
]
DEFAULTS = FinetuneSettings()
NO_BOXES = (
    "No image has boxes yet: find the cells in napari (panel “Annotate cells”), or with `attmil "
    "detect`, whose table `attmil import` brings into the study."
)


def finetune(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PROJECT|COCO.JSON",
            help="A study with reviewed images, or a COCO file, all images of which are used.",
        ),
    ],
    out: ModelOut,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Model file of the detector to begin with; one that an installed package offers "
            "cannot be fitted.",
            show_default="the one in use in the study, otherwise the built-in one",
        ),
    ] = None,
    steps: Annotated[int, option(FinetuneSettings, "steps")] = DEFAULTS.steps,
    minutes: Annotated[float, option(FinetuneSettings, "minutes")] = DEFAULTS.minutes,
    seed: Annotated[int, option(FinetuneSettings, "seed")] = DEFAULTS.seed,
    hold_out: HoldOutNames = None,
    device: DeviceName = "auto",
    *,
    planes: PlaneOptions,
) -> None:
    """Fit the detector to reviewed images; Ctrl+C keeps the best weights so far.

    Some images are held out to test the detector before and after. The new one is written even if
    it is no better, which is then said.
    """
    from napari_attmil.cells.detection import check_can_be_fitted
    from napari_attmil.workflows import Study, finetune_images, finetune_study

    check_outputs([out], [source, weights])
    check_can_be_fitted(weights)
    check_writable(out)
    settings = FinetuneSettings.checked(steps=steps, minutes=minutes, seed=seed)
    say_device(device)
    if source.suffix.lower() == ".json":
        from napari_attmil.cells.finetuning import read_labelled_images

        images = read_labelled_images(source)
        _hold_out(source.parent, hold_out, [image.name for image in images])
        stage = finetune_images(images, settings, device, out, weights, source.parent)
    else:
        study = Study.of(open_labelled_cohort(source, planes), weights)
        check_outputs([out], [study.detector_path])
        check_can_be_fitted(study.detector_path)
        say_study(study)
        _check(study, device, hold_out)
        stage = finetune_study(study, settings, device, out)
    tuning = shown(stage)
    if not tuning.is_finished:
        say("Stopped; the best weights so far are kept, and the same command goes on from there.")
    if tuning.last is not None and tuning.last.written:
        _tell(tuning.last, out)


def _hold_out(folder: Path, asked: list[str] | None, images: list[str]) -> None:
    """Keep with a study which of its images a person wants to be held out."""
    if asked:
        from napari_attmil.cells.finetuning import choose_held_out

        choose_held_out(folder, asked, images)


def _check(study: Study, device: str, hold_out: list[str] | None) -> None:
    """Name the reviewed images in which clear cells have no box, before the long work."""
    from napari_attmil.cells.finetuning import training_folder
    from napari_attmil.workflows import check_reviewed

    checked = shown(check_reviewed(study, device)) or []
    for image in checked:
        if len(image.without_box):
            cells = counted(len(image.without_box), "clear cell has", "clear cells have")
            say(f"{image.name}: {cells} no box; correct it first if they are cells.")
    if checked:
        names = [image.name for image in checked]
        _hold_out(training_folder(study.cohort.folder), hold_out, names)


def _tell(last: FinetuneProgress, out: Path) -> None:
    """Print what became of the held-out images' cells, and where the detector is."""
    from napari_attmil.cells.finetuning import outcomes_in_words

    for line in outcomes_in_words(last.looks):
        print(line)
    print(f"Detector written to {out}")
    if last.before is not None and not last.is_better:
        say(f"It is no clear gain. To use it anyway, give it to a command: --weights {out}")


def queue(
    project: Annotated[Path, typer.Argument(help="A study whose cells were detected.")],
    limit: Annotated[int, typer.Option(min=1, help="Most images to name.")] = 20,
    *,
    planes: PlaneOptions,
) -> None:
    """Name the images to review next, beginning with the one the detector is least sure of.

    Each line has the doubt, the file, and the page within it, counted from 1. Images in which
    nobody has looked for cells are not named.
    """
    cohort = open_labelled_cohort(project, planes)
    annotated = workflows.annotations_of(cohort)
    waiting = workflows.waiting_images(cohort, annotated)
    if not waiting:
        say("No image is waiting: all with boxes are reviewed." if annotated else NO_BOXES)
    for image in waiting[:limit]:
        print(f"{image.doubt:.3f}\t{image.frame.path}\t{image.frame.page_in_file + 1}")
