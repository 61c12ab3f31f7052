"""What a training fits before it learns: scales, directions, what is normal, odd cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_attmil.bags.network import MOST_CELLS, PreparedFeatures, batch_damping
from napari_attmil.bags.training.guidance import (
    healthy_guides,
    oddness,
    weights_by_rank,
)
from napari_attmil.bags.training.resident_features import (
    feature_statistics,
    fixed_part_if_it_fits,
    on_device,
)
from napari_attmil.core import UserError
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.network import AttentionMIL, Components


@dataclass(frozen=True, eq=False)
class PreparedCells:
    """The cells of a training's bags, as each of its steps takes them.

    Attributes
    ----------
    features
        For each bag its cells' features, as far as they can be computed before the training.
    guidance
        For each bag (n,) how much its cells count for the SIC branch; None if all alike.
    """

    features: list[PreparedFeatures]
    guidance: list[Tensor] | None


def prepare(model: AttentionMIL, bags: Sequence[Bag], classes: Sequence[str]) -> PreparedCells:
    """Fit those parts of a model that do not learn, and compute all that stays the same.

    Random numbers are drawn where there are more directions than are looked for.

    Raises
    ------
    UserError
        If the method needs healthy samples and no class is known to be theirs.
    """
    settings = model.settings
    features = on_device([PreparedFeatures.of_bag(bag.features) for bag in bags], model.device)
    if settings.standardise:
        model.set_standardisation(*feature_statistics(features, model.recipe))
    if model.anomaly is not None:
        healthy = reference_class(classes, settings.reference_class)
        if healthy is None:
            raise UserError(
                "Anomaly-aware attention measures how far cells are from those of healthy samples, "
                f"but none of the classes {', '.join(classes)} is plainly called healthy or "
                "control; name the reference class, or choose another method."
            )
        _fit_anomaly(model, features, [bag.label == healthy for bag in bags])
    with torch.no_grad():
        if model.components is not None:
            labels = [classes.index(bag.label or "") for bag in bags]
            _fit_components(model, model.components, features, labels)
        if model.cell_types is not None:
            cells = [model.fixed_part(bag).values for bag in features]
            model.cell_types.fit(cells, settings.seed)
        is_healthy = healthy_guides(bags, classes, settings)
        guidance = None
        if is_healthy is not None:
            guidance = [weights_by_rank(odd) for odd in oddness(features, is_healthy)]
    return PreparedCells(fixed_part_if_it_fits(features, model), guidance)


def copy_fitted(model: AttentionMIL, other: AttentionMIL) -> None:
    """Take over what was fitted before the training of another model of the same settings."""
    with torch.no_grad():
        for mine, others in zip(model.buffers(), other.buffers(), strict=True):
            mine.copy_(others)


def _fit_components(
    model: AttentionMIL,
    components: Components,
    features: Sequence[PreparedFeatures],
    labels: Sequence[int],
) -> None:
    """Find the main directions in which cells vary, those of batch effects scaled down."""
    step = -(-sum(map(len, features)) // MOST_CELLS)
    few = [model.standardised(bag[::step]) for bag in features]
    components.fit(torch.cat(few))
    if model.settings.batch_penalty > 0:
        few = [components(bag) for bag in few]
        components.follow_with(batch_damping(few, labels, model.settings.batch_penalty))


def _fit_anomaly(
    model: AttentionMIL, features: Sequence[PreparedFeatures], is_healthy: Sequence[bool]
) -> None:
    """Fit what is normal to the cells of the healthy samples."""
    assert model.anomaly is not None  # the method has it
    recipe, parts = model.recipe, []
    for bag, healthy in zip(features, is_healthy, strict=True):
        if healthy:
            for part in bag.parts():
                parts.append(recipe.map_means(recipe.prepared(part).values.float()))
    model.anomaly.fit(parts)
