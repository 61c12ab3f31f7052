"""What is fitted before a training: standardisation, directions, the norm, and oddness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Self

import torch

from napari_attmil.bags.network import (
    MOST_CELLS,
    AttentionMIL,
    Components,
    PreparedFeatures,
    batch_damping,
    packed,
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
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.bags.training.drawn_cells import BagSizes


@dataclass(frozen=True, eq=False)
class PreparedCells:
    """The cells of a training's bags, as each training step takes them.

    Attributes
    ----------
    features
        For each bag its cells' features, computed as far as possible before the training.
    guidance
        (n,) weights of the cells of all bags, one after the other, in the SIC loss; None if equal.
    together
        The features of all bags, one after the other, where they are few numbers a cell.
    """

    features: list[PreparedFeatures]
    guidance: Tensor | None
    together: PreparedFeatures | None

    @classmethod
    def of(cls, features: list[PreparedFeatures], guidance: list[Tensor] | None) -> Self:
        """Return the cells of bags, given bag by bag."""
        weights = None if guidance is None else torch.cat(guidance)
        if features[0].kind != "components":
            return cls(features, weights, None)
        together = packed(features)
        lengths = [len(bag) for bag in features]
        split = together.values.split(lengths)
        parts = [PreparedFeatures(together.kind, values) for values in split]
        return cls(parts, weights, together)

    def take(self, bags: Sequence[int], cells: Tensor, sizes: BagSizes) -> PreparedFeatures:
        """Return the features of some bags' cells on one axis.

        Parameters
        ----------
        bags
            Positions of the bags.
        cells
            Positions of their cells among the cells of all bags, bag after bag.
        sizes
            Of all bags.
        """
        if self.together is not None:
            values = self.together.values
            rows = values.index_select(0, cells.to(values.device))
            return PreparedFeatures(self.together.kind, rows)
        kept = cells.split(sizes.kept[list(bags)].tolist())
        return packed(
            [
                self.features[bag]
                if len(rows) == len(self.features[bag])
                else self.features[bag][rows - sizes.starts[bag]]
                for bag, rows in zip(bags, kept, strict=True)
            ]
        )

    def guides(self, cells: Tensor) -> Tensor | None:
        """Return the weights of some cells in the SIC loss; None if equal."""
        return None if self.guidance is None else self.guidance[cells.to(self.guidance.device)]


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


def prepare(
    model: AttentionMIL,
    bags: Sequence[Bag],
    classes: Sequence[str],
    seed: int,
    alike: tuple[AttentionMIL, PreparedCells] | None = None,
) -> PreparedCells:
    """Fit the parts of a model that are not learnt by gradient, and compute all that is constant.

    Random numbers are drawn when principal components are found.

    Parameters
    ----------
    model
        What is fitted.
    bags, classes
        The samples, and the names of all classes.
    seed
        Of the search for types of cells.
    alike
        Another model of the same bags whose components are the same, and its cells.

    Raises
    ------
    UserError
        If the method needs healthy samples and no class is recognised as healthy.
    """
    settings = model.settings
    if alike is not None:
        copy_components(model, alike[0])
        return _fitted_to_types(model, alike[1].features, seed)
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
            return _fitted_to_types(model, fixed_part_if_it_fits(features, model), seed)
        is_healthy = healthy_guides(bags, classes, settings)
        guidance = None
        if is_healthy is not None:
            guidance = [weights_by_rank(odd) for odd in oddness(features, is_healthy)]
    return PreparedCells.of(fixed_part_if_it_fits(features, model), guidance)


def share_components(settings: MILSettings, other: MILSettings) -> bool:
    """Return whether cells have the same principal components for models of two settings."""
    names = ("embedding", "standardise", "components", "batch_penalty")
    are_same = all(getattr(settings, name) == getattr(other, name) for name in names)
    return are_same and settings.takes_rows and settings.components > 0


def copy_components(model: AttentionMIL, other: AttentionMIL) -> None:
    """Copy standardisation and components of another model."""
    assert model.components is not None and other.components is not None
    with torch.no_grad():
        model.feature_mean.copy_(other.feature_mean)
        model.feature_std.copy_(other.feature_std)
        model.components.directions.copy_(other.components.directions)


def _fitted_to_types(
    model: AttentionMIL, cells: list[PreparedFeatures], seed: int
) -> PreparedCells:
    """Find the types of cells by their components."""
    assert model.cell_types is not None
    model.cell_types.fit([bag.values for bag in cells], seed)
    return PreparedCells.of(cells, None)


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
