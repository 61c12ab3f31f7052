"""Commands that export, import, compare and check a study's boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil import workflows
from napari_attmil.cli.options import CohortPath, PlaneOptions
from napari_attmil.cli.terminal import open_labelled_cohort, say, shown
from napari_attmil.core import counted, write_json
from napari_attmil.workflows import check_outputs

if TYPE_CHECKING:
    from napari_attmil.cells.annotations import Annotations
    from napari_attmil.cells.exchange import ImportOutcome
    from napari_attmil.images import Cohort


def export_boxes(
    project: CohortPath,
    out: Annotated[
        Path,
        typer.Option(
            help="File (coco, coco-outlines, csv) or folder (voc, yolo, imagej, geojson, labels)."
        ),
    ],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            help="coco, csv, voc, yolo, imagej, geojson, or with the cells' outlines coco-outlines "
            "or labels.",
        ),
    ] = "coco",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files that this program did not write, too."),
    ] = False,
    *,
    planes: PlaneOptions,
) -> None:
    """Write a study's boxes for other programs, and say what the format cannot hold."""
    check_outputs([out], [project])
    cohort, annotated = _open_project(project, planes)
    plan = workflows.planned_export(cohort, annotated, out, format_name)
    plan.write(overwrite)
    boxes = counted(plan.box_count, "box", "boxes")
    print(f"{boxes} of {counted(plan.image_count, 'image')} written to {out}")
    for sentence in plan.notes:
        say(sentence)


def import_files(
    project: CohortPath,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="COCO, YOLO, Pascal VOC, CSV, CVAT or Label Studio files, masks or label images; "
            "folders and zip archives of them."
        ),
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Classes that are red cells, separated by commas.",
            show_default="those named like red cells",
        ),
    ] = None,
    reviewed: Annotated[
        bool,
        typer.Option(
            "--reviewed",
            help="A person has checked the files' images: they count as reviewed, and boxes of the "
            "detector alone that the files do not have are removed; not so images of which "
            "something is left out, other classes apart.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would come in, image by image; change nothing."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="JSON file for what came in, what was left out, and why.")
    ] = None,
    *,
    planes: PlaneOptions,
) -> None:
    """Merge other programs' boxes into a study; no box drawn by a person is changed or lost."""
    from napari_attmil.cells.annotations import boxes_beside
    from napari_attmil.cells.exchange import plan_import, read_boxes

    check_outputs([report], [project, *files])
    cohort = open_labelled_cohort(project, planes)
    found = read_boxes(files)
    names = workflows.class_words(classes or "")
    plan = shown(plan_import(cohort.samples, found, names), "Looking for the images")
    if reviewed:
        plan = plan.as_reviewed()
    _, outcome = plan.merged_into(workflows.annotations_of(cohort))
    for sentence in outcome.sentences():
        say(sentence)
    if report is not None:
        write_json(report, outcome.as_json())
    workflows.check_something_imported(outcome)
    if dry_run:
        _print_preview(outcome)
        return
    made_by = ", ".join(file.name for file in files)[:200]
    annotations = boxes_beside(cohort.folder, cohort.samples)
    print(plan.write(cohort.samples, annotations, made_by).in_words())


def _print_preview(outcome: ImportOutcome) -> None:
    """Print what would be imported, one line an image."""
    print("image\tin the file\tboxes\tadded\talready there\treviewed")
    for placed, counts in outcome.merged:
        frame = placed.sample.frames[placed.index]
        page = f", {frame.page_in_words}" if frame.page else ""
        reviewed = "yes" if placed.image.reviewed else "no"
        print(
            f"{frame.path}{page}\t{placed.image.name}\t{len(placed.image.boxes)}\t{counts.added}\t"
            f"{counts.already_there}\t{reviewed}"
        )
    say("Nothing was changed. " + outcome.in_words())


def agreement(
    first: CohortPath,
    second: Annotated[Path, typer.Argument(help="The other annotator's copy.")],
    planes: PlaneOptions,
) -> None:
    """Compare two annotators' boxes of the same images, image by image and overall."""
    from napari_attmil.cells.annotations import agreement_in_words, compare_annotators

    mine, theirs = _open_project(first, planes), _open_project(second, planes)
    for line in agreement_in_words(compare_annotators(mine[0], mine[1], theirs[0], theirs[1])):
        print(line)


def check(project: CohortPath, planes: PlaneOptions) -> None:
    """List boxes that are probably mistakes: tiny, huge, duplicate, or outside the image."""
    cohort, annotated = _open_project(project, planes)
    odd = workflows.odd_boxes_of(cohort, annotated)
    for box in odd:
        print(f"{box.sample}, {box.image}: box {box.cell_id} {box.reason}")
    boxes = counted(len(odd), "odd box", "odd boxes")
    say(f"{boxes} in {counted(len(annotated), 'sample')} with boxes.")


def _open_project(path: Path, planes: PlaneOptions) -> tuple[Cohort, dict[str, Annotations]]:
    """Return a cohort and the annotations of its samples, by the samples' names."""
    cohort = open_labelled_cohort(path, planes)
    return cohort, workflows.annotations_of(cohort)
