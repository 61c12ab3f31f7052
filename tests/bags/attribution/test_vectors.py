from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_attmil.bags.attribution.vectors import cell_embeddings
from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.bags.network.prepared_features import PreparedFeatures

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device


def untrained(bag: Bag, settings: MILSettings, device: Device) -> Classifier:
    channels = bag.features.shape[1]
    models = [
        new_model(("healthy", "sick"), settings.replace(seed=seed), device, channels)
        for seed in (0, 1)
    ]
    return Classifier(tuple(models), ("healthy", "sick"), "", bag.feature_settings)


def test_models_of_an_ensemble_stand_side_by_side(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    bag = planted_bags[0]
    classifier = untrained(bag, small, cpu)
    with torch.inference_mode():
        second = classifier.models[1].eval().embed(PreparedFeatures.of_bag(bag.features)).numpy()
    found = cell_embeddings(classifier, bag)
    assert found.shape == (len(bag), 2 * second.shape[1])
    np.testing.assert_array_equal(found[:, second.shape[1] :], second)


def test_cells_keep_their_embeddings_whatever_else_is_in_the_bag(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    bag = planted_bags[0]
    classifier = untrained(bag, small, cpu)
    turned = cell_embeddings(classifier, bag[::-1])
    np.testing.assert_allclose(turned[::-1], cell_embeddings(classifier, bag), atol=1e-5)


def test_distance_from_healthy_is_no_part_of_the_embedding(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    bag = planted_bags[0]
    aware = untrained(bag, small.replace(method="mil-anomaly-sic"), cpu)
    assert aware.models[0].anomaly is not None
    plain = untrained(bag, small, cpu)
    assert cell_embeddings(aware, bag).shape == cell_embeddings(plain, bag).shape
