from __future__ import annotations

import numpy as np
import pytest
from support.boxes import shifted
from support.predictions import prediction

from napari_attmil.cells.annotations.layer_edits import boxes_of_rows
from napari_attmil.cells.boxes import Boxes
from napari_attmil.session.sample_state import SampleState

BOXES = Boxes.from_detections(
    [0, 0, 1], [[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]], [0.9] * 3
)


def test_moved_and_new_cells_have_no_attention() -> None:
    said = prediction([3, 1, 2], [0.5, 0.2, 0.3])
    xyxy = BOXES.xyxy.copy()
    xyxy[1] += 5
    now, _ = boxes_of_rows(BOXES, [1, 2, 3, 0], [0, 0, 1, 1], [*xyxy.tolist(), [50, 50, 60, 60]])
    state = SampleState(boxes=now, prediction=said, classified=BOXES)
    assert state.is_stale
    np.testing.assert_array_equal(state.attention(), [0.2, np.nan, 0.5, np.nan])


def test_without_classification_nothing_is_stale_and_nothing_has_attention() -> None:
    state = SampleState(boxes=BOXES)
    assert not state.is_stale
    assert np.isnan(state.attention()).all()


@pytest.mark.parametrize(("shift_px", "moved"), [(0.005, False), (0.02, True)])
def test_attention_goes_once_a_box_lies_elsewhere(shift_px: float, moved: bool) -> None:
    said = prediction(BOXES.cell_id, np.full(3, 1 / 3))
    state = SampleState(boxes=shifted(BOXES, shift_px), prediction=said, classified=BOXES)
    assert state.is_stale == moved
    assert np.isnan(state.attention()).tolist() == [moved, False, False]
