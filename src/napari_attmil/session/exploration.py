"""The exploration of cells in one viewer: scope, tables, colours and selection.

It complements the `Session`, and depends on neither Qt nor napari. A `CellKey` identifies a cell
across samples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pandas.api.types import is_numeric_dtype
from psygnal import Signal

from napari_attmil.cells.annotations import NOT_A_CELL, cells_with_tag
from napari_attmil.explore import (
    Categories,
    Colouring,
    Condition,
    Distribution,
    Rows,
    Spread,
    parse_conditions,
    rows_that_meet,
    source_colours,
)
from napari_attmil.session.cell_tables import MAKER, CellTables, text_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd

    from napari_attmil.cells import Boxes
    from napari_attmil.core import Float64Array
    from napari_attmil.images import Sample
    from napari_attmil.session.keys import SessionKey
    from napari_attmil.session.session import Session

NOT_A_CELL_COLOUR: Final = (0.55, 0.55, 0.55, 0.6)
"""Of boxes that a person has tagged so, whatever colours the others."""
CellKey = tuple[str, int]
"""Name of a sample and cell_id within it."""

WHOLE_COHORT: Final = "*"
"""The scope of all samples; any other scope but the empty one is the name of a class."""


class Exploration:
    """The cells in scope in one viewer, with their tables, colours and selection.

    Signals
    -------
    table_changed
        The rows or columns of the table have changed.
    boxes_changed
        The cells of the shown sample have changed; tables and colours are already up to date.
    colouring_changed
        The colouring of boxes has changed, or the values that colour them.
    selection_changed
        The selected cells have changed, in any sample.
    cell_asked(CellKey)
        Somebody wants to know about a cell, which is the only one selected.
    """

    table_changed = Signal()
    boxes_changed = Signal()
    colouring_changed = Signal()
    selection_changed = Signal()
    cell_asked = Signal(object)

    def __init__(self, session: Session) -> None:
        self._session = session
        self._colouring = Colouring()
        self._is_map_chosen = self._is_on_bright = False
        self._tables = CellTables(session)
        self._scope = ""
        self._table: pd.DataFrame | None = None
        self._conditions: tuple[Condition, ...] = ()
        self._selection: tuple[CellKey, ...] = ()
        self._selecting = False
        self._spread_found: tuple[Any, Any, Spread] = (None, None, self._colouring.spread([]))
        """The table and the scale that it is of, and where that table's boxes stand."""
        session.cohort_changed.connect(self._on_cohort)
        session.boxes_changed.connect(self._on_boxes)
        session.history.moved.connect(self.forget_tables)
        session.prediction_changed.connect(self._on_values)
        session.selection_changed.connect(self._on_session_selection)

    # --- the cells in question --------------------------------------------------------------

    @property
    def scope(self) -> str:
        """The samples in scope: empty for the shown one, `WHOLE_COHORT`, or a class."""
        return self._scope

    def set_scope(self, scope: str) -> None:
        """Set the scope: the shown sample, the whole cohort, or a class."""
        if scope != self._scope:
            self._scope = scope
            self._table = None
            self.table_changed.emit()

    @property
    def scope_in_words(self) -> str:
        """The scope in words."""
        sample = self._session.sample
        shown = "no sample" if sample is None else f"sample {sample.name}"
        return {"": shown, WHOLE_COHORT: "all samples"}.get(self._scope, f"class {self._scope}")

    @property
    def sample_table(self) -> pd.DataFrame:
        """One row per cell of the shown sample, in the order of the session's boxes."""
        return self._tables.of_shown()

    @property
    def table(self) -> pd.DataFrame:
        """One row per cell in scope."""
        if not self._scope:
            return self.sample_table
        if self._table is None:
            self._table = self._tables.of_samples(self.samples)
        return self._table

    def cohort_table(self) -> pd.DataFrame:
        """Return one row per cell of the cohort, for any scope; without a cohort, as `table`."""
        cohort = self._session.cohort
        return self.table if cohort is None else self._tables.of_samples(cohort.samples)

    @property
    def healthy_class(self) -> str | None:
        """The class of healthy samples according to the classifier, or None."""
        states = self._session.states_of_samples().values()
        classes = (state.prediction.healthy_class for state in states if state.prediction)
        return next(filter(None, classes), None)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples in scope."""
        session = self._session
        if not self._scope:
            return () if session.sample is None else (session.sample,)
        samples = session.cohort.samples if session.cohort is not None else ()
        return tuple(s for s in samples if self._scope in (WHOLE_COHORT, s.label))

    @property
    def rows(self) -> Rows:
        """Positions in `table` of the cells that meet the filter."""
        return rows_that_meet(self.table, self._conditions)

    def set_filter(self, text: str) -> None:
        """Restrict the rows to cells that meet conditions; see `parse_conditions`.

        Raises
        ------
        UserError
            If the text cannot be understood; the former filter stays.
        """
        conditions = parse_conditions(text, self.table)
        if conditions != self._conditions:
            self._conditions = conditions
            self.table_changed.emit()

    def add_measured(self, key: SessionKey | None, boxes: Boxes, columns: pd.DataFrame) -> None:
        """Add columns to a sample's cells.

        Parameters
        ----------
        key
            The session's key of the sample.
        boxes
            The cells that were measured; one that has moved since gets no values.
        columns
            One row per box, in their order.
        """
        self._tables.add_measured(key, boxes, columns)
        self._on_values()

    def forget_tables(self) -> None:
        """Rebuild the tables: samples that are not shown may have changed."""
        self._table = None
        self.table_changed.emit()

    # --- colours ----------------------------------------------------------------------------

    @property
    def colouring(self) -> Colouring:
        """How boxes are coloured."""
        return self._colouring

    def colour(self, **changes: Any) -> None:
        """Change some of the attributes of `colouring`; another column shows all cells."""
        if changes.get("column", self._colouring.column) != self._colouring.column:
            changes = {"low": 0.0, "high": 1.0} | changes
        colouring = replace(self._colouring, **changes)
        self._is_map_chosen |= colouring.colour_map != self._colouring.colour_map
        if colouring != self._colouring:
            self._colouring = colouring
            self.colouring_changed.emit()

    @property
    def is_on_bright(self) -> bool:
        """Whether the boxes lie over a bright image."""
        return self._is_on_bright

    def lay_on(self, is_bright: bool) -> None:
        """Take dark colours over a bright image; a map that a person has chosen stays."""
        if is_bright == self._is_on_bright:
            return
        self._is_on_bright = is_bright
        if not self._is_map_chosen:
            self._colouring = replace(self._colouring, colour_map="ink" if is_bright else "paper")
        self.colouring_changed.emit()

    @property
    def is_blind(self) -> bool:
        """Whether predictions are hidden, as in teaching."""
        return self._tables.is_blind

    def set_blind(self, is_blind: bool) -> None:
        """Hide attention and contributions in colours and tables, or show them again."""
        if is_blind != self._tables.is_blind:
            self._tables.is_blind = is_blind
            self._on_values()

    @property
    def coloured_column(self) -> str:
        """The column that colours the boxes: `MAKER` while the chosen one does not exist."""
        column, table = self._colouring.column, self.sample_table
        if column in table and is_numeric_dtype(table[column]):
            return column
        return column if column in text_columns(table) else MAKER

    @property
    def has_scale(self) -> bool:
        """Whether numbers colour the boxes, from a lowest to a highest one."""
        column = self.coloured_column
        return column != MAKER and is_numeric_dtype(self.sample_table[column])

    @property
    def categories(self) -> Categories | None:
        """The texts that colour the boxes of the shown sample; None where something else does."""
        column = self.coloured_column
        if column == MAKER or self.has_scale:
            return None
        return self.categories_of(self.sample_table, column)

    def categories_of(self, table: pd.DataFrame, column: str) -> Categories:
        """Return the texts in a column of a table of cells, with colours."""
        return Categories.of(table[column], self._session.notes.texts(column))

    def relative(self) -> Float64Array:
        """Return (n,) from 0 to 1 where each box of the shown sample stands; NaN if unknown."""
        return self._spread.shares

    def is_inside(self) -> npt.NDArray[np.bool_]:
        """Return (n,) which boxes of the shown sample lie within the range, or have no value."""
        return self._colouring.is_inside(self.relative())

    def distribution(self) -> Distribution:
        """Return the distribution of the values that colour the shown sample's boxes."""
        return self._spread.distribution if self.has_scale else Distribution()

    def colours(self, rows: Rows | slice = slice(None)) -> Float64Array:
        """Return (m, 4) RGBA of boxes of the shown sample, by their positions; all by default."""
        session = self._session
        categories = self.categories
        if categories is not None:
            colours = categories.colours(rows)
        elif self.coloured_column == MAKER:
            colours = source_colours(session.boxes.source[rows], self._is_on_bright)
        else:
            colours = self._colouring.colours(self._spread, rows)
        others = cells_with_tag(session.state.notes, NOT_A_CELL)
        if others:
            colours = colours.copy()
            colours[np.isin(session.boxes.cell_id[rows], others)] = NOT_A_CELL_COLOUR
        return colours

    @property
    def _spread(self) -> Spread:
        """Where the boxes stand, found anew only when they or the scale have changed."""
        table, column, colouring = self.sample_table, self.coloured_column, self._colouring
        key = (column, colouring.scale, colouring.is_signed)
        if self._spread_found[0] is not table or self._spread_found[1] != key:
            values = table[column] if self.has_scale else np.full(len(table), np.nan)
            self._spread_found = (table, key, colouring.spread(values))
        return self._spread_found[2]

    # --- selection --------------------------------------------------------------------------

    @property
    def selection(self) -> tuple[CellKey, ...]:
        """The selected cells, including those of samples that are not shown."""
        return self._selection

    def select(self, cells: Iterable[CellKey]) -> None:
        """Select cells; those of the shown sample in the session as well."""
        chosen = tuple(dict.fromkeys((str(sample), int(cell)) for sample, cell in cells))
        if chosen == self._selection:
            return
        self._selection = chosen
        shown = self._session.sample.name if self._session.sample is not None else None
        self._selecting = True
        try:
            self._session.select([cell for sample, cell in chosen if sample == shown])
        finally:
            self._selecting = False
        self.selection_changed.emit()

    def ask_about(self, cell: CellKey) -> None:
        """Select a cell and ask for all that is known about it; not while predictions are hidden.

        In teaching, cells are picked by clicks, and nothing must give the answer away.
        """
        self.select([cell])
        if not self.is_blind:
            self.cell_asked.emit(cell)

    def by_sample(self, cells: Iterable[CellKey]) -> dict[SessionKey, list[int]]:
        """Return ids of cells by their samples' keys, as `Session.notes` takes them."""
        session = self._session
        found: dict[SessionKey, list[int]] = {}
        for name, cell in cells:
            is_shown = session.sample is not None and session.sample.name == name
            key = session.key if is_shown else None
            found.setdefault(key or session.key_of(name), []).append(cell)
        return found

    def _on_session_selection(self) -> None:
        sample = self._session.sample
        if self._selecting:
            return
        name = "" if sample is None else sample.name
        self._selection = tuple((name, cell) for cell in self._session.selection)
        self.selection_changed.emit()

    # --- inside -----------------------------------------------------------------------------

    def _on_boxes(self) -> None:
        self.forget_tables()
        self.boxes_changed.emit()

    def _on_values(self) -> None:
        self.forget_tables()
        self.colouring_changed.emit()

    def _on_cohort(self) -> None:
        self._tables.forget_samples()
        self._scope, self._conditions = "", ()
        self.forget_tables()
