"""The table of a study's samples, written for a spreadsheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_attmil.core import UserError
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

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.images import Cohort


@dataclass(frozen=True)
class SampleTable:
    """A table of samples as it was written.

    Attributes
    ----------
    path, backup
        The table, and the copy of the one that was there; None if there was none.
    images, fitted
        How many images there are, and how many the pattern of names fits.
    remarks
        What is still to be filled in.
    """

    path: Path
    backup: Path | None
    images: int
    fitted: int
    remarks: tuple[str, ...]


def write_sample_table(cohort: Cohort, out: Path | None = None, names: str = "") -> SampleTable:
    """Write the table of samples, patients and classes; one that is there keeps other columns.

    Parameters
    ----------
    cohort
        The study.
    out
        A CSV file; None for the study's own table.
    names
        Pattern of names with {sample}, {patient} or {class}; empty for none.

    Raises
    ------
    UserError
        If the file's name does not end in .csv, the pattern is wrong, or it cannot be written.
    """
    path = out or cohort.table or cohort.folder / COHORT_CSV
    if path.suffix.lower() != ".csv":
        raise UserError(f"{path} does not end in .csv; give the table a name that does.")
    rows = rows_of(cohort)
    others = other_rows(rows, path)
    rows = with_images(rows, unlisted_images((*rows, *others), cohort.folder))
    fitted = 0
    if names:
        rows, fitted = from_names(rows, names, cohort.folder)
    backup = write_whole_table(path, rows, others)
    count = sum(len(row.images) for row in rows)
    return SampleTable(path, backup, count, fitted, tuple(remarks(rows)))
