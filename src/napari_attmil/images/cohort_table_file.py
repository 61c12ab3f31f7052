"""Writes the table of a cohort's samples, so that nothing a person put into it is lost."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from napari_attmil.core import UserError, reason_in_words, write_atomically
from napari_attmil.images.cohort_csv import COLUMNS, image_path
from napari_attmil.images.labels import known_label
from napari_attmil.images.sample_rows import Rows, SampleRow, check_rows
from napari_attmil.images.text_tables import delimiter_of, read_text, rows_of_table

_WRITTEN: set[str] = set()
"""Digests of what this program has written since it was started: it needs no backup."""


def write_cohort_csv(path: Path, rows: Rows) -> Path | None:
    """Write samples as a cohort.csv, one line an image; return where a former file is kept.

    A file that is there keeps its separator, its other columns, the order of its lines, and lines
    of images that `rows` do not have. It is copied to ``cohort.csv.bak`` (or .bak2, ...) before,
    unless this run of the program has written it.

    Parameters
    ----------
    path
        The file; images are named relative to its folder.
    rows
        The samples.

    Raises
    ------
    UserError
        If a sample has two patients, a patient two classes, or a name is empty; or the file cannot
        be read or written.
    """
    check_rows(rows)
    path, backup = Path(path), None
    table, delimiter = _former(path) if os.path.isfile(path) else ([list(COLUMNS)], ",")
    lines = _with_rows(table, rows, path.parent)
    with write_atomically(path) as temporary:
        # Excel takes UTF-8 for another encoding unless the file begins so.
        is_ascii = all(cell.isascii() for line in lines for cell in line)
        encoding = "ascii" if is_ascii else "utf-8-sig"
        with temporary.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(lines)
        digest = _digest(temporary)
        backup = _backup(path, digest)
    _WRITTEN.add(digest)
    return backup


def _former(path: Path) -> tuple[list[list[str]], str]:
    """Return the lines of a table with the columns it needs, and its separator."""
    text = read_text(path)
    try:
        table = [cells for _, cells in rows_of_table(text)]
    except csv.Error as error:
        raise UserError(
            f"{path} cannot be read as a table ({reason_in_words(error)}), so it is not replaced; "
            "rename it, and save again."
        ) from None
    if not table:
        return [list(COLUMNS)], ","
    head = [name.casefold() for name in table[0]]
    missing = [name for name in COLUMNS if name not in head]
    width = max(map(len, table))
    padded = [[*line, *[""] * (width - len(line))] for line in table]
    return [
        [*padded[0], *missing],
        *([*line, *[""] * len(missing)] for line in padded[1:]),
    ], delimiter_of(text)


def _with_rows(table: Sequence[Sequence[str]], rows: Rows, folder: Path) -> list[list[str]]:
    """Return a table whose lines say what the rows do; images that it lacks come last."""
    head = [name.casefold() for name in table[0]]
    place = {name: head.index(name) for name in COLUMNS}
    row_of = {Path(os.path.abspath(image)): row for row in rows for image in row.images}
    lines, written = [list(table[0])], set[Path]()
    for line in table[1:]:
        image = Path(os.path.abspath(image_path(folder, line[place["image"]])))
        row = row_of.get(image)
        lines.append(list(line) if row is None else _changed(line, row, place))
        written.add(image)
    for image, row in row_of.items():
        if image not in written:
            new = [""] * len(head)
            above = Path(os.path.abspath(folder))
            below = image.relative_to(above) if image.is_relative_to(above) else image
            new[place["image"]] = below.as_posix()
            lines.append(_changed(new, row, place))
    return lines


def _changed(line: Sequence[str], row: SampleRow, place: dict[str, int]) -> list[str]:
    changed = list(line)
    changed[place["sample"]], changed[place["patient"]] = row.sample, row.patient
    if (
        known_label(changed[place["label"]]) != known_label(row.label)
        or not changed[place["label"]]
    ):
        changed[place["label"]] = row.label
    return changed


def _backup(path: Path, digest: str) -> Path | None:
    """Keep a file that will be replaced by another content; return where."""
    if not os.path.isfile(path) or _digest(path) in _WRITTEN | {digest}:
        return None
    number = 1
    while (kept := path.with_name(f"{path.name}.bak{number if number > 1 else ''}")).exists():
        if _digest(kept) == _digest(path):
            return kept
        number += 1
    shutil.copy2(path, kept)
    return kept


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()
