from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Shapes
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QSlider,
)
from support.pages.attention_mil import (
    AttentionMILPage,
    CellsPage,
    ClassifierPage,
    ImagesPage,
    ResultPage,
)
from support.pages.page import entries
from support.predictions import FakeClassifier

from napari_attmil import workflows
from napari_attmil.bags import Bag
from napari_attmil.bags.presets import ensemble_preset
from napari_attmil.cells import Boxes
from napari_attmil.core import UserError, Workers
from napari_attmil.explore.colours import map_colours
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session import LoadedClassifier
from napari_attmil.widgets import tasks
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.context import session_of
from napari_attmil.widgets.thumbnails import Cutout, ImageShelf
from napari_attmil.widgets.viewer import FoundSoFar
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path
    from threading import Event

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot


def detect(panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None]) -> None:
    panel.cells_step.detect()
    wait_idle(panel)


def load_and_classify(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"fake")
    panel.classifier_step.load(path)
    wait_idle(panel)
    panel.result_step.classify()
    wait_idle(panel)


def cells_layers(viewer: Any) -> list[Shapes]:
    return [layer for layer in viewer.layers if isinstance(layer, Shapes)]


def test_from_image_to_the_cells_that_decided(
    docked_panel: AttentionMILWidget,
    window_viewer: Any,
    wait_idle: Callable[[AttentionMILWidget], None],
    tmp_path: Path,
) -> None:
    session, page = docked_panel.context.session, AttentionMILPage(docked_panel)
    detect(docked_panel, wait_idle)
    assert len(session.boxes) == 9
    load_and_classify(docked_panel, wait_idle, tmp_path)
    assert page.result.probabilities()[0] == ("sickle", 0.7)
    # The fake's attention grows with the id: the last eight of nine, highest first.
    assert page.result.top_cells() == (9, 8, 7, 6, 5, 4, 3, 2)
    (layer,) = cells_layers(window_viewer)
    ids = layer.features["cell_id"].to_numpy()
    assert layer.edge_color[ids == 9].tolist() == [[1, 1, 1, 1]]
    page.result.press_top_cell(0)
    assert window_viewer.dims.current_step[0] == 2 and session.selection == (9,)


def test_an_image_that_cannot_be_read_costs_its_own_thumbnails_only_and_is_named(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    notifications: list[tuple[str, str]],
) -> None:
    read = ImageShelf.image

    def damaged(shelf: ImageShelf, cutout: Cutout, source: Any) -> Any:
        if cutout.image_index == 2:
            raise UserError("The file is damaged.")
        return read(shelf, cutout, source)

    monkeypatch.setattr(ImageShelf, "image", damaged)
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    assert AttentionMILPage(panel).result.top_cells() == (6, 5, 4, 3, 2)
    (warning,) = [text for severity, text in notifications if severity == "warning"]
    assert warning == "The thumbnails of cells in image 3 are missing: it cannot be read."


def test_next_step_opens_when_one_is_done(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    is_open = {name: frame.isOpen() for name, frame in panel.frames.items()}
    assert is_open == {"images": True, "cells": True, "classifier": False, "result": False}
    detect(panel, wait_idle)
    assert panel.frames["classifier"].isOpen()
    load_and_classify(panel, wait_idle, tmp_path)
    assert panel.frames["result"].isOpen()


def test_steps_say_what_is_missing_and_what_is_there(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    result = AttentionMILPage(panel).result
    assert not result.can_press("Classify sample")
    assert "detect cells (step 2)" in result.text("hint")
    detect(panel, wait_idle)
    assert result.text("hint") == "First load or train a classifier (step 3)."
    load_and_classify(panel, wait_idle, tmp_path)
    assert not result.shows("hint") and result.can_press("Classify sample")
    assert "3 cells in this image, 9 in the sample" in CellsPage(panel.cells_step).text("counts")


def test_result_is_marked_stale_when_boxes_change_and_not_after_undo(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    result = ResultPage(panel.result_step)
    assert not result.shows("stale")
    panel.context.session.editor.add(0, [80, 50, 100, 70])
    assert result.shows("stale")
    panel.context.session.editor.undo()
    assert not result.shows("stale")


def test_corrections_survive_detecting_again_and_this_is_said(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    notifications: list[tuple[str, str]],
) -> None:
    detect(panel, wait_idle)
    session = panel.context.session
    drawn = session.editor.add(0, [80, 50, 100, 70])
    session.editor.delete([1])
    detect(panel, wait_idle)
    assert drawn in session.boxes.cell_id and len(session.boxes) == 9
    assert any("Your corrections stay" in message for _, message in notifications)


def test_one_can_start_over_where_all_boxes_were_deleted(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None]
) -> None:
    session = panel.context.session
    start_over = CellsPage(panel.cells_step).button("Start over")
    assert not start_over.isEnabled()
    detect(panel, wait_idle)
    session.editor.delete(session.boxes.cell_id)
    detect(panel, wait_idle)
    assert len(session.boxes) == 0 and start_over.isEnabled()
    start_over.click()
    assert not start_over.isEnabled()
    detect(panel, wait_idle)
    assert len(session.boxes) == 9


def test_detection_of_the_image_shown_only(
    panel: AttentionMILWidget, viewer: ViewerModel, wait_idle: Callable[[AttentionMILWidget], None]
) -> None:
    viewer.dims.set_point(0, 1)
    CellsPage(panel.cells_step).button("Only in the image shown").setChecked(True)
    detect(panel, wait_idle)
    assert panel.context.session.boxes.image_index.tolist() == [1, 1, 1]
    assert panel.context.session.state.searched == {1}


def test_only_what_the_viewer_shows_is_searched_and_first_boxes_are_shown_meanwhile(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = panel.context.cells.camera
    asked: list[Any] = []
    shown: list[list[str]] = []
    boxes = np.array([[12, 22, 30, 40]], np.float32)

    def in_parts(*args: Any, stop: Event) -> Generator[Progress, None, workflows.Detection]:
        asked.append((args[1], args[5].tolist()))
        part = SimpleNamespace(image_index=1, xyxy=boxes, searched=boxes[0], part=1, parts=2)
        yield Progress(1, 2, "1 cell so far, part 1 of 2", part)
        found = Boxes.from_detections([1], boxes, [0.9])
        return workflows.Detection(found, (1,), {1: args[5][np.newaxis]})

    monkeypatch.setattr(workflows, "detect_cells", in_parts)
    add = FoundSoFar.add
    monkeypatch.setattr(FoundSoFar, "add", lambda *args: (add(*args), shown.append(layers())))

    def layers() -> list[str]:
        return [layer.name for layer in viewer.layers]

    viewer.dims.set_point(0, 1)
    camera.image.corner_pixels = np.array([[1, 20, 10], [1, 59, 49]])
    CellsPage(panel.cells_step).button("Only in this view").setChecked(True)
    detect(panel, wait_idle)
    assert asked == [([1], [10, 20, 50, 60])]
    assert "Found so far" in shown[0] and "Found so far" not in layers()
    assert panel.context.session.boxes.xyxy.tolist() == boxes.tolist()
    assert panel.context.session.state.searched == frozenset()


def test_a_view_beside_the_image_is_refused_with_what_to_do(
    panel: AttentionMILWidget, notifications: list[tuple[str, str]]
) -> None:
    panel.context.cells.camera.image.corner_pixels = np.array([[0, 0, 0], [0, 0, 0]])
    CellsPage(panel.cells_step).button("Only in this view").setChecked(True)
    panel.cells_step.detect()
    assert "Press Home" in notifications[-1][1]


def test_detection_settings_are_those_of_all_panels(
    panel: AttentionMILWidget, make_panel: Callable[[Any], AttentionMILWidget], viewer: ViewerModel
) -> None:
    CellsPage(panel.cells_step).set("cell_diameter_px", 40)
    assert make_panel(viewer).context.detection_settings.cell_diameter_px == 40


@pytest.mark.parametrize(("units", "diameter_px"), [("um", 40), ("pixel", None)])
def test_diameter_in_micrometres_is_taken_by_the_scale_of_the_layer(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    notifications: list[tuple[str, str]],
    units: str,
    diameter_px: int | None,
) -> None:
    layer = viewer.add_image(np.zeros((64, 64)), scale=(0.2, 0.2), units=units, name="scaled")
    panel.context.image_choice.choose(layer)
    asked = []

    detect_all: Any = workflows.detect_cells

    def remember(
        images: Any, places: Sequence[int], settings: Any, *rest: Any, stop: Event
    ) -> Generator[Progress, None, Any]:
        asked.append(settings.cell_diameter_px)
        return (yield from detect_all(images, places, settings, *rest, stop=stop))

    monkeypatch.setattr(workflows, "detect_cells", remember)
    CellsPage(panel.cells_step).set("cell_diameter_um", 8)
    detect(panel, wait_idle)
    assert asked == ([diameter_px] if diameter_px else [])
    assert bool(notifications) == (diameter_px is None)


def test_cancelled_detection_keeps_what_was_found(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    fakes: None,
) -> None:
    detect_all: Any = workflows.detect_cells

    def stopped_after_the_first(*args: Any, stop: Event) -> Generator[Progress, None, Any]:
        steps = detect_all(*args, stop=stop)
        yield next(steps)
        stop.set()
        return (yield from steps)

    monkeypatch.setattr(workflows, "detect_cells", stopped_after_the_first)
    detect(panel, wait_idle)
    assert set(panel.context.session.boxes.image_index.tolist()) == {0}
    assert not CellsPage(panel.cells_step).shows_progress()


def test_buttons_rest_while_something_runs_and_error_leaves_no_spinner(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    notifications: list[tuple[str, str]],
) -> None:
    seen = []

    def failing(*args: Any, stop: Event) -> Generator[Progress, None, Any]:
        yield Progress(0, 1, "working")
        raise RuntimeError("broken")

    step = CellsPage(panel.cells_step)
    panel.context.runner.busy_changed.connect(
        lambda busy: seen.append((busy, step.can_press("Detect cells")))
    )
    monkeypatch.setattr(workflows, "detect_cells", failing)
    detect(panel, wait_idle)
    assert seen == [(True, False), (False, True)]
    assert not CellsPage(panel.cells_step).shows_progress()
    assert any("broken" in message for _, message in notifications)


def test_missing_model_is_told_and_nothing_is_lost(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    tmp_path: Path,
    notifications: list[tuple[str, str]],
) -> None:
    detect(panel, wait_idle)
    panel.classifier_step.load(tmp_path / "none.safetensors")
    wait_idle(panel)
    assert any("There is no model file" in message for _, message in notifications)
    assert (
        panel.context.session.predictions.classifier is None
        and len(panel.context.session.boxes) == 9
    )


def write_cohort(folder: Path) -> Cohort:
    import tifffile

    samples = []
    for name, label in (("s1", "healthy"), ("s2", "sickle")):
        paths = [folder / f"{name}-{page}.tif" for page in range(2)]
        for path in paths:
            tifffile.imwrite(path, np.random.default_rng(1).integers(0, 255, (60, 80), np.uint8))
        frames = tuple(Frame(path) for path in paths)
        samples.append(Sample(name, name, label, frames, pixel_size_um=0.2))
    return Cohort(tuple(samples), folder)


def open_cohort(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> Cohort:
    cohort = write_cohort(folder)

    def opened(path: Path, stop: Event) -> Generator[Progress, None, Cohort]:
        yield Progress(0, 0, "Looking")
        return cohort

    monkeypatch.setattr(tasks, "open_cohort", opened)
    panel.context.opening.open([folder])
    wait_idle(panel)
    return cohort


@pytest.fixture
def cohort(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Cohort:
    """Return the cohort that is open in the panel."""
    return open_cohort(panel, wait_idle, monkeypatch, tmp_path)


def test_sample_of_a_cohort_is_shown_lazily_with_its_scale(
    panel: AttentionMILWidget,
    cohort: Cohort,
    viewer: ViewerModel,
) -> None:
    layer = panel.context.image_choice.chosen
    assert layer.name == "s1" and layer.data.shape == (2, 60, 80)
    assert not isinstance(layer.data, np.ndarray)
    assert layer.scale.tolist() == [1, 0.2, 0.2]
    assert ClassifierPage(panel.classifier_step).can_press("Train classifier")


def test_what_was_assumed_about_a_cohort_stays_in_the_panel(
    panel: AttentionMILWidget,
    cohort: Cohort,
) -> None:
    page = ImagesPage(panel.images_step)
    assert not page.shows("notes")
    panel.context.session.open_cohort(replace(cohort, notes=("Images were left out: a.",)))
    assert page.text("notes") == "Images were left out: a."
    assert page.shows("notes")


def test_changing_the_sample_replaces_its_layer_and_keeps_its_cells(
    panel: AttentionMILWidget,
    cohort: Cohort,
    viewer: ViewerModel,
    wait_idle: Callable[[AttentionMILWidget], None],
) -> None:
    detect(panel, wait_idle)
    panel.context.image_choice.show_sample("s2")
    assert [layer.name for layer in viewer.layers if isinstance(layer, Image)] == ["s2", "blood"]
    assert cells_layers(viewer)[0].nshapes == 0
    panel.context.image_choice.show_sample("s1")
    assert cells_layers(viewer)[0].nshapes == 6


def test_training_draws_its_losses_and_gives_a_classifier(
    panel: AttentionMILWidget,
    cohort: Cohort,
    wait_idle: Callable[[AttentionMILWidget], None],
) -> None:
    page = ClassifierPage(panel.classifier_step)
    page.set(epochs=4, members=5)
    panel.classifier_step.train()
    wait_idle(panel)
    # The last of the five models: its own four epochs only.
    assert page.losses() == [6, 5, pytest.approx(14 / 3), 4.5]
    assert panel.context.session.predictions.classifier.name == "fake.safetensors"
    assert "healthy, sickle" in page.text("hint")
    assert "2 models. Not calibrated" in page.text("hint")


def use(panel: AttentionMILWidget, classifier: FakeClassifier) -> ClassifierPage:
    loaded = LoadedClassifier(classifier, "fake.safetensors")
    panel.context.session.predictions.use(loaded)
    return ClassifierPage(panel.classifier_step)


def test_a_classifier_says_how_it_did_on_patients_it_had_not_seen(
    panel: AttentionMILWidget,
    cohort: Cohort,
) -> None:
    panel.show()
    panel.show_step("classifier")
    said = FakeClassifier().holding_out(
        ("s1", "s1", 0, 0.2), ("s2", "s2", 1, 0.9), ("x", "of another study", 2, 0.8)
    )
    page = use(panel, said)
    assert page.text("held_out") == "1 of 3 held-out patients right; chance 1."
    assert page.text("reservation").startswith("That is few patients: of new ones, 6% to 79%")
    assert page.matrix.counts.to_numpy().tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert page.held_out_patients() == ["s2: sickle, taken for spherocytosis (90%)"]
    assert panel.context.session.sample.name == "s1"
    page.press_patient(0)
    assert panel.context.session.sample.name == "s2"
    page.matrix.cell_clicked.emit("healthy", "healthy")
    assert page.held_out_patients() == ["s1: healthy, taken for healthy (80%)"]
    page = use(panel, FakeClassifier())
    assert page.text("held_out") == FakeClassifier.on_new_patients and page.warns("held_out")
    assert not page.shows("reservation") and not page.held_out_patients()


def test_heading_of_the_step_says_how_many_held_out_patients_were_right(
    panel: AttentionMILWidget,
) -> None:
    told: list[str] = []
    panel.classifier_step.state_changed.connect(lambda summary, _: told.append(summary))
    use(panel, FakeClassifier().holding_out(("s1", "s1", 0, 0.2), ("s2", "s2", 1, 0.9)))
    assert told[-1] == "1 of 2 right, held out"
    use(panel, FakeClassifier())
    assert told[-1] == "fake.safetensors"


def test_result_of_a_sample_that_was_trained_on_shows_what_was_said_without_it(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    session, page = panel.context.session, ResultPage(panel.result_step)
    assert session.state.prediction is not None and not page.shows("held_out")
    learnt = replace(
        session.state.prediction, was_trained_on=True, held_out=np.array([0.6, 0.3, 0.1])
    )
    session.predictions.set(learnt, session.boxes)
    assert page.text("held_out") == "Without this patient in the training: healthy 60%."
    assert page.shows("held_out")


def test_a_training_that_was_stopped_can_be_continued_when_the_study_is_opened_again(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    page = ClassifierPage(panel.classifier_step)
    assert page.offers("Train classifier") and not page.shows("unfinished")
    kept = tmp_path / "models" / "unfinished"
    kept.mkdir(parents=True)
    for name in ("a", "b"):
        (kept / f"{name}.safetensors").write_bytes(b"state")
    open_cohort(panel, wait_idle, monkeypatch, tmp_path)
    assert "the states of 2 models are kept" in page.text("unfinished")
    assert page.can_press("Continue training") and page.shows("unfinished")


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "Latest training: Sample 's0' was left out."),
        (
            4,
            "Latest training: Sample 's0' was left out. Sample 's1' was left out. "
            "Sample 's2' was left out. Likewise 1 more sample.",
        ),
    ],
)
def test_training_says_which_samples_it_left_out(
    panel: AttentionMILWidget,
    cohort: Cohort,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    notifications: list[tuple[str, str]],
    count: int,
    told: str,
) -> None:
    train: Any = workflows.train_classifier

    def leave_out(*args: Any, stop: Event) -> Generator[Progress, None, Any]:
        for place in range(count):
            yield Progress(place, count, "", note=f"Sample 's{place}' was left out.")
        return (yield from train(*args, stop=stop))

    monkeypatch.setattr(workflows, "train_classifier", leave_out)
    step = panel.classifier_step
    step.train()
    wait_idle(panel)
    assert (
        ClassifierPage(step)
        .text("hint")
        .endswith(f"Classes: healthy, sickle, spherocytosis\n{told}")
    )
    assert notifications[-1][1].endswith(f"fake.safetensors. {told}")
    (tmp_path / "other.safetensors").write_bytes(b"fake")
    step.load(tmp_path / "other.safetensors")
    wait_idle(panel)
    assert "left out" not in ClassifierPage(step).text("hint")


def test_all_cells_found_on_the_way_of_a_training_are_kept_not_only_the_drawn_ones(
    panel: AttentionMILWidget,
    cohort: Cohort,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train: Any = workflows.train_classifier
    boxes = Boxes.from_detections([0, 1], [[5, 5, 25, 25], [30, 10, 50, 30]], [0.9, 0.8])
    features, drawn, sample = np.zeros((1, 8, 11, 1), np.float16), boxes[1:], cohort.samples[-1]
    bag = Bag(features, drawn.cell_id, sample.name, "p", boxes=drawn, sample_boxes=boxes)

    def find(*args: Any, stop: Event) -> Generator[Progress, None, Any]:
        yield Progress(1, 1, "Reading", bag)
        return (yield from train(*args, stop=stop))

    monkeypatch.setattr(workflows, "train_classifier", find)
    panel.classifier_step.train()
    wait_idle(panel)
    state = panel.context.session.states_of_samples()[sample.name]
    assert state.boxes.is_unchanged_since(boxes)


def test_training_knows_the_healthy_class_and_the_workers_that_were_chosen(
    panel: AttentionMILWidget,
    cohort: Cohort,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = panel.classifier_step
    asked: list[Any] = []

    def train(
        study: Any,
        settings: Any,
        ensemble: Any,
        detection: Any,
        device_name: str,
        *,
        workers: Workers | None = None,
        stop: Event,
    ) -> Generator[Progress, None, None]:
        yield Progress(0, 1, "")
        asked.append((settings.reference_class, workers))

    @contextmanager
    def open_cluster(where: str, shared: Path, **_: object) -> Iterator[Workers]:
        asked.append((where, shared))
        yield Workers(7)
        asked.append("closed")

    monkeypatch.setattr(workflows, "train_classifier", train)
    assert ClassifierPage(step).text("hint") == "Train on the open images, or load a model."
    assert panel.context.session.cohort is not None
    panel.context.session.open_cohort(relabelled(panel.context.session.cohort, ("alive", "dead")))
    assert "choose the healthy class above" in ClassifierPage(step).text("hint")
    ClassifierPage(step).choose_healthy("alive")
    assert "choose the healthy class" not in ClassifierPage(step).text("hint")
    step.train()
    wait_idle(panel)
    page = ClassifierPage(step)
    assert page.workers.text() == "automatic"
    page.workers.setValue(3)
    step.train()
    wait_idle(panel)
    assert asked == [("alive", None), ("alive", Workers(3))]
    monkeypatch.setattr("napari_attmil.workflows.steps.open_cluster", open_cluster)
    page.compute_on.setCurrentText(" tcp://host:8786 ")
    assert not page.workers.isEnabled()
    step.train()
    wait_idle(panel)
    again = AttentionMILWidget(panel.context.viewer)  # opened beside the first one
    other = ClassifierPage(again.classifier_step)
    assert (other.compute_on.value(), other.workers.value()) == ("tcp://host:8786", 3)
    assert not other.workers.isEnabled()
    again.close_panel()
    where = ("tcp://host:8786", panel.context.session.cohort.folder)
    assert asked[2:] == [where, ("alive", Workers(7)), "closed"]
    page.compute_on.setCurrentIndex(0)
    assert page.workers.isEnabled()
    step.train()
    wait_idle(panel)
    assert asked[5:] == [("alive", Workers(3))]


def relabelled(cohort: Cohort, labels: tuple[str, ...]) -> Cohort:
    samples = zip(cohort.samples, labels, strict=True)
    return replace(cohort, samples=tuple(replace(sample, label=label) for sample, label in samples))


def test_preset_fills_the_form(panel: AttentionMILWidget) -> None:
    page = ClassifierPage(panel.classifier_step)
    page.choose_preset("paper")
    training, ensemble = page.settings()
    assert training.epochs == 150
    assert ensemble == ensemble_preset("paper")


def test_every_classification_says_how_sure_it_is(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    step, session = panel.result_step, panel.context.session
    page = ResultPage(step)
    assert page.text("certainty") == "2 of 2 models agree · all but sickle ruled out at 90%"
    assert not page.warns("certainty") and not page.shows("note")
    assert "its 2 models" in page.bars.toolTip()
    assert session.state.prediction is not None
    doubted = replace(
        session.state.prediction,
        member_probabilities=np.array([[0.1, 0.8, 0.1], [0.6, 0.3, 0.1]]),
        prediction_set=("sickle", "healthy"),
        note="Few patients.",
    )
    told = []
    step.state_changed.connect(lambda summary, done: told.append(summary))
    session.predictions.set(doubted, session.boxes)
    assert page.text("certainty") == (
        "Undecided: sickle and healthy cannot be ruled out at 90% · 1 of 2 models favour sickle"
    )
    assert page.warns("certainty") and page.text("note") == "Few patients."
    assert told[-1] == "undecided, sickle 70%"


def test_devices_are_listed_when_the_step_opens(panel: AttentionMILWidget, qtbot: QtBot) -> None:
    device = ClassifierPage(panel.classifier_step).device
    assert device.count() == 1
    panel.frames["classifier"].setOpen(True)
    qtbot.waitUntil(lambda: device.count() == 2, timeout=10_000)
    device.setCurrentIndex(device.findData("cpu"))
    assert panel.context.device_name == "cpu"


def test_cells_are_exported_with_their_attention(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    panel.result_step.export(tmp_path / "cells.v1")
    table = pd.read_csv(tmp_path / "cells.v1.csv")
    assert len(table) == 9 and table["attention"].sum() == pytest.approx(1)
    assert {"contribution_sickle", "frame", "cell_id"} <= set(table.columns)
    session = panel.context.session
    session.editor.move(1, session.boxes.xyxy[session.boxes.index_of(1)][0] + 1)
    panel.result_step.export(tmp_path / "cells.v1")
    table = pd.read_csv(tmp_path / "cells.v1.csv", index_col="cell_id")
    assert table.index[table["attention"].isna()].tolist() == [1]


def test_name_that_is_proposed_for_the_cells_has_the_whole_name_of_the_sample(
    panel: AttentionMILWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed = []

    def choose(parent: Any, title: str, name: str, kinds: str) -> tuple[str, str]:
        proposed.append(name)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    session = panel.context.session
    assert session.sample is not None
    session.show(replace(session.sample, name="hs2/s1"))
    ResultPage(panel.result_step).button("Export cells").clicked.emit()
    assert proposed == ["hs2-s1-cells.csv"]


def test_saved_model_is_where_it_was_asked_for(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    load_and_classify(panel, wait_idle, tmp_path)
    panel.classifier_step.save(tmp_path / "copy v1.2")
    assert (tmp_path / "copy v1.2.safetensors").read_bytes() == b"fake"


def test_threshold_tells_how_many_cells_remain(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    assert ResultPage(panel.result_step).fade_below(50).startswith("Show the 5 of 9 cells")
    (layer,) = cells_layers(panel.context.viewer)
    assert (layer.edge_color[:, 3] == 1).sum() == 5


def test_boxes_take_the_colours_that_are_chosen_beside_the_legend(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    (layer,) = cells_layers(panel.context.viewer)
    colours = ResultPage(panel.result_step).colour_maps()
    ticked = [name for name, action in colours.items() if action.isChecked()]
    assert ticked == ["paper"]
    as_in_the_paper = layer.edge_color.copy()
    colours["viridis"].trigger()
    assert not np.allclose(layer.edge_color, as_in_the_paper)
    highest = map_colours([1.0], "viridis")[0, :3]
    assert np.isclose(layer.edge_color[:, :3], highest, atol=1e-6).all(axis=1).any()


def test_layer_list_is_followed(panel: AttentionMILWidget, viewer: ViewerModel) -> None:
    combo = ImagesPage(panel.images_step).layers
    other = viewer.add_image(np.zeros((20, 30)), name="other")
    assert entries(combo) == ["blood", "other"]
    other.name = "renamed"
    assert entries(combo) == ["blood", "renamed"]
    assert combo.currentText() == "blood"


def test_removed_image_stops_detection_but_keeps_the_cells(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    wait_idle: Callable[[AttentionMILWidget], None],
    stack: Image,
) -> None:
    detect(panel, wait_idle)
    viewer.layers.remove(stack)
    assert not CellsPage(panel.cells_step).can_press("Detect cells")
    assert len(panel.context.session.boxes) == 9
    assert "removed" in ImagesPage(panel.images_step).text("info")


def test_image_removed_while_it_is_worked_on_breaks_nothing(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    wait_idle: Callable[[AttentionMILWidget], None],
    stack: Image,
) -> None:
    panel.cells_step.detect()
    viewer.layers.remove(stack)
    wait_idle(panel)
    assert len(panel.context.session.boxes) == 9


def test_layer_whose_rows_are_elsewhere_is_refused_and_the_one_in_use_stays(
    panel: AttentionMILWidget, viewer: ViewerModel, notifications: list[tuple[str, str]]
) -> None:
    odd = viewer.add_image(np.zeros((20, 30, 5)), rgb=False, axis_labels=("y", "x", "c"))
    panel.context.image_choice.choose(odd)
    assert any("'x' and 'c'" in message for _, message in notifications)
    assert panel.context.image_choice.chosen.name == "blood"


def test_colour_and_multiscale_images_are_read_whole(
    panel: AttentionMILWidget, viewer: ViewerModel
) -> None:
    panel.context.image_choice.choose(
        viewer.add_image(np.zeros((2, 20, 30, 3), np.uint8), rgb=True, name="colour")
    )
    assert panel.context.images is not None
    assert len(panel.context.images) == 2 and panel.context.images[0].shape == (20, 30, 3)
    pyramid = [np.zeros((3, 40, 60)), np.zeros((3, 20, 30))]
    panel.context.image_choice.choose(viewer.add_image(pyramid, multiscale=True, name="pyramid"))
    assert len(panel.context.images) == 3 and panel.context.images[2].shape == (40, 60)


def test_two_viewers_have_sessions_of_their_own(
    make_napari_viewer_proxy: Callable[..., Any],
    make_panel: Callable[[Any], AttentionMILWidget],
    wait_idle: Callable[[AttentionMILWidget], None],
    stack: Image,
) -> None:
    first, second = make_napari_viewer_proxy(), make_napari_viewer_proxy()
    first.add_layer(stack)
    one, two = make_panel(first), make_panel(second)
    detect(one, wait_idle)
    assert len(one.context.session.boxes) == 9
    assert len(two.context.session.boxes) == 0 and not cells_layers(second)
    assert session_of(first) is one.context.session is not session_of(second)


def test_two_panels_of_one_viewer_share_images_boxes_and_undo(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    make_panel: Callable[[Any], AttentionMILWidget],
    wait_idle: Callable[[AttentionMILWidget], None],
) -> None:
    other = make_panel(viewer)
    detect(panel, wait_idle)
    assert other.context.images is panel.context.images is not None
    assert len(cells_layers(viewer)) == 1 and len(other.context.session.boxes) == 9
    keys = len(viewer.keymap)
    other.close_panel()
    assert len(viewer.keymap) == keys and panel.context.cells.layer is not None
    panel.context.session.editor.add(0, [80, 50, 100, 70])
    assert cells_layers(viewer)[0].nshapes == 10


def test_closed_and_reopened_panel_finds_everything_again(
    docked_panel: AttentionMILWidget,
    window_viewer: Any,
    make_panel: Callable[[Any], AttentionMILWidget],
    wait_idle: Callable[[AttentionMILWidget], None],
    tmp_path: Path,
) -> None:
    detect(docked_panel, wait_idle)
    load_and_classify(docked_panel, wait_idle, tmp_path)
    window_viewer.window.remove_dock_widget(docked_panel)
    again = make_panel(window_viewer)
    wait_idle(again)
    assert len(cells_layers(window_viewer)) == 1
    assert ResultPage(again.result_step).probabilities()[0] == ("sickle", 0.7)
    (layer,) = cells_layers(window_viewer)
    layer.selected_data = {0}
    layer.remove_selected()
    assert len(again.context.session.boxes) == 8


def test_closing_ends_the_work_and_frees_the_keys(
    docked_panel: AttentionMILWidget,
    window_viewer: Any,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    began = []

    def endless(*args: Any, stop: Event) -> Generator[Progress, None, None]:
        while not stop.is_set():
            began.append(1)
            yield Progress(0, 0, "again")

    monkeypatch.setattr(workflows, "detect_cells", endless)
    docked_panel.cells_step.detect()
    qtbot.waitUntil(lambda: bool(began), timeout=10_000)
    keys = len(window_viewer.keymap)
    window_viewer.window.remove_dock_widget(docked_panel)
    assert not docked_panel.context.runner.busy
    assert len(window_viewer.keymap) == keys - 2
    window_viewer.add_image(np.zeros((10, 10)))
    docked_panel.context.session.show(None)


def test_closed_panel_can_be_forgotten(window_viewer: Any, qtbot: QtBot) -> None:
    panel = AttentionMILWidget(window_viewer)
    window_viewer.window.add_dock_widget(panel)
    window_viewer.window.remove_dock_widget(panel)
    known = weakref.ref(panel.context.cells)
    del panel
    qtbot.wait(10)
    gc.collect()
    assert known() is None


def test_every_control_has_a_tooltip_and_a_name(
    panel: AttentionMILWidget, wait_idle: Callable[[AttentionMILWidget], None], tmp_path: Path
) -> None:
    detect(panel, wait_idle)
    load_and_classify(panel, wait_idle, tmp_path)
    # A screen reader reads the label where a control has no name of its own.
    labelled = [label.buddy() for label in panel.findChildren(QLabel) if label.text()]
    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox, QSlider):
        for control in panel.findChildren(kind):
            name = control.objectName()
            if name.startswith("qt_") or name.startswith("Scroll"):
                continue
            what = f"{type(control).__name__} {name!r} {control.toolTip()!r}"
            assert control.toolTip(), f"{what} has no tooltip"
            written = control.text() if isinstance(control, QAbstractButton) else ""
            assert control.accessibleName() or written or control in labelled, f"{what} has no name"


def test_undo_key_takes_back_a_change(
    panel: AttentionMILWidget, viewer: ViewerModel, wait_idle: Callable[[AttentionMILWidget], None]
) -> None:
    detect(panel, wait_idle)
    (undo,) = [f for key, f in viewer.keymap.items() if str(key) in ("Ctrl+Z", "Meta+Z")]
    undo(viewer)
    assert len(panel.context.session.boxes) == 0


OPEN_PANEL = """
import sys
import napari
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.contributions import healthy_sample
viewer = napari.Viewer(show=False)
data, settings, _ = healthy_sample()[0]
viewer.add_image(data, **settings)
panel = AttentionMILWidget(viewer)
viewer.window.add_dock_widget(panel)
print(sorted({"torch", "torchvision", "pyqtgraph"} & set(sys.modules)), len(panel.context.images))
panel.close_panel()
viewer.close()
"""


@pytest.mark.usefixtures("qapp")
def test_opening_the_panel_loads_no_torch() -> None:
    run = subprocess.run(
        [sys.executable, "-c", OPEN_PANEL], capture_output=True, text=True, env=os.environ
    )
    assert run.stdout.strip() == "[] 4", run.stderr
