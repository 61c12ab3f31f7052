"""The multiple instance classifier: one module for Table 1 of the paper and later methods.

The cells of several bags lie on one flat axis, bag after bag; `offsets` gives the start of each.
Convolutions run over that axis in the device's precision. Only the pooling depends on the bags; it
runs in float32 over contiguous ranges, so packed bags give the same results as single ones.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from napari_attmil.bags.network.packing import Packing
from napari_attmil.bags.network.pooling import POOLINGS, judges_cells
from napari_attmil.bags.network.prepared_features import FeatureKind, PreparedFeatures, packed
from napari_attmil.core import Device, UserError, compute_threads

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari_attmil.bags.settings import MILSettings

CHANNELS = 256

NEEDS_COMPONENTS = (
    "The method composition compares cells along the main directions of their features; choose "
    "the embedding combined, encoder or profile and at least 1 principal component, or another "
    "method."
)

LEAST_SHARE = 1e-6
"""Stands for a class that no cell voted for, where its logarithm is needed."""


@dataclass(frozen=True, eq=False)
class MILOutput:
    """The classifier's output for packed bags.

    Attributes
    ----------
    logits
        (b, K) float32, one row per bag.
    weight
        (n,) float32, non-negative weights of the cells; see `AttentionMIL.pool`.
    attention
        (n,) float32, sums to 1 over the cells of each bag: the weights with
        `AttentionMIL.least_weight` added, over their sum.
    instance_logits
        (n, K) float32, one row per cell.
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
        Architecture; the settings of the fitting are ignored.
    device
        Where and in which precision the convolutions run; the CPU in float32 if None.
    channels
        Feature channels of a cell.
    reference
        The class of healthy samples, if any: cells get no attention for looking healthy.
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
        embeddings = self.embed(features)
        lengths = [end - start for start, end in pairwise(offsets)]
        return self.pool(embeddings, Packing.of(lengths, embeddings.device))

    def threads(self) -> AbstractContextManager[None]:
        """Return the context in which it computes: on one thread where there are no maps."""
        return compute_threads(1 if self.recipe.takes_rows else None)

    @property
    def silent(self) -> int | None:
        """The class that no cell supports, if any."""
        return None if self.method.pooling is None else self.pooling.silent

    @property
    def bias(self) -> Tensor:
        """(K,) what is added to the cells' contributions to give the logits."""
        if self.method.pooling is None:
            return self.feature_mean.new_zeros(self.classes)
        return self.pooling.bias

    def set_standardisation(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and standard deviation by which prepared features are standardised."""
        with torch.no_grad():
            self.feature_mean.copy_(mean)
            # A constant feature is uninformative; 1 keeps it finite.
            self.feature_std.copy_(torch.where(std > 0, std, 1))

    def embed(self, features: PreparedFeatures) -> Tensor:
        """Return the float32 embeddings h of cells (eq. 3), a bounded number at a time.

        Returns
        -------
        (n, D)
            Or (n, D + 1) with anomaly-aware attention: h and the cell's distance from healthy; or
            how far the cells belong to each of `cell_types`.
        """
        # Components are few numbers: there is nothing to gain by parts.
        parts = [features] if features.kind == "components" else features.parts()
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._embed_part(part.values, part.kind) for part in parts])
        # Holds the activations of one part at a time; they are recomputed in the backward pass.
        return torch.cat(
            [
                checkpoint(self._embed_part, part.values, part.kind, use_reentrant=False)
                for part in parts
            ]
        )

    def pool(self, embeddings: Tensor, packing: Packing) -> MILOutput:
        """Pool the embeddings of packed bags and classify bags and cells.

        A cell's weight is alpha (eq. 7) for attention pooling. For maximum pooling it is the share
        of the pooled vector's entries that the cell provides (eq. 4). Where cells have a weight for
        each class, it is their mean weighted by the bag's class probabilities, without the class of
        healthy samples, so that odd cells stand out in healthy samples too (paper, section 3.2).
        For SIC alone it is the cell's probability of the bag's class.

        SIC alone has no bag head: its logits are the mean of the cells' logits, but its
        probabilities are the shares of votes; see `log_probabilities`. The logits of a cell are
        those of the SIC branch or, without one, the bag head's output for the cell alone.
        """
        if self.method.pooling is None:
            return self._single_instances(embeddings, packing)
        pooled = self.pooling(embeddings, packing)
        logits = packing.sums(pooled.contribution) + self.pooling.bias
        of_bag = self._shares_of_attention(logits).index_select(0, packing.of_cell)
        weight = (pooled.weight * of_bag).sum(1)
        has_branch = self.method.sic and not self.judges_cells
        head = self.sic_head if has_branch else self.pooling.head
        instance_logits = head(embeddings[:, : self.embedded_size])
        attention = self._attention(weight, packing)
        return MILOutput(logits, weight, attention, instance_logits, pooled.contribution)

    def log_probabilities(self, output: MILOutput, packing: Packing) -> Tensor:
        """Return the (b, K) logarithms of the class probabilities of bags.

        Log softmax of the logits; for SIC alone the logarithms of the shares of the cells'
        majority vote (paper, section 2.2), a class without votes having `LEAST_SHARE`.
        """
        if self.method.pooling is not None:
            return output.logits.log_softmax(1)
        shares = _vote_shares(output.instance_logits, packing).clamp(min=LEAST_SHARE)
        return (shares / shares.sum(1, keepdim=True)).log()

    def _shares_of_attention(self, logits: Tensor) -> Tensor:
        """Return (b, K) the share of each class's cell weights in a bag's attention."""
        values = logits.detach().clone()
        if self.reference is not None and self.classes > 1:
            values[:, self.reference] = -torch.inf
        return values.softmax(1)

    @property
    def least_weight(self) -> float:
        """Added to all cells' weights; weights far below it become nearly equal."""
        return 0.0 if self.method.pooling is None else self.pooling.least_weight

    def _attention(self, weight: Tensor, packing: Packing) -> Tensor:
        return packing.shares(weight.detach() + self.least_weight)

    @property
    def judges_cells(self) -> bool:
        """Whether the bag head judges single cells too, and is its own SIC branch."""
        return judges_cells(self.settings.method)

    @property
    def cell_types(self) -> CellTypes | None:
        """The types of cells, for the method that sees only these."""
        return self.embedding if isinstance(self.embedding, CellTypes) else None

    @property
    def fixed_form(self) -> FeatureKind | None:
        """The form that can be computed before the training; None if that saves nothing."""
        if self.anomaly is not None:
            return None  # It needs the features themselves.
        if self.components is not None:
            return "components"
        if self.device.name != "cpu" or self._tiled_layer is None:
            return None
        return "tiles" if self.device.precision == "float32" else "standardised maps"

    def fixed_part(self, features: PreparedFeatures) -> PreparedFeatures:
        """Return the part of the embedding that does not depend on weights, as `fixed_form`."""
        assert self.fixed_form is not None
        parts = [self._fixed_part_of(part) for part in features.parts()]
        return packed([PreparedFeatures(self.fixed_form, part) for part in parts])

    def standardised(self, features: PreparedFeatures) -> Tensor:
        """Return (n, F) float32, the standardised rows from which components are computed."""
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
        if not (self.recipe.takes_rows and self.settings.components):
            return None
        return Components(channels * self.recipe.shape[0], self.settings.components)

    def _inputs(self, channels: int) -> int:
        """Return how many numbers or maps per cell the first layer takes."""
        if self.components is not None:
            return self.components.directions.shape[1]
        return channels * self.recipe.shape[0] if self.recipe.takes_rows else channels

    @property
    def _tiled_layer(self) -> TiledConv2d | None:
        first = self.convolutions[0]
        return first if isinstance(first, TiledConv2d) else None

    def _embed_part(self, values: Tensor, kind: FeatureKind) -> Tensor:
        features = PreparedFeatures(kind, values.to(self.device.torch()))
        if kind not in ("maps", "profiles", "vectors", "combined"):
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

    def _single_instances(self, embeddings: Tensor, packing: Packing) -> MILOutput:
        own = self.sic_head(embeddings)
        contribution = own * packing.equal_shares(own)
        of_cell = _vote_shares(own, packing).argmax(1)[packing.of_cell]
        speaks_for = own.detach().softmax(1).gather(1, of_cell[:, None])[:, 0]
        attention = self._attention(speaks_for, packing)
        logits = packing.sums(contribution)
        return MILOutput(logits, speaks_for, attention, own, contribution)


def _sic_head(size: int, hidden_size: int, classes: int) -> nn.Module:
    if hidden_size == 0:
        return nn.Linear(size, classes)
    # No nonlinearity between, as in the published code.
    return nn.Sequential(nn.Linear(size, hidden_size), nn.Linear(hidden_size, classes))


def _vote_shares(instance_logits: Tensor, packing: Packing) -> Tensor:
    """Return (b, K) the share of each bag's cells that vote for each class."""
    classes = instance_logits.shape[1]
    votes = functional.one_hot(instance_logits.argmax(1), classes).float()
    return packing.means(votes)
