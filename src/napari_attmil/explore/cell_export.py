"""Tables with one row per cell, for export to other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.cells import SOURCE_NAMES, Boxes, positions_of
from napari_attmil.core import Remedy, UserError, as_cell, check_writable, write_atomically
from napari_attmil.explore.noted import note_columns, notes_of_rows

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction
    from napari_attmil.cells.annotations import Note
    from napari_attmil.images import Sample

CORNERS: Final = ("x_min", "y_min", "x_max", "y_max")
CONTRIBUTION: Final = "contribution_"
"""Begins the name of the column of each class."""


def cell_table(
    sample: Sample,
    boxes: Boxes,
    prediction: Prediction | None = None,
    classified: Boxes | None = None,
    notes: Mapping[int, Note] | None = None,
) -> pd.DataFrame:
    """Return the cells of a sample as a table.

    Parameters
    ----------
    sample
        Where the images come from.
    boxes
        Its cells.
    prediction
        Its prediction, if any; matched by cell_id.
    classified
        The sample's cells when it was classified; `boxes` by default.
    notes
        What is noted about the cells, by their ids.

    Returns
    -------
    DataFrame
        Columns image (path as given), frame (page within that file, from 0), cell_id, x_min,
        y_min, x_max, y_max (pixels), score (0 to 1), source (who made the box: model, person,
        accepted; on import, all boxes count as a person's without it); with a prediction also
        attention and a contribution_<class> for each class, empty for cells that the classifier
        did not look at or that were drawn or moved since; if anything is noted, also tags, note,
        and a person's own columns. Ordered by image.
    """
    boxes = boxes.sorted_by_image()
    frames = [sample.frames[index] for index in boxes.image_index]
    columns: dict[str, Any] = {
        "image": [str(frame.path) for frame in frames],
        "frame": np.array([frame.page for frame in frames], dtype=np.int64),
        "cell_id": boxes.cell_id,
    }
    corners = np.round(boxes.xyxy.astype(np.float64), 2)
    for place, name in enumerate(CORNERS):
        columns[name] = corners[:, place]
    columns["score"] = np.round(boxes.score.astype(np.float64), 4)
    columns["source"] = np.array(SOURCE_NAMES)[boxes.source]
    if prediction is not None:
        columns["attention"] = attention_of(boxes, prediction, classified)
        contribution = contribution_of(boxes, prediction, classified)
        for place, name in enumerate(prediction.classes):
            columns[CONTRIBUTION + name] = contribution[:, place]
    noted = notes_of_rows(boxes.cell_id.tolist(), notes or {})
    if any(noted):
        columns |= note_columns(noted, columns)
    return pd.DataFrame(columns)


def attention_of(
    boxes: Boxes, prediction: Prediction, classified: Boxes | None = None
) -> npt.NDArray[np.float64]:
    """Return (n,) the attention of each box; NaN where it was not seen, or drawn or moved since.

    Parameters
    ----------
    boxes, prediction, classified
        See `cell_table`.
    """
    return _said_of(boxes, prediction, prediction.attention, classified)


def contribution_of(
    boxes: Boxes, prediction: Prediction, classified: Boxes | None = None
) -> npt.NDArray[np.float64]:
    """Return (n, K) the contribution of each box to the classes; NaN as in `attention_of`."""
    return _said_of(boxes, prediction, prediction.contribution, classified)


def study_table(
    sample: Sample,
    boxes: Boxes,
    prediction: Prediction,
    shapes: pd.DataFrame,
    classified: Boxes | None = None,
    notes: Mapping[int, Note] | None = None,
) -> pd.DataFrame:
    """Return the cells of one sample of a study, for comparison with other samples.

    Parameters
    ----------
    sample, prediction, classified, notes
        See `cell_table`.
    boxes
        Its cells, ordered by image.
    shapes
        One row a box; see `napari_attmil.explore.shapes.morphology.measure_shapes`.

    Returns
    -------
    DataFrame
        Columns sample, patient, class (empty if unknown), those of `cell_table` and `shapes`.
    """
    table = cell_table(sample, boxes, prediction, classified, notes).join(shapes)
    table.insert(0, "sample", sample.name)
    table.insert(1, "patient", sample.patient)
    table.insert(2, "class", sample.label or "")
    return table


def write_cells(path: Path, tables: Sequence[pd.DataFrame]) -> None:
    """Write the rows of several samples below each other, whole or not at all.

    Parameters
    ----------
    path
        Parquet where it ends in ``.parquet``, else CSV.
    tables
        One or more a file.

    Raises
    ------
    UserError
        If the file cannot be written, or Parquet's library is missing.
    """
    path = Path(path)
    check_table_file(path)
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    with write_atomically(path) as temporary:
        if _is_parquet(path):
            table.to_parquet(temporary, engine="pyarrow", index=False)
        else:
            texts = table.select_dtypes(["object", "string"]).columns
            table[texts] = table[texts].map(lambda v: as_cell(v) if isinstance(v, str) else v)
            table.to_csv(temporary, index=False, float_format="%.7g", lineterminator="\n")


def check_table_file(path: Path) -> None:
    """Raise UserError unless `write_cells` can write such a file: before the cells are found."""
    if _is_parquet(path) and find_spec("pyarrow") is None:
        raise UserError(
            f"Writing {path.name} needs pyarrow, which is not installed; "
            'pip install "napari-attmil[parquet]", or choose a name that ends in .csv.',
            Remedy.SAVE_ELSEWHERE,
        )
    check_writable(path)


def _said_of(
    boxes: Boxes, prediction: Prediction, values: npt.NDArray[Any], classified: Boxes | None
) -> npt.NDArray[np.float64]:
    """Return a prediction's `values` in the order of the boxes, NaN where they do not apply."""
    known = np.asarray(values, dtype=np.float64)
    places = positions_of(boxes.cell_id, np.asarray(prediction.cell_id))
    if classified is not None:
        # A moved box keeps its id, but its prediction is no longer valid.
        places[boxes.rows_in(classified) < 0] = -1
    rows = np.full((len(boxes), *known.shape[1:]), np.nan)
    rows[places >= 0] = known[places[places >= 0]]
    return rows


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"
