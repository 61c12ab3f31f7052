"""Values in a stranger's classifier that no classifier can have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file, save_file

from napari_attmil.bags.certainty import Certainty
from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.bags.settings import MILSettings
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.device import Device
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

CPU = Device("cpu", "float32", "processor")
CERTAINTY = Certainty(1.5, 0.9, (0.2, 0.3), (9, 9), (True, True), "", (0.1, -0.1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    settings = MILSettings(embedding="profile", components=0, embedding_size=8, attention_size=4)
    models = tuple(new_model(("a", "b"), settings, CPU, 4) for _ in range(2))
    file = tmp_path / "classifier.safetensors"
    Classifier(models, ("a", "b"), "digest", FeatureSettings(), CERTAINTY).save(file)
    return file


def change(path: Path, place: str, value: Any) -> None:
    """Write another value into the settings of a file."""
    settings = dict(load_checkpoint(path, "classifier").settings)
    *outer, name = place.split(".")
    inner: Any = settings
    for key in outer:
        inner = inner[key]
    inner[name] = value
    metadata = {"format": "napari-attmil/1", "kind": "classifier", "provenance": "{}"}
    save_file(load_file(path), path, metadata | {"settings": json.dumps(settings)})


def test_a_file_as_it_was_written_opens(path: Path) -> None:
    change(path, "votes", [0.25, 0.75])
    assert Classifier.load(path, CPU).votes == (0.25, 0.75)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("mil", 1.5),
        ("features", None),
        ("classes", ["a", "a"]),
        ("classes", ["a", 7]),
        ("classes", ["a", "\ud800"]),
        ("classes", ["a", "b" * 20_000]),
        ("votes", [0.5, float("nan")]),
        ("votes", [2.0, -1.0]),
        ("votes", [1.0]),
        ("votes", [0.3, 0.3]),
        ("channels", 10**9),
        ("channels", -4),
        ("methods", ["mil-multi-top-sic"] * 100_000),
        ("certainty.temperature", float("nan")),
        ("certainty.temperature", 0),
        ("certainty.coverage", 7),
        ("certainty.least_probability", [0.2, 70]),
        ("certainty.least_probability", [0.2]),
        ("certainty.offset", [float("inf"), 0]),
        ("certainty.patients", [-1, 9]),
        ("certainty.by_class", [True]),
        ("certainty.by_class", []),
        ("certainty.patients", []),
    ],
)
def test_values_that_no_classifier_can_have_are_refused(path: Path, place: str, value: Any) -> None:
    change(path, place, value)
    with pytest.raises(UserError, match="does not fit this version of napari-attmil or is damaged"):
        Classifier.load(path, CPU)


def test_a_thousand_million_models_are_refused_before_they_are_made(path: Path) -> None:
    change(path, "methods", [])
    change(path, "models", 10**9)
    with pytest.raises(UserError, match="or is damaged"):
        Classifier.load(path, CPU)
