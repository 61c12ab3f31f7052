"""What a training fits before it learns: scales, directions, what is normal, which cells are odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_attmil.bags.attention_mil import CELLS_AT_ONCE
from napari_attmil.bags.classifier import as_tensor
from napari_attmil.bags.components import MOST_CELLS
from napari_attmil.bags.guidance import guiding_weights
from napari_attmil.bags.resident_features import (
    feature_statistics,
    fixed_part_if_it_fits,
    on_device,
)
from napari_attmil.images.cohort import reference_class
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_attmil.bags.attention_mil import AttentionMIL
    from napari_attmil.bags.bag import Bag


@dataclass(frozen=True, eq=False)
class PreparedCells:
    """The cells of a training's bags, as each of its steps takes them.

    Attributes
    ----------
    features
        For each bag its cells' features, as far as they can be computed before the training.
    weights
        For each bag (n,) how much each cell counts for the single instance branch; None if all
        count alike.
    """

    features: list[Tensor]
    weights: list[Tensor] | None


def prepare(model: AttentionMIL, bags: Sequence[Bag], classes: Sequence[str]) -> PreparedCells:
    """Fit those parts of a model that do not learn, and compute all that stays the same.

    Random numbers are drawn where there are more directions than are looked for.

    Raises
    ------
    UserError
        If the method needs healthy samples and no class is known to be theirs.
    """
    settings = model.settings
    features = on_device([as_tensor(bag.features) for bag in bags], model.device)
    healthy = reference_class(classes, settings.reference_class)
    is_healthy = [bag.label == healthy for bag in bags]
    if settings.standardise:
        model.set_standardisation(*feature_statistics(features, model.recipe))
    if model.anomaly is not None:
        if healthy is None:
            raise UserError(
                "Anomaly-aware attention measures how far cells are from those of healthy samples, "
                f"but none of the classes {', '.join(classes)} is called healthy or control; "
                "name the reference class, or choose another method."
            )
        _fit_anomaly(model, features, is_healthy)
    with torch.no_grad():
        if model.components is not None:
            step = -(-sum(map(len, features)) // MOST_CELLS)
            few = torch.cat([model.standardised(bag[::step]) for bag in features])
            model.components.fit(few)
        guided = model.judges_cells and model.method.sic and settings.guidance > 0
        weights = guiding_weights(features, is_healthy) if guided and any(is_healthy) else None
    return PreparedCells(fixed_part_if_it_fits(features, model), weights)


def copy_fitted(model: AttentionMIL, other: AttentionMIL) -> None:
    """Take over what was fitted before the training of another model of the same settings."""
    with torch.no_grad():
        for mine, others in zip(model.buffers(), other.buffers(), strict=True):
            mine.copy_(others)


def _fit_anomaly(
    model: AttentionMIL, features: Sequence[Tensor], is_healthy: Sequence[bool]
) -> None:
    """Fit what is normal to the cells of the healthy samples."""
    assert model.anomaly is not None  # the method has it
    recipe, parts = model.recipe, []
    for bag, healthy in zip(features, is_healthy, strict=True):
        if healthy:
            for part in torch.split(bag, CELLS_AT_ONCE):
                parts.append(recipe.map_means(recipe.prepared(part).float()))
    model.anomaly.fit(parts)
