"""Questions about cells as a table that an expert fills in, and the answers read from it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_attmil.cells.annotations import (
    ALTERED,
    CANNOT_TELL,
    NOT_A_CELL,
    NOT_ALTERED,
    OF_CLASS,
)
from napari_attmil.core import UserError, as_cell, from_cell, write_atomically
from napari_attmil.images import read_text, rows_of_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.bags import Question
    from napari_attmil.images import Cohort, Sample

ANSWER: Final = "answer"
CORNERS: Final = ("x_min", "y_min", "x_max", "y_max")
COLUMNS: Final = (
    *("sample", "class", "image", "frame", "cell_id"),
    *(*CORNERS, "altered", "doubt", ANSWER),
)
SHORT: Final = {
    **{"a": ALTERED, "n": NOT_ALTERED, "?": CANNOT_TELL, "x": NOT_A_CELL},
    **{"normal": NOT_ALTERED, "healthy": NOT_ALTERED},
    **{tag: tag for tag in (ALTERED, NOT_ALTERED, CANNOT_TELL, NOT_A_CELL)},
}
"""What may be written for an answer, in lower case; a class is its name."""


@dataclass(frozen=True)
class CellToAsk:
    """A question with the place of its cell.

    Attributes
    ----------
    sample
        The sample.
    image_index
        The image within it.
    xyxy
        The corners of the box in pixels.
    question
        Which cell, and why.
    """

    sample: Sample
    image_index: int
    xyxy: tuple[float, float, float, float]
    question: Question


@dataclass(frozen=True)
class GivenAnswer:
    """An answer about a cell of a study: a tag of `cells.annotations`, and where the cell is."""

    sample: str
    image_index: int
    cell_id: int
    xyxy: tuple[float, float, float, float]
    answer: str


def write_questions(path: Path, cells: Sequence[CellToAsk], folder: Path) -> None:
    """Write questions as a table whose column "answer" is to be filled in.

    Parameters
    ----------
    path
        CSV file.
    cells
        The questions, in their order.
    folder
        The study's; images in it are named relative to it.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in cells:
        frame, asked = cell.sample.frames[cell.image_index], cell.question
        names = (cell.sample.name, cell.sample.label or "", _name(frame.path, folder))
        corners = (f"{corner:.2f}" for corner in cell.xyxy)
        why = (f"{asked.score:.3f}", f"{asked.doubt:.3f}")
        row = (*map(as_cell, names), frame.page, asked.cell_id, *corners, *why, "")
        writer.writerow(row)
    with write_atomically(path) as temporary:
        temporary.write_text(out.getvalue(), "utf-8")


def read_answers(path: Path, cohort: Cohort, healthy: str | None) -> list[GivenAnswer]:
    """Read the answers of such a table; rows without one are left out.

    Parameters
    ----------
    path
        CSV file: as `write_questions` wrote it, or as a spreadsheet saved it since.
    cohort
        The study that it is about.
    healthy
        The class of healthy samples: a cell of that class is not altered.

    Raises
    ------
    UserError
        If it is no such table, has no answer, or a row has an image that is not in the study or an
        answer that is none. Nothing of it is then read.
    """
    try:
        (_, header), *rows = rows_of_table(read_text(path)) or [(1, [])]
    except csv.Error as error:
        raise UserError(f"{path} is no table that can be read ({error}); save it as CSV.") from None
    names = [name.lower() for name in header]
    missing = [
        name for name in ("image", "frame", "cell_id", *CORNERS, ANSWER) if name not in names
    ]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)}; give a table that `attmil ask` wrote, "
            "with the answers filled in."
        )
    places = _places(cohort)
    allowed = SHORT | {
        name.lower(): NOT_ALTERED if name == healthy else f"{OF_CLASS}{name}"
        for name in cohort.classes
    }
    read = [(number, dict(zip(names, cells, strict=False))) for number, cells in rows]
    given = [_given(path, number, row, places, allowed) for number, row in read if row.get(ANSWER)]
    if not given:
        raise UserError(f"{path} has no answer yet; fill in its column answer, and run this again.")
    return given


def answers_in_words(given: Sequence[GivenAnswer]) -> str:
    """Return how often each answer was given: "12 altered, 3 not altered"."""
    counts = Counter(one.answer for one in given)
    return ", ".join(f"{count} {answer}" for answer, count in counts.most_common())


def _given(
    path: Path,
    number: int,
    row: Mapping[str, str],
    places: Mapping[tuple[str, int], tuple[str, int]],
    allowed: Mapping[str, str],
) -> GivenAnswer:
    where = f"Row {number} of {path.name}"
    answer = allowed.get(from_cell(row[ANSWER]).lower())
    if answer is None:
        raise UserError(
            f"{where} has the answer {row[ANSWER]!r}; write one of {', '.join(allowed)}, or leave "
            "the cell empty."
        )
    try:
        page, cell = int(row["frame"]), int(row["cell_id"])
        # Spreadsheets of many countries write a comma.
        x_min, y_min, x_max, y_max = (float(row[name].replace(",", ".")) for name in CORNERS)
    except (KeyError, ValueError):
        raise UserError(
            f"{where} lacks a number in frame, cell_id or a corner; take these columns as `attmil "
            "ask` wrote them."
        ) from None
    name = from_cell(row["image"])
    if (name, page) not in places:
        raise UserError(
            f"{where} is about image {name!r}, which is not in the study; give the study that the "
            "questions were made of."
        )
    return GivenAnswer(*places[name, page], cell, (x_min, y_min, x_max, y_max), answer)


def _places(cohort: Cohort) -> dict[tuple[str, int], tuple[str, int]]:
    """Return the sample and position of each image by its name in the table."""
    return {
        (_name(frame.path, cohort.folder), frame.page): (sample.name, index)
        for sample in cohort.samples
        for index, frame in enumerate(sample.frames)
    }


def _name(path: Path, folder: Path) -> str:
    """Return an image's path relative to a folder if it lies there, with forward slashes."""
    path, folder = path.absolute(), folder.absolute()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
