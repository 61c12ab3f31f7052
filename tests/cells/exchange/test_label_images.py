"""Label images: a cell's pixels have its number, and come back as its box."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage
from napari_attmil.cells.exchange.coco import write_coco
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.label_images import labels_of
from napari_attmil.cells.exchange.writing import write_boxes
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

SQUARE = ((10.0, 20.0), (14.0, 20.0), (14.0, 23.0), (10.0, 23.0))
OUTLINED = AnnotatedBox((10, 20, 14, 23), cell_id=7, outline=SQUARE)
BOXED = AnnotatedBox((30, 5, 41, 12), cell_id=9)
IMAGE = AnnotatedImage("s1/a.tif", (OUTLINED, BOXED), size_px=(50, 40))


def test_a_cell_fills_its_outline_with_its_number() -> None:
    labels = labels_of(IMAGE)
    assert labels.shape == (40, 50)
    assert labels.dtype == np.uint16
    rows, columns = np.nonzero(labels == 7)
    assert sorted(set(rows.tolist())) == [20, 21, 22]
    assert sorted(set(columns.tolist())) == [10, 11, 12, 13]
    assert len(rows) == 12


def test_without_an_outline_an_ellipse_in_the_box_stands_for_it() -> None:
    rows, columns = np.nonzero(labels_of(IMAGE) == 9)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (5, 12, 30, 41)
    assert len(rows) == pytest.approx(np.pi * 7 * 11 / 4, rel=0.1)


def test_where_cells_overlap_the_pixels_are_the_first_ones() -> None:
    second = replace(OUTLINED, cell_id=8, outline=tuple((x + 2, y) for x, y in SQUARE))
    labels = labels_of(replace(IMAGE, boxes=(OUTLINED, second)))
    assert (labels == 7).sum() == 12
    assert (labels == 8).sum() == 6


def test_large_numbers_keep_their_value_and_boxes_without_one_get_their_place() -> None:
    large = labels_of(replace(IMAGE, boxes=(replace(OUTLINED, cell_id=70_000),)))
    assert large.max() == 70_000
    unnumbered = labels_of(replace(IMAGE, boxes=(BOXED, replace(OUTLINED, cell_id=0))))
    assert np.unique(unnumbered).tolist() == [0, 2, 9]


def test_the_pages_of_a_stack_are_in_one_file_and_come_back_as_boxes(tmp_path: Path) -> None:
    pages = [replace(IMAGE, page=page) for page in (0, 2)]
    write_boxes(tmp_path / "out", pages, "labels")
    with tifffile.TiffFile(tmp_path / "out" / "s1" / "a_masks.tif") as file:
        assert [page.asarray().max() for page in file.pages] == [9, 0, 9]
    found = [image for image in read_boxes([tmp_path / "out"]).images if image.boxes]
    assert [image.page for image in found] == [0, 2]
    assert {image.name for image in found} == {"s1/a"}
    for image in found:
        assert [box.xyxy for box in image.boxes] == [(10, 20, 14, 23), (30, 5, 41, 12)]


def test_an_image_of_unknown_size_is_refused() -> None:
    with pytest.raises(UserError, match=r"size of s1/a\.tif is not known; export as COCO"):
        labels_of(replace(IMAGE, size_px=None))


def test_coco_has_the_outline_as_polygon_and_its_area() -> None:
    outlined, boxed = json.loads(write_coco([IMAGE]))["annotations"]
    assert outlined["segmentation"] == [[10, 20, 14, 20, 14, 23, 10, 23]]
    assert outlined["area"] == 12
    assert boxed["segmentation"] == []
    assert boxed["area"] == 77
