"""Boxes for the cells of Chula RBC-12, of which only centre points are labelled.

    python scripts/chula_boxes.py --data ../shared/data --out chula_boxes.csv [--limit 20]

Writes one row a plausible box: image, x_min, y_min, x_max, y_max (pixels), cell_type.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from skimage import io

from napari_attmil.cells.exchange.boxes_from_points import boxes_from_points


def boxes_of(name: str, cells: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return the plausible boxes of one image."""
    image = io.imread(folder / "images" / name)
    found = boxes_from_points(image, cells[["x", "y"]].to_numpy(np.float64))
    table = pd.DataFrame(found.xyxy.astype(int), columns=["x_min", "y_min", "x_max", "y_max"])
    table.insert(0, "image", name)
    table["cell_type"] = cells["cell_type"].to_numpy()
    return table[found.plausible]


def main() -> None:
    """Read the points and write the boxes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="at most this many images")
    arguments = parser.parse_args()
    folder = arguments.data / "chula"
    cells = pd.read_csv(folder / "cells.csv")
    groups = list(cells.groupby("image"))[: arguments.limit]
    table = pd.concat([boxes_of(str(name), group, folder) for name, group in groups])
    table.to_csv(arguments.out, index=False)
    labelled = sum(len(group) for _, group in groups)
    print(f"{len(table)} plausible boxes of {labelled} points in {len(groups)} images")


if __name__ == "__main__":
    main()
