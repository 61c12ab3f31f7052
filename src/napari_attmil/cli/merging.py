"""The command that joins two people's annotations."""

from __future__ import annotations

import csv
from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil.cli.terminal import open_labelled_cohort, say
from napari_attmil.core import counted, write_atomically

if TYPE_CHECKING:
    from napari_attmil.cells.annotations import Conflict, SampleMerged

COLUMNS = ("sample", "image", "page", "reason", "cell_ids")
_Row = tuple[str, str, int, str, str]


def merge(
    mine: Annotated[Path, typer.Argument(help="Folder of the study, with its images.")],
    theirs: Annotated[
        Path,
        typer.Argument(help="Folder of another person's copy; it need not contain the images."),
    ],
    out: Annotated[Path, typer.Option(help="New folder for the joined annotations.")],
) -> None:
    """Join two people's annotations of one study; neither copy is changed.

    Edits made in both copies appear once. Where the two disagree, both boxes are kept, the image is
    open for review again, and the conflict is listed here and in conflicts.csv.
    """
    from napari_attmil.cells.annotations import FILE_NAME, merge_files

    samples = open_labelled_cohort(mine).samples
    files = mine / FILE_NAME, theirs / FILE_NAME, out / FILE_NAME
    steps = merge_files(*files, samples)
    merged = list(islice(steps, len(samples)))
    rows = [row for sample in merged for row in _conflict_rows(sample)]
    _write_conflicts(out, rows)
    # Only the end of the merge puts its file in place: one that is killed can be run again.
    deque(steps, maxlen=0)
    taken_over = sum(sample.taken_over for sample in merged)
    edits, conflicts = counted(taken_over, "edit"), counted(len(rows), "conflict")
    print(f"{edits} taken over, {conflicts}; written to {out / FILE_NAME}")
    for sample in merged:
        titles = sample.sample.image_titles()
        for conflict in sample.conflicts:
            place = f"{sample.sample.name}, {titles[conflict.image_index]}"
            print(f"{place}: {conflict.reason} (cells {_ids(conflict)})")
    say(f"Put {FILE_NAME} into a copy of the study to go on from there.")


def _write_conflicts(folder: Path, rows: list[_Row]) -> None:
    with (
        write_atomically(folder / "conflicts.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([COLUMNS, *rows])


def _conflict_rows(merged: SampleMerged) -> list[_Row]:
    sample, rows = merged.sample, []
    for conflict in merged.conflicts:
        frame = sample.frames[conflict.image_index]
        rows.append((sample.name, str(frame.path), frame.page + 1, conflict.reason, _ids(conflict)))
    return rows


def _ids(conflict: Conflict) -> str:
    return " ".join(map(str, conflict.cell_ids))
