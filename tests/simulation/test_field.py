"""Boxes of cells that overlap or are cut off by the border."""

from __future__ import annotations

import numpy as np

from napari_attmil.simulation.cell_shapes import CellPatch
from napari_attmil.simulation.field import FieldOfView


def test_overlapping_cells_keep_whole_boxes_and_cut_ones_show_a_quarter_at_least() -> None:
    square = CellPatch(np.ones((20, 20), dtype=np.float32))
    field = FieldOfView(200, 20)
    rng = np.random.default_rng(0)
    boxes = np.array([field.boxes[-1] for _ in range(80) if field.place(square, rng)])
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    at_border = (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2:] == 200).any(axis=1)
    assert (width[~at_border] == 20).all()
    assert (height[~at_border] == 20).all()
    assert (width * height >= 100).all()
    assert (width * height < 400).any(), "no cell was cut off by the border"
    assert field.thickness_um.max() >= 2, "no cells overlap"
