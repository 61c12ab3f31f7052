"""Ground truth, which cells are altered: the truth.csv of a simulated or planted cohort."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.cells import Boxes, match_boxes
from napari_attmil.core import UserError, reason_in_words
from napari_attmil.images import Sample, name_within

SIDES = ["x_min", "y_min", "x_max", "y_max"]


@dataclass(frozen=True, eq=False)
class Truth:
    """The true cells of a cohort.

    Attributes
    ----------
    folder
        The cohort's folder, which image paths are relative to.
    cells
        By image path with forward slashes: (m, 4) boxes in pixels and (m,) whether altered.
    """

    folder: Path
    cells: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]

    def altered(self, sample: Sample, boxes: Boxes) -> npt.NDArray[np.bool_] | None:
        """Return (n,) whether each box shows an altered cell.

        A box that matches no true cell counts as not altered.

        Returns
        -------
        (n,) bool, or None if no image of the sample has ground truth.
        """
        names = [name_within(self.folder, frame.path) for frame in sample.frames]
        if not any(name in self.cells for name in names):
            return None
        altered = np.zeros(len(boxes), dtype=bool)
        for image, name in enumerate(names):
            if name in self.cells:
                xyxy, truth = self.cells[name]
                rows = np.flatnonzero(boxes.image_index == image)
                pairs = match_boxes(boxes.xyxy[rows], xyxy)
                altered[rows] = (pairs >= 0) & np.append(truth, False)[pairs]
        return altered


def read_truth(folder: Path) -> Truth | None:
    """Read a cohort's ``truth.csv``; None if its folder holds none.

    Columns: image (relative to the folder, forward slashes), x_min, y_min, x_max, y_max
    (pixels), altered (0 or 1).

    Raises
    ------
    UserError
        If the file cannot be read as such a table.
    """
    path = Path(folder) / "truth.csv"
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path)
        table[SIDES] = table[SIDES].astype(float)
        table["altered"] = table["altered"].astype(int).astype(bool)
        groups = {str(image): rows for image, rows in table.groupby("image")}
    except (KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path} is not a table with the columns image, {', '.join(SIDES)} and altered "
            f"({reason_in_words(error)}); mend it or take it away."
        ) from error
    cells = {
        image: (rows[SIDES].to_numpy(), rows["altered"].to_numpy(dtype=bool))
        for image, rows in groups.items()
    }
    return Truth(Path(folder), cells)
