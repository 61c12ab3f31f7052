from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_attmil.bags.classifier import KIND, Classifier, new_model
from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.network import prepared_features
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.device import Device
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import Checkpoint, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings


@pytest.fixture(scope="module")
def classifier(planted_bags: list[Bag], small: MILSettings, cpu: Device) -> Classifier:
    trainer = Trainer(planted_bags, small.replace(epochs=3), cpu)
    for _ in trainer.epochs():
        pass
    return trainer.best


@pytest.fixture(params=METHODS)
def untrained(request: pytest.FixtureRequest, small: MILSettings, cpu: Device) -> Classifier:
    model = new_model("abc", small.replace(method=request.param), cpu, channels=8)
    return Classifier((model,), ("a", "b", "c"), "", FeatureSettings())


@pytest.mark.parametrize("cells", [1, 7])
def test_a_prediction_has_one_row_a_cell(untrained: Classifier, make_bag: Any, cells: int) -> None:
    bag = make_bag(1, cells=cells)
    prediction = untrained.classify(bag)
    assert prediction.sample == bag.sample
    assert prediction.cell_id.tolist() == bag.cell_id.tolist()
    assert prediction.contribution.shape == (cells, 3)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert prediction.attention.sum() == pytest.approx(1, abs=1e-6)
    assert prediction.attention.min() >= 0
    assert prediction.predicted == "abc"[int(prediction.probabilities.argmax())]


def test_a_saved_classifier_comes_back_bit_for_bit(
    classifier: Classifier, make_bag: Any, tmp_path: Path, cpu: Device
) -> None:
    path = tmp_path / "models" / "first.safetensors"
    classifier.save(path)
    loaded = Classifier.load(path, cpu)
    assert loaded.classes == classifier.classes
    assert loaded.settings == classifier.settings
    assert loaded.feature_settings == classifier.feature_settings
    assert loaded.reader_digest == classifier.reader_digest
    assert loaded.provenance["samples"] == 18
    assert "created" in loaded.provenance
    weights = classifier.models[0].state_dict()
    for name, tensor in loaded.models[0].state_dict().items():
        assert torch.equal(tensor, weights[name])
    bag = make_bag(77, label="b", planted=2)
    before, after = classifier.classify(bag), loaded.classify(bag)
    for field in ("probabilities", "attention", "contribution"):
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))


def test_another_process_gets_models_that_compute_on_its_processor(
    classifier: Classifier, planted_bags: list[Bag]
) -> None:
    before = classifier.classify(planted_bags[0]).probabilities
    elsewhere = replace(classifier, models=tuple(map(deepcopy, classifier.models)))
    for model in elsewhere.models:
        model.device = Device("cuda:0", "bfloat16", "a GPU that this machine lacks")
    here = pickle.loads(pickle.dumps(elsewhere))
    assert {model.device.name for model in here.models} == {"cpu"}
    np.testing.assert_allclose(here.classify(planted_bags[0]).probabilities, before, atol=0.01)
    assert {model.device.name for model in elsewhere.models} == {"cuda:0"}


def test_a_notebook_shows_classes_and_what_is_known_of_new_patients(
    classifier: Classifier,
) -> None:
    renamed = replace(classifier, classes=("<b>", *classifier.classes[1:]))
    html = renamed._repr_html_()
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert classifier.on_new_patients in html and "not a diagnosis" in html


def test_a_saved_classifier_names_its_healthy_class_and_says_it_of_each_sample(
    small: MILSettings, make_bag: Any, tmp_path: Path, cpu: Device
) -> None:
    model = new_model(("a", "Control"), small, cpu, channels=8)
    Classifier((model,), ("a", "Control"), "", FeatureSettings()).save(tmp_path / "m.safetensors")
    assert load_checkpoint(tmp_path / "m.safetensors", KIND).settings["mil"]["reference_class"] == (
        "Control"
    )
    loaded = Classifier.load(tmp_path / "m.safetensors", cpu)
    assert loaded.classify(make_bag(1, cells=3)).healthy_class == "Control"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reader_digest": "finer"}, "another detector .* .--weights .*, or train"),
        ({"feature_settings": FeatureSettings(context=2)}, "other settings .* compute them again"),
        (
            {"features": np.zeros((0, 8, 14, 14)), "cell_id": np.zeros(0), "altered": None},
            "Sample 'P07' has no cells; run detection or draw one",
        ),
    ],
)
def test_bags_that_do_not_fit_are_refused_with_the_remedy(
    classifier: Classifier, make_bag: Any, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        classifier.classify(replace(make_bag(1), sample="P07", **change))


def test_a_file_that_does_not_fit_its_settings_is_refused(
    classifier: Classifier, tmp_path: Path, cpu: Device
) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    whole = load_checkpoint(path, "classifier")
    cut = {name: tensor for name, tensor in whole.weights.items() if "pooling.head" not in name}
    later = {**whole.settings, "mil": {**whole.settings["mil"], "not_known_yet": 1}}
    for weights, settings in [(cut, whole.settings), (whole.weights, later), (whole.weights, {})]:
        save_checkpoint(path, Checkpoint("classifier", weights, settings))
        with pytest.raises(UserError, match="train the classifier again"):
            Classifier.load(path, cpu)


def test_cells_in_many_parts_are_classified_as_in_one(
    untrained: Classifier, make_bag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = make_bag(1, cells=11)
    whole = untrained.classify(bag)
    monkeypatch.setattr(prepared_features, "CELLS_AT_ONCE", 4)
    parts = untrained.classify(bag)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=1e-5)
    np.testing.assert_allclose(parts.attention, whole.attention, rtol=1e-4, atol=1e-7)


def test_a_bag_of_100_000_cells_is_classified(untrained: Classifier, make_bag: Any) -> None:
    cell = make_bag(1, cells=1)
    many = replace(
        cell,
        features=np.broadcast_to(cell.features[:, :, ::2, ::2], (100_000, 8, 7, 7)),
        cell_id=np.arange(1, 100_001),
        altered=None,
    )
    prediction = untrained.classify(many)
    np.testing.assert_allclose(prediction.attention, 1e-5, rtol=1e-3)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
