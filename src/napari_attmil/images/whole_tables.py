"""The table of a study of which only a part is open: the other samples stay in it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil.core import UserError
from napari_attmil.images.cohort_csv import COHORT_CSV, open_csv
from napari_attmil.images.cohort_table_file import write_cohort_csv
from napari_attmil.images.folders import make_sample
from napari_attmil.images.labels import known_label
from napari_attmil.images.sample_rows import Rows, SampleRow, rows_of, unlisted_images
from napari_attmil.images.trees import open_tree

if TYPE_CHECKING:
    from napari_attmil.images.cohort import Cohort


def as_listed(cohort: Cohort, highest: Path) -> Cohort:
    """Return a part of a study as the study's table lists its images.

    Parameters
    ----------
    cohort
        Images that were opened without a table.
    highest
        The folder up to which a cohort.csv is looked for, from the cohort's own upwards. The
        nearest is the table. Images that it does not list keep what they are, under names that it
        does not use.
    """
    own = Path(os.path.abspath(cohort.folder))
    folders = (folder for folder in (own, *own.parents) if folder.is_relative_to(highest))
    tables = (folder / COHORT_CSV for folder in folders)
    table = next((table for table in tables if os.path.isfile(table)), None)
    if cohort.table is not None or table is None:
        return cohort
    rows = rows_of(cohort)
    try:
        listed = open_csv(table, {Path(os.path.abspath(i)) for row in rows for i in row.images})
    except UserError as error:
        return replace(cohort, notes=(*cohort.notes, f"The table was not used: {error}"))
    if not listed.samples:
        return cohort
    others = _renamed(_without(rows, rows_of(listed)), rows_of(listed), own.name)
    samples = (make_sample(s, p, known_label(label), images) for s, p, label, images in others)
    return replace(
        cohort,
        samples=(*listed.samples, *samples),
        folder=table.parent,
        notes=(*cohort.notes, *listed.notes),
        table=table,
    )


def other_rows(rows: Rows, table: Path) -> Rows:
    """Return the samples that a table is to have beside some rows, though nobody opened them.

    They are those that it has already. A cohort.csv that is not there yet takes the place of its
    folder, so it is to have the folder's other images, as they would be opened without a table.
    """
    with contextlib.suppress(UserError):  # of a table: raised again when it is written
        if os.path.isfile(table):
            return _without(rows_of(open_csv(table)), rows)
        if table.name == COHORT_CSV and unlisted_images(rows, table.parent):
            return _without(rows_of(open_tree(table.parent)), rows)
    return ()


def write_whole_table(table: Path, rows: Rows, others: Rows) -> Path | None:
    """Write rows and the other samples of their study; return where a former file is kept.

    Parameters
    ----------
    table
        The file; see `write_cohort_csv`.
    rows
        Samples as a person gave them.
    others
        See `other_rows`; images that `rows` have by now are left out. In a new table, names that
        `rows` use for something else are put behind the folder's name.

    Raises
    ------
    UserError
        As `write_cohort_csv`.
    """
    rest = _without(others, rows)
    if not os.path.isfile(table):
        rest = _renamed(rest, rows, table.parent.name)
    return write_cohort_csv(table, (*rows, *rest))


def _without(others: Rows, rows: Rows) -> Rows:
    """Return samples without the images that are in some rows."""
    listed = {os.path.abspath(image) for row in rows for image in row.images}
    left = [
        row._replace(images=tuple(i for i in row.images if os.path.abspath(i) not in listed))
        for row in others
    ]
    return tuple(row for row in left if row.images)


def _renamed(others: Rows, rows: Rows, prefix: str) -> Rows:
    """Return samples under names that contradict none of the rows."""
    samples = {row.sample for row in rows}
    classes = {row.patient: known_label(row.label) for row in rows}

    def renamed(row: SampleRow) -> SampleRow:
        label = known_label(row.label)
        is_other = classes.get(row.patient, label) != label
        return row._replace(
            sample=f"{prefix}/{row.sample}" if row.sample in samples else row.sample,
            patient=f"{prefix}/{row.patient}" if is_other else row.patient,
        )

    return tuple(map(renamed, others))
