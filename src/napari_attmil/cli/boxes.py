"""Commands that export, import, compare and check a project's boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil.cli.options import CohortPath
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import open_labelled_cohort, say, shown
from napari_attmil.core import UserError, counted

if TYPE_CHECKING:
    from napari_attmil.cells.annotations import Annotations
    from napari_attmil.cells.exchange import ImportOutcome
    from napari_attmil.images import Cohort


def export_boxes(
    project: CohortPath,
    out: Annotated[Path, typer.Option(help="File (coco, csv) or folder (voc, yolo).")],
    format_name: Annotated[str, typer.Option("--format", help="coco, csv, voc or yolo.")] = "coco",
) -> None:
    """Write a project's boxes for other programs, and say what the format cannot hold."""
    from napari_attmil.cells.exchange import annotated_images, write_boxes

    check_outputs([out], [project])
    cohort, annotated = _open_project(project)
    images = annotated_images(cohort.samples, annotated, cohort.folder)
    if not images:
        raise UserError(
            f"There are no boxes yet in {cohort.folder}; draw some, detect cells, or import them."
        )
    sentence = write_boxes(out, images, format_name)
    boxes = counted(sum(len(image.boxes) for image in images), "box", "boxes")
    print(f"{boxes} of {counted(len(images), 'image')} written to {out}")
    say(sentence)


def import_files(
    project: CohortPath,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="COCO, YOLO, Pascal VOC, CSV, CVAT or Label Studio files, folders of them, masks "
            "or label images."
        ),
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Classes that are red cells, separated by commas.",
            show_default="those named like red cells",
        ),
    ] = None,
) -> None:
    """Merge other programs' boxes into a project; no box drawn by a person is changed or lost."""
    from napari_attmil.cells.annotations import AnnotationFile
    from napari_attmil.cells.exchange import import_boxes, only_cells, read_annotations

    cohort = open_labelled_cohort(project)
    found = read_annotations(files)
    names = [name.strip() for name in (classes or "").split(",") if name.strip()]
    images, others = only_cells(found.images, names)
    for note in found.notes:
        say(note)
    if others:
        counts = ", ".join(f"{count} of {name or 'no class'}" for name, count in others.items())
        say(f"Left out, as they are no red cells: {counts}.")
    annotations = AnnotationFile.beside(cohort.folder)
    made_by = ", ".join(file.name for file in files)[:200]
    steps = import_boxes(cohort.samples, annotations, images, made_by)
    outcome = shown(steps, "Importing")
    for note in outcome.notes:
        say(note)
    print(_summary(found.format_name, outcome))


def agreement(
    first: CohortPath,
    second: Annotated[Path, typer.Argument(help="The other annotator's copy.")],
) -> None:
    """Compare two annotators' boxes of the same images, image by image and overall."""
    from napari_attmil.cells.annotations import agreement_in_words, compare_annotators

    mine, theirs = _open_project(first), _open_project(second)
    for line in agreement_in_words(compare_annotators(mine[0], mine[1], theirs[0], theirs[1])):
        print(line)


def check(project: CohortPath) -> None:
    """List boxes that are probably mistakes: tiny, huge, duplicate, or outside the image."""
    from napari_attmil.cells.annotations import odd_boxes
    from napari_attmil.cells.exchange import size_of

    cohort, annotated = _open_project(project)
    odd = 0
    for sample in cohort.samples:
        if sample.name not in annotated:
            continue
        sizes, titles = [size_of(frame) for frame in sample.frames], sample.image_titles()
        for box in odd_boxes(annotated[sample.name].boxes, sizes):
            print(f"{sample.name}, {titles[box.image_index]}: box {box.cell_id} {box.reason}")
            odd += 1
    say(
        f"{counted(odd, 'odd box', 'odd boxes')} in {counted(len(annotated), 'sample')} with boxes."
    )


def _open_project(path: Path) -> tuple[Cohort, dict[str, Annotations]]:
    """Return a cohort and the annotations of its samples, by the samples' names."""
    from napari_attmil.cells.annotations import AnnotationFile

    cohort = open_labelled_cohort(path)
    return cohort, AnnotationFile.beside(cohort.folder).read_all(cohort.samples)


def _summary(format_name: str, outcome: ImportOutcome) -> str:
    counts = outcome.counts
    added = f"{counted(counts.added, 'box', 'boxes')} added in {counted(outcome.images, 'image')}"
    return (
        f"{format_name}: {added}; {counts.already_there} were there already or had been deleted, "
        f"{counts.overlapping} overlap with a person's box (both are kept), "
        f"{counts.replaced} of the detector's were replaced"
    )
