"""One row a cell: what is exported, and what other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.checkpoints import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.bags.classifier import Prediction
    from napari_attmil.cells.boxes import Boxes
    from napari_attmil.images.cohort import Sample


def cell_table(sample: Sample, boxes: Boxes, prediction: Prediction | None = None) -> pd.DataFrame:
    """Return the cells of a sample as a table.

    Parameters
    ----------
    sample
        Where the images come from.
    boxes
        Its cells.
    prediction
        What the classifier said about them, if it was asked; matched by cell_id.

    Returns
    -------
    DataFrame
        Columns image (path as given), frame (page within that file, from 0), cell_id, x_min,
        y_min, x_max, y_max (pixels), score (0 to 1); with a prediction also attention and one
        contribution_<class> a class, empty for cells newer than it. Ordered by image.
    """
    boxes = boxes.sorted_by_image()
    frames = [sample.frames[index] for index in boxes.image_index]
    columns: dict[str, Any] = {
        "image": [str(frame.path) for frame in frames],
        "frame": np.array([frame.page for frame in frames], dtype=np.int64),
        "cell_id": boxes.cell_id,
    }
    corners = np.round(boxes.xyxy.astype(np.float64), 2)
    for place, name in enumerate(("x_min", "y_min", "x_max", "y_max")):
        columns[name] = corners[:, place]
    columns["score"] = np.round(boxes.score.astype(np.float64), 4)
    if prediction is not None:
        columns["attention"] = attention_of(boxes, prediction)
        contribution = _aligned(boxes, prediction.cell_id, prediction.contribution)
        for place, name in enumerate(prediction.classes):
            columns[f"contribution_{name}"] = contribution[:, place]
    return pd.DataFrame(columns)


def attention_of(boxes: Boxes, prediction: Prediction) -> npt.NDArray[np.float64]:
    """Return (n,) the attention of each box, NaN where the prediction does not know the cell."""
    return _aligned(boxes, prediction.cell_id, prediction.attention)


def write_cells_csv(path: Path, tables: Sequence[pd.DataFrame]) -> None:
    """Write the cells of several samples below each other, whole or not at all.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    with write_atomically(Path(path)) as temporary:
        table.to_csv(temporary, index=False, float_format="%.7g", lineterminator="\n")


def _aligned(
    boxes: Boxes, cell_id: npt.NDArray[np.int64], values: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return the rows of `values` that belong to the boxes, NaN where there is none."""
    known = np.asarray(values, dtype=np.float64)
    place_of = {int(cell): place for place, cell in enumerate(cell_id)}
    aligned = np.full((len(boxes), *known.shape[1:]), np.nan)
    for row, cell in enumerate(boxes.cell_id.tolist()):
        if cell in place_of:
            aligned[row] = known[place_of[cell]]
    return aligned
