"""The table of samples in a real viewer: classes are given, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
from skimage.io import imsave
from support.pages.attention_mil import AttentionMILPage, ClassifierPage
from support.pages.page import Page
from support.pages.samples import NamePatternPage, SamplesPage
from support.predictions import FakeClassifier

from napari_attmil.bags.feature_store import FeatureStore
from napari_attmil.images import cohort_table_file
from napari_attmil.images.reading import open_cohort
from napari_attmil.session import LoadedClassifier
from napari_attmil.widgets.attention_mil.samples.dialog import SampleTableDialog
from napari_attmil.widgets.attention_mil.samples.name_pattern import NamePatternDialog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

NAMES = ("P1_1", "P1_2", "P2_1", "P3_1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write images of one's own, of sizes that differ, without classes."""
    monkeypatch.setattr(cohort_table_file, "_WRITTEN", set())
    rng = np.random.default_rng(0)
    for place, name in enumerate(NAMES):
        image = rng.integers(0, 255, (60 + place % 2, 80), np.uint8)
        imsave(tmp_path / f"{name}.png", image, check_contrast=False)
    return tmp_path


@pytest.fixture
def opened(panel: AttentionMILWidget, folder: Path) -> AttentionMILWidget:
    panel.context.image_choice.use_cohort(open_cohort(folder))
    return panel


def table_of(panel: AttentionMILWidget) -> SamplesPage:
    """Press the button, and return the window that opens."""
    ClassifierPage(panel.classifier_step).press("Samples and classes…")
    dialog = panel.classifier_step.samples.dialog
    assert dialog is not None and dialog.isVisible()
    return SamplesPage(dialog)


def samples_of(panel: AttentionMILWidget) -> list[tuple[str, str, str | None, int]]:
    cohort = panel.context.session.cohort
    assert cohort is not None
    return [(s.name, s.patient, s.label, len(s)) for s in cohort.samples]


def test_a_refused_training_leads_to_the_table_and_a_pasted_one_gives_classes(
    opened: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], folder: Path
) -> None:
    page = AttentionMILPage(opened)
    page.classifier.press("Train classifier")
    assert "0 labelled classes, but training needs two" in page.messages()[0]
    page.press("Give classes…")
    dialog = opened.classifier_step.samples.dialog
    assert dialog is not None
    table = SamplesPage(dialog)
    assert [row[0] for row in table.rows()] == list(NAMES)
    table.paste(
        "Image\tSample\tPatient\tAge\tClass\n"
        "P1_1.png\tP1\tanna\t1,5\tsickle\nP1_2.png\tP1\tanna\t1,5\tsickle\n"
        'P2_1.png\tP2\tben\t33\t"healthy"\nP3_1.png\tP3\tcora\t7\tNA\n'
    )
    assert table.rows()[0][:3] == ["P1", "anna", "sickle"]
    assert "Rows of the same sample become one sample." in table.text("remarks")
    table.press("Save")
    wait_idle(opened)
    assert opened.classifier_step.samples.dialog is None
    assert samples_of(opened) == [
        ("P1", "anna", "sickle", 2),
        ("P2", "ben", "healthy", 1),
        ("P3", "cora", None, 1),
    ]
    assert page.text("sample_counts") == "3 samples, 3 patients, 2 classes; 1 without a class."
    assert page.messages()[0] == f"Samples and classes were saved as {folder / 'cohort.csv'}."
    page.classifier.press("Train classifier")
    wait_idle(opened)
    assert opened.context.session.predictions.classifier is not None


def test_boxes_reviews_undo_and_the_image_shown_stay_where_images_are_the_same(
    opened: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None]
) -> None:
    session, choice = opened.context.session, opened.context.image_choice
    choice.show_sample("P3_1")
    drawn = session.editor.add(0, [10, 10, 30, 30])
    session.editor.set_reviewed(0)
    session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    said = FakeClassifier().predict("P3_1", session.boxes.cell_id)
    session.predictions.set(said, session.boxes)
    table = table_of(opened)
    table.select("class", 0)
    table.type("sickle")
    table.type("sickle")
    table.type("healthy")
    table.press("Save")
    wait_idle(opened)
    assert session.sample is not None and session.sample.name == "P3_1"
    assert session.boxes.cell_id.tolist() == [drawn]
    assert session.state.reviewed == {0}
    assert session.state.prediction is not None and session.state.prediction.predicted == "sickle"
    session.editor.undo()
    assert session.state.reviewed == frozenset()
    session.editor.undo()
    assert len(session.boxes) == 0


def test_renamed_samples_are_regrouped_without_losing_boxes(
    opened: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None]
) -> None:
    session, choice = opened.context.session, opened.context.image_choice
    choice.show_sample("P1_2")
    session.editor.add(0, [10, 10, 30, 30])
    session.editor.set_reviewed(0)
    table = table_of(opened)
    table.select("sample", 0, 1)
    table.press("Merge")
    assert table.rows()[0] == ["P1", "P1", "", "2: P1_1.png …"]
    table.press("Save")
    wait_idle(opened)
    assert session.sample is not None and session.sample.name == "P1"
    assert opened.context.cells.camera.image_index() == 1
    assert session.boxes.image_index.tolist() == [1]
    assert session.state.reviewed == {1}


def test_table_behaves_like_a_spreadsheet_and_takes_everything_back(
    opened: AttentionMILWidget, qtbot: QtBot
) -> None:
    table = table_of(opened)
    first = table.rows()
    table.select("class", 0)
    table.type("sickle")
    assert table.selected() == (1, "class")
    table.select("class", 0, 3)
    table.control(Qt.Key.Key_D)
    assert [row[2] for row in table.rows()] == ["sickle"] * 4
    table.select("patient", 2, 3)
    table.paste("anna")
    assert [row[1] for row in table.rows()] == ["P1_1", "P1_2", "anna", "anna"]
    assert table.copied() == "anna\nanna"
    table.key(Qt.Key.Key_Delete)
    assert table.rows()[3][1] == ""
    for _ in range(4):
        table.press("Undo")
    assert table.rows() == first and not table.can_press("Undo")
    table.press("Redo")
    assert table.rows()[0][2] == "sickle"
    table.select("patient", 3)
    table.paste("x\ty\tz\nbelow\t\n")
    assert table.rows()[3][1:3] == ["x", "y"]
    assert table.text("left_out") == (
        "Left out: 1 line below the last row and the columns right of the class."
    )


def test_a_contradiction_is_marked_shown_and_not_saved(
    opened: AttentionMILWidget, folder: Path
) -> None:
    table = table_of(opened)
    table.select("sample", 3)
    table.type("P2_1")
    assert table.text("problem") == (
        "Sample 'P2_1' has two patients, 'P2_1' and 'P3_1'; a sample has one: correct a row."
    )
    assert table.warns("problem") and not table.can_press("Save")
    table.select("class", 0)
    table.press("Show")
    assert table.selected() == (3, "patient")
    table.type("P2_1")
    assert table.text("problem") == "" and table.can_press("Save")
    assert not (folder / "cohort.csv").exists()


def test_a_pattern_of_names_shows_what_it_gives_and_is_one_step_of_undo(
    opened: AttentionMILWidget,
) -> None:
    table = table_of(opened)

    def answer() -> None:
        (dialog,) = (
            each for each in QApplication.topLevelWidgets() if isinstance(each, NamePatternDialog)
        )
        page = NamePatternPage(dialog)
        assert page.text("fitted") == "The pattern fits all 4 images."
        assert page.preview()[0] == ["P1", "P1", "", "P1_1.png"]
        page.type("nothing")
        assert "does not tell what is what" in page.text("fitted")
        page.type("{sample}_1")
        assert page.text("fitted").startswith("The pattern fits 3 of 4 images")
        page.type("{sample}_*")
        page.press("OK")

    QTimer.singleShot(0, answer)
    table.press("From names…")
    assert [row[0] for row in table.rows()] == ["P1", "P2", "P3"]
    table.press("Undo")
    assert len(table.rows()) == 4


@pytest.mark.parametrize(("answer", "stays"), [("Stay", True), ("Close and lose", False)])
def test_closing_with_changes_asks(
    opened: AttentionMILWidget, folder: Path, answer: str, stays: bool
) -> None:
    table = table_of(opened)
    table.select("class", 0)
    table.type("sickle")

    def press() -> None:
        (box,) = (b for b in QApplication.topLevelWidgets() if isinstance(b, QMessageBox))
        Page(box).press(answer)

    QTimer.singleShot(0, press)
    table.key(Qt.Key.Key_Escape)
    assert table.widget.isVisible() == stays
    assert not (folder / "cohort.csv").exists()


def test_a_table_made_by_hand_is_kept_and_new_images_can_be_added(
    opened: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], folder: Path
) -> None:
    by_hand = "remark;image;sample;patient;label\nold;P1_1.png;s;p;x\n"
    (folder / "cohort.csv").write_text(by_hand)
    opened.context.image_choice.use_cohort(open_cohort(folder))
    table = table_of(opened)
    assert table.rows() == [["s", "p", "x", "P1_1.png"]]
    table.press("Add 3 new images")
    assert [row[0] for row in table.rows()] == ["s", "P1_2", "P2_1", "P3_1"]
    table.press("Save")
    wait_idle(opened)
    lines = (folder / "cohort.csv").read_text().splitlines()
    assert lines[:3] == [
        "remark;image;sample;patient;label",
        "old;P1_1.png;s;p;x",
        ";P1_2.png;P1_2;P1_2;",
    ]
    assert (folder / "cohort.csv.bak").read_text() == by_hand
    told = AttentionMILPage(opened).messages()[0]
    assert told.endswith("The former table is kept as cohort.csv.bak.")


def test_saving_a_part_keeps_the_part_open_and_the_rest_in_the_table(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], folder: Path
) -> None:
    files = [folder / "P1_1.png", folder / "P2_1.png"]
    panel.context.image_choice.use_cohort(open_cohort(files))
    table = table_of(panel)
    assert [row[0] for row in table.rows()] == ["P1_1", "P2_1"]
    where = f"Save writes to {folder / 'cohort.csv'}, with 2 other images of the study as before."
    assert table.text("where") == where
    table.select("class", 0)
    table.type("sickle")
    table.press("Save")
    wait_idle(panel)
    assert samples_of(panel) == [("P1_1", "P1_1", "sickle", 1), ("P2_1", "P2_1", None, 1)]
    again = open_cohort(folder)
    assert [s.name for s in again.samples] == ["P1_1", "P2_1", "P1_2", "P3_1"]
    assert again.notes == ()


def test_a_part_of_a_study_with_a_table_keeps_the_names_that_the_table_has(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], folder: Path
) -> None:
    (folder / "cohort.csv").write_text(
        "image,sample,patient,label\n"
        "P1_1.png,first visit,anna,sickle\n"
        "P1_2.png,first visit,anna,sickle\n"
        "P3_1.png,third visit,anna,sickle\n"
    )
    panel.context.opening.open([folder / "P1_1.png", folder / "P2_1.png"])
    wait_idle(panel)
    opened = [("first visit", "anna", "sickle", 1), ("P2_1", "P2_1", None, 1)]
    assert samples_of(panel) == opened
    table = table_of(panel)
    table.select("class", 1)
    table.type("healthy")
    table.press("Save")
    wait_idle(panel)
    assert samples_of(panel) == [opened[0], ("P2_1", "P2_1", "healthy", 1)]
    lines = (folder / "cohort.csv").read_text().splitlines()
    assert lines[1:] == [
        "P1_1.png,first visit,anna,sickle",
        "P1_2.png,first visit,anna,sickle",
        "P3_1.png,third visit,anna,sickle",
        "P2_1.png,P2_1,P2_1,healthy",
    ]


def test_a_folder_that_may_not_be_read_does_not_keep_the_table_shut(
    opened: AttentionMILWidget, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shut").mkdir()
    listed = Path.iterdir

    def refusing(self: Path) -> Iterator[Path]:
        if self.name == "shut":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refusing)
    table = table_of(opened)
    assert len(table.rows()) == 4 and table.can_press("Save")
    assert table.text("where") == f"Save writes to {folder / 'cohort.csv'}."


def test_a_table_that_cannot_be_written_says_so_and_stays_open(
    opened: AttentionMILWidget, folder: Path
) -> None:
    table = table_of(opened)
    (folder / "cohort.csv").mkdir()
    table.select("class", 0)
    table.type("sickle")
    table.press("Save")
    assert table.widget.isVisible() and "could not be written" in table.text("problem")
    assert isinstance(table.widget, SampleTableDialog) and table.widget.is_changed


def test_looking_at_a_rows_images_shows_them_in_the_viewer(opened: AttentionMILWidget) -> None:
    table = table_of(opened)
    table.view.doubleClicked.emit(table.view.model().index(2, 3))
    sample = opened.context.session.sample
    assert sample is not None and sample.name == "P2_1"


def test_stored_features_are_found_again_under_the_same_images(
    opened: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], folder: Path
) -> None:
    from napari_attmil.cells import Boxes, FeatureSettings

    store = FeatureStore(folder / "features")
    boxes = Boxes.from_detections(np.zeros(1, int), np.array([[1, 1, 9, 9]]), np.ones(1))
    before = opened.context.session.cohort
    assert before is not None
    settings: Any = FeatureSettings(kept="profile")
    with store.writing(before.samples[0], boxes, "digest", settings) as file:
        file.write(np.array([0]), np.ones((1, 256, 11, 1), np.float16))
    table = table_of(opened)
    table.select("class", 0)
    table.type("sickle")
    table.press("Save")
    wait_idle(opened)
    after = opened.context.session.cohort
    assert after is not None and after.samples[0].label == "sickle"
    assert store.features(after.samples[0], boxes, "digest", settings) is not None
