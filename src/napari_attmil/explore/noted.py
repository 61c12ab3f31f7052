"""Columns of tables of cells, and of samples, with what a person noted about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari_attmil.cells.annotations import Note

TAGS: Final = "tags"
"""Column of tags, joined by `TAG_SEPARATOR`."""
NOTE: Final = "note"
TAG_SEPARATOR: Final = "; "
OWN: Final = " (own)"
"""Ends the name of a person's own column whose name a table has already."""


def note_columns(
    notes: Sequence[Note | None], taken: Collection[str] = (), own: Collection[str] = ()
) -> dict[str, Any]:
    """Return the columns of tags, note, and a person's own columns.

    Parameters
    ----------
    notes
        (n,) what is noted about each row, None where nothing is.
    taken
        Names that the table has already; an own column of such a name gets "(own)" behind it.
    own
        Own columns that are there even if no row has a value.

    Returns
    -------
    dict
        (n,) values by the column's name. An own column whose values are all numbers holds numbers,
        NaN where there is none; every other one holds text.
    """
    noted = [(row, note) for row, note in enumerate(notes) if note is not None]
    names = sorted({*own, *(name for _, note in noted for name, _ in note.columns)})
    columns = {name: np.full(len(notes), "", dtype=object) for name in (TAGS, NOTE)}
    values = {name: np.full(len(notes), "", dtype=object) for name in names}
    for row, note in noted:
        columns[TAGS][row], columns[NOTE][row] = TAG_SEPARATOR.join(note.tags), note.text
        for name, value in note.columns:
            values[name][row] = value
    for name, texts in values.items():
        columns[own_title(name, taken)] = _as_numbers(texts)
    return columns


def notes_of_rows(cell_ids: Sequence[int], notes: Mapping[int, Note]) -> list[Note | None]:
    """Return what is noted about each of some cells."""
    return [notes.get(cell) for cell in cell_ids] if notes else [None] * len(cell_ids)


def own_title(name: str, taken: Collection[str]) -> str:
    """Return the name of an own column in a table that has columns of these names."""
    return f"{name}{OWN}" if name in (*taken, TAGS, NOTE) else name


def _as_numbers(texts: Any) -> Any:
    """Return texts as numbers if all that are not empty are such."""
    given = texts != ""
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(np.float64)
    return numbers if given.any() and np.isfinite(numbers[given]).all() else texts
