"""Boxes of other programs come in by a preview, and go out by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from qtpy.QtWidgets import QFileDialog
from support.pages.annotate import AnnotatePage, ExportPage, ImportPage

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.images.cohort import Cohort
from napari_attmil.images.reading import open_sample
from napari_attmil.widgets.annotate.panel import AnnotateWidget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot


@pytest.fixture
def panel(
    viewer: ViewerModel, tmp_path: Path, fakes: None, qtbot: QtBot
) -> Iterator[AnnotateWidget]:
    """Two samples of one image each, with their annotation file, and the panel."""
    import numpy as np
    import tifffile

    for name in ("s0", "s1"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((90, 100), 9, np.uint8))
    samples = tuple(open_sample(path) for path in sorted(tmp_path.glob("*.tif")))
    panel = AnnotateWidget(viewer)
    panel.resize(380, 900)
    panel.show()
    panel.context.session.open_cohort(
        Cohort(samples, tmp_path), AnnotationFile(tmp_path / "annotations.sqlite")
    )
    panel.context.image_choice.show_sample("s0", 0)
    yield panel
    panel.close_panel()
    panel.deleteLater()


def theirs(folder: Path) -> Path:
    """Two boxes of s0, one of s1 that is a platelet, a bad one, and one of another image."""
    rows = (
        (1, 1, [10, 10, 20, 20]),
        (1, 1, [50, 20, 20, 20]),
        (2, 2, [10, 10, 20, 20]),
        (2, 1, [40, 10, 20, 20]),
        (1, 1, [10, 10, -5, 20]),
        (3, 1, [10, 10, 20, 20]),
    )
    content = {
        "images": [
            {"id": n, "file_name": f"{name}.tif"} for n, name in ((1, "s0"), (2, "s1"), (3, "z"))
        ],
        "categories": [{"id": 1, "name": "RBC"}, {"id": 2, "name": "platelet"}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": kind, "bbox": bbox}
            for number, (image, kind, bbox) in enumerate(rows, start=1)
        ],
    }
    (folder / "in").mkdir()
    path = folder / "in" / "theirs.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.fixture
def preview(
    panel: AnnotateWidget, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> ImportPage:
    """The preview of an import of `theirs`."""
    names = ([str(theirs(tmp_path))], "")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: names)
    page = AnnotatePage(panel)
    page.choose_to_import("Files")
    return opened_import(page, qtbot)


def opened_import(page: AnnotatePage, qtbot: QtBot) -> ImportPage:
    qtbot.waitUntil(lambda: page.dialog() is not None)
    dialog = page.dialog()
    assert dialog is not None
    preview = ImportPage(dialog)
    qtbot.waitUntil(lambda: not preview.busy)
    return preview


def opened_export(page: AnnotatePage, qtbot: QtBot) -> ExportPage:
    page.press("Export boxes…")
    dialog = page.dialog()
    assert dialog is not None
    preview = ExportPage(dialog)
    qtbot.waitUntil(lambda: not preview.busy)
    return preview


def boxes_of(panel: AnnotateWidget) -> dict[str, list[list[float]]]:
    states = panel.context.session.states_of_samples()
    return {name: state.boxes.xyxy.tolist() for name, state in states.items()}


def test_the_preview_says_what_comes_in_and_what_is_left_out_and_changes_nothing(
    panel: AnnotateWidget, preview: ImportPage
) -> None:
    assert preview.text("import_summary") == (
        "COCO: 3 new boxes in 2 images; 3 left out. Your own boxes stay as they are."
    )
    assert preview.rows() == [
        ["s0", "s0.tif", "2", "0", "0", "no"],
        ["s1", "s1.tif", "1", "0", "0", "no"],
    ]
    assert sorted(preview.left_out()) == [
        ["It has a negative size: it is -5 wide and 20 high", "1"],
        ["It is not in the study", "1"],
        ["They are no red cells by their class", "1"],
    ]
    preview.press("Cancel")
    assert boxes_of(panel) == {}


def test_an_import_never_reaches_a_study_that_was_opened_meanwhile(
    panel: AnnotateWidget, preview: ImportPage, tmp_path: Path
) -> None:
    session = panel.context.session
    former = session.cohort
    assert former is not None
    other = tmp_path / "other"
    other.mkdir()
    session.open_cohort(Cohort(former.samples, other), AnnotationFile(other / "annotations.sqlite"))
    preview.press("Import")
    assert AnnotatePage(panel).messages() == [
        "Nothing was imported, as other images were opened meanwhile; open the former images, "
        "then import again."
    ]
    assert boxes_of(panel) == {}


def test_an_import_is_one_step_of_undo_over_all_samples(
    panel: AnnotateWidget, preview: ImportPage, tmp_path: Path
) -> None:
    preview.press("Import")
    expected = {
        "s0": [[10, 10, 30, 30], [50, 20, 70, 40]],
        "s1": [[40, 10, 60, 30]],
    }
    assert boxes_of(panel) == expected
    assert AnnotatePage(panel).messages() == ["3 boxes imported into 2 images."]
    samples = panel.context.session.cohort.samples if panel.context.session.cohort else ()
    kept = AnnotationFile(tmp_path / "annotations.sqlite").read_all(samples)
    assert {name: each.boxes.xyxy.tolist() for name, each in kept.items()} == expected
    assert panel.context.session.editor.undo_title == "Import 3 boxes"
    panel.context.session.editor.undo()
    assert not any(boxes_of(panel).values())
    assert panel.context.session.editor.undo_title == ""


def test_a_detector_s_box_that_a_reviewed_image_has_no_more_is_removed_and_told(
    panel: AnnotateWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    session, page = panel.context.session, AnnotatePage(panel)
    (tmp_path / "in").mkdir()
    found, reviewed = tmp_path / "in" / "found.csv", tmp_path / "in" / "reviewed.csv"
    columns = "image,x_min,y_min,x_max,y_max,source,reviewed"
    rows = [f"s0.tif,{x},10,{x + 20},30,model," for x in (10, 50)]
    found.write_text("\n".join([columns, *(f"{row}0" for row in rows)]), "utf-8")
    reviewed.write_text(f"{columns}\n{rows[0]}1", "utf-8")
    panel.exchange.read([found])
    opened_import(page, qtbot).press("Import")
    panel.exchange.read([reviewed])
    preview = opened_import(page, qtbot)
    told = "1 box of the detector that the file does not have was removed"
    assert preview.text("import_summary") == (
        f"CSV: 0 new boxes in 1 image; 1 there already; {told}. Your own boxes stay as they are."
    )
    preview.press("Import")
    assert page.messages() == [f"0 boxes imported into 1 image; {told}."]
    assert boxes_of(panel)["s0"] == [[10, 10, 30, 30]]
    assert session.states_of_samples()["s0"].deleted.xyxy.tolist() == [[50, 10, 70, 30]]
    session.editor.undo()
    assert boxes_of(panel)["s0"] == [[10, 10, 30, 30], [50, 10, 70, 30]]
    assert not len(session.states_of_samples()["s0"].deleted)


def test_the_classes_that_are_red_cells_are_chosen_in_the_preview(
    panel: AnnotateWidget, preview: ImportPage, qtbot: QtBot
) -> None:
    preview.tick("RBC")
    assert preview.text("import_summary") == "Tick the classes that are red cells."
    assert not preview.can_press("Import")
    preview.tick("platelet")
    qtbot.waitUntil(lambda: preview.can_press("Import"))
    preview.press("Import")
    assert boxes_of(panel) == {"s1": [[10, 10, 30, 30]]}


def test_boxes_that_are_there_already_are_told_and_not_doubled(
    panel: AnnotateWidget, preview: ImportPage, tmp_path: Path, qtbot: QtBot
) -> None:
    preview.press("Import")
    panel.exchange.read([tmp_path / "in" / "theirs.json"])
    again = opened_import(AnnotatePage(panel), qtbot)
    assert [row[2:4] for row in again.rows()] == [["0", "2"], ["0", "1"]]
    again.press("Import")
    assert [len(rows) for rows in boxes_of(panel).values()] == [2, 1]


def test_a_file_that_cannot_be_read_is_told_in_the_panel(
    panel: AnnotateWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "bad.json").write_text('{"what": 1}', "utf-8")
    panel.exchange.read([tmp_path / "bad.json"])
    page = AnnotatePage(panel)
    qtbot.waitUntil(lambda: not page.busy)
    assert page.messages()[0].startswith("bad.json cannot be read as boxes")
    assert page.dialog() is None


def test_an_export_says_what_it_will_write_and_replaces_others_files_only_when_told(
    panel: AnnotateWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    corners = [[10, 10, 30, 30], [90, 80, 110, 95]]
    panel.context.session.editor.merge(Boxes.from_detections([0, 0], corners, [0.9, 0.8]))
    out = tmp_path / "boxes.json"
    out.write_text("made by hand", "utf-8")
    page = AnnotatePage(panel)
    export = opened_export(page, qtbot)
    assert export.text("export_summary") == "2 boxes of 1 image in 1 file."
    assert "1 box over the border of an image: clipped at it." in export.text("export_notes")
    assert "boxes.json" in export.text("export_foreign")
    assert not export.can_press("Export")
    export.press("Replace them")
    export.press("Export")
    (image,) = read_boxes([out]).images
    assert [box.xyxy for box in image.boxes] == [(10, 10, 30, 30), (90, 80, 100, 90)]
    assert page.messages() == [f"2 boxes of 1 image written to {out}."]


def test_each_format_has_a_place_of_its_own(
    panel: AnnotateWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    panel.context.session.editor.merge(Boxes.from_detections([0], [[10, 10, 30, 30]], [0.9]))
    export = opened_export(AnnotatePage(panel), qtbot)
    export.choose("The format", "yolo")
    qtbot.waitUntil(lambda: export.can_press("Export"))
    export.press("Export")
    assert (tmp_path / "boxes-yolo" / "labels" / "s0.txt").exists()


def test_without_boxes_there_is_nothing_to_export(panel: AnnotateWidget) -> None:
    page = AnnotatePage(panel)
    page.press("Export boxes…")
    assert page.dialog() is None
    assert page.messages()[0].startswith("There are no boxes yet")


def test_a_place_that_cannot_be_written_is_told_in_the_dialog(
    panel: AnnotateWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    panel.context.session.editor.merge(Boxes.from_detections([0], [[10, 10, 30, 30]], [0.9]))
    export = opened_export(AnnotatePage(panel), qtbot)
    (tmp_path / "link.json").symlink_to(tmp_path / "there.json")
    export.go_to(tmp_path / "link.json")
    qtbot.waitUntil(lambda: bool(export.messages()))
    assert "is a link, not a file" in export.messages()[0]
    assert not export.can_press("Export")
