"""A panel in a real viewer, with stand-ins for what needs torch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_attmil.bags.prediction import Prediction
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.errors import UserError
from napari_attmil.session.loaded_classifier import LoadedClassifier
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts.workers import Progress

CLASSES = ("healthy", "sickle", "spherocytosis")
CELLS_PER_IMAGE = 3


class FakeClassifier:
    """Gives every cell an attention that grows with its id."""

    classes = CLASSES
    feature_settings = FeatureSettings()
    description = "2 models. Not calibrated: the training was stopped early."

    def classify(self, bag):
        weights = bag.cell_id.astype(np.float64) ** 2
        return Prediction(
            sample=bag.sample,
            classes=self.classes,
            probabilities=np.array([0.1, 0.7, 0.2]),
            cell_id=bag.cell_id,
            attention=weights / weights.sum(),
            contribution=np.outer(weights, [0.1, 0.7, 0.2]),
            member_probabilities=np.array([[0.1, 0.8, 0.1], [0.1, 0.6, 0.3]]),
            prediction_set=("sickle",),
            coverage=0.9,
        )

    def save(self, path):
        path.write_bytes(b"fake")


def fake_detect(stop, images, places, settings, device_name, weights=None):
    """Find three cells of 20 px in every image, at fixed places."""
    found = []
    for done, place in enumerate(places, start=1):
        corners = np.array([[10, 10, 30, 30], [50, 20, 70, 40], [20, 60, 40, 80]])
        found.append((np.full(3, place), corners, [0.9, 0.8, 0.7]))
        yield Progress(done, len(places), f"{3 * done} cells")
        if stop.is_set():
            break
    return tasks.Detection(
        Boxes.from_detections(*map(np.concatenate, zip(*found, strict=True))),
        tuple(places[: len(found)]),
    )


def fake_train(stop, cohort, states, detection, settings, ensemble, device_name):
    for member in range(ensemble.members):
        for epoch in range(1, settings.epochs + 1):
            losses = SimpleNamespace(
                done=epoch, loss=2 / epoch + member, mil_loss=1 / epoch, sic_loss=1 / epoch
            )
            step = SimpleNamespace(title=f"Model {member + 1}", epoch=losses)
            yield Progress(epoch, settings.epochs, f"Epoch {epoch}", step)
            if stop.is_set():
                break
    return LoadedClassifier(
        FakeClassifier(), "fake.safetensors", cohort.folder / "fake.safetensors"
    )


def fake_classify(stop, sample, images, boxes, classifier, device_name, cohort):
    yield Progress(1, 1, "Classifying")
    bag = SimpleNamespace(sample=sample.name, cell_id=boxes.cell_id)
    return tasks.Classification(classifier.classify(bag), boxes)


def fake_load(stop, path, device_name):
    yield Progress(0, 0, "Loading")
    if not path.exists():
        raise UserError(f"There is no model file {path}; check the path.")
    return LoadedClassifier(FakeClassifier(), path.name, path)


def fake_devices(stop):
    yield Progress(0, 0, "Looking")
    return [SimpleNamespace(name="cpu", description="processor, 2 cores")]


class Hand:
    """Moves the mouse over the canvas and presses keys; counts what a person would call actions."""

    def __init__(self, viewer):
        self._viewer, self.actions = viewer, 0
        (self._canvas,) = (
            widget
            for widget in QApplication.allWidgets()
            if type(widget).__name__ == "CanvasBackendDesktop" and widget.isVisible()
        )

    def key(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self._canvas, key, modifier)
        QApplication.processEvents()
        self.actions += 1

    def click(self, x, y):
        self.point_at(x, y)
        QTest.mouseClick(self._canvas, Qt.MouseButton.LeftButton, pos=self._pixel(x, y))
        QApplication.processEvents()
        self.actions += 1

    def point_at(self, x, y):
        for nearer in (2, 0):  # no mouse jumps
            QTest.mouseMove(self._canvas, self._pixel(x, y) + QPoint(nearer, 0))
            QApplication.processEvents()

    def drag(self, start, end):
        left = Qt.MouseButton.LeftButton
        self.point_at(*start)
        QTest.mousePress(self._canvas, left, pos=self._pixel(*start))
        for share in (0.3, 0.7, 1):
            self.point_at(*(np.array(start) + share * (np.array(end) - start)))
        QTest.mouseRelease(self._canvas, left, pos=self._pixel(*end))
        QApplication.processEvents()
        self.actions += 1

    def _pixel(self, x, y):
        camera = getattr(self._viewer, "scene", self._viewer).camera
        size = np.array([self._canvas.width(), self._canvas.height()])
        place = (np.array([x, y]) - camera.center[:-3:-1]) * camera.zoom + size / 2
        return QPoint(*(round(float(value)) for value in place))


@pytest.fixture
def make_hand():
    """Return a function that gives a hand at a viewer's window."""
    return Hand


@pytest.fixture
def fakes(monkeypatch):
    """Replace the tasks that need torch by ones that answer at once."""
    monkeypatch.setattr(tasks, "detect_cells", fake_detect)
    monkeypatch.setattr(tasks, "train_classifier", fake_train)
    monkeypatch.setattr(tasks, "classify_sample", fake_classify)
    monkeypatch.setattr(tasks, "load_classifier", fake_load)
    monkeypatch.setattr(tasks, "list_devices", fake_devices)


@pytest.fixture
def viewer(qapp):
    """Return a viewer without a window: quick to make, and all that most tests need."""
    return ViewerModel()


@pytest.fixture
def window_viewer(make_napari_viewer_proxy):
    """Return a viewer with its window, as napari hands it to plugins."""
    return make_napari_viewer_proxy()


@pytest.fixture
def make_panel(fakes, qtbot):
    """Open the panel in a viewer, docked if there is a window; closed at the end of the test."""
    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

    panels = []

    def make(viewer):
        panel = AttentionMILWidget(viewer)
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(panel, area="right")
        panels.append(panel)
        return panel

    yield make
    for panel in panels:
        panel.close_panel()
        if panel.parent() is None:
            panel.deleteLater()


@pytest.fixture
def stack():
    """Three images of 100 x 120 px; pixels of half a micrometre, away from the origin."""
    data = np.random.default_rng(0).integers(0, 255, (3, 100, 120), dtype=np.uint8)
    return Image(data, name="blood", scale=[1, 0.5, 0.5], translate=[0, 10, 20])


@pytest.fixture
def panel(viewer, make_panel, stack):
    viewer.add_layer(stack)
    return make_panel(viewer)


@pytest.fixture
def docked_panel(window_viewer, make_panel, stack):
    window_viewer.add_layer(stack)
    return make_panel(window_viewer)


@pytest.fixture
def wait_idle(qtbot):
    """Wait until nothing runs in a panel."""

    def wait(panel):
        runners = (panel.context.runner, panel.result_step._cutter)
        qtbot.waitUntil(lambda: not any(runner.busy for runner in runners), timeout=20_000)

    return wait


@pytest.fixture
def notifications():
    """Collect what napari tells the person: (severity, message)."""
    from napari.utils.notifications import notification_manager

    told = []

    def keep(notification):
        told.append((str(notification.severity), notification.message))

    notification_manager.notification_ready.connect(keep)
    yield told
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def make_explorer(fakes, qtbot):
    """Open the explorer in a viewer, docked if there is a window; closed at the end."""
    from napari_attmil.widgets.explorer.panel import ExploreWidget

    explorers = []

    def make(viewer):
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
def explored(viewer, stack, make_explorer):
    """Open the explorer on nine cells in three images, classified by the fake."""
    viewer.add_layer(stack)
    explorer = make_explorer(viewer)
    session = explorer.context.session
    corners = np.tile([[10, 10, 30, 30], [50, 20, 70, 40], [20, 60, 40, 80]], (3, 1))
    session.merge(Boxes.from_detections(np.repeat([0, 1, 2], 3), corners, np.full(9, 0.9)))
    session.use_classifier(LoadedClassifier(FakeClassifier(), "fake"))
    bag = SimpleNamespace(sample="blood", cell_id=session.boxes.cell_id)
    session.set_prediction(FakeClassifier().classify(bag), session.boxes)
    return explorer


@pytest.fixture
def pixels():
    """Return a function that gives a widget's picture as (Y, X, 3) uint8."""

    def taken(widget):
        image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        data = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
        return data.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()].reshape(
            image.height(), image.width(), 3
        )

    return taken
