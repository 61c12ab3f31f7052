"""Filters and orders the rows of a table of cells."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.core import UserError
from napari_attmil.explore.noted import TAG_SEPARATOR, TAGS

if TYPE_CHECKING:
    import pandas as pd

Rows = npt.NDArray[np.intp]

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION: Final = re.compile(r"\s*(.+?)\s*(>=|<=|!=|==|>|<|=)\s*(.+?)\s*")
_AND: Final = re.compile(r"\s+and\s+", re.IGNORECASE)
EXAMPLE: Final = "attention > 0.01 and class = sickle"


@dataclass(frozen=True)
class Condition:
    """One condition of a filter.

    Attributes
    ----------
    column
        Name of a column.
    symbol
        Of `_OPERATORS`.
    value
        The number or text to compare with.
    """

    column: str
    symbol: str
    value: float | str

    def is_met(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return (n,) which rows meet it; not those without a value."""
        if self.column not in table:
            return np.zeros(len(table), dtype=bool)
        values = table[self.column]
        if self.column == TAGS and self.symbol in ("=", "!="):
            has = values.str.split(TAG_SEPARATOR).map(lambda tags: self.value in tags)
            return np.asarray(has == (self.symbol == "="), dtype=bool)
        if isinstance(self.value, str):
            values = values.astype(str)
        met = _OPERATORS[self.symbol](values, self.value) & values.notna()
        return np.asarray(met, dtype=bool)


def parse_conditions(text: str, table: pd.DataFrame) -> tuple[Condition, ...]:
    """Return the conditions of a filter as typed by the user, joined by "and".

    Parameters
    ----------
    text
        For instance ``attention > 0.01 and class = sickle``; empty for no condition.
    table
        Its columns can be used, and its types decide which are numbers.

    Raises
    ------
    UserError
        If the text is not a comparison, or names a column that the table does not have.
    """
    if not text.strip():
        return ()
    return tuple(_condition(part, table) for part in _AND.split(text.strip()))


def rows_that_meet(table: pd.DataFrame, conditions: tuple[Condition, ...]) -> Rows:
    """Return the positions of the rows that meet all conditions, in the table's order."""
    met = np.ones(len(table), dtype=bool)
    for condition in conditions:
        met &= condition.is_met(table)
    return np.flatnonzero(met)


def ordered(table: pd.DataFrame, rows: Rows, column: str, descending: bool = True) -> Rows:
    """Return rows ordered by a column; missing values come last, ties keep their order."""
    if column not in table:
        return rows
    values = table[column].iloc[rows].reset_index(drop=True)
    ranked = values.sort_values(ascending=not descending, kind="stable", na_position="last")
    return np.asarray(rows[ranked.index.to_numpy(np.intp)])


def highest_of_each(
    table: pd.DataFrame, rows: Rows, column: str, group: str, count: int = 8
) -> Rows:
    """Return for each value of `group` the rows with the highest values of a column.

    Groups are in alphabetical order, as the classes in Fig. 5 of Sadafi et al. 2020, each with its
    highest row first; rows without a value are left out.
    """
    if column not in table or group not in table:
        return rows[:0]
    best = ordered(table, rows[table[column].iloc[rows].notna().to_numpy()], column)
    groups = table[group].astype(str).iloc[best].reset_index(drop=True)
    highest = groups[groups.groupby(groups).cumcount() < count].sort_values(kind="stable")
    return np.asarray(best[highest.index.to_numpy(np.intp)])


def _condition(text: str, table: pd.DataFrame) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} is no comparison; write for instance: {EXAMPLE}.")
    name, symbol, value = match.groups()
    column = _column(name, table)
    symbol = "=" if symbol == "==" else symbol
    if table[column].dtype.kind not in "biuf":
        return Condition(column, symbol, value.strip("'\""))
    try:
        return Condition(column, symbol, float(value))
    except ValueError:
        raise UserError(
            f"{name!r} holds numbers, but {value!r} is none; write for instance: {EXAMPLE}."
        ) from None


def _column(name: str, table: pd.DataFrame) -> str:
    """Return the column of a name, whose case and spaces may differ."""
    wanted = name.strip("'\"").lower().replace(" ", "_")
    for column in map(str, table.columns):
        if wanted == column.lower().replace(" ", "_"):
            return column
    existing = ", ".join(map(str, table.columns))
    raise UserError(f"There is no column {name!r}; there are {existing}: write one of these.")
