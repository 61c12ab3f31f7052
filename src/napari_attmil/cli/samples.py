"""The command that writes the table of a study's samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil import workflows
from napari_attmil.cli.options import PlaneOptions
from napari_attmil.cli.terminal import open_labelled_cohort, say


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
    planes: PlaneOptions,
) -> None:
    """Write the table of samples, patients and classes, to be filled in with a spreadsheet.

    A table that is there keeps its other columns, and a copy of it is kept beside it.
    """
    written = workflows.write_sample_table(open_labelled_cohort(cohort, planes), out, names)
    if names:
        say(f"The pattern fits {written.fitted} of {written.images} images.")
    print(f"Samples written to {written.path}")
    if written.backup is not None:
        print(f"The former table is kept as {written.backup}")
    for remark in written.remarks:
        print(remark)
