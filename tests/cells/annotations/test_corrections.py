from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.annotations.corrections import (
    add_box,
    delete_boxes,
    merge_detections,
    move_box,
    with_corrections,
)
from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.boxes import Boxes, Source


def detected() -> Boxes:
    return Boxes.from_detections(
        [0, 0, 1], [[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10]], [0.9, 0.8, 0.7]
    )


def test_a_drawn_box_gets_the_next_id_and_is_the_person_s() -> None:
    boxes = add_box(detected(), 1, [40, 44, 30, 33])
    assert boxes.cell_id.tolist() == [1, 2, 3, 4]
    assert boxes.xyxy[3].tolist() == [30, 33, 40, 44]
    assert (boxes.source[3], boxes.score[3], boxes.image_index[3]) == (Source.PERSON, 1, 1)


def test_an_id_given_up_by_a_deletion_is_not_used_again() -> None:
    boxes = delete_boxes(detected(), [3])
    assert add_box(boxes, 0, [1, 1, 9, 9], first_id=4).cell_id.tolist() == [1, 2, 4]


def test_a_moved_box_keeps_its_id_and_becomes_the_person_s() -> None:
    boxes = move_box(detected(), 2, [21, 22, 31, 32])
    assert boxes.cell_id.tolist() == [1, 2, 3]
    assert boxes.xyxy[1].tolist() == [21, 22, 31, 32]
    assert boxes.source.tolist() == [Source.MODEL, Source.PERSON, Source.MODEL]
    assert boxes.score.tolist() == pytest.approx([0.9, 1.0, 0.7])


def test_a_cell_that_is_not_there_cannot_be_moved() -> None:
    with pytest.raises(KeyError):
        move_box(detected(), 9, [0, 0, 1, 1])


def test_deleting_leaves_the_others_untouched() -> None:
    boxes = delete_boxes(detected(), [1, 77])
    assert boxes.cell_id.tolist() == [2, 3]


def test_detecting_again_keeps_the_person_s_boxes_and_does_not_double_them() -> None:
    corrected = move_box(detected(), 1, [1, 0, 11, 10])
    merged = merge_detections(corrected, detected())
    own = merged[merged.source == Source.PERSON]
    assert own.cell_id.tolist() == [1]
    assert own.xyxy.tolist() == [[1, 0, 11, 10]]
    # The cell of image 1 lies at the same place, but in another image: it stays.
    assert merged.image_index.tolist() == [0, 0, 1]
    assert sorted(merged.cell_id.tolist()) == [1, 4, 5]


def test_detecting_again_does_not_bring_back_what_a_person_deleted() -> None:
    gone = detected()[np.array([1])]
    merged = merge_detections(delete_boxes(detected(), [2]), detected(), deleted=gone)
    assert [20, 20, 30, 30] not in merged.xyxy.tolist()
    assert len(merged) == 2


def test_reviewed_images_stay_as_they_are() -> None:
    boxes = add_box(delete_boxes(detected(), [1]), 0, [50, 50, 60, 60])
    kept = Annotations(boxes, next_id=9, reviewed=frozenset({0}))
    found = with_corrections(detected(), kept)
    assert found.of_image(0).cell_id.tolist() == [2, 4]
    assert found.of_image(1).cell_id.tolist() == [9]


def test_detecting_an_empty_field_gives_the_person_s_boxes_only() -> None:
    corrected = add_box(detected(), 0, [50, 50, 60, 60])
    assert merge_detections(corrected, Boxes.empty()).cell_id.tolist() == [4]


def test_where_nobody_searched_boxes_stay_and_cells_at_the_rim_are_not_doubled() -> None:
    before = Boxes.from_detections(
        [0, 0, 0], [[0, 0, 10, 10], [30, 0, 40, 10], [54, 0, 64, 10]], [0.9] * 3
    )
    searched = {0: np.array([[0, 0, 20, 20], [20, 0, 58, 20]], np.float32)}
    # The second cell is not found again; the third, found again, has its middle outside.
    found = Boxes.from_detections([0, 0], [[1, 0, 11, 10], [52, 0, 62, 10]], [0.9, 0.8])
    now = with_corrections(found, Annotations(before, next_id=4), [0], searched)
    assert now.xyxy.tolist() == [[54, 0, 64, 10], [1, 0, 11, 10]]
    # Without parts, all of the image is as it was found.
    whole = with_corrections(found, Annotations(before, next_id=4), [0])
    assert whole.xyxy.tolist() == [[1, 0, 11, 10], [52, 0, 62, 10]]
