"""A file of boxes is merged into a project: names are found, nobody's work is lost."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.annotations.notes import Note
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.exchange.account import Account
from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
)
from napari_attmil.cells.exchange.coco import read_coco
from napari_attmil.cells.exchange.csv_tables import read_csv
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.image_names import ImageNames
from napari_attmil.cells.exchange.importing import import_boxes, plan_import
from napari_attmil.cells.exchange.label_images import boxes_of_labels
from napari_attmil.cells.exchange.study_boxes import (
    MergeCounts,
    annotated_images,
    merged,
    only_cells,
)
from napari_attmil.cells.exchange.writing import write_boxes
from napari_attmil.core import finished
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.cells.exchange.annotation_set import Corners


def sample_of(folder: Path, *names: str) -> Sample:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (100, 80), 128).save(folder / name)
    return Sample("s", "s", None, tuple(Frame(folder / name) for name in names))


def boxes_of(*rows: tuple[int, Corners, Source]) -> Boxes:
    ids, xyxy, sources = zip(*rows, strict=True)
    images, ones = np.zeros(len(rows), np.int32), np.ones(len(rows), np.float32)
    return Boxes(np.array(ids), images, np.array(xyxy), ones, np.array(sources))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("one/a.png", ["one/a.png"]),
        ("C:\\data\\two\\A.PNG", ["two/a.png"]),
        ("/elsewhere/two/a", ["two/a.png"]),
        ("a.png", ["one/a.png", "two/a.png"]),
        ("images/0a1b2c3d-b.v2.png", ["b.v2.png"]),
        ("b.v2", ["b.v2.png"]),
        ("train/b.v2_png.rf.0123456789abcdef.jpg", ["b.v2.png"]),
        ("c.png", []),
    ],
)
def test_images_are_found_by_what_files_call_them(
    tmp_path: Path, name: str, found: list[str]
) -> None:
    sample = sample_of(tmp_path, "one/a.png", "two/a.png", "b.v2.png")
    places = ImageNames([sample]).find(name).places
    paths = [sample.frames[index].path.relative_to(tmp_path).as_posix() for _, index in places]
    assert paths == found


def test_merging_keeps_a_person_s_boxes_and_lets_the_detector_s_give_way() -> None:
    here = boxes_of(
        (1, (0, 0, 10, 10), Source.PERSON),
        (2, (20, 0, 30, 10), Source.PERSON),
        (3, (40, 0, 50, 10), Source.MODEL),
        (4, (60, 0, 70, 10), Source.MODEL),
    )
    gone = boxes_of((5, (80, 0, 90, 10), Source.MODEL))
    file = [
        AnnotatedBox((0, 0, 10, 10)),  # the same as 1
        AnnotatedBox((22, 0, 32, 10)),  # overlaps with 2 by 2 / 3
        AnnotatedBox((41, 0, 51, 10)),  # of the same cell as 3
        AnnotatedBox((80, 0, 90, 10)),  # deleted by a person
        AnnotatedBox((61, 0, 71, 10), source=Source.MODEL),  # says nothing new about 4
    ]
    now = Annotations(here, gone, next_id=6)
    after, counts = merged(now, 0, AnnotatedImage("a.png", tuple(file), reviewed=True), 6)
    assert after.boxes.cell_id.tolist() == [1, 2, 4, 6, 7]
    assert after.boxes.xyxy[[3, 4], 0].tolist() == [22, 41]
    assert after.reviewed == {0}
    assert after.next_id == 8
    assert counts == MergeCounts(added=2, already_there=3, overlapping=1, replaced=1)


HERE = boxes_of(
    (1, (0, 0, 10, 10), Source.MODEL),
    (2, (20, 0, 30, 10), Source.PERSON),
    (3, (40, 0, 50, 10), Source.MODEL),
    (4, (43, 0, 53, 10), Source.MODEL),  # the same cell as 3 once more: 7 / 13
    (5, (60, 0, 70, 10), Source.ACCEPTED),
    (6, (80, 0, 90, 10), Source.MODEL),  # not a cell
)
NO_CELL = {6: Note(0, ("not a cell",))}
KEPT = replace(AnnotatedBox((40, 0, 50, 10)), source=Source.MODEL, cell_id=3)


def brought_in(
    folder: Path, images: list[AnnotatedImage], says_who: str, reviewed: bool = False
) -> tuple[list[int], list[int], int]:
    """Return the ids of boxes and of deleted ones after an import, and how many were removed."""
    sample = sample_of(folder, "a.png")
    flags = frozenset({0} if reviewed else ())
    now = Annotations(HERE, next_id=7, reviewed=flags, notes=NO_CELL)
    plan = finished(plan_import([sample], AnnotationSet("test", tuple(images))))
    after, outcome = (plan.as_reviewed() if says_who == "person" else plan).merged_into({"s": now})
    ids = [part.cell_id.tolist() for part in (after["s"].boxes, after["s"].deleted)]
    return ids[0], ids[1], outcome.counts.removed


@pytest.mark.parametrize("reviewed", [False, True])
def test_what_a_checked_file_has_no_more_is_deleted_unless_a_person_drew_it(
    tmp_path: Path, reviewed: bool
) -> None:
    image = AnnotatedImage("a.png", (KEPT,))
    kept, deleted, removed = brought_in(tmp_path, [image], "person", reviewed)
    assert (kept, deleted, removed) == ([2, 3, 5, 6], [1, 4], 2)


def test_a_checked_file_without_boxes_leaves_the_detector_none(tmp_path: Path) -> None:
    assert brought_in(tmp_path, [AnnotatedImage("a.png", ())], "person") == (
        [2, 5, 6],
        [1, 3, 4],
        3,
    )


def test_a_file_that_nobody_checked_or_that_lacks_something_deletes_nothing(tmp_path: Path) -> None:
    every = [1, 2, 3, 4, 5, 6]
    assert brought_in(tmp_path, [AnnotatedImage("a.png", (KEPT,))], "file") == (every, [], 0)
    outside = replace(KEPT, xyxy=(-90, 0, -80, 10))
    for who in ("person", "file"):
        lacking = AnnotatedImage("a.png", (KEPT, outside), reviewed=True)
        assert brought_in(tmp_path, [lacking], who) == (every, [], 0)


def test_a_file_s_own_word_deletes_nothing_that_was_confirmed_here(tmp_path: Path) -> None:
    image = AnnotatedImage("a.png", (KEPT,), reviewed=True)
    assert brought_in(tmp_path, [image], "file") == ([2, 3, 5, 6], [1, 4], 2)
    assert brought_in(tmp_path, [image], "file", reviewed=True) == ([1, 2, 3, 4, 5, 6], [], 0)


def test_an_image_s_boxes_of_several_files_are_all_its_cells(tmp_path: Path) -> None:
    first = replace(KEPT, xyxy=(0, 0, 10, 10), cell_id=1)
    images = [AnnotatedImage("a.png", (KEPT,)), AnnotatedImage("a", (first,))]
    assert brought_in(tmp_path, images, "person") == ([1, 2, 3, 5, 6], [4], 1)


def test_boxes_of_other_classes_do_not_keep_an_image_from_being_complete(tmp_path: Path) -> None:
    wbc = AnnotatedBox((1, 50, 31, 79), "WBC")
    image = AnnotatedImage("a.png", (replace(KEPT, label="RBC"), wbc))
    assert brought_in(tmp_path, [image], "person") == ([2, 3, 5, 6], [1, 4], 2)


def test_export_into_a_new_project_and_out_again_is_the_same(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, "one/a.png", "two/a.png")
    first = (
        AnnotatedBox((1, 2, 11, 12), cell_id=9),
        AnnotatedBox((50, 2, 61, 12), cell_id=4, score=0.5),
    )
    second = (AnnotatedBox((3, 2, 13, 12.5), cell_id=2, source=Source.ACCEPTED),)
    images = [
        AnnotatedImage("one/a.png", first, size_px=(100, 80), reviewed=True),
        AnnotatedImage("two/a.png", second, size_px=(100, 80)),
    ]
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    outcome = finished(import_boxes([sample], file, AnnotationSet("test", tuple(images)), "test"))
    kept = file.read_all([sample])
    out = annotated_images([sample], kept, tmp_path)
    assert [set(image.boxes) for image in out] == [set(first), set(second)]
    assert [image.reviewed for image in out] == [True, False]
    assert (outcome.counts.added, outcome.images, outcome.notes) == (3, 2, ())


NOTED = Note(
    0, ("odd", "two; cells"), "=as if\nin two lines", (("Source", "blood"), ("Stage", "3"))
)


@pytest.mark.parametrize("format_name", ["coco", "csv"])
def test_notes_go_out_and_come_in_again(tmp_path: Path, format_name: str) -> None:
    sample = sample_of(tmp_path, "one/a.png", "two/a.png")
    boxes = Boxes.from_detections(
        [0, 0, 1], [[1, 2, 11, 12], [30, 2, 40, 12], [1, 2, 9, 9]], [1] * 3
    )
    noted = replace(NOTED, tags=("odd",)) if format_name == "csv" else NOTED
    notes = {1: noted, 3: Note(1, text="last")}
    kept = {"s": Annotations(boxes, next_id=4, notes=notes)}
    written = tmp_path / {"coco": "out.json", "csv": "out.csv"}[format_name]
    write_boxes(written, annotated_images([sample], kept, tmp_path), format_name)
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    outcome = finished(import_boxes([sample], file, read_boxes([written]), "test"))
    assert file.read_all([sample])["s"].notes == notes
    assert outcome.notes == ("2 boxes with tags, notes or values from the files.",)


def test_a_table_of_this_program_may_get_columns_in_a_spreadsheet(tmp_path: Path) -> None:
    lines = "image,frame,cell_id,x_min,y_min,x_max,y_max,score,source,reviewed,width,height,"
    lines += "cell_type,My Stage\na.png,0,4,1,2,11,12,1,person,0,100,80,red cell,early\n"
    (image,) = read_csv(lines, Account())
    assert image.boxes[0].note == Note(columns=(("My Stage", "early"),))
    (image,) = read_csv("image,x_min,y_min,x_max,y_max,stage\na.png,1,2,3,4,early\n", Account())
    assert not image.boxes[0].note
    lines = "image,cell_id,x_min,y_min,x_max,y_max,score,source,tags,attention\n"
    (image,) = read_csv(f"{lines}a.png,4,1,2,11,12,1,person,odd; new,0.5\n", Account())
    assert image.boxes[0].note == Note(tags=("new", "odd"))


def test_attributes_of_other_programs_are_no_notes() -> None:
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "attributes": {"occluded": False}}
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [box],
    }
    assert not read_coco(content, Account())[0].boxes[0].note


def test_an_import_fills_in_notes_and_replaces_none() -> None:
    boxes = boxes_of(
        (1, (0, 0, 10, 10), Source.PERSON),
        (2, (20, 0, 30, 10), Source.MODEL),
        (3, (40, 0, 50, 10), Source.PERSON),
    )
    mine = {1: Note(0, ("a",), "mine", (("x", "1"),)), 2: Note(0, ("kept",))}
    now = Annotations(boxes, next_id=4, notes=mine)
    theirs = (
        AnnotatedBox((0, 0, 10, 10), note=Note(0, ("b",), "theirs", (("x", "2"), ("y", "3")))),
        AnnotatedBox((20, 0, 30, 11), note=Note(0, ("new",))),  # in place of the detector's
        AnnotatedBox((40, 0, 50, 10)),
    )
    image = AnnotatedImage("a.png", theirs, size_px=(100, 80))
    after, counts = merged(now, 0, image, 4)
    assert after.notes == {
        1: Note(0, ("a", "b"), "mine", (("x", "1"), ("y", "3"))),
        4: Note(0, ("kept", "new")),
    }
    assert (counts.noted, counts.noted_otherwise, counts.replaced) == (2, 1, 1)
    again, counts = merged(after, 0, image, 5)
    assert again.notes == after.notes and (counts.noted, counts.noted_otherwise) == (0, 1)


def test_what_does_not_fit_is_left_out_and_told(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, "one/a.png", "two/a.png", "b.png", "turned.jpg")
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (100, 80)).save(tmp_path / "turned.jpg", exif=exif)
    box = (AnnotatedBox((1, 2, 11, 12)),)
    names = ["a.png", "none.png", "turned.jpg"]
    images = [AnnotatedImage(name, box) for name in names]
    images.append(AnnotatedImage("b.png", box, size_px=(50, 40)))
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    outcome = finished(import_boxes([sample], file, AnnotationSet("test", tuple(images)), "test"))
    why = {each.image: (each.item, each.reason) for each in outcome.left_out}
    assert why["none.png"] == ("1 box", "it is not in the study")
    assert why["a.png"] == ("1 box", "it fits several images of the study")
    assert "EXIF" in why["turned.jpg"][1]
    assert "states 50 x 40 pixels, but it has 100 x 80" in why["b.png"][1]
    assert outcome.is_nothing
    assert file.read(sample) is None


def test_an_image_too_large_for_pillow_takes_boxes_all_the_same(tmp_path: Path) -> None:
    header = struct.pack(">8sI4sIIBB3x", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 20_000, 20_000, 8, 0)
    (tmp_path / "large.png").write_bytes(header + struct.pack(">I", zlib.crc32(header[12:])))
    sample = Sample("s", "p", None, (Frame(tmp_path / "large.png"),))
    listed = [AnnotatedImage("large.png", (AnnotatedBox((1, 2, 11, 12)),))]
    outcome = finished(
        import_boxes(
            [sample],
            AnnotationFile(tmp_path / "annotations.sqlite"),
            AnnotationSet("test", tuple(listed)),
            "test",
        )
    )
    assert (outcome.counts.added, outcome.notes) == (1, ())


def test_only_red_cells_are_taken_by_what_they_are_called() -> None:
    labels = ["RBC", "WBC", "Platelets", "red blood cell"]
    image = AnnotatedImage("a", tuple(AnnotatedBox((0, 0, 9, 9), label) for label in labels))
    (kept,), others = only_cells([image])
    assert [box.label for box in kept.boxes] == ["RBC", "red blood cell"]
    assert others == {"WBC": 1, "Platelets": 1}
    assert only_cells([image], ["WBC"])[1].total() == 3
    with pytest.raises(UserError, match="--classes"):
        only_cells([image], ["ghost"])


def test_boxes_of_labels_and_of_a_mask_s_parts_are_tight() -> None:
    labels = np.zeros((20, 30), dtype=np.uint16)
    labels[2:8, 3:9] = 1
    labels[2:8, 9:15] = 2
    assert boxes_of_labels(labels).tolist() == [[3, 2, 9, 8], [9, 2, 15, 8]]
    assert boxes_of_labels((labels > 0).astype(np.uint8) * 255).tolist() == [[3, 2, 15, 8]]
    assert boxes_of_labels(np.zeros((20, 30), np.uint8)).shape == (0, 4)
