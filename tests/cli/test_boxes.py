"""`attmil export`, `import`, `agreement` and `check` on files as they lie on a disk."""

from __future__ import annotations

import json
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.core import finished
from napari_attmil.widgets import tasks

if TYPE_CHECKING:
    from pathlib import Path

ONE_IMAGE = Boxes.from_detections([0, 0], [[1, 2, 9, 8], [20, 10, 32, 22]], [1, 1])


@pytest.mark.parametrize("format_name", ["coco", "csv", "voc", "yolo"])
def test_boxes_go_out_and_come_into_another_copy(
    format_name: str, attmil: Any, project: Any, tmp_path: Path
) -> None:
    copy = project.copied_to(tmp_path / "copy")
    (copy.folder / "annotations.sqlite").unlink()
    out = tmp_path / f"boxes.{format_name}"
    exported = attmil("export", project.folder, "--format", format_name, "--out", out)
    assert exported.code == 0 and exported.out.startswith("3 boxes of 3 images written to")
    imported = attmil("import", copy.folder, out)
    assert imported.code == 0 and "3 boxes added in 3 images" in imported.out
    np.testing.assert_allclose(copy.kept().boxes.xyxy, [[1, 2, 9, 8]] * 3, atol=1e-4)
    again = attmil("import", copy.folder, out)
    assert "0 boxes added in 3 images; 3 were there already" in again.out
    assert "as reviewed" not in again.out
    checked = attmil("import", copy.folder, out, "--reviewed")
    assert checked.out.rstrip().endswith("; 3 images count as reviewed")


def test_an_export_says_what_its_format_cannot_hold(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    outcome = attmil("export", project.folder, "--format", "yolo", "--out", tmp_path / "yolo")
    assert "YOLO cannot hold cell ids, scores, who made a box" in outcome.err


def test_an_exported_coco_file_has_the_corners_as_written_by_hand(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    project.keep(ONE_IMAGE)
    attmil("export", project.folder, "--out", tmp_path / "boxes.json")
    content = json.loads((tmp_path / "boxes.json").read_text("utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["healthy/p1/s1/a.tif"]
    assert [box["bbox"] for box in content["annotations"]] == [[1, 2, 8, 6], [20, 10, 12, 12]]


def test_an_import_takes_the_red_cells_and_says_what_it_left_out(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.tif"}, {"id": 2, "file_name": "elsewhere.tif"}],
        "categories": [{"id": 1, "name": "RBC"}, {"id": 2, "name": "WBC"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [20, 10, 12, 12]},
            {"image_id": 1, "category_id": 2, "bbox": [40, 10, 12, 12]},
            {"image_id": 2, "category_id": 1, "bbox": [20, 10, 12, 12]},
        ],
    }
    (tmp_path / "theirs.json").write_text(json.dumps(content), "utf-8")
    outcome = attmil("import", project.folder, tmp_path / "theirs.json")
    assert "1 box added in 1 image" in outcome.out
    assert "boxes of WBC: they are no red cells by their class." in outcome.err
    assert "Left out (1): 1 box of elsewhere.tif: it is not in the study." in outcome.err
    here = project.kept().boxes.of_image(0)
    assert here.xyxy.tolist() == [[1, 2, 9, 8], [20, 10, 32, 22]]
    assert here.source.tolist() == [Source.MODEL, Source.PERSON]


def test_a_dry_run_says_what_would_come_in_and_changes_nothing(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    lines = "image,x_min,y_min,x_max,y_max\na.tif,1,2,9,8\na.tif,20,10,32,22\nb.tif,20,10,20,22\n"
    (tmp_path / "theirs.csv").write_text(lines, "utf-8")
    before = project.kept().boxes
    outcome = attmil("import", project.folder, tmp_path / "theirs.csv", "--dry-run")
    assert outcome.code == 0
    header, first = (line.split("\t") for line in outcome.out.splitlines())
    assert header == ["image", "in the file", "boxes", "added", "already there", "reviewed"]
    assert first[0].endswith("a.tif") and first[1:] == ["a.tif", "2", "2", "0", "no"]
    assert "row 4 of b.tif: it has no area" in outcome.err
    assert project.kept().boxes.cell_id.tolist() == before.cell_id.tolist()


def test_images_that_a_person_has_checked_come_in_as_reviewed(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    copy = project.copied_to(tmp_path / "copy")
    (copy.folder / "annotations.sqlite").unlink()
    lines = ["image,x_min,y_min,x_max,y_max", "a.tif,1,2,9,8", "b.tif,1,2,9,8", "b.tif,90,90,99,99"]
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    attmil("import", copy.folder, tmp_path / "boxes.csv")
    assert copy.kept().reviewed == frozenset()
    outcome = attmil("import", copy.folder, tmp_path / "boxes.csv", "--reviewed")
    assert outcome.code == 0
    assert copy.kept().reviewed == {0}  # of b.tif something is left out


def test_a_detector_s_box_deleted_in_another_program_is_removed_and_told(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    project.keep(ONE_IMAGE)
    attmil("export", project.folder, "--format", "voc", "--out", tmp_path / "voc")
    (path,) = (tmp_path / "voc").rglob("*.xml")
    text = path.read_text("utf-8")
    path.write_text(text[: text.rindex("<object>")] + "</annotation>", "utf-8")
    told = "; 1 box of the detector that the file does not have was removed; 1 image counts as"
    without = attmil("import", project.folder, tmp_path / "voc")
    assert "not have" not in without.out and len(project.kept().boxes) == 2
    dry = attmil("import", project.folder, tmp_path / "voc", "--reviewed", "--dry-run")
    assert told in dry.err and len(project.kept().boxes) == 2
    imported = attmil("import", project.folder, tmp_path / "voc", "--reviewed")
    assert told in imported.out
    kept = project.kept()
    assert kept.boxes.xyxy.tolist() == [[1, 2, 9, 8]]
    assert kept.deleted.xyxy.tolist() == [[20, 10, 32, 22]]


def test_a_flat_folder_of_images_is_a_study_to_annotate(attmil: Any, tmp_path: Path) -> None:
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((40, 60), np.uint8))
    (tmp_path / "boxes.csv").write_text("image,x_min,y_min,x_max,y_max\na.tif,1,2,19,18\n")
    assert "1 box added in 1 image" in attmil("import", tmp_path, tmp_path / "boxes.csv").out
    assert str(tmp_path / "a.tif") in attmil("queue", tmp_path).out
    outcome = attmil("finetune", tmp_path, "--out", tmp_path / "d.safetensors")
    assert "reviewed" in outcome.err and "class" not in outcome.err


def test_a_report_accounts_for_every_box_of_the_files(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    lines = "image,x_min,y_min,x_max,y_max\na.tif,20,10,32,22\na.tif,5,5,5,9\nz.tif,1,2,9,8\n"
    (tmp_path / "theirs.csv").write_text(lines, "utf-8")
    report = tmp_path / "report.json"
    assert attmil("import", project.folder, tmp_path / "theirs.csv", "--report", report).code == 0
    content = json.loads(report.read_text("utf-8"))
    assert [(image["name"], image["added"]) for image in content["images"]] == [("a.tif", 1)]
    assert [(each["item"], each["image"], each["count"]) for each in content["left_out"]] == [
        ("row 3", "a.tif", 1),
        ("1 box", "z.tif", 1),
    ]


def test_labels_made_by_hand_are_replaced_only_when_that_is_allowed(
    attmil: Any, project: Any
) -> None:
    hand_made = project.folder / "data.yaml"
    hand_made.write_text("names: [RBC]", "utf-8")
    command = ("export", project.folder, "--format", "yolo", "--out", project.folder)
    outcome = attmil(*command)
    assert outcome.code == 1 and "allow it with --overwrite" in outcome.err
    assert hand_made.read_text("utf-8") == "names: [RBC]"
    assert not (project.folder / "labels").exists()
    assert attmil(*command, "--overwrite").code == 0
    assert "red cell" in hand_made.read_text("utf-8")


@pytest.mark.parametrize("command", ["export {study} --out {link}", "detect {study} --out {link}"])
def test_an_output_that_is_a_link_is_refused(
    command: str, attmil: Any, project: Any, tmp_path: Path
) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "there.csv")
    outcome = attmil(*command.format(study=project.folder, link=link).split())
    assert outcome.code == 1 and "is a link, not a file" in outcome.err
    assert link.is_symlink()


def test_names_do_not_steer_the_terminal(attmil: Any, project: Any, tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07.json"
    written = attmil("export", project.folder, "--out", tmp_path / name)
    assert "owned" in written.out and "\x1b" not in written.out
    missing = attmil("import", project.folder, tmp_path / f"no{name}")
    assert "owned" in missing.err and "\x1b" not in missing.err


@pytest.mark.parametrize("line", ["z.tif,1,2,9,8", "a.tif,100,100,120,120"])
def test_a_file_of_which_nothing_comes_in_does_not_end_like_a_success(
    line: str, attmil: Any, project: Any, tmp_path: Path
) -> None:
    (tmp_path / "theirs.csv").write_text(f"image,x_min,y_min,x_max,y_max\n{line}\n", "utf-8")
    outcome = attmil("import", project.folder, tmp_path / "theirs.csv")
    assert outcome.code == 1 and outcome.out == ""
    assert "Nothing was imported" in outcome.err


def test_a_label_image_comes_in_as_the_boxes_of_its_labels(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    labels = np.zeros((40, 60), np.uint16)
    labels[10:22, 20:32] = 7
    tifffile.imwrite(tmp_path / "a.tif", labels)
    assert attmil("import", project.folder, tmp_path / "a.tif").code == 0
    assert [20, 10, 32, 22] in project.kept().boxes.of_image(0).xyxy.tolist()


def test_two_annotators_agreement_is_told_by_image_and_in_all(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    project.keep(ONE_IMAGE)
    other = project.copied_to(tmp_path / "other")
    other.keep(Boxes.from_detections([0, 0], [[1, 2, 9, 8], [40, 10, 52, 22]], [1, 1]))
    lines = attmil("agreement", project.folder, other.folder).out.splitlines()
    # One of two cells on each side: precision and recall are 1/2, and so is F1.
    figures = "1 cell in common, 1 only in the first, 1 only in the second, F1 0.500"
    assert len(lines) == 2 and lines[0].endswith(f"a.tif: {figures}, mean IoU 1.000")
    assert lines[1].startswith(f"1 image in all: {figures}")


def test_odd_boxes_are_listed_with_their_reason(attmil: Any, project: Any) -> None:
    rows = [[x, 5, x + 6, 11] for x in (2, 12, 22, 32, 42)] + [[2, 20, 3, 21], [55, 30, 70, 38]]
    project.keep(Boxes.from_detections([0] * 7, rows, [1] * 7))
    outcome = attmil("check", project.folder)
    lines = sorted(line.split(": box ")[1] for line in outcome.out.splitlines())
    assert lines == ["6 has a side below 3 px", "7 reaches out of the image"]
    assert "2 odd boxes in 1 sample with boxes." in outcome.err


@pytest.mark.parametrize(
    "command", ["check", "export --out b.json", "train --out m", "evaluate --out r"]
)
def test_boxes_of_a_renamed_class_folder_are_missed_aloud(
    command: str, attmil: Any, project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (project.folder / "healthy").rename(project.folder / "normal")
    name, *options = command.split()
    outcome = attmil(name, project.folder, *options)
    said = "The study has no image for 3 boxes of 3 image files in annotations.sqlite: healthy/p1/"
    assert said in outcome.err


def test_the_panel_misses_them_too(project: Any) -> None:
    (project.folder / "healthy").rename(project.folder / "normal")
    (note,) = finished(tasks.open_cohort(project.folder, Event())).notes
    assert note.startswith("The study has no image for 3 boxes")


def test_boxes_that_a_table_leaves_out_on_purpose_are_said_in_short(
    attmil: Any, project: Any
) -> None:
    assert "annotations.sqlite" not in attmil("check", project.folder).err
    table = project.folder / "part.csv"
    table.write_text("image,sample,patient,label\nhealthy/p1/s1/a.tif,s1,p1,healthy\n")
    said = "The study leaves out the images of 2 boxes of 2 image files in annotations.sqlite."
    assert said in attmil("check", table).err


def test_images_of_a_stack_are_named_by_their_page_from_1_everywhere(
    attmil: Any, project: Any, tmp_path: Path
) -> None:
    for stack in project.folder.rglob("a.tif"):
        tifffile.imwrite(stack, np.zeros((2, 40, 60), np.uint8), photometric="minisblack")
    start = Boxes.from_detections([1, 2], [[2, 2, 4, 4], [2, 2, 4, 4]], [0.6, 0.6])
    project.keep(start)
    named = ["a.tif, page 2", "b.tif"]
    checked = attmil("check", project.folder).out.splitlines()
    assert [line.partition(", ")[2].partition(":")[0] for line in checked] == named
    queued = [line.split("\t")[1:] for line in attmil("queue", project.folder).out.splitlines()]
    # Of the two pages the first is the more doubtful: it lacks the box that the others have.
    places = [[path[-5:], page] for path, page in queued]
    assert places == [["a.tif", "1"], ["a.tif", "2"], ["b.tif", "1"]]
    ben = project.copied_to(tmp_path / "ben")
    for copy, moved in ((project, [10, 2, 20, 12]), (ben, [30, 2, 40, 12])):
        copy.keep(move_box(move_box(start, 1, moved), 2, moved))
    agreed = attmil("agreement", project.folder, ben.folder).out
    merged = attmil("merge", project.folder, ben.folder, "--out", tmp_path / "both").out
    for told in (agreed, merged):
        assert all(f", {name}: " in told for name in named) and "b.tif, page" not in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("export", "{study}", "--format", "pdf", "--out", "x"),
            "no format 'pdf'; choose from coco",
        ),
        (("export", "{empty}", "--out", "x"), "no boxes yet"),
        (("import", "{study}", "missing.json"), "'missing.json' does not exist; check the path"),
        (("import", "{study}", "{notes}"), "notes.json cannot be read as boxes"),
        (("agreement", "{study}", "{empty}"), "have no image that both have boxes of"),
        (("check", "nowhere"), "nowhere"),
        (("queue", "nowhere"), "nowhere"),
        (("merge", "{study}", "{empty}", "--out", "{study}"), "exists already; give the name"),
        (("merge", "{study}", "nowhere", "--out", "new"), "does not exist; give folders that hold"),
    ],
)
def test_a_mistake_ends_with_code_1_and_one_sentence(
    arguments: tuple[str, ...], sentence: str, attmil: Any, project: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.json").write_text('{"what": "no boxes"}', "utf-8")
    empty = project.copied_to(tmp_path / "empty")
    (empty.folder / "annotations.sqlite").unlink()
    places = {"study": project.folder, "empty": empty.folder, "notes": tmp_path / "notes.json"}
    outcome = attmil(*(argument.format(**places) for argument in arguments))
    assert outcome.code == 1 and sentence in outcome.err
    assert "Traceback" not in outcome.err and outcome.out == ""


def test_a_study_that_another_program_changes_takes_no_import(
    attmil: Any, project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    attmil("export", project.folder, "--out", tmp_path / "boxes.json")
    copy = project.copied_to(tmp_path / "copy")
    (copy.folder / "annotations.sqlite").unlink()
    # A lock of its own, as another process would hold it.
    with FileLock(f"{AnnotationFile.beside(copy.folder).path}.lock"):
        outcome = attmil("import", copy.folder, tmp_path / "boxes.json")
    assert outcome.code == 1 and "Another program has" in outcome.err
    assert len(copy.kept().boxes) == 0
