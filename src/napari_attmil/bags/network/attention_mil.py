"""The multiple instance classifier: one module for Table 1 of the paper and what came after.

The cells of several bags lie on one flat axis, bag after bag; `offsets` says where each begins.
Convolutions run over that axis in the device's precision; only the pooling looks at the bags,
as contiguous ranges, in float32, so that packing bags together gives what each gives alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.network.anomaly import AnomalyScore
from napari_attmil.bags.network.cell_types import CellTypes
from napari_attmil.bags.network.components import Components
from napari_attmil.bags.network.convolution import TiledConv2d
from napari_attmil.bags.network.embeddings import EMBEDDINGS
from napari_attmil.bags.network.pooling import (
    POOLINGS,
    judges_cells,
    normalised,
    per_bag,
    sum_per_bag,
)
from napari_attmil.bags.network.prepared_features import FeatureKind, PreparedFeatures, packed
from napari_attmil.core import Device, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.bags.settings import MILSettings

CHANNELS = 256

NEEDS_COMPONENTS = (
    "The method composition compares cells along the main directions of the embedding profile; "
    "choose that embedding and at least 1 principal component, or another method."
)

LEAST_SHARE = 1e-6
"""Stands for a class that no cell voted for, where its logarithm is needed."""


@dataclass(frozen=True, eq=False)
class MILOutput:
    """What the classifier says about some packed bags.

    Attributes
    ----------
    logits
        (b, K) float32, one row a bag.
    weight
        (n,) float32, non-negative: how much each cell counts; see `AttentionMIL.pool`.
    attention
        (n,) float32, sums to 1 over the cells of each bag: the weights with
        `AttentionMIL.least_weight` added, over their sum.
    instance_logits
        (n, K) float32, one row a cell.
    contribution
        (n, K) float32, signed; its sum over the cells of a bag plus `AttentionMIL.bias` is the
        bag's logits.
    """

    logits: Tensor
    weight: Tensor
    attention: Tensor
    instance_logits: Tensor
    contribution: Tensor


class AttentionMIL(nn.Module):
    """Embedding, pooling, bag head and auxiliary single instance classifier (paper, Fig. 2).

    Parameters
    ----------
    classes
        Number of classes K.
    settings
        Architecture; the fitting half of the settings is not looked at.
    device
        Where and in which precision the convolutions run; the CPU in float32 if None.
    channels
        Feature channels of a cell.
    reference
        The class of healthy samples, if there is one: cells get no attention for looking healthy.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        classes: int,
        settings: MILSettings,
        device: Device | None = None,
        channels: int = CHANNELS,
        reference: int | None = None,
    ) -> None:
        super().__init__()
        self.reference = reference
        self.classes = classes
        self.settings = settings
        self.device = device or Device("cpu", "float32", "processor")
        self.channels = channels
        self.recipe = EMBEDDINGS[settings.embedding]
        statistics = self.recipe.statistics_shape(channels)
        self.register_buffer("feature_mean", torch.zeros(statistics))
        self.register_buffer("feature_std", torch.ones(statistics))
        self.method = METHODS[settings.method]
        size = settings.embedding_size
        self.components = self._new_components(channels)
        inputs = self._inputs(channels)
        self.convolutions, self.embedding = self.recipe.build(inputs, size, settings.dropout)
        if self.method.by_type:
            if self.components is None:
                raise UserError(NEEDS_COMPONENTS)
            self.embedding = CellTypes(inputs)
            size = self.embedding.size
        self.embedded_size = size
        self.anomaly: AnomalyScore | None = None
        if self.method.pooling == "anomaly-attention":
            self.anomaly = AnomalyScore(channels)
        if self.method.pooling is not None:
            self.pooling = POOLINGS[self.method.pooling](size, classes, settings)
            if self.judges_cells and settings.healthy_is_the_rest:
                self.pooling.silent = reference
        if self.method.sic and not self.judges_cells:
            self.sic_head = _sic_head(size, settings.sic_hidden_size, classes)
        self.to(self.device.torch()).to(memory_format=torch.channels_last)

    def forward(self, features: PreparedFeatures, offsets: Sequence[int]) -> MILOutput:
        """Classify packed bags.

        Parameters
        ----------
        features
            Of n cells, as bags hold them, as `recipe` prepares them or as `fixed_part` does.
        offsets
            (b + 1,) where each bag begins on the cell axis, then n; no bag is empty.
        """
        return self.pool(self.embed(features), offsets)

    @property
    def silent(self) -> int | None:
        """The class that no cell speaks for, if there is one."""
        return None if self.method.pooling is None else self.pooling.silent

    @property
    def bias(self) -> Tensor:
        """(K,) what is added to the cells' contributions to give the logits."""
        if self.method.pooling is None:
            return self.feature_mean.new_zeros(self.classes)
        return self.pooling.bias

    def set_standardisation(self, mean: Tensor, std: Tensor) -> None:
        """Scale the prepared features by the mean and standard deviation given."""
        with torch.no_grad():
            self.feature_mean.copy_(mean)
            # A feature that never varies says nothing; 1 keeps it finite.
            self.feature_std.copy_(torch.where(std > 0, std, 1))

    def embed(self, features: PreparedFeatures) -> Tensor:
        """Return the float32 embeddings h of cells (eq. 3), a bounded number at a time.

        Returns
        -------
        (n, D)
            Or (n, D + 1) with anomaly-aware attention: h and the cell's distance from healthy; or
            how far the cells belong to each of `cell_types`.
        """
        parts = features.parts()
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._embed_part(part.values, part.kind) for part in parts])
        # Activations of one part at a time: computed once more on the way back.
        return torch.cat(
            [
                checkpoint(self._embed_part, part.values, part.kind, use_reentrant=False)
                for part in parts
            ]
        )

    def pool(self, embeddings: Tensor, offsets: Sequence[int]) -> MILOutput:
        """Pool the embeddings of packed bags and classify bags and cells.

        A cell's weight is alpha (eq. 7) for attention pooling. For maximum pooling it is the
        share of the pooled vector's entries that a cell has won (eq. 4). Where cells are weighed
        for each class apart, it is the mean of these weights by the bag's class probabilities, the
        class of healthy samples left aside: in one of these, odd cells stand out (paper, section
        3.2).
        For SIC alone it is the cell's probability of the bag's class.

        SIC alone has no bag head: its logits are the mean of the cells' logits, but its
        probabilities are the shares of votes; see `log_probabilities`. The logits of a cell are
        the SIC branch's; without one, what the bag head says of the cell alone.
        """
        lengths = bag_lengths(offsets)
        if self.method.pooling is None:
            return self._single_instances(embeddings, offsets)
        pooled = self.pooling(embeddings, lengths)
        logits = sum_per_bag(pooled.contribution, lengths) + self.pooling.bias
        of_bag = torch.repeat_interleave(
            self._shares_of_attention(logits), torch.tensor(lengths, device=logits.device), dim=0
        )
        weight = (pooled.weight * of_bag).sum(1)
        has_branch = self.method.sic and not self.judges_cells
        head = self.sic_head if has_branch else self.pooling.head
        instance_logits = head(embeddings[:, : self.embedded_size])
        attention = self._attention(weight, lengths)
        return MILOutput(logits, weight, attention, instance_logits, pooled.contribution)

    def log_probabilities(self, output: MILOutput, offsets: Sequence[int]) -> Tensor:
        """Return the (b, K) logarithms of the class probabilities of bags.

        Log softmax of the logits; for SIC alone the logarithms of the shares of the cells'
        majority vote (paper, section 2.2), a class without votes having `LEAST_SHARE`.
        """
        if self.method.pooling is not None:
            return output.logits.log_softmax(1)
        shares = _vote_shares(output.instance_logits, offsets).clamp(min=LEAST_SHARE)
        return (shares / shares.sum(1, keepdim=True)).log()

    def _shares_of_attention(self, logits: Tensor) -> Tensor:
        """Return (b, K) how much each class's weights of cells count for a bag's attention."""
        values = logits.detach().clone()
        if self.reference is not None and self.classes > 1:
            values[:, self.reference] = -torch.inf
        return values.softmax(1)

    @property
    def least_weight(self) -> float:
        """What is added to all cells' weights, so that those far below it are alike."""
        return 0.0 if self.method.pooling is None else self.pooling.least_weight

    def _attention(self, weight: Tensor, lengths: Sequence[int]) -> Tensor:
        return per_bag(normalised, weight.detach() + self.least_weight, lengths)

    @property
    def judges_cells(self) -> bool:
        """Whether the bag head judges single cells too, and is its own SIC branch."""
        return judges_cells(self.settings.method)

    @property
    def cell_types(self) -> CellTypes | None:
        """The types that cells are known by, for a method that knows no more of them."""
        return self.embedding if isinstance(self.embedding, CellTypes) else None

    @property
    def fixed_form(self) -> FeatureKind | None:
        """What cells can be turned into before weights come in; None if nothing is won by it."""
        if self.anomaly is not None:
            return None  # It looks at the features themselves.
        if self.components is not None:
            return "components"
        if self.device.name != "cpu" or self._tiled_layer is None:
            return None
        return "tiles" if self.device.precision == "float32" else "standardised maps"

    def fixed_part(self, features: PreparedFeatures) -> PreparedFeatures:
        """Return all of the embedding that can be computed before weights come in: `fixed_form`."""
        assert self.fixed_form is not None
        parts = [self._fixed_part_of(part) for part in features.parts()]
        return packed([PreparedFeatures(self.fixed_form, part) for part in parts])

    def standardised(self, features: PreparedFeatures) -> Tensor:
        """Return (n, F) float32: a profile's numbers as its components are found in."""
        prepared = self.recipe.prepared(features.to(self.device.torch())).values.float()
        return self._standardised(prepared).flatten(1)

    def _fixed_part_of(self, features: PreparedFeatures) -> Tensor:
        if self.components is not None:
            reduced: Tensor = self.components(self.standardised(features))
            return reduced
        standardised = self._standardised(features.values.float())
        if self._tiled_layer is not None and self.fixed_form == "tiles":
            return self._tiled_layer.tiles(standardised)
        return standardised.to(torch.bfloat16, memory_format=torch.channels_last)

    def _new_components(self, channels: int) -> Components | None:
        if not (self.recipe.is_profile and self.settings.components):
            return None
        return Components(channels * self.recipe.shape[0], self.settings.components)

    def _inputs(self, channels: int) -> int:
        """Return how many numbers or maps of a cell the first layer takes."""
        if self.components is not None:
            return self.components.directions.shape[1]
        return channels * self.recipe.shape[0] if self.recipe.is_profile else channels

    @property
    def _tiled_layer(self) -> TiledConv2d | None:
        first = self.convolutions[0]
        return first if isinstance(first, TiledConv2d) else None

    def _embed_part(self, values: Tensor, kind: FeatureKind) -> Tensor:
        features = PreparedFeatures(kind, values.to(self.device.torch()))
        if kind not in ("maps", "profiles"):
            return self._embed_standardised(features.values, kind)
        prepared = self.recipe.prepared(features).values.float()
        standardised = self._standardised(prepared)
        if self.components is not None:
            standardised = self.components(standardised.flatten(1))[:, :, None, None]
        embeddings = self._embed_standardised(
            standardised.contiguous(memory_format=torch.channels_last)
        )
        if self.anomaly is None:
            return embeddings
        return torch.cat([embeddings, self.anomaly(self.recipe.map_means(prepared))], dim=1)

    def _embed_standardised(self, values: Tensor, kind: FeatureKind | None = None) -> Tensor:
        with self.device.autocast():
            if self._tiled_layer is not None and kind == "tiles":
                convolved = self.convolutions[1:](self._tiled_layer.of_tiles(values))
            else:
                convolved = self.convolutions(values)
        embeddings: Tensor = self.embedding(convolved.float())
        return embeddings

    def _standardised(self, prepared: Tensor) -> Tensor:
        if not self.settings.standardise:
            return prepared
        return (prepared - self.feature_mean) / self.feature_std

    def _single_instances(self, embeddings: Tensor, offsets: Sequence[int]) -> MILOutput:
        lengths = bag_lengths(offsets)
        own = self.sic_head(embeddings)
        contribution = per_bag(_share_of_mean, own, lengths)
        predicted = _vote_shares(own, offsets).argmax(1)
        of_cell = predicted.repeat_interleave(torch.tensor(lengths, device=predicted.device))
        speaks_for = own.detach().softmax(1).gather(1, of_cell[:, None])[:, 0]
        attention = self._attention(speaks_for, lengths)
        logits = sum_per_bag(contribution, lengths)
        return MILOutput(logits, speaks_for, attention, own, contribution)


def bag_lengths(offsets: Sequence[int]) -> list[int]:
    """Return how many cells each packed bag has."""
    return [end - start for start, end in pairwise(offsets)]


def _sic_head(size: int, hidden_size: int, classes: int) -> nn.Module:
    if hidden_size == 0:
        return nn.Linear(size, classes)
    # No nonlinearity between, as in the published code.
    return nn.Sequential(nn.Linear(size, hidden_size), nn.Linear(hidden_size, classes))


def _share_of_mean(logits: Tensor) -> Tensor:
    return logits / len(logits)


def _vote_shares(instance_logits: Tensor, offsets: Sequence[int]) -> Tensor:
    """Return (b, K) the share of each bag's cells that vote for each class."""
    classes = instance_logits.shape[1]
    votes = functional.one_hot(instance_logits.argmax(1), classes).float()
    return torch.stack([bag.mean(0) for bag in torch.split(votes, bag_lengths(offsets))])
