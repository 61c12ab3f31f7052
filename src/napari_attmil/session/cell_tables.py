"""Tables of samples' cells, with boxes, predictions and measurements."""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from napari_attmil.cells import SOURCE_NAMES, Boxes
from napari_attmil.explore import (
    CONTRIBUTION,
    CORNERS,
    NOTE,
    contribution_of,
    note_columns,
    notes_of_rows,
)
from napari_attmil.explore.shapes import feature_title
from napari_attmil.session.keys import SampleKey, SessionKey

if TYPE_CHECKING:
    from napari_attmil.images import Sample
    from napari_attmil.session.sample_state import SampleState
    from napari_attmil.session.session import Session

MAP_COLUMNS: Final = ("map_1", "map_2")
"""Position of a cell on a map on which similar cells are close."""
MAKER: Final = "source"
"""The column with the source of a box; it has colours but no scale."""
_MAKERS: Final = pd.Index(sorted(SOURCE_NAMES))
"""Categories: as strings, 100,000 of them would take longer than all other columns together."""
_CODE_OF_SOURCE: Final = _MAKERS.get_indexer(pd.Index(SOURCE_NAMES))


def column_title(column: str) -> str:
    """Return the title of a column: "contribution to a" for "contribution_a"."""
    if column.startswith(CONTRIBUTION):
        return f"contribution to {column.removeprefix(CONTRIBUTION)}"
    return {"cell_id": "cell", MAKER: "made by"}.get(column, feature_title(column))


def numeric_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns to order and colour cells by, attention and contributions first."""
    names = map(str, table.select_dtypes("number"))
    numeric = [name for name in names if name not in ("cell_id", "image", *CORNERS)]
    telling = [n for n in numeric if n == "attention" or n.startswith(CONTRIBUTION)]
    return tuple(telling + [name for name in numeric if name not in telling])


def text_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of tags and of a person's own texts to colour cells by."""
    others = ("sample", "patient", "class", MAKER, NOTE)
    texts = [str(n) for n in table if n not in others and not is_numeric_dtype(table[n])]
    return tuple(name for name in texts if (table[name] != "").any())


class CellTables:
    """One table per sample, rebuilt only if one of its sources has changed.

    Attributes
    ----------
    is_blind
        Whether attention and contributions are left out.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.is_blind = False
        self._measured: dict[SessionKey | None, tuple[Boxes, pd.DataFrame]] = {}
        self._made: dict[SessionKey | None, tuple[tuple[Any, ...], pd.DataFrame]] = {}
        """The sources of a sample's table, and the table."""

    def of_shown(self) -> pd.DataFrame:
        """Return one row per cell of the shown sample, in the order of the session's boxes."""
        session = self._session
        return self._table_of(session.key, session.sample, session.state)

    def of_samples(self, samples: Iterable[Sample]) -> pd.DataFrame:
        """Return one row per cell of samples of the cohort."""
        states = self._session.states_of_samples()
        parts = [
            self._table_of(self._session.key_of(sample.name), sample, states[sample.name])
            for sample in samples
            if sample.name in states and len(states[sample.name].boxes)
        ]
        if not parts:
            return pd.DataFrame({"sample": [], "image": [], "cell_id": []})
        table = pd.concat(parts, ignore_index=True)
        # An own column may be of numbers in one sample, of text or missing in another.
        for name in self._session.notes.columns():
            for title in {name, f"{name} (own)"} & {*table}:
                if not is_numeric_dtype(table[title]):
                    table[title] = table[title].fillna("").astype(str)
        return table

    def add_measured(self, key: SessionKey | None, boxes: Boxes, columns: pd.DataFrame) -> None:
        """Add columns to a sample's cells; see `Exploration.add_measured`."""
        if key in self._measured and boxes.is_unchanged_since(self._measured[key][0]):
            former = _aligned_columns(boxes, *self._measured[key])
            columns = pd.DataFrame(former | columns.to_dict("list"))
        self._measured[key] = (boxes, columns)

    def forget_samples(self) -> None:
        """Forget the measurements of the samples of the former cohort."""
        measured = self._measured.items()
        self._measured = {k: v for k, v in measured if not isinstance(k, SampleKey)}
        self._made.clear()

    def _table_of(
        self, key: SessionKey | None, sample: Sample | None, state: SampleState
    ) -> pd.DataFrame:
        measured, cohort = self._measured.get(key), self._session.cohort
        made_of = (sample, state, measured, cohort, self.is_blind)
        if key not in self._made or not all(map(is_, made_of, self._made[key][0])):
            self._made[key] = (made_of, self._make_table(key, sample, state))
        return self._made[key][1]

    def _make_table(
        self, key: SessionKey | None, sample: Sample | None, state: SampleState
    ) -> pd.DataFrame:
        columns = _columns_of_boxes(state.boxes)
        if state.prediction is not None and not self.is_blind:
            columns |= _columns_of_prediction(state)
        if key in self._measured:
            boxes, measured = self._measured[key]
            columns |= _aligned_columns(state.boxes, boxes, measured)
        columns |= {corner: columns.pop(corner) for corner in CORNERS}  # read last, if at all
        names = self._session.notes.columns()
        rows = notes_of_rows(state.boxes.cell_id.tolist(), state.notes)
        columns |= note_columns(rows, (*columns, "sample", "patient", "class"), names)
        table = pd.DataFrame(columns)
        table.insert(0, "sample", "" if sample is None else sample.name)
        if self._session.cohort is not None and sample is not None:
            table.insert(1, "patient", sample.patient)
            table.insert(2, "class", sample.label or "")
        return table


def _columns_of_boxes(boxes: Boxes) -> dict[str, Any]:
    """Return the columns that every box has."""
    return {
        "image": boxes.image_index + 1,
        "cell_id": boxes.cell_id,
        "score": boxes.score.astype(np.float64),
        **dict(zip(CORNERS, boxes.xyxy.astype(np.float64).T, strict=True)),
        "diameter_px": boxes.diameter_px.astype(np.float64),
        MAKER: pd.Categorical.from_codes(_CODE_OF_SOURCE[boxes.source], _MAKERS),
    }


def _columns_of_prediction(state: SampleState) -> dict[str, Any]:
    """Return attention and contributions of the boxes of a classified sample."""
    prediction, attention = state.prediction, state.attention()
    assert prediction is not None
    contribution = contribution_of(state.boxes, prediction, state.classified)
    named = {CONTRIBUTION + n: contribution[:, k] for k, n in enumerate(prediction.classes)}
    return {"attention": attention, **named}


def _aligned_columns(boxes: Boxes, measured: Boxes, columns: pd.DataFrame) -> dict[str, Any]:
    """Return measured columns in the order of `boxes`, NaN where a box has moved or is new."""
    rows = boxes.rows_in(measured)
    return {
        str(name): np.append(values.to_numpy(np.float64), np.nan)[rows]
        for name, values in columns.items()
    }
