"""The command that joins what two people annotated."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil.cli.terminal import open_labelled_cohort, say
from napari_attmil.core import counted, write_atomically

if TYPE_CHECKING:
    from napari_attmil.cells.annotations import Conflict, SampleMerged

COLUMNS = ("sample", "image", "page", "reason", "cell_ids")


def merge(
    mine: Annotated[
        Path, typer.Argument(help="Folder of the project, with its images.", show_default=False)
    ],
    theirs: Annotated[
        Path,
        typer.Argument(
            help="Folder of another person's copy; no images needed in it.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="New folder for the joined annotations.", show_default=False)
    ],
) -> None:
    """Join two people's annotations of one project; neither copy is changed.

    What both did is there once. Where they disagree, both boxes are kept, the image is open for
    review again, and the conflict is listed, here and in conflicts.csv.
    """
    from napari_attmil.cells.annotations import FILE_NAME, merge_files

    samples = open_labelled_cohort(mine).samples
    files = mine / FILE_NAME, theirs / FILE_NAME, out / FILE_NAME
    merged = list(merge_files(*files, samples))
    rows = [row for sample in merged for row in _conflict_rows(sample)]
    with (
        write_atomically(out / "conflicts.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([COLUMNS, *rows])
    taken_over = sum(sample.taken_over for sample in merged)
    told = f"{counted(taken_over, 'edit')} taken over, {counted(len(rows), 'conflict')}"
    print(f"{told}; written to {out / FILE_NAME}")
    for sample in merged:
        titles = sample.sample.image_titles()
        for conflict in sample.conflicts:
            place = f"{sample.sample.name}, {titles[conflict.image_index]}"
            print(f"{place}: {conflict.reason} (cells {_ids(conflict)})")
    say(f"Put {FILE_NAME} into a copy of the project to go on from there.")


def _conflict_rows(merged: SampleMerged) -> list[tuple[str, str, int, str, str]]:
    rows = []
    for conflict in merged.conflicts:
        frame = merged.sample.frames[conflict.image_index]
        rows.append(
            (merged.sample.name, str(frame.path), frame.page + 1, conflict.reason, _ids(conflict))
        )
    return rows


def _ids(conflict: Conflict) -> str:
    return " ".join(map(str, conflict.cell_ids))
