"""Only what a person has confirmed is learnt from; a COCO file is confirmed as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_attmil.cells.annotations.annotation_file import AnnotationFile, Annotations
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.finetuning.augmentation import LabelledImage
from napari_attmil.cells.finetuning.reviewed import (
    cells_without_box,
    read_labelled_images,
    reviewed_images,
)
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    for level, name in enumerate(("a", "b", "c")):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((20, 30), level, np.uint8))
    frames = tuple(Frame(tmp_path / f"{name}.tif") for name in ("a", "b", "c"))
    return Sample("s", "p", None, frames)


def test_reviewed_images_come_with_their_boxes_and_empty_ones_too(
    sample: Sample, tmp_path: Path
) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    boxes = Boxes.from_detections([0, 1], [[1, 2, 9, 8], [3, 3, 7, 7]], [0.9, 0.8])
    searched, reviewed = frozenset({0, 1, 2}), frozenset({0, 2})
    file.write(sample, Annotations(boxes, Boxes.empty(), searched, 3, reviewed))
    study = file.read_all([sample])
    images = reviewed_images([sample], study, tmp_path)
    assert [image.name for image in images] == ["a.tif#0", "c.tif#0"]
    (left,) = reviewed_images(
        [sample], file.read_all([sample]), tmp_path, left_out={(sample.name, 0)}
    )
    assert left.name == "c.tif#0"
    assert images[0].xyxy.tolist() == [[1, 2, 9, 8]]
    assert images[1].xyxy.shape == (0, 4)
    assert (images[1].grey == 2).all()


def test_an_image_comes_with_what_a_person_did_to_its_boxes(sample: Sample, tmp_path: Path) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    found = Boxes.from_detections(
        [0, 0, 0], [[1, 2, 9, 8], [3, 3, 7, 7], [9, 9, 15, 15]], [0.9] * 3
    )
    kept = move_box(found[:2], 2, [4, 3, 8, 7])
    file.write(sample, Annotations(kept, found[2:], frozenset({0}), 4, frozenset({0})))
    (image,) = reviewed_images([sample], file.read_all([sample]), tmp_path)
    assert image.touched is not None and image.touched.tolist() == [False, True]
    assert image.rejected.tolist() == [[9, 9, 15, 15]] and image.corrections == 2


def test_clear_cells_without_a_box_leave_out_those_that_a_person_deleted() -> None:
    image = LabelledImage(
        np.zeros((20, 30), np.uint8),
        np.array([[0, 0, 10, 10]], np.float32),
        stained=False,
        rejected=np.array([[20, 0, 30, 10]], np.float32),
    )
    found = np.array([[1, 0, 11, 10], [20, 1, 30, 11], [9, 0, 19, 10]], np.float32)
    assert cells_without_box(image, found).tolist() == [[9, 0, 19, 10]]


def test_a_project_without_reviewed_images_is_refused(sample: Sample, tmp_path: Path) -> None:
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    with pytest.raises(UserError, match="marked as reviewed"):
        reviewed_images([sample], file.read_all([sample]), tmp_path)


def test_coco_boxes_become_corners_and_images_without_boxes_stay(
    sample: Sample, tmp_path: Path
) -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.tif"}, {"id": 8, "file_name": "b.tif"}],
        "annotations": [
            {"image_id": 7, "bbox": [2, 3, 10, 5]},
            {"image_id": 7, "bbox": [0, 0, 20, 20], "iscrowd": 1},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), "utf-8")
    first, second = read_labelled_images(tmp_path / "coco.json")
    assert first.xyxy.tolist() == [[2, 3, 12, 8]]
    assert (second.name, len(second.xyxy)) == ("b.tif", 0)


def test_images_of_a_stack_in_a_coco_file_keep_their_own_boxes(tmp_path: Path) -> None:
    stack = np.stack([np.full((20, 30), level, np.uint8) for level in (10, 20)])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    content = {
        "images": [{"id": page, "file_name": "stack.tif", "page": page} for page in (0, 1)],
        "annotations": [{"image_id": 1, "bbox": [2, 3, 10, 5]}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), "utf-8")
    first, second = read_labelled_images(tmp_path / "coco.json")
    assert [image.name for image in (first, second)] == ["stack.tif", "stack.tif#1"]
    assert (first.grey == 10).all() and len(first.xyxy) == 0
    assert (second.grey == 20).all() and second.xyxy.tolist() == [[2, 3, 12, 8]]


def test_a_coco_file_with_a_byte_order_mark_is_read(sample: Sample, tmp_path: Path) -> None:
    content = {"images": [{"id": 7, "file_name": "a.tif"}], "annotations": []}
    (tmp_path / "coco.json").write_text(json.dumps(content), "utf-8-sig")
    assert [image.name for image in read_labelled_images(tmp_path / "coco.json")] == ["a.tif"]


def test_white_cells_of_a_coco_file_are_no_red_ones(sample: Sample, tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.tif"}],
        "categories": [{"id": 1, "name": "RBC"}, {"id": 2, "name": "WBC"}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [2, 3, 10, 5]},
            {"image_id": 7, "category_id": 2, "bbox": [0, 0, 20, 20]},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), "utf-8")
    (image,) = read_labelled_images(tmp_path / "coco.json")
    assert image.xyxy.tolist() == [[2, 3, 12, 8]]


@pytest.mark.parametrize("text", ["{", "[]", '{"images": [{}], "annotations": []}'])
def test_a_file_that_is_no_coco_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "coco.json").write_text(text, "utf-8")
    with pytest.raises(UserError, match="no COCO file"):
        read_labelled_images(tmp_path / "coco.json")
