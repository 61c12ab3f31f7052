"""A cohort from a table: one row per image, with the columns image, sample, patient, label."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_attmil.core import Remedy, UserError, counted, reason_in_words
from napari_attmil.images.cohort import Cohort
from napari_attmil.images.folders import images_beside, make_sample
from napari_attmil.images.formats import is_image_folder
from napari_attmil.images.labels import known_label, notes_on_labels
from napari_attmil.images.text_tables import read_text, rows_of_table

if TYPE_CHECKING:
    from collections.abc import Collection

COHORT_CSV = "cohort.csv"
"""A file of this name in a cohort's folder describes the cohort; the folders are then ignored."""
COLUMNS = ("image", "sample", "patient", "label")


_LONGEST = 500
"""So many characters a name may have: paths are longer on no system that people work on."""


class _Row(NamedTuple):
    number: int
    image: str
    sample: str
    patient: str
    label: str


def open_csv(path: Path, images: Collection[Path] | None = None) -> Cohort:
    """Open the cohort that a CSV file describes, or what it says of some images by full paths.

    The columns image, sample, patient and label may be in any order, in upper or lower case, and
    among others; they are separated by commas, semicolons (Excel in much of Europe) or tabs. Paths
    are relative to the file, with forward or backward slashes. The encoding is UTF-8, or UTF-16 or
    Windows-1252 as Excel writes them. All images of a stack belong to the row's sample. A label may
    be empty, NA, n/a, unknown or ?: that of a patient whose class is not known. The notes tell how
    many images in the folder of a cohort.csv it does not list.

    Raises
    ------
    UserError
        If a column, another value or an image is missing, a patient has two labels, a sample has
        two patients, an image is in two samples, or the file cannot be read as a table.
    """
    written = _read_rows(path)
    if images is not None:
        written = [row for row in written if image_path(path.parent, row.image) in images]
    rows = [row._replace(label=known_label(row.label) or "") for row in written]
    _check_one(rows, path, "sample", "patient")
    _check_one(rows, path, "patient", "label")
    files, repeated = _files_by_sample(rows, path)
    first = {row.sample: row for row in reversed(rows)}
    samples = tuple(
        make_sample(name, first[name].patient, first[name].label or None, images)
        for name, images in files.items()
    )
    notes = [f"Rows that repeat an image were left out: {repeated}."] if repeated else []
    notes += notes_on_labels([label for _, label in {(r.sample, r.label): r for r in written}])
    # A table of another name describes images of any place, not those of its folder.
    is_whole = images is None and path.name == COHORT_CSV
    if is_whole and (left_out := images_beside(path.parent, chain(*files.values()))):
        notes.append(f"{counted(len(left_out), 'image')} in the folder not listed in {path.name}.")
    return Cohort(samples, path.parent, tuple(notes), path)


def _read_rows(path: Path) -> list[_Row]:
    """Read and check the table row by row; blank rows are ignored."""
    try:
        table = rows_of_table(read_text(path))
    except csv.Error as error:
        raise UserError(
            f"{path.name} cannot be read as a table ({reason_in_words(error)}); save it again "
            "as CSV (UTF-8).",
            Remedy.OPEN_IMAGES,
        ) from None
    if not table:
        raise UserError(
            f"{path.name} is empty; it needs columns {', '.join(COLUMNS)} and a row per "
            "image: add them.",
            Remedy.OPEN_IMAGES,
        )
    positions = _column_positions(table[0][1], path)
    rows = [_row(number, cells, positions, path) for number, cells in table[1:]]
    if not rows:
        raise UserError(
            f"{path.name} has a header but no rows; add a row for every image.", Remedy.OPEN_IMAGES
        )
    return rows


def _column_positions(header: list[str], path: Path) -> dict[str, int]:
    names = [name.casefold() for name in header]
    for column in COLUMNS:
        if names.count(column) != 1:
            trouble = "no column" if column not in names else "more than one column"
            raise UserError(
                f"{path.name} has {trouble} '{column}' (its columns: {', '.join(header)[:200]}); "
                f"give it one each of {', '.join(COLUMNS)}.",
                Remedy.OPEN_IMAGES,
            )
    return {column: names.index(column) for column in COLUMNS}


def _row(number: int, cells: list[str], positions: dict[str, int], path: Path) -> _Row:
    values = {name: "".join(cells[place : place + 1]) for name, place in positions.items()}
    for column, value in values.items():
        if not value and column != "label":
            raise UserError(
                f"{path.name}, row {number}: the column '{column}' is empty; fill it in or delete "
                "the row.",
                Remedy.OPEN_IMAGES,
            )
        if len(value) > _LONGEST:
            raise UserError(
                f"{path.name}, row {number}: the column '{column}' holds {len(value):,} "
                f"characters, more than {_LONGEST}; give a shorter name.",
                Remedy.OPEN_IMAGES,
            )
    return _Row(number, **values)


def _check_one(rows: list[_Row], path: Path, thing: str, attribute: str) -> None:
    """Refuse a sample with two patients, or a patient with two labels."""
    first: dict[str, _Row] = {}
    for row in rows:
        name, value = getattr(row, thing), getattr(row, attribute)
        before = first.setdefault(name, row)
        if not value and getattr(before, attribute):
            raise UserError(
                f"{path.name}, row {row.number}: the column '{attribute}' is empty, but {thing} "
                f"{name!r} has {getattr(before, attribute)!r} in row {before.number}; fill it in.",
                Remedy.OPEN_IMAGES,
            )
        if getattr(before, attribute) != value:
            raise UserError(
                f"{path.name}, row {row.number}: {thing} {name!r} has {attribute} {value!r}, but "
                f"{getattr(before, attribute)!r} in row {before.number}; a {thing} has one "
                f"{attribute}: correct a row, or use another name.",
                Remedy.OPEN_IMAGES,
            )


def _files_by_sample(rows: list[_Row], path: Path) -> tuple[dict[str, list[Path]], int]:
    """Return the image files of every sample, and how many rows repeat an image."""
    files: dict[str, list[Path]] = defaultdict(list)
    seen: dict[Path, _Row] = {}
    for row in rows:
        image = image_path(path.parent, row.image)
        before = seen.setdefault(image, row)
        if before.sample != row.sample:
            raise UserError(
                f"{path.name}, row {row.number}: image {row.image!r} is in sample {row.sample!r}, "
                f"but row {before.number} has it in {before.sample!r}; delete one.",
                Remedy.OPEN_IMAGES,
            )
        if before is row:
            files[row.sample].append(image)
    missing = [
        row
        for image, row in seen.items()
        if not os.path.isfile(image) and not is_image_folder(image)
    ]
    if missing:
        raise UserError(
            f"{path.name}, row {missing[0].number}: there is no image file {missing[0].image!r} in "
            f"'{path.parent}' ({len(missing)} of {len(seen)} images are missing); correct "
            "the path: paths are relative to the CSV file.",
            Remedy.OPEN_IMAGES,
        )
    return files, len(rows) - len(seen)


def image_path(folder: Path, name: str) -> Path:
    """Return the path of an image that a table in a folder lists, wherever it was written."""
    # Windows separates folders by backslashes.
    return Path(os.path.normpath(folder / name.replace("\\", "/")))
