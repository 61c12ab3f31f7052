"""Boxes of pictures that Roboflow resized before it exported them, taken back to the originals."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.importing import ImportPlan, plan_import
from napari_attmil.core import finished
from napari_attmil.images import open_cohort

if TYPE_CHECKING:
    from pathlib import Path

NAME = "smear-12_png.rf.0f1e2d"
BOX = (100, 150, 140, 210)
"""In the original of 800 x 600 pixels."""
EXPORTED = {
    "Stretch": ((640, 640), (80, 160, 112, 224)),
    "Fit (black edges)": ((640, 640), (80, 200, 112, 248)),
    "Fit (reflect edges)": ((640, 640), (80, 200, 112, 248)),
    "Fit within": ((640, 480), (80, 120, 112, 168)),
}
"""What becomes of it in 640 x 640, by hand: the size of the picture, and the box in it."""
FORMATS = ["yolo", "coco", "voc", "csv", "createml"]
README = """
smears - v1 2023-05-04 3:21pm
==============================

This dataset was exported via roboflow.com on May 4, 2023 at 7:23 PM GMT

Roboflow is an end-to-end computer vision platform that helps you
* collaborate with your team on computer vision projects

The dataset includes 364 images.
RBC are annotated in YOLOv8 format.

The following pre-processing was applied to each image:
* Auto-orientation of pixel data (with EXIF-orientation stripping)
* {step}

{augmentation}
"""
NO_AUGMENTATION = "No image augmentation techniques were applied."
AUGMENTATION = """The following augmentation was applied to create 3 versions of each source image:
* {step}

The following transformations were applied to the bounding boxes of each image:
* 50% probability of horizontal flip
"""


def readme(step: str, augmentation: str = NO_AUGMENTATION) -> str:
    return README.format(step=step, augmentation=augmentation)


def exported(
    format_name: str, size: tuple[int, int], box: tuple[float, ...], part: str = "train"
) -> dict[str, str]:
    """Return the file of an export with one box."""
    (width, height), (x0, y0, x1, y1) = size, box
    name = f"{NAME}.jpg"
    if format_name == "yolo":
        values = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width
        line = " ".join(map(str, (*values, (y1 - y0) / height)))
        return {f"{part}/labels/{NAME}.txt": f"0 {line}\n", "data.yaml": "names: ['RBC']\n"}
    if format_name == "coco":
        content = {
            "images": [{"id": 0, "file_name": name, "width": width, "height": height}],
            "annotations": [
                {"id": 0, "image_id": 0, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            ],
            "categories": [{"id": 1, "name": "RBC"}],
        }
        return {f"{part}/_annotations.coco.json": json.dumps(content)}
    if format_name == "createml":
        middle = {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "width": x1 - x0, "height": y1 - y0}
        one = {"image": name, "annotations": [{"label": "RBC", "coordinates": middle}]}
        return {f"{part}/_annotations.createml.json": json.dumps([one])}
    if format_name == "csv":
        header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        row = f"{name},{width},{height},RBC,{x0},{y0},{x1},{y1}\n"
        return {f"{part}/_annotations.csv": header + row}
    return {
        f"{part}/{NAME}.xml": f"<annotation><filename>{name}</filename><size><width>{width}"
        f"</width><height>{height}</height></size><object><name>RBC</name><bndbox><xmin>{x0}"
        f"</xmin><xmax>{x1}</xmax><ymin>{y0}</ymin><ymax>{y1}</ymax></bndbox></object></annotation>"
    }


def planned(folder: Path, files: dict[str, str], name: str = "smear 12.png") -> ImportPlan:
    """Return the plan to import files into a study with one image of 800 x 600 pixels."""
    study, export = folder / "study", folder / "export"
    study.mkdir()
    Image.fromarray(np.zeros((600, 800), np.uint8)).save(study / name)
    for place, content in files.items():
        (export / place).parent.mkdir(parents=True, exist_ok=True)
        (export / place).write_text(content)
    return finished(plan_import(open_cohort(study).samples, read_boxes([export])))


def boxes(plan: ImportPlan) -> list[tuple[float, ...]]:
    return [tuple(np.round(box.xyxy, 6)) for each in plan.images for box in each.image.boxes]


@pytest.mark.parametrize("way", EXPORTED)
@pytest.mark.parametrize("format_name", FORMATS)
def test_boxes_of_a_resized_picture_come_to_the_original(
    tmp_path: Path, format_name: str, way: str
) -> None:
    files = exported(format_name, *EXPORTED[way])
    step = readme(f"Resize to 640x640 ({way})")
    plan = planned(tmp_path, {**files, "README.roboflow.txt": step})
    assert boxes(plan) == [pytest.approx(BOX)] and not plan.left_out
    assert any(f"resized to 640 x 640 ({way})" in note for note in plan.notes)


def test_an_archive_says_it_too(tmp_path: Path) -> None:
    files = exported("yolo", *EXPORTED["Fit (black edges)"])
    files["README.roboflow.txt"] = readme("Resize to 640x640 (Fit (black edges))")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for place, content in files.items():
            archive.writestr(place, content)
    (tmp_path / "study").mkdir()
    Image.fromarray(np.zeros((600, 800), np.uint8)).save(tmp_path / "study" / "smear 12.png")
    samples = open_cohort(tmp_path / "study").samples
    plan = finished(plan_import(samples, read_boxes([tmp_path / "export.zip"])))
    assert boxes(plan) == [pytest.approx(BOX)]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    "text",
    [
        readme("Resize to 640x640 (Fill (with center crop))"),
        readme("Static Crop: 25-75% Horizontal Region, 25-75% Vertical Region"),
        readme("Tile: 2 rows x 2 columns"),
        readme("Grayscale (CRT phosphor)", AUGMENTATION.format(step="Random rotation of -9 to +9")),
        readme("Grayscale", AUGMENTATION.format(step="50% probability of horizontal flip")),
    ],
)
def test_boxes_that_cannot_be_taken_back_are_refused_with_the_remedy(
    tmp_path: Path, format_name: str, text: str
) -> None:
    files = exported(format_name, (800, 600), BOX)
    plan = planned(tmp_path, {**files, "README.roboflow.txt": text})
    assert not plan.images
    assert "export it again without that" in plan.left_out[0].reason


@pytest.mark.parametrize("part", ["valid", "test", "train"])
def test_only_pictures_to_learn_from_are_turned_at_random(tmp_path: Path, part: str) -> None:
    text = readme("Grayscale", AUGMENTATION.format(step="50% probability of vertical flip"))
    files = exported("coco", (800, 600), BOX, part)
    plan = planned(tmp_path, {**files, "README.roboflow.txt": text})
    assert boxes(plan) == ([] if part == "train" else [pytest.approx(BOX)])


@pytest.mark.parametrize("format_name", FORMATS)
def test_noise_and_what_is_done_within_boxes_leave_them_where_they_are(
    tmp_path: Path, format_name: str
) -> None:
    noise = AUGMENTATION.format(step="Salt and pepper noise was applied to 5 percent of pixels")
    files = exported(format_name, (800, 600), BOX)
    plan = planned(tmp_path, {**files, "README.roboflow.txt": readme("Grayscale", noise)})
    assert boxes(plan) == [pytest.approx(BOX)] and not plan.notes[1:]


def test_the_exports_own_pictures_have_the_boxes_as_they_are(tmp_path: Path) -> None:
    files = exported("coco", (800, 600), BOX)
    files["README.roboflow.txt"] = readme("Resize to 800x600 (Fill (with center crop))")
    plan = planned(tmp_path, files, f"{NAME}.jpg")
    assert boxes(plan) == [BOX] and not plan.left_out


def test_without_a_word_how_a_resized_picture_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path, exported("coco", *EXPORTED["Fit (black edges)"]))
    assert not plan.images
    assert plan.left_out[0].reason == (
        "the file states 640 x 640 pixels, but it has 800 x 600; export it again without resizing"
    )


def test_a_size_that_contradicts_the_readme_is_refused(tmp_path: Path) -> None:
    files = exported("coco", (512, 512), (1, 1, 9, 9))
    step = readme("Resize to 640x640 (Fit (black edges))")
    plan = planned(tmp_path, {**files, "README.roboflow.txt": step})
    assert "states 512 x 512 pixels, but README.roboflow.txt 640 x 640" in plan.left_out[0].reason


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((0.1, 0.2, 0.15, 0.25), "they are smaller than a pixel: their corners may be fractions"),
        # Corners where COCO has a corner and the size: 500, 400 to 560, 450.
        ((500, 400, 1060, 850), "their middle lies outside of the image"),
    ],
)
def test_boxes_that_are_not_in_the_formats_numbers_are_left_out(
    tmp_path: Path, box: tuple[float, ...], reason: str
) -> None:
    plan = planned(tmp_path, exported("coco", (800, 600), box), f"{NAME}.jpg")
    assert boxes(plan) == [] and plan.left_out[0].reason.startswith(reason)


def test_a_box_over_the_border_stays(tmp_path: Path) -> None:
    box = (780, 590, 815, 609)
    assert boxes(planned(tmp_path, exported("coco", (800, 600), box), f"{NAME}.jpg")) == [box]
