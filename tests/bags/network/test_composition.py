from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from napari_attmil.bags.attribution.vectors import cell_embeddings
from napari_attmil.bags.attribution.what_if import WhatIf
from napari_attmil.bags.bag import Bag
from napari_attmil.bags.certainty import fit_votes
from napari_attmil.bags.classifier import COMPOSITION_DECIDES, KIND, Classifier
from napari_attmil.bags.network.cell_types import SEARCHES, TYPES, CellTypes
from napari_attmil.bags.presets import mil_preset, with_method
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.bags.training.ensemble import EnsembleTrainer
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.core.device import Device

SHARES = {"control": 0.25, "treated": 0.6}
TWO = EnsembleSettings(members=2, folds=2)


def mixed_bag(label: str, patient: int, rng: np.random.Generator) -> Bag:
    """Return cells of two kinds, which all samples have: their shares tell the class."""
    is_bright = rng.random(40) < SHARES[label]
    features = rng.normal(0, 1, (40, 8, 14, 14)).astype(np.float16)
    features[is_bright, 2, 3:11, 3:11] += 3
    name = f"{label}-{patient}"
    return Bag(features, np.arange(1, 41), name, name, label)


@pytest.fixture(scope="module")
def mixed_bags() -> list[Bag]:
    rng = np.random.default_rng(0)
    return [mixed_bag(label, patient, rng) for label in SHARES for patient in range(18)]


@pytest.fixture(scope="module")
def settings(small: MILSettings) -> MILSettings:
    return small.replace(components=32, epochs=20, learning_rate=5e-3)


@pytest.fixture(scope="module")
def classifier(mixed_bags: list[Bag], settings: MILSettings, cpu: Device) -> Classifier:
    trainer = EnsembleTrainer(mixed_bags, settings, TWO, cpu)
    assert len(list(trainer.epochs())) == trainer_epochs(settings)
    return trainer.best


def trainer_epochs(settings: MILSettings) -> int:
    """Return the epochs of three models on all samples and three without each half."""
    return 9 * settings.epochs


def test_types_are_found_without_labels_and_a_cell_is_divided_among_them() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 10, (TYPES, 6))
    of_type = [rng.integers(0, TYPES, 60) for _ in range(5)]
    bags = [torch.from_numpy(centres[own] + rng.normal(0, 0.1, (60, 6))).float() for own in of_type]
    types = CellTypes(6)
    types.fit(bags, seed=0)
    parts = (types(bags[0]) * types.spread + types.mean).reshape(60, SEARCHES, TYPES)
    torch.testing.assert_close(parts.sum(2), torch.ones(60, SEARCHES))
    # Cells of one type are taken for one, in every search.
    nearest = parts.argmax(2).numpy()
    for kind in range(TYPES):
        assert len(np.unique(nearest[of_type[0] == kind], axis=0)) <= 1
    shares = torch.stack([types(bag).mean(0) for bag in bags])
    torch.testing.assert_close(shares.mean(0), torch.zeros(types.size), atol=1e-5, rtol=0)
    assert float(shares.std(0, correction=0).mean()) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("cells", [1, 3])
def test_fewer_cells_than_types_give_numbers(cells: int) -> None:
    bags = [torch.randn(cells, 4, generator=torch.Generator().manual_seed(2))]
    types = CellTypes(4)
    types.fit(bags, seed=0)
    assert torch.isfinite(types(bags[0])).all()


def test_composition_tells_samples_apart_that_share_all_kinds_of_cells(
    mixed_bags: list[Bag], settings: MILSettings, cpu: Device
) -> None:
    trainer = Trainer(mixed_bags, with_method(settings, "composition"), cpu)
    for _ in trainer.epochs():
        pass
    rng = np.random.default_rng(9)
    new = [mixed_bag(label, patient, rng) for label in SHARES for patient in range(100, 110)]
    predictions = [trainer.best.classify(bag) for bag in new]
    right = [p.predicted == bag.label for p, bag in zip(predictions, new, strict=True)]
    assert np.mean(right) >= 0.9
    # No cell weighs more than another; what each speaks for says its contribution.
    np.testing.assert_allclose(predictions[0].attention, 1 / 40, rtol=1e-5)
    assert np.ptp(predictions[0].contribution[:, 0]) > 0


def test_held_out_patients_say_how_much_the_composition_counts(classifier: Classifier) -> None:
    assert [model.settings.method for model in classifier.models] == [
        *["mil-multi-top-sic"] * 2,
        "composition",
    ]
    assert sum(classifier.votes) == pytest.approx(1)
    assert classifier.composition_vote == classifier.votes[-1] > 0.1
    says = "2 models of single cells and one of the shares of cell types (counts "
    assert classifier.description.startswith(f"{says}{classifier.votes[-1]:.0%})")


def test_a_prediction_says_that_the_composition_decides(
    classifier: Classifier, mixed_bags: list[Bag]
) -> None:
    for vote, is_said in ((0.6, True), (0.4, False)):
        weighed = replace(classifier, votes=((1 - vote) / 2, (1 - vote) / 2, vote))
        assert (COMPOSITION_DECIDES in weighed.classify(mixed_bags[0]).note) == is_said


def test_votes_weigh_logits_contributions_and_what_ifs(
    classifier: Classifier, mixed_bags: list[Bag]
) -> None:
    certainty, votes = classifier.certainty, np.array(classifier.votes)
    alone = [replace(classifier, models=(model,), votes=()) for model in classifier.models]
    bias = sum(
        vote * model.bias.detach().numpy()
        for vote, model in zip(votes, classifier.models, strict=True)
    )
    for bag in mixed_bags[::5]:
        logits = votes @ [one.logits(bag) for one in alone]
        expected = np.exp(certainty.log_probabilities(logits))
        prediction = classifier.classify(bag)
        np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-5)
        sums = prediction.contribution.sum(0) + bias / certainty.temperature + certainty.offset
        rest = np.log(prediction.probabilities) - sums
        np.testing.assert_allclose(rest, rest[0], atol=1e-4)
        every = WhatIf(classifier, bag).without([])
        np.testing.assert_allclose(every, expected, rtol=1e-4)
        # Attention is that of the models which weigh single cells.
        others = replace(classifier, models=classifier.models[:2], votes=())
        np.testing.assert_array_equal(prediction.attention, others.classify(bag).attention)


def test_a_saved_classifier_of_two_kinds_comes_back(
    classifier: Classifier, mixed_bags: list[Bag], tmp_path: Path, cpu: Device
) -> None:
    classifier.save(tmp_path / "m.safetensors")
    loaded = Classifier.load(tmp_path / "m.safetensors", cpu)
    assert loaded.votes == pytest.approx(classifier.votes)
    before, after = classifier.classify(mixed_bags[3]), loaded.classify(mixed_bags[3])
    for field in ("probabilities", "member_probabilities", "attention", "contribution"):
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))


def test_votes_of_other_models_are_a_damaged_file(
    classifier: Classifier, tmp_path: Path, cpu: Device
) -> None:
    replace(classifier, votes=(0.5, 0.3, 0.2)).save(tmp_path / "m.safetensors")
    stored = load_checkpoint(tmp_path / "m.safetensors", KIND)
    settings = {**stored.settings, "votes": [0.5, 0.5]}
    save_checkpoint(tmp_path / "m.safetensors", replace(stored, settings=settings))
    with pytest.raises(UserError, match="damaged"):
        Classifier.load(tmp_path / "m.safetensors", cpu)


def test_cells_are_laid_on_a_map_by_what_weighs_them(
    classifier: Classifier, mixed_bags: list[Bag]
) -> None:
    others = replace(classifier, models=classifier.models[:2], votes=())
    expected = cell_embeddings(others, mixed_bags[0])
    np.testing.assert_array_equal(cell_embeddings(classifier, mixed_bags[0]), expected)
    alone = replace(classifier, models=classifier.models[2:], votes=())
    assert cell_embeddings(alone, mixed_bags[0]).shape == (40, SEARCHES * TYPES)


def test_a_composition_that_adds_nothing_is_left_out(
    planted_bags: list[Bag], settings: MILSettings, cpu: Device, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "napari_attmil.bags.training.ensemble.fit_votes", lambda *_: np.array([1.0, 0.0])
    )
    trainer = EnsembleTrainer(planted_bags, settings.replace(epochs=1), TWO, cpu)
    for _ in trainer.epochs():
        pass
    assert len(trainer.best.models) == 2 and trainer.best.composition_vote == 0
    assert "cell types" not in trainer.best.description


def test_stopped_before_the_patients_have_spoken_it_is_left_out(
    mixed_bags: list[Bag], settings: MILSettings, cpu: Device
) -> None:
    trainer = EnsembleTrainer(mixed_bags, settings.replace(epochs=1), TWO, cpu)
    steps = trainer.epochs()
    for _ in range(4):  # two models, the composition, and the first to calibrate
        next(steps)
    assert isinstance(steps, Generator)
    steps.close()
    assert [model.settings.method for model in trainer.best.models] == ["mil-multi-top-sic"] * 2


def test_a_kind_counts_as_much_as_held_out_patients_show() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(60) % 3
    patients = [f"p{number}" for number in range(60)]
    right = log_softmax(3 * np.eye(3)[truth] + rng.normal(0, 1, (60, 3)), axis=1)
    chance = log_softmax(rng.normal(0, 2, (60, 3)), axis=1)
    np.testing.assert_array_equal(fit_votes([right, chance], truth, patients), [1, 0])
    assert fit_votes([chance, right], truth, patients)[1] > 0.8
    also = log_softmax(3 * np.eye(3)[truth] + rng.normal(0, 1, (60, 3)), axis=1)
    votes = fit_votes([right, also], truth, patients)
    assert votes.sum() == pytest.approx(1) and votes.min() > 0.25


@pytest.mark.parametrize("of_class", [(16, 16), (40, 3, 3)])
def test_a_kind_that_knows_nothing_hardly_ever_counts(of_class: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    truth = np.repeat(np.arange(len(of_class)), of_class)
    one_hot = np.eye(len(of_class))[truth]
    patients = [f"p{number}" for number in range(len(truth))]
    votes = []
    for _ in range(100):
        right = log_softmax(one_hot + rng.normal(0, 1, one_hot.shape), axis=1)
        chance = log_softmax(rng.normal(0, 1, one_hot.shape), axis=1)
        votes.append(fit_votes([right, chance], truth, patients)[1])
    assert np.count_nonzero(votes) <= 3


def test_composition_needs_main_directions_and_gets_them_from_any_preset(
    mixed_bags: list[Bag], settings: MILSettings, cpu: Device
) -> None:
    with pytest.raises(UserError, match="at least 1 principal component"):
        Trainer(mixed_bags, settings.replace(method="composition", components=0), cpu)
    paper = with_method(mil_preset("paper"), "composition")
    assert (paper.embedding, paper.standardise, paper.components) == ("profile", True, 256)
    assert with_method(mil_preset("paper"), "mil-max") == mil_preset("paper", method="mil-max")
