"""What is fitted before a training: standardisation, directions, the norm, and oddness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import torch

from napari_attmil.bags.network import (
    MOST_CELLS,
    AttentionMIL,
    Components,
    PreparedFeatures,
    batch_damping,
)
from napari_attmil.bags.training.guidance import healthy_guides, oddness, weights_by_rank
from napari_attmil.bags.training.resident_features import (
    feature_statistics,
    fixed_part_if_it_fits,
    on_device,
)
from napari_attmil.core import Remedy, UserError
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from torch import Tensor

    from napari_attmil.bags.bag import Bag


@dataclass(frozen=True, eq=False)
class PreparedCells:
    """The cells of a training's bags, as each training step takes them.

    Attributes
    ----------
    features
        For each bag its cells' features, computed as far as possible before the training.
    guidance
        For each bag (n,) weights of its cells in the SIC loss; None if equal.
    """

    features: list[PreparedFeatures]
    guidance: list[Tensor] | None


def check_bags(bags: Sequence[Bag], classes: Sequence[str]) -> None:
    """Refuse bags that no classifier of some classes can be trained on.

    Raises
    ------
    UserError
        If a bag has no cells or no label of these classes, there are fewer than two classes, or
        features were computed in several ways.
    """
    for bag in bags:
        if bag.label is None:
            raise UserError(
                f"Sample {bag.sample!r} has no label; give it one or leave it out.",
                Remedy.GIVE_CLASSES,
            )
        if bag.label not in classes:
            raise UserError(
                f"Sample {bag.sample!r} is labelled {bag.label!r}, which is none of the classes "
                f"{', '.join(classes)}; correct its label or leave it out.",
                Remedy.GIVE_CLASSES,
            )
        if len(bag) == 0:
            raise UserError(
                f"Sample {bag.sample!r} has no cells; run detection or draw one.",
                Remedy.DETECT_CELLS,
            )
    if len(classes) < 2:
        raise UserError(
            f"A classifier needs samples of at least 2 classes, but got {len(classes)}; open a "
            "cohort with more classes.",
            Remedy.GIVE_CLASSES,
        )
    first = bags[0]
    for bag in bags:
        if (bag.reader_digest, bag.feature_settings) != (
            first.reader_digest,
            first.feature_settings,
        ):
            raise UserError(
                f"The cells of samples {first.sample!r} and {bag.sample!r} were read with "
                "different detectors or settings; prepare all samples again.",
                Remedy.TRY_AGAIN,
            )


def prepare(model: AttentionMIL, bags: Sequence[Bag], classes: Sequence[str]) -> PreparedCells:
    """Fit the parts of a model that are not learnt by gradient, and compute all that is constant.

    Random numbers are drawn when principal components are found.

    Raises
    ------
    UserError
        If the method needs healthy samples and no class is recognised as healthy.
    """
    settings = model.settings
    features = on_device([PreparedFeatures.of_bag(bag.features) for bag in bags], model.device)
    if settings.standardise:
        mean, std = feature_statistics(features, model.recipe)
        model.set_standardisation(mean, model.recipe.weighted(std))
    if model.anomaly is not None:
        healthy = reference_class(classes, settings.reference_class)
        if healthy is None:
            raise UserError(
                "Anomaly-aware attention measures how far cells are from those of healthy samples, "
                f"but none of the classes {', '.join(classes)} is plainly called healthy or "
                "control; name the reference class, or choose another method.",
                Remedy.TRAIN_CLASSIFIER,
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
    """Copy what was fitted before the training of another model of the same settings."""
    with torch.no_grad():
        for mine, others in zip(model.buffers(), other.buffers(), strict=True):
            mine.copy_(others)


def _fit_components(
    model: AttentionMIL,
    components: Components,
    features: Sequence[PreparedFeatures],
    labels: Sequence[int],
) -> None:
    """Find the main directions in which cells vary, and scale batch effects down."""
    step = -(-sum(map(len, features)) // MOST_CELLS)
    few = [model.standardised(bag[::step]) for bag in features]
    components.fit(torch.cat(few))
    if model.settings.batch_penalty > 0:
        few = [components(bag) for bag in few]
        components.follow_with(batch_damping(few, labels, model.settings.batch_penalty))


def _fit_anomaly(
    model: AttentionMIL, features: Sequence[PreparedFeatures], is_healthy: Sequence[bool]
) -> None:
    """Fit the anomaly score to the cells of the healthy samples."""
    assert model.anomaly is not None  # the method has it
    recipe, healthy = model.recipe, compress(features, is_healthy)
    parts = (recipe.prepared(part).values.float() for bag in healthy for part in bag.parts())
    model.anomaly.fit(map(recipe.map_means, parts))
