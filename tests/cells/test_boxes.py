from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from support.boxes import shifted
from torchvision.ops import box_iou

from napari_attmil.cells.boxes import (
    Boxes,
    Source,
    has_moved,
    iou_matrix,
    match_boxes,
    positions_of,
)

corners = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 12), st.just(4)),
    elements=st.integers(0, 60).map(float),
).map(lambda c: np.concatenate([np.minimum(c[:, :2], c[:, 2:]), np.maximum(c[:, :2], c[:, 2:])], 1))


def three_cells() -> Boxes:
    return Boxes.from_detections(
        [1, 0, 1], [[0, 0, 10, 40], [5, 5, 9, 9], [1, 2, 3, 4]], [0.9, 0.8, 0.7]
    )


def test_no_cells_are_empty_arrays_of_the_right_shape() -> None:
    empty = Boxes.empty()
    assert (len(empty), empty.xyxy.shape, empty.next_id) == (0, (0, 4), 1)
    assert len(empty.index_of([])) == 0


def test_ids_count_from_the_first_and_go_on_after_the_largest() -> None:
    boxes = three_cells()
    assert boxes.cell_id.tolist() == [1, 2, 3]
    assert boxes.next_id == 4
    assert boxes[boxes.cell_id != 2].next_id == 4


def test_arrays_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        three_cells().xyxy[0, 0] = 5


def test_the_caller_s_array_is_copied() -> None:
    mine = np.zeros((1, 4), dtype=np.float32)
    boxes = Boxes.from_detections([0], mine, [1])
    mine[0, 0] = 7
    assert boxes.xyxy[0, 0] == 0


def test_two_cells_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="share one cell_id"):
        Boxes.concatenate([three_cells(), three_cells()])


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"need \(2, 4\)|as long as"):
        Boxes(
            cell_id=np.array([1, 2]),
            image_index=np.array([0]),
            xyxy=np.zeros((2, 4), dtype=np.float32),
            score=np.ones(2, dtype=np.float32),
            source=np.zeros(2, dtype=np.uint8),
        )


def test_of_image_and_sorting_keep_ids_with_their_boxes() -> None:
    boxes = three_cells()
    assert boxes.of_image(1).cell_id.tolist() == [1, 3]
    ordered = boxes.sorted_by_image()
    assert ordered.cell_id.tolist() == [2, 1, 3]
    assert ordered.xyxy[0].tolist() == [5, 5, 9, 9]


def test_index_of_finds_cells_in_the_order_asked_for() -> None:
    boxes = three_cells().sorted_by_image()
    assert boxes.index_of([3, 2]).tolist() == [2, 0]
    with pytest.raises(KeyError, match="no cell 9"):
        boxes.index_of([1, 9])


def test_diameter_is_the_geometric_mean_of_the_sides() -> None:
    assert three_cells().diameter_px.tolist() == pytest.approx([20, 4, 2])


def test_digest_changes_with_place_but_not_with_score() -> None:
    from dataclasses import replace

    boxes = three_cells()
    assert replace(boxes, score=np.zeros(3, np.float32)).digest() == boxes.digest()
    assert replace(boxes, xyxy=boxes.xyxy + 1).digest() != boxes.digest()


def test_detections_come_from_the_model() -> None:
    assert set(three_cells().source.tolist()) == {Source.MODEL}


@given(corners, corners)
def test_iou_agrees_with_torchvision(boxes: np.ndarray, others: np.ndarray) -> None:
    expected = box_iou(torch.from_numpy(boxes), torch.from_numpy(others)).nan_to_num(0).numpy()
    np.testing.assert_allclose(iou_matrix(boxes, others), expected, atol=1e-6)


def test_matching_is_one_to_one_and_prefers_the_best_total() -> None:
    truth = [[0, 0, 10, 10], [4, 0, 14, 10]]
    found = [[1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]]
    assert match_boxes(found, truth, min_iou=0.3).tolist() == [1, 0, -1]


@given(corners, corners)
def test_no_truth_is_matched_twice(found: np.ndarray, truth: np.ndarray) -> None:
    pairs = match_boxes(found, truth)
    matched = pairs[pairs >= 0]
    assert len(set(matched.tolist())) == len(matched)
    iou = iou_matrix(found, truth)
    assert all(iou[row, column] >= 0.5 for row, column in enumerate(pairs) if column >= 0)


def test_positions_are_of_the_first_such_id_and_minus_one_where_there_is_none() -> None:
    wanted, ids = np.array([7, 2, 9, 7]), np.array([2, 7, 5, 7])
    assert positions_of(wanted, ids).tolist() == [1, 0, -1, 1]
    assert positions_of(wanted, ids[:0]).tolist() == [-1] * 4


@pytest.mark.parametrize(("shift_px", "moved"), [(0.005, False), (0.02, True)])
def test_box_has_moved_if_a_corner_did(shift_px: float, moved: bool) -> None:
    before = Boxes.from_detections([0, 0], [[0, 0, 10, 10], [20, 0, 30, 10]], [1, 1])
    now = shifted(before, shift_px)
    assert has_moved(before.xyxy, now.xyxy).tolist() == [moved, False]
    assert now.is_unchanged_since(before) != moved
    assert now[[1, 0]].rows_in(before).tolist() == [1, -1 if moved else 0]


def test_new_box_and_one_in_another_image_have_no_earlier_row() -> None:
    before = Boxes.from_detections([0, 0], [[0, 0, 10, 10], [20, 0, 30, 10]], [1, 1])
    elsewhere = replace(before, cell_id=np.array([1, 5]), image_index=np.array([1, 0]))
    assert elsewhere.rows_in(before).tolist() == [-1, -1]
    assert not before.is_unchanged_since(before[:1])
