"""The whole way through the panel with the shipped detector and a real training."""

from __future__ import annotations

import importlib.resources
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.pages.attention_mil import AttentionMILPage, ClassifierPage
from support.pages.page import Page

from napari_attmil import workflows
from napari_attmil.bags.classifier import KIND, Classifier
from napari_attmil.bags.presets import mil_preset
from napari_attmil.bags.settings import EnsembleSettings
from napari_attmil.bags.training.ensemble import TOGETHER
from napari_attmil.cells.boxes import match_boxes
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.detection.network_file import load_network, save_network
from napari_attmil.cells.encoding import CellEncoder
from napari_attmil.cells.finetuning.study_detectors import accept_candidate, candidate_path
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.cli import main
from napari_attmil.core import finished
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import load_checkpoint
from napari_attmil.images.reading import open_cohort
from napari_attmil.simulation.cohort import simulate_cohort
from napari_attmil.simulation.settings import SimulationSettings
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

    from napari_attmil.images import Cohort

WEIGHTS = importlib.resources.files("napari_attmil") / "weights" / "detector.safetensors"
pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason="the shipped detector is not in this checkout"
)


def settle(qtbot: QtBot, panel: AttentionMILWidget) -> None:
    qtbot.waitUntil(lambda: not Page(panel).busy, timeout=120_000)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("study") / "cohort"
    settings = SimulationSettings(
        classes=("healthy", "sickle"),
        patients_per_class=2,
        samples_per_patient=1,
        images_per_sample=1,
        image_size_px=256,
        cells_per_image=10,
    )
    list(simulate_cohort(folder, settings))
    return open_cohort(folder)


def test_detector_and_classifier_work_through_the_panel(
    window_viewer: Any, qtbot: QtBot, cohort: Cohort, notifications: list[tuple[str, str]]
) -> None:
    panel = AttentionMILWidget(window_viewer)
    window_viewer.window.add_dock_widget(panel)
    session = panel.context.session
    panel.context.image_choice.use_cohort(cohort)
    panel.cells_step.detect()
    settle(qtbot, panel)
    truth = np.loadtxt(cohort.folder / "truth.csv", delimiter=",", skiprows=1, dtype=str)
    image = cohort.samples[0].frames[0].path.relative_to(cohort.folder).as_posix()
    true_boxes = truth[truth[:, 0] == image, 1:5].astype(float)
    found = match_boxes(session.boxes.xyxy, true_boxes)
    assert len(set(found[found >= 0].tolist())) > 0.7 * len(true_boxes)

    drawn = session.editor.add(0, [100, 100, 140, 140])
    page = AttentionMILPage(panel)
    page.classifier.set(epochs=3, members=2)
    panel.classifier_step.train()
    settle(qtbot, panel)
    assert session.predictions.classifier.model.classes == ("healthy", "sickle")
    assert session.predictions.classifier.path.is_file()
    assert [path.name for path in (cohort.folder / "models").iterdir()] == [
        session.predictions.classifier.path.name
    ]
    assert len(page.classifier.losses()) == 3
    assert len(session.predictions.classifier.model.models) == 2
    assert session.predictions.classifier.model.certainty.patients == (2, 2)
    assert "2 models, calibrated on 4 held-out patients" in page.classifier.text("hint")
    assert set(session.states_of_samples()) == {sample.name for sample in cohort.samples}

    panel.result_step.classify()
    settle(qtbot, panel)
    assert "needs 9 patients to calibrate with" in page.result.text("note")
    assert page.result.text("certainty").startswith("Undecided: no class can be ruled out")
    assert session.state.prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert drawn in session.state.prediction.cell_id
    assert len(page.result.top_cells()) == min(8, len(session.boxes))
    assert not [message for severity, message in notifications if severity == "error"]
    panel.close_panel()


def test_next_candidate_of_the_same_path_is_loaded_anew(tmp_path: Path) -> None:
    path = candidate_path(tmp_path)
    path.parent.mkdir()
    shipped = load_network()
    for training in ("first", "second"):
        save_network(path, shipped.network, shipped.architecture, {"data": training})
        assert workflows.loaded_detector("cpu", path).provenance["data"] == training
    assert workflows.loaded_detector("cpu", path) is workflows.loaded_detector("cpu", path)
    path.unlink()
    with pytest.raises(UserError, match="detector-candidate"):
        workflows.loaded_detector("cpu", path)


def stopped_training(
    qtbot: QtBot, panel: AttentionMILWidget, cohort: Cohort, workers: int
) -> ClassifierPage:
    """Stop an endless training after two epochs, and return its page of the panel."""
    panel.context.image_choice.use_cohort(cohort)
    page = ClassifierPage(panel.classifier_step)
    page.set(epochs=5000, stop_loss=0)
    page.workers.setValue(workers)
    panel.classifier_step.train()
    qtbot.waitUntil(lambda: len(page.losses()) >= 2, timeout=120_000)
    panel.context.runner.stop()
    settle(qtbot, panel)
    return page


def test_what_was_trained_outlasts_a_model_that_cannot_be_saved(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(classifier: Any, path: Path) -> None:
        raise UserError("The disk is full.")

    def train() -> None:
        settings, ensemble = mil_preset("default", epochs=2), EnsembleSettings(members=1)
        detection = DetectionSettings()
        study = workflows.Study.of(cohort)
        finished(workflows.train_classifier(study, settings, ensemble, detection, "cpu"))

    monkeypatch.setattr("napari_attmil.workflows.train.own_folder", lambda name: tmp_path / name)
    unfinished = cohort.folder / "models" / "unfinished"
    with monkeypatch.context() as full_disk:
        full_disk.setattr(Classifier, "save", refuse)
        with pytest.raises(UserError, match="disk is full"):
            train()
    assert any(unfinished.iterdir())
    train()
    assert not unfinished.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_training_keeps_the_models_so_far(
    viewer: ViewerModel, qtbot: QtBot, cohort: Cohort, workers: int
) -> None:
    panel = AttentionMILWidget(viewer)
    qtbot.addWidget(panel)
    page = stopped_training(qtbot, panel, cohort, workers)
    models = panel.context.session.predictions.classifier.model.models
    assert 1 <= len(models) <= workers * TOGETHER  # those that were learning
    assert "Not calibrated: the training was stopped early." in page.text("hint")
    assert len(page.losses()) < 5000
    panel.close_panel()


@pytest.mark.timeout(600)
def test_training_on_a_cluster_shows_its_losses_and_stays_in_the_study(
    viewer: ViewerModel,
    qtbot: QtBot,
    cohort: Cohort,
    notifications: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra [cluster]")
    panel = AttentionMILWidget(viewer)
    qtbot.addWidget(panel)
    panel.context.image_choice.use_cohort(cohort)
    page = ClassifierPage(panel.classifier_step)
    page.set(epochs=3, members=2)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        page.compute_on.setCurrentText(cluster.scheduler_address)
        panel.classifier_step.train()
        settle(qtbot, panel)
        assert cluster.scheduler.transition_counter > 0 and cluster.scheduler.tasks == {}
    classifier = panel.context.session.predictions.classifier
    assert len(classifier.model.models) == 2 and page.losses()
    assert classifier.path.parent == cohort.folder / "models"
    assert "cluster" not in page.text("hint")  # that it was used is no remark on the samples
    monkeypatch.setattr("napari_attmil.core.clusters.CONNECT_S", 1)
    panel.classifier_step.train()
    settle(qtbot, panel)
    assert any("No scheduler answers at" in message for _, message in notifications)
    panel.close_panel()


def test_training_stopped_before_the_first_model_says_that_there_is_none(
    viewer: ViewerModel, qtbot: QtBot, cohort: Cohort, notifications: list[tuple[str, str]]
) -> None:
    panel = AttentionMILWidget(viewer)
    qtbot.addWidget(panel)
    panel.context.image_choice.use_cohort(cohort)
    panel.classifier_step.train()
    panel.context.runner.stop()
    settle(qtbot, panel)
    assert panel.context.session.predictions.classifier is None
    assert [text for _, text in notifications if "before the first model" in text]
    assert not [text for severity, text in notifications if severity == "error"]
    panel.close_panel()


@pytest.mark.parametrize(
    ("embedding", "accepts_another"),
    [("encoder", False), ("combined", False), ("combined", True), ("profile", True)],
)
def test_panel_and_command_line_train_the_same_model(
    embedding: str,
    accepts_another: bool,
    viewer: ViewerModel,
    qtbot: QtBot,
    cohort: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(cohort.folder, folder)
    if accepts_another:
        shipped = load_network()
        candidate = candidate_path(folder)
        candidate.parent.mkdir(exist_ok=True)
        # A little other than the shipped one, so that its features are too.
        weights = shipped.network.state_dict()
        weights["backbone.fpn.inner_blocks.0.0.bias"] += 0.1
        save_network(candidate, shipped.network, shipped.architecture, {"data": "other images"})
        accept_candidate(folder)
    panel = AttentionMILWidget(viewer)
    qtbot.addWidget(panel)
    panel.context.image_choice.use_cohort(open_cohort(folder))
    page = AttentionMILPage(panel)
    page.classifier.set(embedding=embedding, epochs=2, members=1, calibrate=False)
    panel.classifier_step.train()
    settle(qtbot, panel)
    classifier = panel.context.session.predictions.classifier
    assert classifier is not None and classifier.path is not None
    of_panel = classifier.path
    panel.close_panel()
    of_command = tmp_path / "model.safetensors"
    options = ["--members", "1", "--no-calibrate", "--epochs", "2", "--embedding", embedding]
    options += ["--out", str(of_command)]
    monkeypatch.setattr("sys.argv", ["attmil", "train", str(folder), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    one, other = (load_checkpoint(path, KIND) for path in (of_panel, of_command))
    assert one.settings == other.settings
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    detector, encoder = Detector.load().digest, CellEncoder.load().digest
    readers = {"profile": detector, "encoder": encoder, "combined": f"{detector}+{encoder}"}
    is_shipped = one.settings["detector_digest"] == readers[embedding]
    assert is_shipped != accepts_another
