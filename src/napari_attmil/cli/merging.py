"""The command that joins two people's annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil import workflows
from napari_attmil.cli.options import PlaneOptions
from napari_attmil.cli.terminal import open_labelled_cohort, say
from napari_attmil.core import counted


def merge(
    mine: Annotated[Path, typer.Argument(help="Folder of the study, with its images.")],
    theirs: Annotated[
        Path,
        typer.Argument(help="Folder of another person's copy; it need not contain the images."),
    ],
    out: Annotated[Path, typer.Option(help="New folder for the joined annotations.")],
    planes: PlaneOptions,
) -> None:
    """Join two people's annotations of one study; neither copy is changed.

    Edits made in both copies appear once. Where the two disagree, both boxes are kept, the image is
    open for review again, and the conflict is listed here and in conflicts.csv.
    """
    from napari_attmil.cells.annotations import FILE_NAME

    samples = open_labelled_cohort(mine, planes).samples
    merged = workflows.merge_studies(samples, mine, theirs, out)
    taken_over = sum(sample.taken_over for sample in merged)
    found = sum(len(sample.conflicts) for sample in merged)
    edits, conflicts = counted(taken_over, "edit"), counted(found, "conflict")
    print(f"{edits} taken over, {conflicts}; written to {out / FILE_NAME}")
    for sample in merged:
        titles = sample.sample.image_titles()
        for conflict in sample.conflicts:
            place = f"{sample.sample.name}, {titles[conflict.image_index]}"
            print(f"{place}: {conflict.reason} (cells {workflows.ids(conflict)})")
    say(f"Put {FILE_NAME} into a copy of the study to go on from there.")
