from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_attmil.bags.classifier import new_model
from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.network.attention_mil import AttentionMIL
from napari_attmil.bags.network.embeddings import EMBEDDINGS
from napari_attmil.bags.network.packing import Packing
from napari_attmil.bags.network.prepared_features import PreparedFeatures, packed
from napari_attmil.bags.training import epoch as epoch_module, resident_features
from napari_attmil.bags.training.losses import bag_losses, combined_loss
from napari_attmil.bags.training.resident_features import feature_statistics, loaded_bags
from napari_attmil.bags.training.trainer import EpochProgress, Trainer, resumable_together
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device

CLASSES = ("a", "b", "c")


def test_training_learns_a_planted_pattern(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    trainer = Trainer(planted_bags, small, cpu)
    history = list(trainer.epochs())
    assert history[-1].accuracy > 0.9
    assert min(step.fit_loss for step in history) < 0.5 * history[0].fit_loss
    assert [step.done for step in history] == list(range(1, 13))
    right = [trainer.best.classify(bag).predicted == bag.label for bag in planted_bags]
    assert np.mean(right) == 1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reports_the_losses_it_has(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, method: str
) -> None:
    trainer = Trainer(
        planted_bags, small.replace(method=method, epochs=2, reference_class="a"), cpu
    )
    step = list(trainer.epochs())[-1]
    assert (step.mil_loss is None) == (method == "sic")
    assert (step.sic_loss is None) == (method in ("mil-max", "composition"))
    assert np.isfinite([step.loss, step.fit_loss]).all()


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    for _ in trainer.epochs():
        pass
    return trainer.best.models[0].state_dict()


@pytest.mark.parametrize("packed", [1, 4])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, packed: int
) -> None:
    settings = small.replace(epochs=2, bags_per_step=packed, dropout=0.3)
    first = weights_of(Trainer(planted_bags, settings, cpu))
    torch.rand(5)  # somebody else's use of the global generator
    second = weights_of(Trainer(planted_bags, settings, cpu))
    other = weights_of(Trainer(planted_bags, settings.replace(seed=1), cpu))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["pooling.head.weight"], other["pooling.head.weight"])


def test_the_global_random_state_is_left_alone(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    before = torch.get_rng_state()
    trainer = Trainer(planted_bags, small.replace(epochs=3), cpu)
    for _ in trainer.epochs():
        assert torch.equal(torch.get_rng_state(), before)
    assert trainer.best is not None
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_taken_up_again_ends_where_one_in_one_go_ends(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    settings = small.replace(epochs=4)
    whole = weights_of(Trainer(planted_bags, settings, cpu))
    paused = Trainer(planted_bags, settings, cpu)
    for step in paused.epochs():
        if step.done == 2:
            break
    resumed = weights_of(paused)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_best_classifier_is_that_of_the_lowest_loss_so_far(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    # A learning rate so high that the loss rises again.
    settings = small.replace(learning_rate=0.5, standardise=False, epochs=6)
    trainer = Trainer(planted_bags, settings, cpu)
    losses, snapshots = [], []
    for step in trainer.epochs():
        losses.append(step.fit_loss)
        snapshots.append(trainer.best.models[0].pooling.head.bias.detach().clone())
    best = int(np.argmin(losses))
    assert torch.equal(snapshots[-1], snapshots[best])
    assert trainer.best.provenance["loss"] == min(losses)


def test_before_the_first_epoch_there_is_no_classifier(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    with pytest.raises(UserError, match="let at least one epoch of the first model finish"):
        _ = Trainer(planted_bags, small, cpu).best


def test_the_stopping_rule_ends_the_training(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    settings = small.replace(stop_loss=1e9, stop_epochs=3)
    assert [step.done for step in Trainer(planted_bags, settings, cpu).epochs()] == [1, 2, 3]


def test_a_loss_that_is_no_number_ends_with_a_sentence(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    broken = planted_bags[3].features.copy()
    broken[0, 0, 0, 0] = np.nan
    bags = [*planted_bags[:3], replace(planted_bags[3], features=broken), *planted_bags[4:]]
    with pytest.raises(UserError, match="The loss is not a number after 1 pass; choose a lear"):
        list(Trainer(bags, small.replace(cell_dropout=0, standardise=False), cpu).epochs())


def test_a_full_memory_ends_with_a_sentence(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(epoch_module, "bag_losses", full)
    with pytest.raises(UserError, match="memory of processor is too small"):
        list(Trainer(planted_bags, small, cpu).epochs())


def test_classes_count_alike_however_many_samples_they_have(
    make_bag: Any, small: MILSettings, cpu: Device
) -> None:
    bags = [make_bag(seed, label="a") for seed in range(6)] + [make_bag(9, label="b")]
    weights = Trainer(bags, small, cpu)._weights
    torch.testing.assert_close(weights, torch.tensor([7 / 12] * 6 + [3.5]))
    plain = Trainer(bags, small.replace(balance_classes=False), cpu)._weights
    assert plain.tolist() == [1] * 7


def test_left_out_cells_change_from_step_to_step(
    make_bag: Any, small: MILSettings, cpu: Device
) -> None:
    bags = [make_bag(1, cells=40, label="a"), make_bag(2, cells=1, label="b")]
    trainer = Trainer(bags, small.replace(cell_dropout=0.25), cpu)
    draws = [trainer._sizes.draw(bags_per_step=2) for _ in range(2)]
    for ((_, cells),) in draws:
        assert sorted((cells < 40).tolist()) == [False] + [True] * 30
    assert not torch.equal(draws[0][0][1].sort().values, draws[1][0][1].sort().values)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": None}, "has no label"),
        ({"label": "z"}, "labelled 'z', which is none of the classes a, b, c"),
        ({"reader_digest": "other"}, "different detectors or settings"),
        ({"features": np.zeros((0, 8, 14, 14)), "cell_id": np.zeros(0), "altered": None}, "no cel"),
    ],
)
def test_bags_that_cannot_be_trained_on_are_named(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, change: dict[str, Any], sentence: str
) -> None:
    odd = replace(planted_bags[-1], **change)
    with pytest.raises(UserError, match=sentence) as error:
        Trainer([*planted_bags[:-1], odd], small, cpu, classes=("a", "b", "c"))
    assert odd.sample in str(error.value)


def test_a_single_class_cannot_be_trained(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    with pytest.raises(UserError, match="at least 2 classes, but got 1"):
        Trainer(planted_bags[:4], small, cpu)
    with pytest.raises(UserError, match="at least 2 classes, but got 0"):
        Trainer([], small, cpu)


def test_statistics_of_maps_are_those_of_all_cells_and_places(planted_bags: list[Bag]) -> None:
    features = [PreparedFeatures.of_bag(bag.features) for bag in planted_bags]
    mean, std = feature_statistics(features, EMBEDDINGS["three-conv"])
    values = np.concatenate([bag.features for bag in planted_bags]).astype(np.float64)
    np.testing.assert_allclose(mean.squeeze(), values.mean((0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(std.squeeze(), values.std((0, 2, 3)), rtol=1e-5)


def test_statistics_of_profiles_are_those_of_all_cells(planted_bags: list[Bag]) -> None:
    features = [PreparedFeatures.of_bag(bag.features) for bag in planted_bags]
    mean, std = feature_statistics(features, EMBEDDINGS["profile"])
    largest = np.concatenate([bag.features for bag in planted_bags]).max((2, 3)).astype(np.float64)
    assert mean.shape == std.shape == (8, 11, 1)
    np.testing.assert_allclose(mean[:, 10, 0], largest.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std[:, 10, 0], largest.std(0), rtol=1e-4)


@pytest.mark.parametrize("embedding", ["profile", "three-conv"])
def test_streamed_features_train_like_those_in_memory(
    planted_bags: list[Bag],
    small: MILSettings,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
    embedding: str,
) -> None:
    settings = small.replace(epochs=2, embedding=embedding)
    resident = weights_of(Trainer(planted_bags, settings, cpu))
    monkeypatch.setattr(resident_features, "RESIDENT_BYTES", 0)
    assert loaded_bags(planted_bags, settings)[0] is planted_bags[0]
    streamed = weights_of(Trainer(planted_bags, settings, cpu))
    assert all(torch.equal(resident[name], streamed[name]) for name in resident)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.3, "bags_per_step": 4},
        {"method": "mil-multi-top-sic"},
        {"method": "sic"},
        {"embedding": "three-conv", "embedding_size": 8},
    ],
)
@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_a_killed_training_resumed_from_disk_ends_bit_for_bit_like_one_in_one_go(
    planted_bags: list[Bag],
    small: MILSettings,
    cpu: Device,
    tmp_path: Path,
    changes: dict[str, Any],
    killed_after: int,
) -> None:
    bags, settings = planted_bags[4:14], small.replace(epochs=3, **changes)
    whole = Trainer(bags, settings, cpu)
    history = list(whole.epochs())
    killed = Trainer(bags, settings, cpu)
    for _ in itertools.islice(killed.epochs(), killed_after):
        pass
    killed.save_state(tmp_path / "state.safetensors")
    resumed = Trainer(bags, settings, cpu)
    resumed.resume(tmp_path / "state.safetensors")
    assert list(resumed.epochs()) == history[killed_after:]
    expected, found = (t.best.models[0].state_dict() for t in (whole, resumed))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(
    ("what", "changes"),
    [("settings", {"seed": 7}), ("samples", {}), ("classes", {})],
)
def test_a_training_of_something_else_is_not_resumed(
    planted_bags: list[Bag],
    small: MILSettings,
    cpu: Device,
    tmp_path: Path,
    what: str,
    changes: dict[str, Any],
) -> None:
    path = tmp_path / "state.safetensors"
    Trainer(planted_bags, small, cpu).save_state(path)
    bags = planted_bags[:-1] if what == "samples" else planted_bags
    classes = (*CLASSES, "d") if what == "classes" else None
    other = Trainer(bags, small.replace(**changes), cpu, classes)
    with pytest.raises(UserError, match=f"is a training with other {what} than this one; resume"):
        other.resume(path)


def test_other_features_of_the_same_cells_are_other_samples(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    Trainer(planted_bags, small, cpu).save_state(path)
    changed = replace(planted_bags[0], features=planted_bags[0].features * 2)
    with pytest.raises(UserError, match="other samples"):
        Trainer([changed, *planted_bags[1:]], small, cpu).resume(path)


def test_a_moved_box_makes_other_samples(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    path, first = tmp_path / "state.safetensors", planted_bags[0]
    images = np.zeros(len(first))
    corners = np.tile([0.0, 0, 9, 9], (len(first), 1))
    boxes = Boxes.from_detections(images, corners, np.ones(len(first)))
    Trainer([replace(first, boxes=boxes), *planted_bags[1:]], small, cpu).save_state(path)
    # Its id stays, and so do the features of all other cells.
    moved = move_box(boxes, int(boxes.cell_id[-1]), [5, 5, 14, 14])
    features = first.features.copy()
    features[-1] *= 2
    changed = replace(first, boxes=moved, features=features)
    with pytest.raises(UserError, match="other samples"):
        Trainer([changed, *planted_bags[1:]], small, cpu).resume(path)


def test_the_backward_pass_too_asks_cudnn_for_a_fixed_order(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    seen: list[bool] = []
    trainer = Trainer(planted_bags, small.replace(epochs=1), cpu)
    for parameter in trainer._model.parameters():
        parameter.register_hook(lambda _: seen.append(torch.backends.cudnn.deterministic))
    for _ in trainer.epochs():
        assert not torch.backends.cudnn.deterministic, "only within an epoch"
    assert seen and all(seen)


@pytest.mark.parametrize(
    ("method", "components"), [("sic", 0), ("mil-att-sic", 0), ("mil-att-sic", 2)]
)
def test_bags_are_packed_once_a_step(
    planted_bags: list[Bag],
    small: MILSettings,
    cpu: Device,
    method: str,
    components: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = small.replace(method=method, components=components, epochs=1, bags_per_step=4)
    trainer = Trainer(planted_bags, settings, cpu)
    sizes: list[int] = []
    original = Packing.of

    def counted(lengths: Any, *rest: Any) -> Packing:
        sizes.append(len(lengths))
        return original(lengths, *rest)

    monkeypatch.setattr(Packing, "of", counted)
    list(trainer.epochs())
    assert sum(sizes) == len(planted_bags)


def test_a_damaged_state_costs_what_it_held_but_not_the_training(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    settings = small.replace(epochs=2)

    def trained() -> list[tuple[int, EpochProgress]]:
        return list(resumable_together([Trainer(planted_bags, settings, cpu)], tmp_path))

    history = trained()
    (state,) = tmp_path.iterdir()
    state.write_bytes(state.read_bytes()[:-9])
    assert trained() == history
    assert trained() == [], "kept again"


def test_a_classifier_is_not_a_training_to_resume(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    trainer = Trainer(planted_bags, small.replace(epochs=1), cpu)
    list(trainer.epochs())
    trainer.best.save(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="holds a classifier, but a training is needed"):
        trainer.resume(tmp_path / "model.safetensors")


@pytest.mark.parametrize("method", ["mil-att-sic", "mil-top-sic", "sic"])
def test_a_packed_step_follows_the_mean_of_the_bags_own_gradients(
    planted_bags: list[Bag], small: MILSettings, cpu: Device, method: str
) -> None:
    settings = small.replace(method=method, dropout=0, cell_dropout=0)
    trainer = Trainer(planted_bags[4:9], settings, cpu)
    together = gradients(trainer, [[0, 1, 2, 3, 4]])
    alone = gradients(trainer, [[0], [1], [2], [3], [4]])
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, alone[name] / 5, atol=1e-6, rtol=1e-4)


def gradients(trainer: Trainer, steps: list[list[int]]) -> dict[str, torch.Tensor]:
    """Return the sum over the steps of the gradients of each step's mean loss."""
    trainer._model.zero_grad()
    for bags in steps:
        parts = [trainer._cells.features[bag] for bag in bags]
        lengths = [len(part) for part in parts]
        output = trainer._model(packed(parts), [0, *itertools.accumulate(lengths)])
        logits = (output.logits, output.instance_logits)
        targets = trainer._targets[bags]
        mil, sic = bag_losses(*logits, Packing.of(lengths), targets, trainer.settings)
        combined_loss(mil, sic, 1, trainer.settings).mean().backward()
    parameters = trainer._model.named_parameters()
    return {name: p.grad.clone() for name, p in parameters if p.grad is not None}


TRAIN_STREAMED = """
import sys
import numpy as np, psutil, torch
from napari_attmil.bags.training import resident_features
from napari_attmil.bags.bag import Bag
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.device import Device
from napari_attmil.bags import MILSettings

resident_features.RESIDENT_BYTES = 1 << 20
SETTINGS = MILSettings(embedding="profile", epochs=1, components=0)
torch.set_num_threads(1)

def own_bytes():
    info = psutil.Process().memory_info()
    return info.rss - info.shared

def train(count):
    bags = [
        Bag(np.load(sys.argv[1], mmap_mode="c"), np.arange(40), str(i), str(i), "ab"[i % 2])
        for i in range(count)
    ]
    for _ in Trainer(bags, SETTINGS, Device("cpu", "float32", "")).epochs():
        pass

train(20)
before = own_bytes()
train(200)
print(own_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts a process's own memory as Linux does")
def test_features_larger_than_the_limit_are_streamed_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, np.ones((40, 32, 14, 14), dtype=np.float16))
    grown = subprocess.check_output([sys.executable, "-c", TRAIN_STREAMED, str(path)], text=True)
    # The features of the bags that came on top are three times as large.
    assert int(grown) < 180 * path.stat().st_size / 3


def test_an_untrained_classifier_has_the_weights_that_were_drawn(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    trainer = Trainer(planted_bags, small, cpu)
    model = trainer.untrained.models[0]
    drawn = new_model(("a", "b", "c"), small, cpu, model.channels)
    for name, parameter in drawn.named_parameters():
        assert torch.equal(model.state_dict()[name], parameter), name
    assert not torch.equal(model.feature_mean, drawn.feature_mean), "it is prepared all the same"
    next(trainer.epochs())
    with pytest.raises(ValueError, match="untrained weights are gone"):
        _ = trainer.untrained


@pytest.mark.parametrize(("embedding", "threads"), [("profile", 1), ("three-conv", 3)])
def test_rows_of_numbers_are_trained_on_one_thread_and_maps_on_all(
    planted_bags: list[Bag],
    small: MILSettings,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
    embedding: str,
    threads: int,
) -> None:
    used: list[int] = []
    embed = AttentionMIL.embed

    def watched(model: AttentionMIL, features: PreparedFeatures) -> torch.Tensor:
        used.append(torch.get_num_threads())
        return embed(model, features)

    monkeypatch.setattr(AttentionMIL, "embed", watched)
    monkeypatch.setattr("napari_attmil.core.threads.all_threads", lambda: 3)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        settings = small.replace(embedding=embedding, components=8, epochs=1)
        for _ in Trainer(planted_bags, settings, cpu).epochs():
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(used) == {threads}
