"""Exports: other programs accept them, and nothing of anybody else's is replaced."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
import roifile
import tifffile

from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.exchange import writing
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.study_boxes import annotated_images
from napari_attmil.cells.exchange.writing import plan_export, write_boxes
from napari_attmil.core.errors import UserError
from napari_attmil.core.files import write_atomically
from napari_attmil.workflows import open_cohort

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = AnnotatedImage(
    "s1/a.png",
    (
        AnnotatedBox((10.25, 20, 40, 60.5), cell_id=3, source=Source.ACCEPTED, score=0.75),
        AnnotatedBox((190.5, 150, 210, 170), cell_id=4),
        AnnotatedBox((-9, -9, 0, 0), cell_id=5),
    ),
    size_px=(200, 160),
)
INSIDE = replace(
    IMAGE, boxes=(IMAGE.boxes[0], replace(IMAGE.boxes[1], xyxy=(190.5, 150, 200, 160)))
)


@pytest.mark.parametrize("format_name", ["coco", "csv", "voc", "yolo", "imagej", "geojson"])
def test_boxes_over_the_border_are_clipped_and_it_is_said(tmp_path: Path, format_name: str) -> None:
    said = write_boxes(tmp_path / "out", [IMAGE], format_name)
    assert "1 box over the border of an image: clipped at it." in said
    assert "1 box outside of an image: left out." in said
    (read,) = read_boxes([tmp_path / "out"]).images
    for box, before in zip(read.in_pixels((200, 160)).boxes, INSIDE.boxes, strict=True):
        assert box.xyxy == pytest.approx(before.xyxy)


@pytest.mark.parametrize("format_name", ["imagej", "geojson"])
def test_imagej_and_qupath_keep_ids_scores_and_who_made_a_box(
    tmp_path: Path, format_name: str
) -> None:
    write_boxes(tmp_path / "out", [INSIDE], format_name)
    (read,) = read_boxes([tmp_path / "out"]).images
    assert read.boxes == INSIDE.boxes
    assert read.name in ("s1/a", "s1/a.png")


def test_imagej_reads_the_rectangles_of_an_archive_and_their_slices(tmp_path: Path) -> None:
    pages = [replace(INSIDE, name="a.tif", page=page) for page in (0, 2)]
    write_boxes(tmp_path / "out", pages, "imagej")
    rois = roifile.roiread(tmp_path / "out" / "a_RoiSet.zip")
    assert isinstance(rois, list)
    assert [(roi.left, roi.top, roi.right, roi.bottom) for roi in rois[:2]] == [
        (10, 20, 40, 60),
        (190, 150, 200, 160),
    ]
    assert [(roi.xd, roi.yd, roi.widthd, roi.heightd) for roi in rois[:1]] == [
        (10.25, 20, 29.75, 40.5)
    ]
    assert [roi.position for roi in rois] == [1, 1, 3, 3]
    assert [image.page for image in read_boxes([tmp_path / "out"]).images] == [0, 2]


def test_voc_has_whole_pixels_and_the_exact_corners_beside_them(tmp_path: Path) -> None:
    write_boxes(tmp_path / "out", [INSIDE], "voc")
    path = tmp_path / "out" / "s1" / "a.xml"
    root = ElementTree.fromstring(path.read_text("utf-8"))
    corners = [[each.text for each in box] for box in root.iterfind("object/bndbox")]
    assert corners == [["10", "20", "40", "60"], ["190", "150", "200", "160"]]
    # Moved in another program, the box is where that program says.
    path.write_text(path.read_text("utf-8").replace("<xmin>10<", "<xmin>12<"), "utf-8")
    assert read_boxes([path]).images[0].boxes[0].xyxy == (12, 20, 40, 60)


@pytest.mark.parametrize(
    ("format_name", "name"),
    [
        ("coco", "boxes.json"),
        ("csv", "boxes.csv"),
        ("voc", "boxes/s1/a.xml"),
        ("yolo", "boxes/labels/s1/a.txt"),
        ("yolo", "boxes/data.yaml"),
        ("geojson", "boxes/s1/a.geojson"),
        ("imagej", "boxes/s1/a_RoiSet.zip"),
    ],
)
def test_a_file_of_somebody_else_is_not_replaced_unless_that_is_allowed(
    tmp_path: Path, format_name: str, name: str
) -> None:
    theirs = tmp_path / name
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("made by hand", "utf-8")
    out = tmp_path / name.partition("/")[0]
    plan = plan_export(out, [INSIDE], format_name)
    assert plan.foreign == (theirs,)
    with pytest.raises(UserError, match="this program did not write it"):
        plan.write()
    assert theirs.read_text("utf-8") == "made by hand"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]
    plan.write(overwrite=True)
    assert b"made by hand" not in theirs.read_bytes()


@pytest.mark.parametrize("format_name", ["coco", "csv", "voc", "yolo", "imagej", "geojson"])
def test_an_export_replaces_an_earlier_one(tmp_path: Path, format_name: str) -> None:
    write_boxes(tmp_path / "out", [INSIDE], format_name)
    write_boxes(tmp_path / "out", [replace(INSIDE, boxes=INSIDE.boxes[:1])], format_name)
    assert read_boxes([tmp_path / "out"]).box_count == 1


@pytest.mark.parametrize("files_written", [0, 1, 2])
def test_an_export_that_was_killed_can_be_run_again_with_other_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_written: int
) -> None:
    out, real = tmp_path / "out", write_atomically
    write_boxes(out, [INSIDE], "yolo")
    left = [files_written]

    def killed(path: Path) -> contextlib.AbstractContextManager[Path]:
        if path.suffix in (".txt", ".yaml"):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        return real(path)

    fewer = replace(INSIDE, boxes=INSIDE.boxes[:1])
    monkeypatch.setattr(writing, "write_atomically", killed)
    with contextlib.suppress(KeyboardInterrupt):
        write_boxes(out, [fewer], "yolo")
    monkeypatch.undo()
    none = replace(INSIDE, boxes=())
    assert plan_export(out, [none], "yolo").foreign == ()
    write_boxes(out, [none], "yolo")
    assert (out / "labels" / "s1" / "a.txt").read_text("utf-8") == ""


def test_a_label_file_that_was_corrected_since_it_was_exported_is_not_replaced(
    tmp_path: Path,
) -> None:
    write_boxes(tmp_path / "out", [INSIDE], "yolo")
    labels = tmp_path / "out" / "labels" / "s1" / "a.txt"
    labels.write_text("0 0.5 0.5 0.1 0.1\n", "utf-8")
    assert plan_export(tmp_path / "out", [INSIDE], "yolo").foreign == (labels,)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("kind", ["device", "pipe", "link"])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    match kind:
        case "link":
            (tmp_path / "there").write_text("kept", "utf-8")
            out.symlink_to(tmp_path / "there")
        case "pipe":
            os.mkfifo(out)
        case _:
            out = type(out)("/dev/null")
    with pytest.raises(
        UserError, match=f"is (a|a device or a) {'link' if kind == 'link' else 'pipe'}"
    ):
        write_boxes(out, [INSIDE], "coco")
    assert out.is_symlink() == (kind == "link")


@pytest.mark.parametrize("z", ["max", "mean"])
def test_boxes_of_projections_are_at_the_first_planes_of_their_stacks(
    tmp_path: Path, z: str
) -> None:
    stacks = np.zeros((2, 3, 160, 200), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", stacks, metadata={"axes": "TZYX"})
    cohort = open_cohort(tmp_path, {"z": z, "time": "all"})
    (sample,) = cohort.samples
    boxes = Boxes.from_detections([0, 1], [[10, 20, 40, 60], [50, 20, 80, 60]], [1, 1])
    images = annotated_images([sample], {sample.name: Annotations(boxes)}, tmp_path)
    assert [(image.page_in_file, image.size_px) for image in images] == [
        (0, (200, 160)),
        (3, (200, 160)),
    ]
    for format_name in ("labels", "imagej", "geojson"):
        write_boxes(tmp_path / format_name, images, format_name)
    with tifffile.TiffFile(tmp_path / "labels" / "a.ome_masks.tif") as file:
        assert [int(page.asarray().max()) for page in file.pages] == [1, 0, 0, 2]
    rois = roifile.roiread(tmp_path / "imagej" / "a.ome_RoiSet.zip")
    assert [(roi.position, roi.name) for roi in rois] == [(1, "0001-0001-1"), (4, "0004-0001-2")]
    planes = [
        json.loads(path.read_text())["features"][0]["geometry"].get("plane")
        for path in sorted((tmp_path / "geojson").glob("*.geojson"))
    ]
    assert planes == [None, {"c": -1, "z": 3, "t": 0}]


def test_qupath_can_read_what_is_written_for_it(tmp_path: Path) -> None:
    write_boxes(tmp_path / "out", [INSIDE], "geojson")
    content = json.loads((tmp_path / "out" / "s1" / "a.geojson").read_text("utf-8"))
    first = content["features"][0]
    ring = [[10.25, 20], [40, 20], [40, 60.5], [10.25, 60.5], [10.25, 20]]
    assert first["geometry"] == {"type": "Polygon", "coordinates": [ring]}
    assert first["properties"]["classification"]["name"] == "red cell"
