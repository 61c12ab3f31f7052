"""What trainings and features gave when `TRAINING_VERSION` was last raised, and what they give now.

After a change that is meant to give other numbers, raise the version and record them anew::

    python tests/bags/training/test_training_version.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from napari_attmil.bags.bag import Bag
from napari_attmil.bags.presets import Preset, mil_preset
from napari_attmil.bags.settings import EnsembleSettings
from napari_attmil.bags.training.ensemble import EnsembleTrainer
from napari_attmil.bags.training.training_state import TRAINING_VERSION
from napari_attmil.cells.detection.detector import Detector
from napari_attmil.core.device import Device
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings

RECORDED = Path(__file__).with_name("recorded_training.json")
RAISE_IT = (
    "trainings or features give other numbers than those of this version: raise TRAINING_VERSION "
    "and record them anew, or find out why they changed"
)
CPU = Device("cpu", "float32", "processor")
TOLERANCE = 1e-2
"""Relative to the largest value: processors round differently, and epochs add that up."""

Figures = dict[str, list[float]]


def training_figures(preset: Preset) -> Figures:
    """Return losses, votes, temperature and probabilities of a small calibrated training."""
    settings = mil_preset(preset, epochs=4, embedding_size=16, seed=3)
    if settings.takes_rows:  # The bags below hold maps.
        settings = settings.replace(embedding="profile", components=16)
    ensemble = EnsembleSettings(members=2, folds=2)
    bags = [_bag(label, patient) for label in ("healthy", "odd", "other") for patient in range(4)]
    trainer = EnsembleTrainer(bags, settings, ensemble, CPU)
    losses = [step.epoch.loss for step in trainer.epochs()]
    classifier = trainer.best
    predictions = [classifier.classify(bag) for bag in bags[::4]]
    return {
        "losses": losses,
        "votes": list(classifier.model_votes),
        "temperature": [classifier.certainty.temperature],
        "probabilities": [float(p) for one in predictions for p in one.probabilities],
        "attention": predictions[1].attention.tolist(),
    }


def detector_figures(detector: Detector) -> Figures:
    """Return boxes, scores and moments of the features of a small simulated image."""
    settings = SimulationSettings(cells_per_image=8, image_size_px=256)
    image = simulate_image(settings, np.random.default_rng(5)).image
    boxes = detector.detect([image])
    features = detector.roi_features(image, boxes.xyxy).astype(np.float64)
    return {
        "boxes": boxes.xyxy.ravel().tolist(),
        "scores": boxes.score.tolist(),
        "means": features.mean((1, 2, 3)).tolist(),
        "deviations": features.std((1, 2, 3)).tolist(),
        "one map": features[0, 7].ravel().tolist(),
    }


def _bag(label: str, patient: int) -> Bag:
    rng = np.random.default_rng([len(label), patient])
    features = rng.normal(0, 1, (8, 256, 14, 14)).astype(np.float16)
    features[:2, len(label) : len(label) + 8, 4:10, 4:10] += 0 if label == "healthy" else 2
    name = f"{label}-{patient}"
    return Bag(features, np.arange(1, 9), sample=name, patient=name, label=label)


def _record() -> None:
    detector = Detector.load(None, CPU)
    record = {
        "version": TRAINING_VERSION,
        "trainings": {name: training_figures(name) for name in get_args(Preset)},
        "detector": {"digest": detector.digest, "figures": detector_figures(detector)},
    }
    RECORDED.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
    return record


def assert_same(figures: Figures, recorded: Figures) -> None:
    assert figures.keys() == recorded.keys()
    for name, values in figures.items():
        assert len(values) == len(recorded[name]), f"{name}: {RAISE_IT}"
        largest = np.abs(recorded[name]).max()
        np.testing.assert_allclose(
            values, recorded[name], rtol=0, atol=TOLERANCE * largest, err_msg=f"{name}: {RAISE_IT}"
        )


def test_record_is_of_this_version_of_the_training(recorded: dict[str, Any]) -> None:
    assert recorded["version"] == TRAINING_VERSION


@pytest.mark.parametrize("preset", get_args(Preset))
def test_training_gives_the_numbers_of_its_version(
    preset: Preset, recorded: dict[str, Any]
) -> None:
    assert_same(training_figures(preset), recorded["trainings"][preset])


def test_detector_gives_the_numbers_of_its_version(recorded: dict[str, Any]) -> None:
    detector = Detector.load(None, CPU)
    assert detector.digest == recorded["detector"]["digest"], "other weights: record anew"
    assert_same(detector_figures(detector), recorded["detector"]["figures"])


if __name__ == "__main__":
    _record()
