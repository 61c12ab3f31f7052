from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.sample_state import SampleState, follow_rows

BOXES = Boxes.from_detections(
    [0, 0, 1], [[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]], [0.9] * 3
)


def rows_of(boxes):
    return boxes.cell_id, boxes.image_index, boxes.xyxy


def test_unchanged_rows_change_nothing():
    boxes, ids = follow_rows(BOXES, *rows_of(BOXES))
    assert boxes.digest() == BOXES.digest()
    assert ids.tolist() == [1, 2, 3]
    assert (boxes.source == Source.MODEL).all()


def test_order_of_rows_does_not_matter():
    boxes, ids = follow_rows(BOXES, *rows_of(BOXES[[2, 0, 1]]))
    assert boxes.digest() == BOXES.digest()
    assert ids.tolist() == [3, 1, 2]


def test_missing_row_is_a_deleted_cell():
    boxes, _ = follow_rows(BOXES, *rows_of(BOXES[[0, 2]]))
    assert boxes.cell_id.tolist() == [1, 3]


def test_row_elsewhere_is_a_moved_cell_that_becomes_a_persons():
    xyxy = BOXES.xyxy.copy()
    xyxy[1] += 5
    boxes, ids = follow_rows(BOXES, BOXES.cell_id, BOXES.image_index, xyxy)
    assert ids.tolist() == [1, 2, 3]
    assert boxes.xyxy[1].tolist() == [25, 5, 35, 15]
    assert boxes.source.tolist() == [Source.MODEL, Source.PERSON, Source.MODEL]


def test_row_without_id_is_a_new_cell_of_a_person():
    boxes, ids = follow_rows(
        BOXES, [1, 2, 3, 0], [0, 0, 1, 1], [*BOXES.xyxy.tolist(), [50, 50, 60, 60]], first_id=9
    )
    assert ids.tolist() == [1, 2, 3, 9]
    assert boxes.image_index.tolist() == [0, 0, 1, 1]
    assert boxes.source[-1] == Source.PERSON


def test_pasted_row_with_a_copied_id_is_a_new_cell():
    boxes, ids = follow_rows(
        BOXES, [1, 2, 3, 2], [0, 0, 1, 0], [*BOXES.xyxy.tolist(), [20, 30, 30, 40]]
    )
    assert ids.tolist() == [1, 2, 3, 4]
    assert boxes.xyxy[1].tolist() == [20, 0, 30, 10]


def test_stray_click_is_no_cell():
    boxes, ids = follow_rows(
        BOXES, [1, 2, 3, 0], [0, 0, 1, 0], [*BOXES.xyxy.tolist(), [5, 5, 7.5, 7.5]]
    )
    assert ids.tolist() == [1, 2, 3, 0]
    assert len(boxes) == 3


def test_row_drawn_from_the_lower_right_is_put_in_order():
    boxes, _ = follow_rows(Boxes.empty(), [0], [0], [[30, 40, 10, 20]])
    assert boxes.xyxy.tolist() == [[10, 20, 30, 40]]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 50)), max_size=8))
def test_boxes_are_what_the_rows_show_and_following_again_changes_nothing(rows):
    ids = [row[0] for row in rows]
    images = [row[1] for row in rows]
    xyxy = np.array([[row[2], row[2], row[2] + 8, row[2] + 8] for row in rows]).reshape(-1, 4)
    boxes, given_ids = follow_rows(BOXES, ids, images, xyxy, first_id=4)
    assert len(boxes) == len(rows)
    shown = boxes[boxes.index_of(given_ids)]
    np.testing.assert_array_equal(shown.xyxy, xyxy)
    np.testing.assert_array_equal(shown.image_index, images)
    again, same_ids = follow_rows(boxes, given_ids, images, xyxy, first_id=4)
    assert again.digest() == boxes.digest()
    np.testing.assert_array_equal(same_ids, given_ids)


def test_moved_and_new_cells_have_no_attention():
    prediction = SimpleNamespace(cell_id=np.array([3, 1, 2]), attention=np.array([0.5, 0.2, 0.3]))
    xyxy = BOXES.xyxy.copy()
    xyxy[1] += 5
    now, _ = follow_rows(BOXES, [1, 2, 3, 0], [0, 0, 1, 1], [*xyxy.tolist(), [50, 50, 60, 60]])
    state = SampleState(boxes=now, prediction=prediction, classified=BOXES)
    assert state.is_stale
    np.testing.assert_array_equal(state.attention(), [0.2, np.nan, 0.5, np.nan])


def test_without_classification_nothing_is_stale_and_nothing_has_attention():
    state = SampleState(boxes=BOXES)
    assert not state.is_stale
    assert np.isnan(state.attention()).all()
