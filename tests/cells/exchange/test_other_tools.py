"""What other tools write, with their quirks: the right boxes, and all that is left out is told."""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import roifile
import tifffile
from PIL import Image

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.account import LeftOut
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.cells.exchange.annotation_set import AnnotatedImage, AnnotationSet

SIZE = (200, 160)


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files into a folder, and return it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def corners(image: AnnotatedImage) -> list[list[float]]:
    """Return an image's boxes in pixels of `SIZE`, to a thousandth."""
    return [[round(value, 3) for value in box.xyxy] for box in image.in_pixels(SIZE).boxes]


def read_one(folder: Path, name: str, content: str) -> AnnotationSet:
    return read_boxes([written(folder, {name: content}) / name])


def coco(**changes: Any) -> dict[str, Any]:
    annotation = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40]}
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 160}],
        "categories": [{"id": 1, "name": "RBC"}],
        "annotations": [annotation],
    } | changes


# --- wrong boxes, and nothing said ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]}, "ab"),
        ({"images": [{"id": 1, "file_name": "a.png"}, {"id": "1", "file_name": "b.png"}]}, "ab"),
    ],
)
def test_coco_with_two_images_of_one_id_is_refused_naming_both(
    tmp_path: Path, change: dict[str, Any], names: str
) -> None:
    with pytest.raises(UserError, match=r"a\.png and b\.png both have the id 1"):
        read_one(tmp_path, "a.json", json.dumps(coco(**change)))


def test_coco_with_two_classes_of_one_id_is_refused_naming_both(tmp_path: Path) -> None:
    classes = [{"id": 1, "name": "RBC"}, {"id": 1, "name": "WBC"}]
    with pytest.raises(UserError, match="RBC and WBC both have the id 1"):
        read_one(tmp_path, "a.json", json.dumps(coco(categories=classes)))


def test_a_cvat_box_turned_about_its_middle_gets_the_upright_box_around_it(tmp_path: Path) -> None:
    text = (
        '<annotations><image id="0" name="a.png" width="200" height="160"><box label="RBC" '
        'xtl="60" ytl="70" xbr="140" ybr="90" rotation="90.00"/></image></annotations>'
    )
    found = read_one(tmp_path, "a.xml", text)
    assert corners(found.images[0]) == [[90, 40, 110, 120]]
    assert found.notes == ("The upright boxes around them were taken for 1 turned box.",)


def test_a_coco_box_turned_about_its_middle_gets_the_upright_box_around_it(tmp_path: Path) -> None:
    turned = {"image_id": 1, "category_id": 1, "bbox": [60, 70, 80, 20]}
    turned["attributes"] = {"rotation": 90.0}
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=[turned])))
    assert corners(found.images[0]) == [[90, 40, 110, 120]]


def test_a_box_turned_by_30_degrees_reaches_as_far_as_its_corners(tmp_path: Path) -> None:
    turned = {"image_id": 1, "category_id": 1, "bbox": [60, 70, 80, 20]}
    turned["attributes"] = {"rotation": 30}
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=[turned])))
    # cos 30 = .866, sin 30 = .5: half a width of 40 * .866 + 10 * .5, half a height of 20 + 8.66
    assert corners(found.images[0]) == [[60.359, 51.34, 139.641, 108.66]]


@pytest.mark.parametrize(
    ("line", "score", "source"),
    [
        ("0 0.5 0.5 0.2 0.2", 1, Source.PERSON),
        ("0 0.5 0.5 0.2 0.2 0.91", 0.91, Source.MODEL),
        ("0 0.5 0.5 0.2 0.2 0.91 17", 0.91, Source.MODEL),  # and the number of a track
        ("0.000e+00 0.5 0.5 0.2 0.2", 1, Source.PERSON),
        # Two keypoints with visibility, one with, and five without.
        ("0 0.5 0.5 0.2 0.2 0.45 0.5 2 0.55 0.5 1", 1, Source.PERSON),
        ("0 0.5 0.5 0.2 0.2 0.45 0.5 2", 1, Source.PERSON),
        ("0 0.5 0.5 0.2 0.2 0.45 0.5 0.5 0.45 0.5 0.5 0.55 0.5 0.5 0.55", 1, Source.PERSON),
    ],
)
def test_yolo_lines_with_more_than_a_box_are_no_polygons(
    tmp_path: Path, line: str, score: float, source: Source
) -> None:
    found = read_one(tmp_path, "a.txt", line + "\n")
    assert corners(found.images[0]) == [[80, 64, 120, 96]]
    (box,) = found.images[0].boxes
    assert (box.score, box.source) == (score, source)


def test_yolo_polygons_turned_boxes_and_triangles_stay_outlines(tmp_path: Path) -> None:
    lines = (
        "0 0.4 0.4 0.6 0.4 0.6 0.6 0.4 0.6\n"  # four corners, as of a turned box
        "0 0.5 0.4 0.6 0.6 0.4 0.6\n"
        "0 0.4 0.5 0.45 0.4 0.55 0.4 0.6 0.5 0.5 0.6\n"
    )
    found = read_one(tmp_path, "a.txt", lines)
    assert corners(found.images[0]) == [[80, 64, 120, 96]] * 3
    assert found.notes == ("The upright boxes around them were taken for 3 polygons.",)


def test_a_data_set_of_poses_says_itself_what_its_lines_are(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        {
            "data.yaml": "names:\n  0: RBC\nkpt_shape: [2, 2]\n",
            "labels/a.txt": "0 0.5 0.5 0.2 0.2 0.45 0.5 0.55 0.5\n",
        },
    )
    assert corners(read_boxes([folder]).images[0]) == [[80, 64, 120, 96]]


@pytest.mark.parametrize("tag", ["label", "bbox", "rbc", "Zellen"])
def test_label_studio_s_short_form_is_read_under_any_tag(tmp_path: Path, tag: str) -> None:
    region = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["RBC"]}
    region |= {"original_width": 200, "original_height": 160}
    task = {"id": 1, "image": "/data/upload/1/a.png", "annotator": 1, tag: [region]}
    found = read_one(tmp_path, "a.json", json.dumps([task]))
    assert corners(found.images[0]) == [[20, 32, 80, 96]]
    assert found.images[0].boxes[0].label == "RBC"


@pytest.mark.parametrize(("crowd", "count"), [("0", 1), (0, 1), ("1", 0), (True, 0), (None, 1)])
def test_a_crowd_is_what_the_file_calls_one(tmp_path: Path, crowd: object, count: int) -> None:
    more = {"id": 6, "image_id": 1, "category_id": 1, "bbox": [50, 50, 20, 20], "iscrowd": crowd}
    annotations = [*coco()["annotations"], more]
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=annotations)))
    assert len(found.images[0].boxes) == 1 + count
    assert len(found.left_out) == 1 - count


def test_ids_as_numbers_and_as_text_are_the_same(tmp_path: Path) -> None:
    annotation = {"image_id": "1", "category_id": "1", "bbox": ["10", 20, 30, 40]}
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=[annotation])))
    assert corners(found.images[0]) == [[10, 20, 40, 60]]
    assert found.images[0].boxes[0].label == "RBC"


def test_a_class_that_coco_does_not_list_is_left_out_not_taken_for_a_red_cell(
    tmp_path: Path,
) -> None:
    stranger = {"id": 6, "image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]}
    annotations = [*coco()["annotations"], stranger]
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=annotations)))
    assert found.left_out == (LeftOut("annotation 6", "a.png", "'9' is missing"),)


def test_a_cell_id_that_many_programs_would_round_is_not_kept(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 1, "bbox": [10 * n, 1, 5, 5], "attributes": {"cell_id": number}}
        for n, number in enumerate((2**53, 2**53 + 1, 2**53 - 1, -4))
    ]
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=annotations)))
    assert [box.cell_id for box in found.images[0].boxes] == [0, 0, 2**53 - 1, 0]


# --- one bad item -----------------------------------------------------------------------------


def test_bad_annotations_of_a_coco_file_are_left_out_one_by_one(tmp_path: Path) -> None:
    good = coco()["annotations"][0]
    bad = [
        good | {"id": 6, "bbox": [10, 20, -3, 4]},
        good | {"id": 7, "bbox": [10, None, 3, 4]},
        good | {"id": 8, "image_id": 99},
        "no annotation",
        good | {"id": 10, "bbox": [10, 20, 0, 4]},
    ]
    found = read_one(tmp_path, "a.json", json.dumps(coco(annotations=[good, *bad])))
    assert corners(found.images[0]) == [[10, 20, 40, 60]]
    assert [(each.item, each.image) for each in found.left_out] == [
        ("annotation 6", "a.png"),
        ("annotation 7", "a.png"),
        ("annotation 8", ""),
        ("annotation 5", ""),
        ("annotation 10", "a.png"),
    ]
    assert "negative" in found.left_out[0].reason
    assert "image 99, which it does not list" in found.left_out[2].reason


def test_an_image_of_which_something_is_missing_does_not_count_as_reviewed(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "reviewed": True} for i in (1, 2)]
    annotations = [
        {"image_id": image, "category_id": 1, "bbox": bbox}
        for image, bbox in ((1, [1, 2, 3, 4]), (1, [1, 2, None, 4]), (2, [1, 2, 3, 4]))
    ]
    content = coco(images=images, annotations=annotations)
    found = read_one(tmp_path, "a.json", json.dumps(content))
    assert [image.reviewed for image in found.images] == [False, True]


def test_copies_of_a_mac_broken_files_and_short_lines_do_not_cost_the_folder(
    tmp_path: Path,
) -> None:
    folder = written(
        tmp_path,
        {
            "classes.txt": "RBC\n",
            "a.txt": "0 0.5 0.5 0.2 0.2\n0 0.5\n",
            "._a.txt": b"\0\5\x16\7\0\2\0\0Mac OS X",
            "._a.xml": b"\0\5\x16\7\0\2\0\0Mac OS X",
            "broken.xml": "<annotation>",
            "__MACOSX/._b.txt": b"\0\5\x16\7",
            ".hidden.txt": "what",
        },
    )
    found = read_boxes([folder])
    assert [(image.name, corners(image)) for image in found.images] == [("a", [[80, 64, 120, 96]])]
    told = {each.item: each.reason for each in found.left_out}
    assert set(told) == {
        *("the file ._a.txt", "the file ._a.xml", "the file __MACOSX/._b.txt"),
        *("the file broken.xml", "line 2"),
    }
    assert told["the file ._a.xml"].startswith("it is a copy that macOS keeps")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "names: {0: WBC, 1: RBC}\n"),
        ("dataset.yaml", "path: ../x\nnames:\n  0: WBC\n  1: RBC\n"),
        ("dataset.yaml", "names: ['WBC', \"RBC\"]  # as Ultralytics writes it\n"),
        ("smears.yml", "nc: 2\nnames:\n- WBC\n- RBC\n"),
    ],
)
def test_classes_are_found_in_any_yaml_file(tmp_path: Path, name: str, content: str) -> None:
    folder = written(tmp_path, {name: content, "labels/a.txt": "1 0.5 0.5 0.2 0.2\n"})
    assert read_boxes([folder]).images[0].boxes[0].label == "RBC"


def test_cellpose_outlines_are_read_unless_its_masks_are_there(tmp_path: Path) -> None:
    outline = "20,30,39,30,39,49,20,49\n"
    folder = written(tmp_path, {"a_cp_outlines.txt": outline})
    found = read_boxes([folder])
    assert [(i.name, corners(i)) for i in found.images] == [("a", [[20, 30, 40, 50]])]
    masks = np.zeros((160, 200), np.uint16)
    masks[30:50, 20:40] = 1
    masks[60:80, 20:40] = 2
    tifffile.imwrite(folder / "a_cp_masks.tif", masks)
    (image,) = read_boxes([folder]).images
    assert corners(image) == [[20, 30, 40, 50], [20, 60, 40, 80]]


# --- masks ------------------------------------------------------------------------------------


def test_masks_keep_the_folders_by_which_images_of_one_name_differ(tmp_path: Path) -> None:
    for sample in ("s1", "s2"):
        (tmp_path / "masks" / sample).mkdir(parents=True)
        mask = np.zeros((160, 200), np.uint8)
        mask[30:50, 20:40] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / sample / "i.png")
    found = read_boxes([tmp_path])
    assert [(image.name, corners(image)) for image in found.images] == [
        (f"masks/{sample}/i", [[20, 30, 40, 50]]) for sample in ("s1", "s2")
    ]


def test_a_photograph_is_no_label_image(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (80, 90), np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="looks like a photograph"):
        read_boxes([tmp_path / "a.png"])


def test_a_mask_with_the_background_in_white_is_not_taken_for_one_huge_cell(
    tmp_path: Path,
) -> None:
    mask = np.full((160, 200), 255, np.uint8)
    mask[30:50, 20:40] = 0
    Image.fromarray(mask).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="it covers the whole image"):
        read_boxes([tmp_path / "a.png"])


# --- archives ---------------------------------------------------------------------------------


def test_a_zip_archive_is_read_where_it_is_whatever_its_names_say(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("obj.names", "RBC\n")
        archive.writestr("obj_train_data/s1/a.txt", "0 0.5 0.5 0.2 0.2\n")
        archive.writestr("../../../tmp/out/b.txt", "0 0.5 0.5 0.2 0.2\n")
        archive.writestr("__MACOSX/obj_train_data/._a.txt", b"\0\5\x16\7")
    before = set(tmp_path.rglob("*"))
    found = read_boxes([tmp_path / "export.zip"])
    assert [image.name for image in found.images] == ["s1/a", "tmp/out/b"]
    assert found.images[0].boxes[0].label == "RBC"
    assert set(tmp_path.rglob("*")) == before
    assert [each.item for each in found.left_out] == [
        "the file __MACOSX/obj_train_data/._a.txt in export.zip"
    ]


def test_an_archive_s_locked_or_damaged_member_does_not_cost_the_others(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "0 0.5 0.5 0.2 0.2\n")
        archive.writestr("b.txt", "0 0.5 0.5 0.2 0.25\n")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"0.2 0.25", b"0.2 0.99"))
    found = read_boxes([path])
    assert [image.name for image in found.images] == ["a"]
    assert found.left_out[0].item == "the file b.txt in export.zip"
    assert "cannot be unpacked" in found.left_out[0].reason


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_member_is_said_to_be_so_however_it_is_packed(
    tmp_path: Path, method: int
) -> None:
    path, sound = tmp_path / "export.zip", io.BytesIO()
    with zipfile.ZipFile(sound, "w", method) as archive:
        archive.writestr("b.txt", "".join(f"0 0.5 0.5 0.2 0.{n}\n" for n in range(100, 500)))
    middle = sound.getvalue().rindex(b"PK\1\2") // 2
    for place in range(middle, middle + 10):
        raw = bytearray(sound.getvalue())
        raw[place] ^= 0xFF
        path.write_bytes(raw)
        with pytest.raises(UserError, match="it cannot be unpacked"):
            read_boxes([path])


def test_what_is_no_archive_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(b"PK\3\4 and nothing more")
    with pytest.raises(UserError, match="no archive that can be read"):
        read_boxes([tmp_path / "export.zip"])


def test_folders_that_link_to_each_other_are_read_once(tmp_path: Path) -> None:
    for name in "abcdefghi":
        (tmp_path / name).mkdir()
    for name in "abcdefghi":
        for other in "abcdefghi":
            os.symlink(tmp_path / other, tmp_path / name / f"to_{other}")
    written(tmp_path, {"a/x.txt": "0 0.5 0.5 0.2 0.2\n"})
    assert len(read_boxes([tmp_path]).images) == 1


# --- outlines of CVAT and Label Studio ----------------------------------------------------------


def test_cvat_s_ellipses_and_masks_get_the_boxes_around_them(tmp_path: Path) -> None:
    text = (
        '<annotations><image id="0" name="a.png" width="200" height="160">'
        '<ellipse label="RBC" cx="100" cy="80" rx="40" ry="10" rotation="90"/>'
        '<mask label="RBC" rle="1, 2" left="10" top="20" width="30" height="40"/>'
        '<polyline label="RBC" points="1,2;3,4"/><tag label="blurred"/>'
        "</image></annotations>"
    )
    found = read_one(tmp_path, "a.xml", text)
    assert corners(found.images[0]) == [[90, 40, 110, 120], [10, 20, 40, 60]]
    assert [each.item for each in found.left_out] == ["polyline 3"]


def test_label_studio_s_polygons_and_ellipses_get_the_boxes_around_them(tmp_path: Path) -> None:
    size = {"original_width": 200, "original_height": 160}
    ellipse = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 6.25, "rotation": 90}
    result = [
        size | {"type": "polygonlabels", "value": {"points": [[10, 20], [40, 20], [25, 60]]}},
        size | {"type": "ellipselabels", "value": ellipse | {"ellipselabels": ["RBC"]}},
        size | {"type": "brushlabels", "value": {"format": "rle", "rle": [1]}},
    ]
    task = {"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": result}]}
    found = read_one(tmp_path, "a.json", json.dumps([task]))
    assert corners(found.images[0]) == [[20, 32, 80, 96], [90, 40, 110, 120]]
    assert [each.item for each in found.left_out] == ["region 3"]


def test_a_second_person_s_annotation_of_a_task_is_left_out_and_counted(tmp_path: Path) -> None:
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["RBC"]}
    result = [{"type": "rectanglelabels", "value": value}]
    annotations = [{"id": 3, "result": result}, {"id": 4, "result": result * 2}]
    task = {"id": 1, "data": {"image": "a.png"}, "annotations": annotations}
    found = read_one(tmp_path, "a.json", json.dumps([task]))
    assert found.box_count == 1
    assert [(each.item, each.count) for each in found.left_out] == [("annotation 4", 2)]


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_of_a_spreadsheet_are_read(tmp_path: Path, separator: str) -> None:
    rows = (("image", "x_min", "y_min", "x_max", "y_max"), ("a.png", "1,5", "2", "11,25", "12,5"))
    text = "\n".join(separator.join(row) for row in rows)
    assert corners(read_one(tmp_path, "a.csv", text).images[0]) == [[1.5, 2, 11.25, 12.5]]


def test_commas_of_thousands_are_not_taken_for_decimals(tmp_path: Path) -> None:
    text = "image\tx_min\ty_min\tx_max\ty_max\na\t1,020\t2.5\t1,090\t12\nb\t1\t2.5\t9\t12\n"
    found = read_one(tmp_path, "a.tsv", text)
    assert [(image.name, corners(image)) for image in found.images] == [("b", [[1, 2.5, 9, 12]])]
    assert "without separators of thousands" in found.left_out[0].reason


def test_a_short_or_bad_row_is_left_out_by_its_number(tmp_path: Path) -> None:
    text = "image,x_min,y_min,x_max,y_max\na,1,2\na,1,2,9,12\na,1,2,nine,12\n"
    found = read_one(tmp_path, "a.csv", text)
    assert corners(found.images[0]) == [[1, 2, 9, 12]]
    assert [each.item for each in found.left_out] == ["row 2", "row 4"]


# --- further tools ------------------------------------------------------------------------------


def test_labelme_s_rectangles_polygons_and_circles_are_read(tmp_path: Path) -> None:
    shapes = [
        {"label": "RBC", "shape_type": "rectangle", "points": [[40, 60], [10, 20]]},
        {"label": "RBC", "shape_type": "polygon", "points": [[5, 6], [15, 6], [10, 26]]},
        {"label": "RBC", "shape_type": "circle", "points": [[100, 80], [103, 84]]},
        {"label": "RBC", "shape_type": "point", "points": [[1, 2]]},
        {"label": "RBC", "points": [[1, 2], [4, 2], [4, 9]]},
    ]
    size = {"imageWidth": 200, "imageHeight": 160, "imageData": None}
    content = {"version": "5.0", "imagePath": "..\\s1\\a.png", "shapes": shapes, **size}
    found = read_one(tmp_path, "a.json", json.dumps(content))
    rows = [[10, 20, 40, 60], [5, 6, 15, 26], [95, 75, 105, 85], [1, 2, 4, 9]]
    assert corners(found.images[0]) == rows
    assert (found.images[0].name, found.images[0].size_px) == ("..\\s1\\a.png", SIZE)
    assert [each.item for each in found.left_out] == ["shape 4"]


@pytest.mark.parametrize("names", [("image", "annotations"), ("imagefilename", "annotation")])
def test_createml_s_boxes_are_given_by_their_middles(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    annotation = {"label": "RBC", "coordinates": {"x": 25, "y": 40, "width": 30, "height": 40}}
    content = [{names[0]: "a.png", names[1]: [annotation]}]
    found = read_one(tmp_path, "a.json", json.dumps(content))
    assert corners(found.images[0]) == [[10, 20, 40, 60]]


def qupath(kind: str, *points: tuple[float, float], **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [[*map(list, points), list(points[0])]]}
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {"objectType": kind} | properties,
    }


def test_qupath_s_detections_are_read_and_the_region_around_them_is_left_out(
    tmp_path: Path,
) -> None:
    cell = {"classification": {"name": "RBC"}}
    features = [
        qupath("annotation", (0, 0), (200, 0), (200, 160), (0, 160)),
        qupath("detection", (10, 20), (40, 20), (25, 60), **cell),
        qupath("cell", (50.5, 20), (70, 20), (70, 40), (50.5, 40), **cell),
    ]
    content = {"type": "FeatureCollection", "features": features}
    found = read_one(tmp_path, "a.tif.geojson", json.dumps(content))
    assert found.images[0].name == "a.tif"
    assert corners(found.images[0]) == [[10, 20, 40, 60], [50.5, 20, 70, 40]]
    assert [each.item for each in found.left_out] == ["object 1"]
    assert found.images[0].boxes[0].label == "RBC"


def roi(kind: str, points: list[list[float]], position: int = 0) -> bytes:
    made = roifile.ImagejRoi.frompoints(np.array(points))
    made.position = position
    made.roitype = roifile.ROI_TYPE[kind]
    return bytes(made.tobytes())


def test_imagej_s_archive_of_rois_belongs_to_the_image_that_it_is_named_after(
    tmp_path: Path,
) -> None:
    rectangle = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT, top=20, left=10, bottom=60, right=40
    )
    oval = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, top=1, left=2, bottom=30, right=40)
    with zipfile.ZipFile(tmp_path / "a_RoiSet.zip", "w") as archive:
        archive.writestr("0001-0001.roi", rectangle.tobytes())
        archive.writestr("0002-0002.roi", oval.tobytes())
        archive.writestr("0003.roi", roi("FREEHAND", [[5, 6], [15, 6], [10, 26]]))
        archive.writestr("0004.roi", roi("POINT", [[5, 6]]))
        archive.writestr("0005.roi", b"Iout and nothing")
    found = read_boxes([tmp_path / "a_RoiSet.zip"])
    (image,) = found.images
    assert image.name == "a"
    assert corners(image) == [[10, 20, 40, 60], [2, 1, 40, 30], [5, 6, 15, 26]]
    assert [each.item for each in found.left_out] == ["the ROI 0004", "the ROI 0005"]


def test_imagej_s_slices_are_the_pages_of_a_stack(tmp_path: Path) -> None:
    folder = tmp_path / "stack" / "RoiSet"
    points: list[list[float]] = [[5, 6], [15, 6], [10, 26]]
    written(folder, {"x.roi": roi("POLYGON", points, 1), "y.roi": roi("POLYGON", points, 3)})
    found = read_boxes([tmp_path])
    assert [(image.name, image.page) for image in found.images] == [("stack", 0), ("stack", 2)]


def test_a_roi_of_its_own_has_the_name_of_its_image(tmp_path: Path) -> None:
    folder = written(tmp_path, {"a.roi": roi("POLYGON", [[5, 6], [15, 6], [10, 26]])})
    assert [image.name for image in read_boxes([folder / "a.roi"]).images] == ["a"]


def test_cellpose_s_own_file_is_never_unpickled_and_its_masks_are_read_instead(
    tmp_path: Path,
) -> None:
    masks = np.zeros((160, 200), np.uint16)
    masks[30:50, 20:40] = 1
    content: Any = {"masks": masks}
    np.save(tmp_path / "a_seg.npy", content, allow_pickle=True)
    with pytest.raises(UserError, match="save the masks in Cellpose as PNG or TIFF"):
        read_boxes([tmp_path])
    Image.fromarray(masks).save(tmp_path / "a_cp_masks.png")
    (image,) = read_boxes([tmp_path]).images
    assert (image.name, corners(image)) == ("a", [[20, 30, 40, 50]])


def test_labels_saved_by_numpy_are_read(tmp_path: Path) -> None:
    masks = np.zeros((160, 200), np.int32)
    masks[30:50, 20:40], masks[60:80, 20:40] = 7, 9
    np.save(tmp_path / "a_seg.npy", masks)
    (image,) = read_boxes([tmp_path]).images
    assert corners(image) == [[20, 30, 40, 50], [20, 60, 40, 80]]


def test_an_archive_within_an_archive_is_read(tmp_path: Path) -> None:
    written(tmp_path / "in", {"a.txt": "0 0.5 0.5 0.2 0.2\n"})
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        archive.write(tmp_path / "in" / "a.txt", "labels/a.txt")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(tmp_path / "inner.zip", "inner.zip")
    assert [image.name for image in read_boxes([tmp_path / "outer.zip"]).images] == ["a"]
