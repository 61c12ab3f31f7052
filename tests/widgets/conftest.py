"""A panel in a real viewer, with stand-ins for what needs torch."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.compat import isalive
from qtpy.QtGui import QImage
from support.hand import Hand
from support.pages.page import Page
from support.predictions import FakeClassifier, find_and_classify

from napari_attmil import workflows
from napari_attmil.cells import Boxes, DetectionSettings
from napari_attmil.core import UserError
from napari_attmil.explore import CellFacts, CellMeasure, SimilarCell
from napari_attmil.session import LoadedClassifier
from napari_attmil.widgets import tasks
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.explorer.panel import ExploreWidget
from napari_attmil.workflows import NEVER, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from threading import Event

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QApplication, QWidget

    from napari_attmil.bags import EnsembleSettings, MILSettings


def fake_detect(
    images: workflows.Images,
    places: Sequence[int],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
    stop: Event = NEVER,
) -> Stage[workflows.Detection]:
    """Find three cells of 20 px in every image, at fixed places."""
    corners = np.array([[10, 10, 30, 30], [50, 20, 70, 40], [20, 60, 40, 80]])
    found: list[int] = []
    for done, place in enumerate(places, start=1):
        found.append(place)
        yield Progress(done, len(places), f"{3 * done} cells")
        if stop.is_set():
            break
    boxes = Boxes.from_detections(
        np.repeat(found, 3), np.tile(corners, (len(found), 1)), np.tile([0.9, 0.8, 0.7], len(found))
    )
    return workflows.Detection(boxes, tuple(found))


def fake_train(
    study: workflows.Study,
    settings: MILSettings,
    ensemble: EnsembleSettings,
    detection: DetectionSettings,
    device_name: str,
    *others: Any,
    stop: Event,
) -> Stage[workflows.Training]:
    for member in range(ensemble.members):
        for epoch in range(1, settings.epochs + 1):
            losses = SimpleNamespace(
                done=epoch, loss=2 / epoch + member, mil_loss=1 / epoch, sic_loss=1 / epoch
            )
            step = SimpleNamespace(title=f"Model {member + 1}", epoch=losses)
            yield Progress(epoch, settings.epochs, f"Epoch {epoch}", step)
            if stop.is_set():
                break
    path = study.cohort.folder / "fake.safetensors"
    return workflows.Training(LoadedClassifier(FakeClassifier(), path.name, path), True)


def fake_classify(
    study: workflows.Study,
    cells: workflows.CellsAtHand,
    classifier: FakeClassifier,
    device_name: str,
    stop: Event,
) -> Stage[workflows.ClassifiedSample]:
    yield Progress(1, 1, "Classifying")
    prediction = classifier.predict(cells.sample.name, cells.boxes.cell_id)
    return workflows.ClassifiedSample(cells.sample, cells.boxes, prediction)


def fake_look(
    asked: workflows.AskedCell,
    study: workflows.Study,
    classifier: FakeClassifier | None,
    device_name: str,
    reader: workflows.CellReader,
    stop: Event,
) -> Stage[CellFacts]:
    """Find one measure, the sample without the cell, and each other sample's first cell."""
    facts = asked.facts()
    yield Progress(0, 3, "Measuring the cells", facts)
    measure = CellMeasure("area_um2", 40.0 + asked.cell_id, 0.8, (30, 38, 42, 45, 60))
    facts = replace(facts, measures=(measure,))
    yield Progress(1, 3, "Classifying the sample without the cell", facts)
    if classifier is None or facts.attention is None or stop.is_set():
        return facts
    left = dict(zip(facts.probabilities, (0.3, 0.5, 0.2), strict=True))
    others = [
        SimilarCell(other.sample.name, other.sample.label, 1, 1, (10, 10, 30, 30), 1.0)
        for other in asked.others
    ]
    return replace(facts, without=left, similar=tuple(others))


def fake_load(path: Path, device_name: str, stop: Event) -> Stage[LoadedClassifier]:
    yield Progress(0, 0, "Loading")
    if not path.exists():
        raise UserError(f"There is no model file {path}; check the path.")
    return LoadedClassifier(FakeClassifier(), path.name, path)


def fake_devices(stop: Event) -> Stage[list[SimpleNamespace]]:
    yield Progress(0, 0, "Looking")
    return [SimpleNamespace(name="cpu", description="processor, 2 cores")]


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test a person of its own: boxes of layers without a file are kept among theirs."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own data"))


@pytest.fixture
def make_hand() -> type[Hand]:
    """Return a function that gives a hand at a viewer's window."""
    return Hand


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the tasks that need torch by ones that answer at once."""
    monkeypatch.setattr(workflows, "detect_cells", fake_detect)
    monkeypatch.setattr(workflows, "train_classifier", fake_train)
    monkeypatch.setattr(workflows, "classify_sample", fake_classify)
    monkeypatch.setattr(workflows, "load_classifier", fake_load)
    monkeypatch.setattr(workflows, "look_at_cell", fake_look)
    monkeypatch.setattr(tasks, "list_devices", fake_devices)


@pytest.fixture
def viewer(qapp: QApplication) -> ViewerModel:
    """Return a viewer without a window: quick to make, and all that most tests need."""
    return ViewerModel()


@pytest.fixture
def window_viewer(make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    """Return a viewer with its window, as napari hands it to plugins."""
    return make_napari_viewer_proxy()


@pytest.fixture
def make_panel(fakes: None, qtbot: QtBot) -> Iterator[Callable[[Any], AttentionMILWidget]]:
    """Open the panel in a viewer, docked if there is a window; closed at the end of the test."""
    panels: list[AttentionMILWidget] = []

    def make(viewer: Any) -> Any:
        panel = AttentionMILWidget(viewer)
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(panel, area="right")
        panels.append(panel)
        return panel

    yield make
    for panel in panels:
        panel.close_panel()
        if isalive(panel) and panel.parent() is None:
            panel.deleteLater()


@pytest.fixture
def stack() -> Image:
    """Three images of 100 x 120 px; pixels of half a micrometre, away from the origin."""
    data = np.random.default_rng(0).integers(0, 255, (3, 100, 120), dtype=np.uint8)
    return Image(data, name="blood", scale=[1, 0.5, 0.5], translate=[0, 10, 20])


@pytest.fixture
def panel(
    viewer: ViewerModel, make_panel: Callable[[Any], AttentionMILWidget], stack: Image
) -> AttentionMILWidget:
    viewer.add_layer(stack)
    return make_panel(viewer)


@pytest.fixture
def docked_panel(
    window_viewer: Any, make_panel: Callable[[Any], AttentionMILWidget], stack: Image
) -> AttentionMILWidget:
    window_viewer.add_layer(stack)
    return make_panel(window_viewer)


@pytest.fixture
def wait_idle(qtbot: QtBot) -> Callable[[AttentionMILWidget], None]:
    """Wait until nothing runs in a panel."""

    def wait(panel: AttentionMILWidget) -> None:
        qtbot.waitUntil(lambda: not Page(panel).busy, timeout=20_000)

    return wait


@pytest.fixture
def notifications() -> Iterator[list[tuple[str, str]]]:
    """Collect what napari tells the person: (severity, message)."""
    from napari.utils.notifications import notification_manager

    told: list[tuple[str, str]] = []

    def keep(notification: Any) -> None:
        told.append((str(notification.severity), notification.message))

    notification_manager.notification_ready.connect(keep)
    yield told
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def make_explorer(fakes: None, qtbot: QtBot) -> Iterator[Callable[[Any], ExploreWidget]]:
    """Open the explorer in a viewer, docked if there is a window; closed at the end."""
    explorers: list[ExploreWidget] = []

    def make(viewer: Any) -> Any:
        explorer = ExploreWidget(viewer)
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(explorer, area="bottom")
        else:
            explorer.resize(900, 300)
            explorer.show()
        explorers.append(explorer)
        return explorer

    yield make
    for explorer in explorers:
        explorer.close_panel()
        if explorer.parent() is None:
            explorer.deleteLater()


@pytest.fixture
def explored(
    viewer: ViewerModel, stack: Image, make_explorer: Callable[[Any], ExploreWidget]
) -> ExploreWidget:
    """Open the explorer on nine cells in three images, classified by the fake."""
    viewer.add_layer(stack)
    explorer = make_explorer(viewer)
    find_and_classify(explorer.context.session)
    return explorer


@pytest.fixture
def pixels() -> Callable[[QWidget], npt.NDArray[np.uint8]]:
    """Return a function that gives a widget's picture as (Y, X, 3) uint8."""

    def taken(widget: QWidget) -> npt.NDArray[np.uint8]:
        image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        bits: Any = image.constBits()  # PyQt's pointer, or PySide's memory
        content = bits.asstring(image.sizeInBytes()) if hasattr(bits, "asstring") else bytes(bits)
        data = np.frombuffer(content, np.uint8)  # a copy: PySide's memory goes with the image
        return data.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()].reshape(
            image.height(), image.width(), 3
        )

    return taken
