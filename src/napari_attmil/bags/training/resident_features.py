"""The features of a training's bags: on the device or in memory, where they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_attmil.bags.network import (
    EMBEDDINGS,
    AttentionMIL,
    Embedding,
    PreparedFeatures,
    maps_bytes,
    packed,
    tiles_bytes,
)
from napari_attmil.core import Device

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings

RESIDENT_BYTES = 4 << 30
"""Features of up to this size are held in memory; larger cohorts are streamed from disk."""


def loaded_bags(bags: Sequence[Bag], settings: MILSettings) -> list[Bag]:
    """Return the bags with their features prepared for the embedding, in memory.

    Bags that would need more than `RESIDENT_BYTES` stay as they are, and are streamed.
    """
    recipe = EMBEDDINGS[settings.embedding]
    cells = sum(len(bag) for bag in bags)
    channels, itemsize = bags[0].features.shape[1], bags[0].features.itemsize
    if cells * channels * math.prod(recipe.shape) * itemsize > RESIDENT_BYTES:
        return list(bags)
    return [replace(bag, features=_prepared(bag, recipe)) for bag in bags]


def feature_statistics(
    features: Sequence[PreparedFeatures], recipe: Embedding
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the prepared features over all cells."""
    axes = recipe.standardised_over
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for part in (part for bag in features for part in bag.parts()):
        values = recipe.prepared(part).values.float()
        sums = values.sum(axes, keepdim=True)[0].cpu().double()
        total = total + sums
        squares = squares + values.square().sum(axes, keepdim=True)[0].cpu().double()
        count += values.numel() // sums.numel()
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()


def on_device(features: list[PreparedFeatures], device: Device) -> list[PreparedFeatures]:
    """Return the features on the GPU if they fill less than half of its free memory."""
    place = device.torch()
    size = sum(bag.values.nbytes for bag in features)
    if place.type != "cuda" or size > torch.cuda.mem_get_info(place)[0] / 2:
        return features
    return [bag.to(place) for bag in features]


def fixed_part_if_it_fits(
    features: list[PreparedFeatures], model: AttentionMIL
) -> list[PreparedFeatures]:
    """Compute the fixed part of the embedding where that is faster and fits into memory."""
    form = model.fixed_form
    if form is None:
        return features
    if form != "components":
        cells, side = sum(len(bag) for bag in features), features[0].values.shape[-1]
        size = tiles_bytes if form == "tiles" else maps_bytes
        if size(cells, model.channels, side) > RESIDENT_BYTES:
            return features
    with torch.no_grad():
        return [model.fixed_part(bag.to(model.device.torch())) for bag in features]


def _prepared(bag: Bag, recipe: Embedding) -> npt.NDArray[np.float16]:
    features = PreparedFeatures.of_bag(bag.features)
    parts = [recipe.prepared(part) for part in features.parts()]
    return bag.features if features.kind == recipe.kind else packed(parts).values.numpy()
