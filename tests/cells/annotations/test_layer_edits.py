from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, strategies as st

from napari_attmil.cells.annotations.corrections import merge_detections
from napari_attmil.cells.annotations.layer_edits import (
    LayerEdits,
    boxes_of_rows,
    edits_in_layer,
    rebased_rows,
)
from napari_attmil.cells.boxes import Boxes, Source

BOXES = Boxes.from_detections(
    [0, 0, 1], [[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]], [0.9] * 3
)


def rows_of(boxes: Boxes) -> tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]:
    return boxes.cell_id, boxes.image_index, boxes.xyxy


def test_unchanged_rows_change_nothing() -> None:
    boxes, ids = boxes_of_rows(BOXES, *rows_of(BOXES))
    assert boxes.digest() == BOXES.digest()
    assert ids.tolist() == [1, 2, 3]
    assert (boxes.source == Source.MODEL).all()


def test_order_of_rows_does_not_matter() -> None:
    boxes, ids = boxes_of_rows(BOXES, *rows_of(BOXES[[2, 0, 1]]))
    assert boxes.digest() == BOXES.digest()
    assert ids.tolist() == [3, 1, 2]


def test_missing_row_is_a_deleted_cell() -> None:
    boxes, _ = boxes_of_rows(BOXES, *rows_of(BOXES[[0, 2]]))
    assert boxes.cell_id.tolist() == [1, 3]


def test_row_elsewhere_is_a_moved_cell_that_becomes_a_persons() -> None:
    xyxy = BOXES.xyxy.copy()
    xyxy[1] += 5
    boxes, ids = boxes_of_rows(BOXES, BOXES.cell_id, BOXES.image_index, xyxy)
    assert ids.tolist() == [1, 2, 3]
    assert boxes.xyxy[1].tolist() == [25, 5, 35, 15]
    assert boxes.source.tolist() == [Source.MODEL, Source.PERSON, Source.MODEL]


def test_row_without_id_is_a_new_cell_of_a_person() -> None:
    boxes, ids = boxes_of_rows(
        BOXES, [1, 2, 3, 0], [0, 0, 1, 1], [*BOXES.xyxy.tolist(), [50, 50, 60, 60]], first_id=9
    )
    assert ids.tolist() == [1, 2, 3, 9]
    assert boxes.image_index.tolist() == [0, 0, 1, 1]
    assert boxes.source[-1] == Source.PERSON


def test_pasted_row_with_a_copied_id_is_a_new_cell() -> None:
    boxes, ids = boxes_of_rows(
        BOXES, [1, 2, 3, 2], [0, 0, 1, 0], [*BOXES.xyxy.tolist(), [20, 30, 30, 40]]
    )
    assert ids.tolist() == [1, 2, 3, 4]
    assert boxes.xyxy[1].tolist() == [20, 0, 30, 10]


def test_stray_click_is_no_cell() -> None:
    boxes, ids = boxes_of_rows(
        BOXES, [1, 2, 3, 0], [0, 0, 1, 0], [*BOXES.xyxy.tolist(), [5, 5, 7.5, 7.5]]
    )
    assert ids.tolist() == [1, 2, 3, 0]
    assert len(boxes) == 3


def test_row_drawn_from_the_lower_right_is_put_in_order() -> None:
    boxes, _ = boxes_of_rows(Boxes.empty(), [0], [0], [[30, 40, 10, 20]])
    assert boxes.xyxy.tolist() == [[10, 20, 30, 40]]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 50)), max_size=8))
def test_boxes_are_what_the_rows_show_and_following_again_changes_nothing(
    rows: list[tuple[int, int, int]],
) -> None:
    ids = [row[0] for row in rows]
    images = [row[1] for row in rows]
    xyxy = np.array([[row[2], row[2], row[2] + 8, row[2] + 8] for row in rows]).reshape(-1, 4)
    boxes, given_ids = boxes_of_rows(BOXES, ids, images, xyxy, first_id=4)
    assert len(boxes) == len(rows)
    shown = boxes[boxes.index_of(given_ids)]
    np.testing.assert_array_equal(shown.xyxy, xyxy)
    np.testing.assert_array_equal(shown.image_index, images)
    again, same_ids = boxes_of_rows(boxes, given_ids, images, xyxy, first_id=4)
    assert again.digest() == boxes.digest()
    np.testing.assert_array_equal(same_ids, given_ids)


def test_boxes_of_images_that_are_not_shown_stay() -> None:
    followed = edits_in_layer(BOXES, [1], [0], BOXES.xyxy[:1], first_id=4, shown=[1, 2])
    assert sorted(followed.boxes.cell_id.tolist()) == [1, 3]
    assert followed.gone.cell_id.tolist() == [2]
    assert followed.title == "Delete 1 box"


def test_image_without_any_row_has_lost_its_own_boxes_only() -> None:
    followed = edits_in_layer(BOXES, [], [], np.empty((0, 4)), first_id=4, shown=[1, 2])
    assert followed.boxes.cell_id.tolist() == [3]
    assert followed.title == "Delete 2 boxes"


def test_box_added_to_an_image_that_is_not_shown_is_new_there() -> None:
    rows = [*BOXES.xyxy[:2].tolist(), [50, 50, 60, 60]]
    followed = edits_in_layer(BOXES, [1, 2, 0], [0, 0, 1], rows, first_id=7, shown=[1, 2])
    assert followed.cell_id.tolist() == [1, 2, 7]
    assert dict(zip(followed.boxes.cell_id, followed.boxes.image_index, strict=True)) == {
        1: 0,
        2: 0,
        3: 1,
        7: 1,
    }
    assert followed.title == "Draw 1 box"
    again = edits_in_layer(followed.boxes, [1, 2, 7], [0, 0, 1], rows, first_id=8, shown=[1, 2])
    assert again.title == "" and again.cell_id.tolist() == [1, 2, 7]


@given(
    st.integers(0, 2),
    st.lists(st.integers(0, 90), min_size=9, max_size=9),
    st.sets(st.integers(1, 9)),
    st.integers(-5, 5),
)
def test_rows_of_one_image_mean_the_same_whether_others_are_shown_or_not(
    image: int, low: list[int], kept: set[int], by: int
) -> None:
    xyxy = np.array([[x, x, x + 8, x + 8] for x in low], dtype=float)
    before = Boxes.from_detections(np.arange(9) % 3, xyxy, np.full(9, 0.5))
    shown, others = before.of_image(image), before[before.image_index != image]
    here = shown[np.isin(shown.cell_id, list(kept))]
    ids, images = [*here.cell_id, 0], [image] * (len(here) + 1)
    corners = [*(here.xyxy + by), [1, 1, 9, 9]]
    part = edits_in_layer(before, ids, images, corners, 10, shown.cell_id)
    whole = edits_in_layer(
        before,
        [*ids, *others.cell_id],
        [*images, *others.image_index],
        [*corners, *others.xyxy],
        10,
    )
    assert part.boxes.in_order().digest() == whole.boxes.in_order().digest()
    assert part.gone.cell_id.tolist() == whole.gone.cell_id.tolist()
    assert part.title == whole.title


# Found anew by a detection that came while a person had a box in the hand; its ids are 4, 5, 6.
FOUND = [[0, 1, 10, 11], [40, 0, 50, 10], [0, 0, 9, 9]]
FOUND_ANEW = merge_detections(BOXES, Boxes.from_detections([0, 0, 1], FOUND, [0.8] * 3))


def followed_late(
    ids: npt.ArrayLike, images: npt.ArrayLike, xyxy: npt.ArrayLike
) -> tuple[LayerEdits, dict[int, list[float]]]:
    rows = rebased_rows(BOXES, FOUND_ANEW, ids, images, xyxy)
    followed = edits_in_layer(FOUND_ANEW, *rows, first_id=9)
    return followed, dict(
        zip(followed.boxes.cell_id.tolist(), followed.boxes.xyxy.tolist(), strict=True)
    )


def test_rows_left_alone_give_way_to_boxes_that_came_meanwhile() -> None:
    followed, _ = followed_late(*rows_of(BOXES))
    assert followed.title == "" and followed.boxes is FOUND_ANEW


def test_box_drawn_meanwhile_is_one_more() -> None:
    drawn = [60, 60, 70, 70]
    followed, now = followed_late([1, 2, 3, 0], [0, 0, 1, 0], [*BOXES.xyxy.tolist(), drawn])
    assert followed.title == "Draw 1 box"
    assert list(now) == [4, 5, 6, 9] and now[9] == drawn
    assert followed.cell_id[:4].tolist() == [0, 0, 0, 9]


def test_box_moved_meanwhile_stands_for_the_same_cell_found_anew() -> None:
    xyxy = BOXES.xyxy.copy()
    xyxy[0] += 1
    followed, now = followed_late(BOXES.cell_id, BOXES.image_index, xyxy)
    assert now == {5: [40, 0, 50, 10], 6: [0, 0, 9, 9], 9: [1, 1, 11, 11]}
    assert followed.gone.cell_id.tolist() == [4]


def test_moved_and_deleted_cells_that_are_still_there_keep_their_ids() -> None:
    grown = Boxes.concatenate([BOXES, FOUND_ANEW[[1]]])
    rows = rebased_rows(BOXES, grown, [1, 3], [0, 1], [[3, 3, 13, 13], [0, 0, 10, 10]])
    followed = edits_in_layer(grown, *rows, first_id=9)
    assert followed.boxes.cell_id.tolist() == [1, 3, 5]
    assert followed.boxes.xyxy[0].tolist() == [3, 3, 13, 13]
    assert followed.gone.cell_id.tolist() == [2]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 50)), max_size=8),
    st.integers(0, 3),
)
def test_rows_catch_up_with_boxes_that_did_not_change_as_if_nothing_was(
    rows: list[tuple[int, int, int]], first: int
) -> None:
    xyxy = np.array([[row[2], row[2], row[2] + 8, row[2] + 8] for row in rows]).reshape(-1, 4)
    shown = [row[0] for row in rows], [row[1] for row in rows], xyxy
    boxes = BOXES[first:]
    late, _ = boxes_of_rows(boxes, *rebased_rows(boxes, boxes, *shown), first_id=4)
    assert late.digest() == boxes_of_rows(boxes, *shown, first_id=4)[0].digest()
