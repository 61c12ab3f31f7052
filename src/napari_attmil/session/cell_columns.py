"""The columns that a cell has in the explorer's tables, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from napari_attmil.cells import SOURCE_NAMES
from napari_attmil.explore import CONTRIBUTION, CORNERS, contribution_of
from napari_attmil.explore.shapes import feature_title

if TYPE_CHECKING:
    from napari_attmil.cells import Boxes
    from napari_attmil.session.sample_state import SampleState

MAP_COLUMNS: Final = ("map_1", "map_2")
"""Where a cell lies on a map in which like cells lie together."""
MAKER: Final = "source"
"""The column that says who made a box; colours by it have no scale."""
_MAKERS: Final = pd.Index(sorted(SOURCE_NAMES))
"""Categories: as texts, 100,000 of them take longer to make than all other columns together."""
_CODE_OF_SOURCE: Final = _MAKERS.get_indexer(pd.Index(SOURCE_NAMES))


def column_title(column: str) -> str:
    """Return a column's name as a person reads it: "contribution_a" as "contribution to a"."""
    if column.startswith(CONTRIBUTION):
        return f"contribution to {column.removeprefix(CONTRIBUTION)}"
    return {"cell_id": "cell", MAKER: "made by"}.get(column, feature_title(column))


def numeric_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that cells can be ordered and coloured by, the telling ones first."""
    names = map(str, table.select_dtypes("number"))
    numeric = [name for name in names if name not in ("cell_id", "image", *CORNERS)]
    telling = [n for n in numeric if n == "attention" or n.startswith(CONTRIBUTION)]
    return tuple(telling + [name for name in numeric if name not in telling])


def columns_of_boxes(boxes: Boxes) -> dict[str, Any]:
    """Return what is known of every box."""
    return {
        "image": boxes.image_index + 1,
        "cell_id": boxes.cell_id,
        "score": boxes.score.astype(np.float64),
        **dict(zip(CORNERS, boxes.xyxy.astype(np.float64).T, strict=True)),
        "diameter_px": boxes.diameter_px.astype(np.float64),
        MAKER: pd.Categorical.from_codes(_CODE_OF_SOURCE[boxes.source], _MAKERS),
    }


def columns_of_prediction(state: SampleState) -> dict[str, Any]:
    """Return attention and contributions of the boxes of a classified sample."""
    prediction, attention = state.prediction, state.attention()
    assert prediction is not None
    contribution = contribution_of(state.boxes, prediction, state.classified)
    named = {CONTRIBUTION + n: contribution[:, k] for k, n in enumerate(prediction.classes)}
    return {"attention": attention, **named}


def aligned_columns(boxes: Boxes, measured: Boxes, columns: pd.DataFrame) -> dict[str, Any]:
    """Return measured columns in the order of `boxes`, NaN where a box has moved or is new."""
    rows = boxes.rows_in(measured)
    return {
        str(name): np.append(values.to_numpy(np.float64), np.nan)[rows]
        for name, values in columns.items()
    }


def no_cells() -> pd.DataFrame:
    """Return the table of no cells."""
    return pd.DataFrame({"sample": [], "image": [], "cell_id": []})
