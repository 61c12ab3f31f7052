"""What an accelerator computes is what the processor computes; `benchmarks/gpu.sh` runs this."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.bags import CLASSES, random_bag

from napari_attmil.bags import EnsembleSettings, MILSettings
from napari_attmil.bags.training import EnsembleTrainer
from napari_attmil.cells import DetectionSettings, match_boxes
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.encoding import CellEncoder
from napari_attmil.core import available_devices, choose_device
from napari_attmil.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.bags import Bag, Classifier
    from napari_attmil.cells import Boxes
    from napari_attmil.core import Device

pytestmark = pytest.mark.gpu

FIELD = SimulationSettings(image_size_px=320, cells_per_image=18, variety=0.2)
KNOWN = DetectionSettings(cell_diameter_px=48)
QUICK = MILSettings(embedding="profile", components=0, epochs=15)
PAIR = EnsembleSettings(members=2, calibrate=False, composition=False)


@pytest.fixture(scope="module")
def accelerator() -> Device:
    return available_devices()[0]


@pytest.fixture(scope="module")
def processor() -> Device:
    return choose_device("cpu")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [simulate_image(FIELD, np.random.default_rng(seed)).image for seed in range(8)]


@pytest.fixture(scope="module")
def boxes(images: list[np.ndarray], processor: Device) -> Boxes:
    return Detector.load(device=processor).detect(images, KNOWN)


@pytest.fixture
def little_memory(accelerator: Device) -> Iterator[None]:
    """Leave this process 1.5 GB of the accelerator's memory."""
    if not accelerator.name.startswith("cuda"):
        pytest.skip("only CUDA can be told how much memory a process may take")
    total = torch.cuda.get_device_properties(accelerator.torch()).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.5e9 / total, accelerator.torch())
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, accelerator.torch())


def assert_alike(found: Boxes, expected: Boxes) -> None:
    """Compare boxes of which the network is sure, image by image."""
    for index in range(8):
        one, other = expected.image_index == index, found.image_index == index
        pairs = match_boxes(expected.xyxy[one], found.xyxy[other])
        sure = expected.score[one] > 0.7
        assert sure.sum() > 5 and (pairs[sure] >= 0).all()
        pairs = pairs[sure]
        np.testing.assert_allclose(found.xyxy[other][pairs], expected.xyxy[one][sure], atol=2)
        np.testing.assert_allclose(found.score[other][pairs], expected.score[one][sure], atol=0.1)


def test_boxes_are_those_of_the_processor(
    images: list[np.ndarray], boxes: Boxes, accelerator: Device
) -> None:
    assert_alike(Detector.load(device=accelerator).detect(images, KNOWN), boxes)


def test_features_are_those_of_the_processor(
    images: list[np.ndarray], boxes: Boxes, accelerator: Device, processor: Device
) -> None:
    xyxy = boxes.xyxy[boxes.image_index == 0]

    def maps(device: Device) -> Any:
        return Detector.load(device=device).roi_features(images[0], xyxy, cell_diameter_px=48)

    def vectors(device: Device) -> Any:
        return CellEncoder.load(device=device).encode(images[0], xyxy)

    for read in (maps, vectors):
        here, there = (np.asarray(read(device), np.float32) for device in (processor, accelerator))
        assert here.shape == there.shape and len(here) == len(xyxy)
        cosine = (here * there).sum() / np.linalg.norm(here) / np.linalg.norm(there)
        assert cosine > 0.999


def test_full_memory_halves_the_batch_and_changes_nothing(
    images: list[np.ndarray], boxes: Boxes, accelerator: Device, little_memory: None
) -> None:
    many = images * 32
    found = Detector.load(device=accelerator).detect(many, KNOWN.replace(batch_size=256))
    assert len(np.unique(found.image_index)) == len(many)
    assert_alike(found, boxes)


def planted() -> list[Bag]:
    return [
        random_bag(seed, 24, label, f"{label}{seed}", planted=8)
        for seed, label in enumerate(CLASSES * 5)
    ]


def trained(bags: list[Bag], settings: MILSettings, device: Device) -> Classifier:
    trainer = EnsembleTrainer(bags, settings, PAIR, device)
    for _ in trainer.epochs():
        pass
    return trainer.best


@pytest.mark.parametrize("method", ["mil-multi-top-sic", "mil-att-sic"])
def test_a_classifier_says_the_same_wherever_it_computes(method: str, accelerator: Device) -> None:
    bags = planted()
    settings = QUICK.replace(method=method)
    classifier = trained(bags, settings, accelerator)
    there = [classifier.classify(bag).probabilities for bag in bags]
    elsewhere = pickle.loads(pickle.dumps(classifier))
    assert {model.device.name for model in elsewhere.models} == {"cpu"}
    here = [elsewhere.classify(bag).probabilities for bag in bags]
    np.testing.assert_allclose(there, here, atol=0.02)
    names = [classifier.classes[np.argmax(said)] for said in there]
    assert np.mean([name == bag.label for name, bag in zip(names, bags, strict=True)]) > 0.8
