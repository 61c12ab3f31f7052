"""Boxes go out and come in unchanged, and come in from the files of other programs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.account import Account, LeftOut
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage
from napari_attmil.cells.exchange.coco import CROWD, read_coco
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.writing import FORMATS, write_boxes
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (640, 480)
ids = st.integers(1, 2**40)
scores = st.integers(0, 1000).map(lambda n: n / 1000)


@st.composite
def boxes(draw: st.DrawFn) -> AnnotatedBox:
    # Halves of pixels and finer, as a person's mouse and a detector give them.
    x0, x1 = sorted(draw(st.sets(st.integers(0, 640 * 64), min_size=2, max_size=2)))
    y0, y1 = sorted(draw(st.sets(st.integers(0, 480 * 64), min_size=2, max_size=2)))
    corners = (x0 / 64, y0 / 64, x1 / 64, y1 / 64)
    source = draw(st.sampled_from(Source))
    return AnnotatedBox(corners, cell_id=draw(ids), source=source, score=draw(scores))


@st.composite
def listed(draw: st.DrawFn) -> list[AnnotatedImage]:
    word = st.text("abcÄß &<>'\".,;-_19", min_size=1, max_size=8).map(lambda s: f"i{s.strip()}i")
    names = draw(
        st.lists(st.tuples(word, word), max_size=4, unique_by=lambda n: "/".join(n).lower())
    )
    return [
        AnnotatedImage(
            f"{folder}/{name}.png",
            tuple(draw(st.lists(boxes(), max_size=5))),
            size_px=SIZE,
            reviewed=draw(st.booleans()),
        )
        for folder, name in names
    ]


def by_name(images: tuple[AnnotatedImage, ...]) -> list[AnnotatedImage]:
    return sorted(images, key=lambda image: image.name)


@pytest.mark.parametrize("format_name", ["coco", "csv", "voc"])
@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
@given(images=listed())
def test_round_trip_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, format_name: str, images: list[AnnotatedImage]
) -> None:
    out = tmp_path_factory.mktemp("out") / "boxes.out"
    if format_name == "voc":
        out.mkdir()
    write_boxes(out, images, format_name)
    if images:
        assert by_name(read_boxes([out]).images) == by_name(tuple(images))


@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
@given(images=listed())
def test_yolo_is_a_fixed_point_of_export_import_export(
    tmp_path_factory: pytest.TempPathFactory, images: list[AnnotatedImage]
) -> None:
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    write_boxes(first, images, "yolo")
    if images:
        read = [image.in_pixels(SIZE) for image in read_boxes([first]).images]
        # A label file does not tell the suffix; in a project the image that is found does.
        again = [replace(image, name=f"{image.name}.png") for image in read]
        for image, before in zip(by_name(tuple(again)), by_name(tuple(images)), strict=True):
            assert image.name == before.name
            for box, other in zip(image.boxes, before.boxes, strict=True):
                assert box.xyxy == pytest.approx(other.xyxy, abs=1e-9)
        write_boxes(second, again, "yolo")
        assert labels(second).keys() == labels(first).keys()
        for name, numbers in labels(first).items():
            assert labels(second)[name] == pytest.approx(numbers, abs=1e-12)


def labels(folder: Path) -> dict[str, list[float]]:
    return {
        path.relative_to(folder).as_posix(): [float(word) for word in path.read_text().split()]
        for path in folder.rglob("*.txt")
    }


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_cvat_coco_gives_boxes_and_those_of_polygons(tmp_path: Path) -> None:
    attributes = {"occluded": False, "rotation": 0.0}
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "version": ""},
        "categories": [{"id": 1, "name": "RBC", "supercategory": ""}],
        "images": [
            {"id": 1, "width": 100, "height": 80, "file_name": "s1/a.png", "coco_url": ""},
        ],
        "annotations": [
            {
                **{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [], "area": 200.0},
                **{"bbox": [10.5, 20, 20, 10], "iscrowd": 0, "attributes": attributes},
            },
            {
                **{"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0},
                "segmentation": [[5, 6, 15, 6, 15, 26, 5, 26]],
            },
            {"id": 3, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [0, 0, 9, 9]},
        ],
    }
    reading = read_boxes([written(tmp_path, "instances_default.json", json.dumps(content))])
    assert reading.images == (
        AnnotatedImage(
            "s1/a.png",
            (AnnotatedBox((10.5, 20, 30.5, 30), "RBC"), AnnotatedBox((5, 6, 15, 26), "RBC")),
            size_px=(100, 80),
        ),
    )
    assert reading.left_out == (LeftOut("annotation 3", "s1/a.png", CROWD),)
    assert reading.notes == ("The upright boxes around them were taken for 1 polygon.",)


def test_cvat_for_images_gives_its_boxes(tmp_path: Path) -> None:
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta/>'
        '<image id="0" name="s1/a.png" width="100" height="80">'
        '<box label="RBC" source="manual" occluded="0" xtl="1.5" ytl="2" xbr="11" ybr="12.25" '
        'z_order="0"></box><polygon label="RBC" points="1,2;3,4;1,6"/>'
        '<points label="RBC" points="1,2"/></image></annotations>'
    )
    reading = read_boxes([written(tmp_path, "annotations.xml", text)])
    (image,) = reading.images
    assert image.boxes == (
        AnnotatedBox((1.5, 2, 11, 12.25), "RBC"),
        AnnotatedBox((1, 2, 3, 6), "RBC"),
    )
    assert reading.left_out == (LeftOut("points 3", "s1/a.png", "it is no outline of a cell"),)


def test_labelimg_voc_gives_its_boxes_and_the_suffix_of_its_path(tmp_path: Path) -> None:
    text = (
        "<annotation><folder>s1</folder><filename>a</filename><path>C:\\data\\s1\\a.png</path>"
        "<source><database>Unknown</database></source><size><width>100</width><height>80</height>"
        "<depth>3</depth></size><segmented>0</segmented><object><name>RBC</name>"
        "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox>"
        "<xmin>1</xmin><ymin>2</ymin><xmax>11</xmax><ymax>12</ymax></bndbox></object></annotation>"
    )
    (image,) = read_boxes([written(tmp_path, "a.xml", text)]).images
    assert image == AnnotatedImage(
        "C:\\data\\s1\\a.png", (AnnotatedBox((1, 2, 11, 12), "RBC"),), size_px=(100, 80)
    )


@pytest.mark.parametrize(
    ("class_file", "content", "folder"),
    [
        ("classes.txt", "WBC\nRBC\n", "labels"),
        ("obj.names", "WBC\nRBC\n", "obj_train_data"),
        ("data.yaml", "train: ../train/images\nnc: 2\nnames: ['WBC', 'RBC']\n", "train/labels"),
        ("data.yaml", "names:\n  0: WBC\n  1: RBC\npath: .\n", "labels/train"),
        ("data.yaml", "nc: 2\nnames:\n- WBC\n- RBC\n", "labels"),
    ],
)
def test_yolo_classes_are_found_where_the_programs_write_them(
    tmp_path: Path, class_file: str, content: str, folder: str
) -> None:
    written(tmp_path, class_file, content)
    written(tmp_path, f"{folder}/a.txt", "1 0.5 0.5 0.2 0.25\n")
    (image,) = read_boxes([tmp_path]).images
    assert image.in_pixels((100, 80)).boxes == (AnnotatedBox((40, 30, 60, 50), "RBC"),)


@pytest.mark.parametrize("nested", ["names: " + "[" * 5000, "- " * 5000])
def test_a_class_file_that_is_too_deep_costs_no_boxes_and_is_read_once(
    tmp_path: Path, nested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, load = list[str](), yaml.safe_load

    def noted(text: str) -> object:
        parsed.append(text)
        return load(text)

    monkeypatch.setattr(yaml, "safe_load", noted)
    written(tmp_path, "data.yaml", nested)
    for name in "abc":
        written(tmp_path, f"labels/{name}.txt", "1 0.5 0.5 0.2 0.25\n")
    read = read_boxes([tmp_path])
    found = [image.in_pixels((100, 80)).boxes[0].xyxy for image in read.images]
    assert found == [(40, 30, 60, 50)] * 3
    assert parsed == [nested]


def test_label_studio_rectangles_count_in_hundredths_and_predictions_as_the_model_s(
    tmp_path: Path,
) -> None:
    region = {
        **{"type": "rectanglelabels", "original_width": 100, "original_height": 80},
        "value": {
            **{"x": 10, "y": 25, "width": 20, "height": 50, "rotation": 0},
            "rectanglelabels": ["RBC"],
        },
    }
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.png"}}
        | {"annotations": [{"result": [region], "was_cancelled": False}], "predictions": []},
        {"id": 2, "data": {"image": "/data/local-files/?d=s1/b.png"}, "annotations": []}
        | {"predictions": [{"result": [region | {"score": 0.5}]}]},
    ]
    first, second = read_boxes([written(tmp_path, "export.json", json.dumps(tasks))]).images
    assert first.name == "/data/upload/1/0a1b2c3d-a.png"
    assert first.in_pixels((100, 80)).boxes[0].xyxy == pytest.approx((10, 20, 30, 60))
    assert second.name == "s1/b.png"
    assert (second.boxes[0].source, second.boxes[0].score) == (Source.MODEL, 0.5)


def test_label_studio_rectangle_turned_by_a_quarter_gets_the_box_around_it(tmp_path: Path) -> None:
    value = {"x": 50, "y": 25, "width": 20, "height": 50, "rotation": 90, "rectanglelabels": ["c"]}
    region = {"original_width": 100, "original_height": 80} | value
    tasks = [{"id": 1, "image": "/a.png", "label": [region]}]
    (image,) = read_boxes([written(tmp_path, "min.json", json.dumps(tasks))]).images
    # About its upper left corner (50, 20): 20 wide and 40 high become 40 to the left, 20 down.
    assert image.in_pixels((100, 80)).boxes[0].xyxy == pytest.approx((10, 20, 50, 40))


def test_csv_of_other_names_and_separators_is_read(tmp_path: Path) -> None:
    text = "filename;width;height;class;xmin;ymin;xmax;ymax\na.jpg;100;80;RBC;1;2;11;12\n"
    (image,) = read_boxes([written(tmp_path, "a.csv", text)]).images
    assert image == AnnotatedImage(
        "a.jpg", (AnnotatedBox((1, 2, 11, 12), "RBC"),), size_px=(100, 80)
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "sep=;\n" + text.replace(",", ";"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\r\n\r\n"),
        lambda text: text.replace(",", " ,\t").replace(",", ""),
    ],
    ids=["excel", "old-mac", "blank-lines", "tabs-and-spaces"],
)
def test_a_table_of_boxes_is_understood_as_a_table_of_a_cohort_is(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    text = change("image,x_min,y_min,x_max,y_max\na.png,1,2,11,12\n")
    (tmp_path / "a.csv").write_bytes(text.encode())
    (image,) = read_boxes([tmp_path / "a.csv"]).images
    assert image == AnnotatedImage("a.png", (AnnotatedBox((1, 2, 11, 12), ""),))


def coco_of(annotation: dict[str, object]) -> str:
    return json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [annotation]})


def label_studio_of(x: float) -> str:
    value = {"x": x, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["RBC"]}
    result = [{"type": "rectanglelabels", "value": value}]
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": result}]}])


def test_coco_of_programs_that_write_null_for_what_they_lack_is_read(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": None,
        "annotations": [
            {"image_id": 1, "bbox": [1, 2, 3, 4], "score": None, "attributes": None},
            {"image_id": 1, "bbox": None, "segmentation": [[]]},
        ],
    }
    found = read_boxes([written(tmp_path, "a.json", json.dumps(content))])
    assert found.images[0].boxes == (AnnotatedBox((1, 2, 4, 6), ""),)
    reason = "it has neither a box nor a polygon"
    assert found.left_out == (LeftOut("annotation 2", "a.png", reason),)


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.xml", LAUGHS, "entities"),
        ("a.xml", "<annotation>", "its XML ends or breaks in line 1"),
        ("a.xml", "<svg/>", "root is <svg>"),
        ("a.json", "{", "its JSON ends or breaks in line 1"),
        ("a.json", "[" * 100_000, "nesting"),
        ("a.json", '{"images": [], "annotations": [{"bbox": [1, 2, 3, 4]}]}', "image_id"),
        ("a.json", coco_of({"image_id": 9, "bbox": [1, 2, 3, 4]}), "image 9, which it does not"),
        (
            "a.json",
            coco_of({"image_id": 1, "bbox": [1, 2, None, 4]}),
            r"annotation 1: a value is empty \(null\)",
        ),
        ("a.json", coco_of({"image_id": 1, "bbox": [1, 2, 3, 4], "attributes": [1]}), "of another"),
        ("a.json", label_studio_of(1e8), "far outside of its image"),
        ("a.json", label_studio_of(-250), "far outside of its image"),
        ("a.json", '{"a": 1}', "neither COCO"),
        ("a.csv", "image,x,y\na.png,1,\n", "row 2: 'y' is empty"),
        ("a.csv", "image,x,y\n\n\na.png,1,b\n", "row 4"),
        ("a.csv", "image,x,z\na.png,1,2\n", "x_min"),
        ("a.csv", "image,x_min,y_min,x_max,y_max\na.png,1,2,nan,4\n", "row 2"),
        ("a.txt", "0 0.5 0.5 0.2\n", "line 1"),
        ("a.txt", "0 0.5 0.5 -0.2 0.1\n", "negative"),
        ("a.csv", "", "'image'"),
    ],
)
def test_broken_and_hostile_files_give_one_sentence(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        read_boxes([written(tmp_path, name, text)])


def test_every_format_says_what_it_cannot_hold(tmp_path: Path) -> None:
    image = AnnotatedImage("a.png", (), size_px=SIZE)
    for name, each in FORMATS.items():
        assert write_boxes(tmp_path / name, [image], name) == each.cannot_hold != ""


def test_yolo_refuses_stacks_and_images_that_differ_in_their_suffix_only(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stack"):
        write_boxes(tmp_path, [AnnotatedImage("a.tif", (), page=1, size_px=SIZE)], "yolo")
    twins = [AnnotatedImage(name, (), size_px=SIZE) for name in ("a.tif", "a.png")]
    with pytest.raises(UserError, match="one file"):
        write_boxes(tmp_path, twins, "yolo")


def test_a_polygon_of_an_odd_number_of_values_does_not_turn_the_next_one() -> None:
    annotation = {"image_id": 1, "segmentation": [[1, 2, 3], [50, 20, 70, 80]]}
    content = {"images": [{"id": 1, "file_name": "a.tif"}], "annotations": [annotation]}
    (image,) = read_coco(content, Account())
    assert image.boxes[0].xyxy == (1, 2, 70, 80)
