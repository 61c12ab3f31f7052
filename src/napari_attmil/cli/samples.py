"""The command that writes the table of a study's samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil.cli.terminal import open_labelled_cohort, say
from napari_attmil.core import UserError


def samples(
    cohort: Annotated[Path, typer.Argument(help="A folder of images, or its cohort.csv.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="CSV file to write.", show_default="cohort.csv in the folder"),
    ] = None,
    names: Annotated[
        str,
        typer.Option(
            help="Pattern of names with {sample}, {patient} or {class}, * and **, for instance "
            "'{class}/**' or '{patient}_*'. With / it is compared with the path in the study, "
            "otherwise with the file's name.",
        ),
    ] = "",
) -> None:
    """Write the table of samples, patients and classes, to be filled in with a spreadsheet.

    A table that is there keeps its other columns, and a copy of it is kept beside it.
    """
    from napari_attmil.images import (
        COHORT_CSV,
        from_names,
        other_rows,
        remarks,
        rows_of,
        unlisted_images,
        with_images,
        write_whole_table,
    )

    study = open_labelled_cohort(cohort)
    path = out or study.table or study.folder / COHORT_CSV
    if path.suffix.lower() != ".csv":
        raise UserError(f"{path} does not end in .csv; give the table a name that does.")
    rows = rows_of(study)
    others = other_rows(rows, path)
    rows = with_images(rows, unlisted_images((*rows, *others), study.folder))
    if names:
        rows, fitted = from_names(rows, names, study.folder)
        say(f"The pattern fits {fitted} of {sum(len(row.images) for row in rows)} images.")
    backup = write_whole_table(path, rows, others)
    print(f"Samples written to {path}")
    if backup is not None:
        print(f"The former table is kept as {backup}")
    for remark in remarks(rows):
        print(remark)
