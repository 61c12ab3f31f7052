"""From a folder of one's own images to a result, by mouse and keys, from an empty napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel
from support.smears import write_smears
from support.walk import CLASSIFY

from napari_attmil import workflows
from napari_attmil.cells.boxes import Source
from napari_attmil.cells.finetuning.study_detectors import detector_in_use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event

    from support.walk import Walk

    from napari_attmil.bags import EnsembleSettings, MILSettings
    from napari_attmil.cells import DetectionSettings

CLASSES = ("healthy", "sickle")
TO_FIRST_BOXES, TO_DETECTOR, TO_CLASSIFIER = 3, 12, 8
"""Most clicks and keys, as the issue asks."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return twelve images of six people, of many sizes, in one folder without classes."""
    types = {
        "healthy": ["discocyte"] * 8,
        "sickle": ["discocyte"] * 5 + ["sickle"] * 3,
    }
    cells = {}
    for number in range(12):
        label, person, image = CLASSES[number // 2 % 2], number // 2 + 1, number % 2 + 1
        cells[f"{label}_p{person}_{image}.tif"] = types[label]
    return write_smears(tmp_path / "my smears", cells)


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings be short; what is pressed stays the same."""
    train, finetune = workflows.train_classifier, workflows.finetune_study

    def train_little(
        study: workflows.Study,
        settings: MILSettings,
        ensemble: EnsembleSettings,
        detection: DetectionSettings,
        device_name: str,
        stop: Event,
    ) -> Any:
        little, few = settings.replace(epochs=15), ensemble.replace(members=2)
        steps = train(study, little, few, detection, device_name, stop=stop)
        return (yield from steps)

    def finetune_little(study: workflows.Study, settings: Any, *rest: Any, **more: Any) -> Any:
        return (yield from finetune(study, settings.replace(steps=12), *rest, **more))

    monkeypatch.setattr(workflows, "train_classifier", train_little)
    monkeypatch.setattr(workflows, "finetune_study", finetune_little)


def test_from_a_folder_to_a_report_and_back(
    walk: Callable[[str], Walk],
    folder: Path,
    short_training: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(folder))
    report = tmp_path / "report.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(report), ""))
    at_desk = walk(CLASSIFY)
    session, mouse = at_desk.session, at_desk.mouse

    # A folder of mixed sizes without classes, and its first boxes.
    mouse.choose("Open images or folder…", "Folder…")
    at_desk.until(lambda: session.cohort is not None)
    at_desk.settle()
    assert len(session.cohort) == 12
    assert session.cohort.classes == ()
    start = at_desk.actions
    assert at_desk.stands_out("Detect in all 12 images of the study")
    mouse.press("Detect in all 12 images of the study")
    at_desk.settle()
    assert at_desk.stands_out("Detect cells")
    assert len(session.boxes) >= 4
    assert at_desk.actions - start <= TO_FIRST_BOXES

    # Ten images are looked at; a box is deleted in three of them.
    start = at_desk.actions
    mouse.press("Annotate…")
    at_desk.settle()
    besides = at_desk.actions - start
    for number in range(10):
        at_desk.settle()
        if number < 3:
            x_min, y_min, x_max, y_max = session.boxes.xyxy[0].tolist()
            at_desk.hand.point_at((x_min + x_max) / 2, (y_min + y_max) / 2)
            at_desk.hand.key(Qt.Key.Key_K)
        at_desk.hand.key(Qt.Key.Key_N)
    at_desk.settle()
    states = session.states_of_samples()
    assert sum(len(state.reviewed) for state in states.values()) == 10

    # The detector is fitted and taken.
    start = at_desk.actions - besides
    mouse.press("Train detector…")
    at_desk.settle()
    mouse.press("Train on the ticked images")
    at_desk.settle()
    refused = at_desk.shows_button("Use it anyway")
    mouse.press("Use it anyway" if refused else "Use it")
    at_desk.settle()
    assert detector_in_use(folder) is not None
    assert at_desk.actions - start <= TO_DETECTOR

    # Classes are given from the names of the files; a classifier is trained.
    start = at_desk.actions
    mouse.turn_to("Classify samples")
    mouse.press("Classifier")
    at_desk.until(lambda: at_desk.is_in_sight("Samples and classes…"))
    mouse.press("Samples and classes…")
    mouse.press_in_dialog("From names…", "OK")
    mouse.press("Save")
    at_desk.settle()
    assert session.cohort.classes == CLASSES
    assert len(session.cohort.patients) == 6
    mouse.press("Train classifier")
    at_desk.settle()
    assert session.predictions.classifier is not None
    assert at_desk.actions - start <= TO_CLASSIFIER

    # A sample is classified, and all of them reported.
    mouse.press("Classify sample")
    at_desk.settle()
    prediction = session.state.prediction
    assert prediction is not None
    mouse.press("Explore cells…")
    mouse.turn_to("Cohort")
    mouse.press("Classify all samples")
    at_desk.settle()
    mouse.press("Write report…")
    at_desk.settle()
    assert "<html" in report.read_text("utf-8")
    before = session.states_of_samples()
    shown = session.sample.name
    at_desk.viewer.close()

    # Everything is there another day.
    again = walk(CLASSIFY)
    again.mouse.choose("Open images or folder…", "Recent studies", "")
    again.until(lambda: again.session.predictions.classifier is not None)
    again.settle()
    after = again.session.states_of_samples()
    assert again.session.sample.name == shown
    assert again.session.cohort.classes == CLASSES
    assert detector_in_use(folder) is not None
    assert after.keys() == before.keys()
    for name, state in before.items():
        np.testing.assert_array_equal(after[name].boxes.xyxy, state.boxes.xyxy)
        assert after[name].reviewed == state.reviewed
        np.testing.assert_array_equal(after[name].attention(), state.attention())
    people = [label.text() for label in again.window.findChildren(QLabel)]
    assert any("Decision support for research" in text for text in people)
    assert Source.MODEL in {source for state in after.values() for source in state.boxes.source}
