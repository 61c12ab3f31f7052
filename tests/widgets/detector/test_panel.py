"""The panel that fits the detector, in a viewer without a window and with quick stand-ins."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import torch
from qtpy.QtWidgets import QMessageBox
from support.pages.detector import DetectorPage
from support.pages.page import Page

from napari_attmil import workflows
from napari_attmil.cells.annotations.storage import connection, schema
from napari_attmil.cells.finetuning.gate import LookOutcome
from napari_attmil.cells.finetuning.holdout import HoldOut
from napari_attmil.cells.finetuning.study_detectors import (
    CHOICE,
    candidate,
    candidate_path,
    detector_in_use,
    fitted_detectors,
    training_folder,
)
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.core import finished
from napari_attmil.core.model_files import Checkpoint, save_checkpoint
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.widgets.detector.panel import DetectorPanel
from napari_attmil.workflows import (
    CheckedImage,
    Differences,
    Progress,
    Stage,
    compare_detectors,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from threading import Event

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

HELD_OUT = "s1-1.tif#0"
YES, NO = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No


def fake_fit(
    study: workflows.Study, settings: Any, device_name: str, out: Any, left_out: Any, stop: Event
) -> Stage[None]:
    score, before = SimpleNamespace(ap=0.5, ap50=0.8), SimpleNamespace(ap=0.25)
    for done in range(1, 4):
        step = SimpleNamespace(
            done=done, loss=1 / done, score=score if done == 3 else None, before=before
        )
        yield Progress(done, 3, f"Step {done}", step)
    provenance: dict[str, Any] = {"held_out": [HELD_OUT]}
    provenance |= {"before": score_of(0.5), "after": score_of(0.75)}
    provenance["looks"] = [asdict(LookOutcome("dark", 1, 9, 4, 8, 5, 1, 3, 2))]
    path, weights = candidate_path(study.cohort.folder), {"w": torch.zeros(1)}
    save_checkpoint(path, Checkpoint("detector", weights, {}, provenance))
    yield Progress(3, 3, "", note="Precision on held-out images went from 0.500 to 0.750.")


def score_of(value: float) -> dict[str, float]:
    return {"ap50": value, "ap75": value, "ap": value}


def fake_check(
    study: workflows.Study, device_name: str, left_out: Any, known: Any, stop: Event
) -> Stage[list[CheckedImage]]:
    """Check images whose hold-out is decided on the disk, with one cell without a box in each."""
    yield Progress(0, 1, "Checking")
    folder = training_folder(study.cohort.folder)
    missed = np.array([[1, 1, 9, 9]], np.float32)
    images = []
    for index in sorted(study.annotations["s1"].reviewed):
        if ("s1", index) not in left_out:
            name = f"s1-{index}.tif#0"
            held = bool(HoldOut.read(folder).of([name]))
            look = ("dark", "pale")[index]
            image = CheckedImage(("s1", index), name, 3 + index, missed, np.zeros(7), 0, look, held)
            images.append(image)
    return images


def fake_compare(
    image: npt.NDArray[Any], earlier: Any, later: Any, settings: Any, device_name: str, stop: Event
) -> Generator[Progress, None, Differences]:
    yield Progress(0, 2, "Detecting")
    assert image.shape == (60, 80)
    return Differences(
        np.array([[1, 2, 11, 12]], np.float32),
        np.array([[20, 20, 30, 30], [40, 40, 50, 50]], np.float32),
        7,
    )


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    paths = [tmp_path / f"s1-{page}.tif" for page in range(2)]
    for path in paths:
        tifffile.imwrite(path, np.random.default_rng(1).integers(0, 255, (60, 80), np.uint8))
    sample = Sample("s1", "s1", "healthy", tuple(Frame(path) for path in paths), pixel_size_um=0.2)
    return Cohort((sample,), tmp_path)


@pytest.fixture
def panel(
    viewer: ViewerModel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DetectorPanel]:
    monkeypatch.setattr(workflows, "finetune_study", fake_fit)
    monkeypatch.setattr(workflows, "compare_detectors", fake_compare)
    monkeypatch.setattr(workflows, "check_reviewed", fake_check)
    panel = DetectorPanel(viewer)
    qtbot.addWidget(panel)
    yield panel
    panel.close_panel()


def wait(panel: DetectorPanel, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not Page(panel).busy)


def test_without_reviewed_images_the_panel_says_what_to_do(
    panel: DetectorPanel, cohort: Cohort
) -> None:
    page = DetectorPage(panel)
    assert "Open images" in page.text("hint") and not page.can_train()
    panel.context.image_choice.use_cohort(cohort)
    assert page.text("hint").startswith("0 of 2 images reviewed. Correct the boxes")
    panel.context.session.editor.set_reviewed(0)
    assert page.text("hint") == "1 of 2 images reviewed."
    assert page.can_train()


def test_marking_an_image_as_reviewed_does_not_read_the_file_of_boxes(
    panel: DetectorPanel, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.context.image_choice.use_cohort(cohort)
    read: list[object] = []
    real = schema.open_for_reading
    monkeypatch.setattr(
        connection, "open_for_reading", lambda path: (read.append(path), real(path))[1]
    )
    panel.context.session.editor.set_reviewed(1)
    assert DetectorPage(panel).reviewed() == ["s1, s1-1.tif"] and not read


def test_a_training_ends_with_a_candidate_that_is_accepted(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot
) -> None:
    page = DetectorPage(panel)
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    np.testing.assert_allclose(page.curves()["loss"], [np.nan, 1, 0.5, 1 / 3])
    # The detector as it was is the first point.
    np.testing.assert_equal(page.curves()["ap"], [0.25, np.nan, np.nan, 0.5])
    assert "is better: precision 0.500 → 0.750 on 1 held-out image" in page.text("outcome")
    assert "dark (1 held-out image): 8 of 9 cells found, 4 before" in page.text("outcome")
    assert page.detectors() == ["✓ built in", "new"]
    assert page.asks_for_a_decision()
    panel.accept()
    (accepted,) = fitted_detectors(cohort.folder)
    assert panel.context.detector_path == accepted.path
    assert page.detectors() == ["built in", f"✓ {accepted.name}"]
    assert not page.asks_for_a_decision()


def test_a_detector_that_cannot_be_accepted_is_not_said_to_be_in_use(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot, notifications: list[tuple[str, str]]
) -> None:
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    notifications.clear()
    # As where a study cannot be written.
    (cohort.folder / "models" / CHOICE).mkdir()
    panel.accept()
    assert [severity for severity, _ in notifications] == ["error"]
    assert panel.context.detector_path is None


def test_only_ticked_images_are_learnt_from_and_ticks_outlive_a_review(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DetectorPage(panel)
    used = []

    def fit(
        study: Any, settings: Any, device_name: str, out: Any, left_out: Any, stop: Event
    ) -> Stage[None]:
        yield Progress(0, 1, "")
        used.append(left_out)

    monkeypatch.setattr(workflows, "finetune_study", fit)
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    assert page.reviewed()[0] == "s1, s1-0.tif" and page.ticked() == 1
    page.untick(0)
    assert not page.can_train()
    panel.context.session.editor.set_reviewed(1)
    assert page.ticked() == 1 and page.can_train()
    panel.train()
    wait(panel, qtbot)
    assert used == [frozenset({("s1", 0)})]


def test_a_detector_that_is_no_better_can_be_used_anyway_or_put_aside(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DetectorPage(panel)
    monkeypatch.setattr(sys.modules[__name__], "score_of", lambda value: {"ap50": 0.5, "ap": 0.5})
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    for _ in range(2):
        panel.train()
        wait(panel, qtbot)
        assert "is not clearly better: precision 0.500 → 0.500" in page.text("outcome")
        assert page.offers("Use it anyway")
        page.press("Not now")
        assert not page.asks_for_a_decision()
    kept = fitted_detectors(cohort.folder)
    assert page.detectors() == ["✓ built in", *(model.name for model in kept)] and len(kept) == 2
    panel.train()
    wait(panel, qtbot)
    page.press("Use it anyway")
    assert panel.context.detector_path == fitted_detectors(cohort.folder)[0].path


def test_a_detector_is_deleted_only_when_a_person_is_sure(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, answers = DetectorPage(panel), iter([NO, YES])
    monkeypatch.setattr(QMessageBox, "question", lambda *_: next(answers))
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    page.select(0)
    assert not page.can_press("Delete…")
    for left in (["✓ built in", "new"], ["✓ built in"]):
        page.select(1)
        page.press("Delete…")
        assert page.detectors() == left
    assert candidate(cohort.folder) is None


def test_the_images_that_test_the_detector_are_named_and_can_be_changed(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot
) -> None:
    page = DetectorPage(panel)
    panel.context.image_choice.use_cohort(cohort)
    for index in range(2):
        panel.context.session.editor.set_reviewed(index)
    HoldOut({HELD_OUT: True}).write(training_folder(cohort.folder))
    panel.show()
    qtbot.waitUntil(lambda: page.tests() == ["s1, s1-1.tif"])
    assert page.text("hold_out").startswith("1 image tests the new detector. No test image")
    assert "look “dark”, in which 3 boxes were corrected" in page.text("hold_out")
    assert "count fully, all others a quarter" in page.text("hold_out")
    page.let_test(1, False)
    page.let_test(0)
    qtbot.waitUntil(lambda: page.tests() == ["s1, s1-0.tif"])
    held = HoldOut.read(training_folder(cohort.folder))
    assert held.decided == {HELD_OUT: False, "s1-0.tif#0": True}
    assert held.by_hand == {HELD_OUT, "s1-0.tif#0"}


def test_clear_cells_without_a_box_are_told_and_shown_before_the_training(
    panel: DetectorPanel, viewer: ViewerModel, cohort: Cohort, qtbot: QtBot
) -> None:
    page = DetectorPage(panel)
    panel.context.image_choice.use_cohort(cohort)
    for index in range(2):
        panel.context.session.editor.set_reviewed(index)
    panel.show()
    qtbot.waitUntil(lambda: page.shows("without_box") and page.offers("Show"))
    assert page.text("without_box").startswith("2 clear cells have no box in 2 reviewed images.")
    for index in range(2):
        page.press("Show")
        assert panel.context.cells.camera.image_index() == index
        assert viewer.layers["No box"].data[0].min(axis=0).tolist() == [index, 1, 1]


def test_a_detector_that_is_put_aside_leaves_the_one_in_use(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot
) -> None:
    page = DetectorPage(panel)
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    panel.put_aside()
    assert candidate(cohort.folder) is None and detector_in_use(cohort.folder) is None
    (kept,) = fitted_detectors(cohort.folder)
    assert page.detectors() == ["✓ built in", kept.name]


def test_what_changed_is_shown_on_the_held_out_image(
    panel: DetectorPanel, viewer: ViewerModel, cohort: Cohort, qtbot: QtBot
) -> None:
    page = DetectorPage(panel)
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    panel.compare()
    wait(panel, qtbot)
    assert panel.context.cells.camera.image_index() == 1
    found, lost = viewer.layers["Found now"], viewer.layers["Lost now"]
    assert (found.nshapes, lost.nshapes) == (1, 2)
    assert found.data[0].min(axis=0).tolist() == [1, 2, 1]
    assert found.scale.tolist() == [1, 0.2, 0.2]
    assert "1 cell found now (pink), 2 lost now (red), 7 found by both" in page.text("outcome")
    assert "precision 0.500 → 0.750" in page.text("outcome")
    panel.accept()
    assert "Found now" not in viewer.layers and "Lost now" not in viewer.layers


def test_a_held_out_image_that_cannot_be_read_is_not_compared_with_another(
    panel: DetectorPanel,
    viewer: ViewerModel,
    cohort: Cohort,
    qtbot: QtBot,
    notifications: list[tuple[str, str]],
) -> None:
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    viewer.layers.clear()
    viewer.add_image(np.zeros((40, 50), np.uint8))
    for frame in cohort.samples[0].frames:
        frame.path.write_bytes(b"II*\0cut short")
    notifications.clear()
    panel.compare()
    wait(panel, qtbot)
    ((severity, message),) = notifications
    assert severity == "error" and "s1-0.tif" in message
    assert "Found now" not in viewer.layers


def test_diameter_in_micrometres_needs_images_that_tell_the_size_of_their_pixels(
    panel: DetectorPanel,
    viewer: ViewerModel,
    cohort: Cohort,
    qtbot: QtBot,
    notifications: list[tuple[str, str]],
) -> None:
    unscaled = replace(cohort, samples=(replace(cohort.samples[0], pixel_size_um=None),))
    panel.context.image_choice.use_cohort(unscaled)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    notifications.clear()
    panel.context.set_detection_settings(DetectionSettings(cell_diameter_um=7.5))
    panel.compare()
    wait(panel, qtbot)
    ((severity, message),) = notifications
    assert severity == "error" and "give it in pixels" in message
    assert "Found now" not in viewer.layers


def test_another_detector_of_the_list_is_used(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot
) -> None:
    page = DetectorPage(panel)
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    panel.accept()
    page.use_detector(0)
    assert panel.context.detector_path is None
    assert page.detectors()[0] == "✓ built in"


def test_two_detectors_differ_by_the_cells_that_only_one_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def detector(device_name: str, weights: Path | None) -> SimpleNamespace:
        xyxy = [[0, 0, 10, 10], [20, 0, 30, 10]] if weights is None else [[1, 0, 11, 10]]
        step = SimpleNamespace(xyxy=np.array(xyxy, np.float32))
        return SimpleNamespace(detect_frames=lambda images, settings: [step])

    monkeypatch.setattr("napari_attmil.workflows.finetune.loaded_detector", detector)
    new = Path("new")
    found = finished(compare_detectors(np.zeros((5, 5)), None, new, DetectionSettings(), "cpu"))
    assert found.found.tolist() == [] and found.lost.tolist() == [[20, 0, 30, 10]]
    assert found.same == 1


def test_a_training_that_brought_nothing_says_so_where_one_looks_later(
    panel: DetectorPanel, cohort: Cohort, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DetectorPage(panel)

    def fit(*args: Any, stop: Event) -> Stage[None]:
        yield Progress(0, 1, "", note="No step was better.")

    monkeypatch.setattr(workflows, "finetune_study", fit)
    panel.context.image_choice.use_cohort(cohort)
    panel.context.session.editor.set_reviewed(0)
    panel.train()
    wait(panel, qtbot)
    assert page.text("outcome") == "No step was better." and page.shows("outcome")
    assert not page.asks_for_a_decision()


def test_the_panel_scrolls_instead_of_making_the_window_higher(panel: DetectorPanel) -> None:
    assert panel.minimumSizeHint().height() < 300
