"""The multiple instance classifier of the paper: one module for the four rows of its Table 1.

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

from napari_attmil.bags.embeddings import EMBEDDINGS
from napari_attmil.device import Device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.settings import Method, MILSettings

CELLS_AT_ONCE = 1024
"""Cells that are convolved together; bounds the memory of bags of any size."""

CHANNELS = 256


@dataclass(frozen=True, eq=False)
class MILOutput:
    """What the classifier says about some packed bags.

    Attributes
    ----------
    logits
        (b, K) float32, one row a bag.
    attention
        (n,) float32, non-negative, sums to 1 over the cells of each bag; see
        `AttentionMIL.pool`.
    instance_logits
        (n, K) float32, one row a cell.
    """

    logits: Tensor
    attention: Tensor
    instance_logits: Tensor


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
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        classes: int,
        settings: MILSettings,
        device: Device | None = None,
        channels: int = CHANNELS,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.device = device or Device("cpu", "float32", "processor")
        self.channels = channels
        self.recipe = EMBEDDINGS[settings.embedding]
        statistics = self.recipe.statistics_shape(channels)
        self.register_buffer("feature_mean", torch.zeros(statistics))
        self.register_buffer("feature_std", torch.ones(statistics))
        size = settings.embedding_size
        self.convolutions, self.embedding = self.recipe.build(channels, size, settings.dropout)
        if has_attention(settings.method):
            # Without biases, as eq. 7 is written; w's would cancel in the softmax anyway.
            self.attention = nn.Sequential(
                nn.Linear(size, settings.attention_size, bias=False),
                nn.Tanh(),
                nn.Linear(settings.attention_size, 1, bias=False),
            )
        if has_bag_head(settings.method):
            self.bag_head = nn.Linear(size, classes)
        if has_sic(settings.method):
            self.sic_head = _sic_head(size, settings.sic_hidden_size, classes)
        self.to(self.device.torch()).to(memory_format=torch.channels_last)

    def forward(self, features: Tensor, offsets: Sequence[int]) -> MILOutput:
        """Classify packed bags.

        Parameters
        ----------
        features
            (n, channels, s, s) of any float type, or prepared as `recipe` does it.
        offsets
            (b + 1,) where each bag begins on the cell axis, then n; no bag is empty.
        """
        return self.pool(self.embed(features), offsets)

    def set_standardisation(self, mean: Tensor, std: Tensor) -> None:
        """Scale the prepared features by the mean and standard deviation given."""
        with torch.no_grad():
            self.feature_mean.copy_(mean)
            # A feature that never varies says nothing; 1 keeps it finite.
            self.feature_std.copy_(torch.where(std > 0, std, 1))

    def embed(self, features: Tensor) -> Tensor:
        """Return the (n, D) float32 embeddings h of cells (eq. 3), a bounded number at a time."""
        parts = torch.split(features, CELLS_AT_ONCE)
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._embed_part(part) for part in parts])
        # Activations of one part at a time: computed once more on the way back.
        return torch.cat(
            [checkpoint(self._embed_part, part, use_reentrant=False) for part in parts]
        )

    def pool(self, embeddings: Tensor, offsets: Sequence[int]) -> MILOutput:
        """Pool the (n, D) embeddings of packed bags and classify bags and cells.

        The attention is alpha (eq. 7) for attention pooling. For maximum pooling it is the
        share of the pooled vector's entries that a cell has won (eq. 4). For SIC alone it is
        the cell's probability of the bag's class, divided by the bag's sum of these.

        SIC alone has no bag head: its logits are the mean of the cells' logits, but its
        probabilities are the shares of votes; see `probabilities`. The logits of a cell are
        the SIC branch's; without one, what the bag head says of a bag of this cell alone.
        """
        bags = torch.split(embeddings, bag_lengths(offsets))
        if not has_bag_head(self.settings.method):
            return self._single_instances(embeddings, offsets)
        if has_attention(self.settings.method):
            scores = torch.split(self.attention(embeddings)[:, 0], bag_lengths(offsets))
            weights = [part.softmax(0) for part in scores]
            pooled = torch.stack([w @ h for w, h in zip(weights, bags, strict=True)])
        else:
            pooled = torch.stack([bag.amax(0) for bag in bags])
            weights = [_winner_shares(bag.detach()) for bag in bags]
        head = self.sic_head if has_sic(self.settings.method) else self.bag_head
        return MILOutput(self.bag_head(pooled), torch.cat(weights), head(embeddings))

    def probabilities(self, output: MILOutput, offsets: Sequence[int]) -> Tensor:
        """Return the (b, K) class probabilities of bags; rows sum to 1.

        Softmax of the logits; for SIC alone the shares of the cells' majority vote (paper,
        section 2.2).
        """
        if has_bag_head(self.settings.method):
            return output.logits.softmax(1)
        return _vote_shares(output.instance_logits, offsets)

    def contributions(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Divide the logits of one bag among its cells, exactly.

        Parameters
        ----------
        embeddings
            (n, D) of one bag.

        Returns
        -------
        contribution, bias
            (n, K) and (K,) float32, signed; the sum of the contributions over the cells plus
            the bias are the bag's logits. Possible because the bag head is linear in the pooled
            vector, and that a sum over cells (attention) or over entries that cells have won
            (maximum); for SIC alone the logits are a mean over cells from the outset.
        """
        if not has_bag_head(self.settings.method):
            logits = self.sic_head(embeddings)
            return logits / len(logits), torch.zeros_like(logits[0])
        if has_attention(self.settings.method):
            shares = self.attention(embeddings).softmax(0) * embeddings
        else:
            shares = _winners(embeddings) * embeddings
        return shares @ self.bag_head.weight.T, self.bag_head.bias

    def _embed_part(self, features: Tensor) -> Tensor:
        prepared = self.recipe.prepared(features.to(self.device.torch())).float()
        if self.settings.standardise:
            prepared = (prepared - self.feature_mean) / self.feature_std
        with self.device.autocast():
            convolved = self.convolutions(prepared.contiguous(memory_format=torch.channels_last))
        embeddings: Tensor = self.embedding(convolved.float())
        return embeddings

    def _single_instances(self, embeddings: Tensor, offsets: Sequence[int]) -> MILOutput:
        lengths = bag_lengths(offsets)
        logits = self.sic_head(embeddings)
        means = torch.stack([bag.mean(0) for bag in torch.split(logits, lengths)])
        predicted = _vote_shares(logits, offsets).argmax(1).tolist()
        weights = []
        for bag, winner in zip(torch.split(logits.detach(), lengths), predicted, strict=True):
            probability = bag.softmax(1)[:, winner]
            weights.append(probability / probability.sum())
        return MILOutput(means, torch.cat(weights), logits)


def has_attention(method: Method) -> bool:
    """Return whether a method pools by attention."""
    return method == "mil-att-sic"


def has_sic(method: Method) -> bool:
    """Return whether a method trains the single instance classifier."""
    return method != "mil-max"


def has_bag_head(method: Method) -> bool:
    """Return whether a method classifies a pooled vector, not only cells."""
    return method != "sic"


def bag_lengths(offsets: Sequence[int]) -> list[int]:
    """Return how many cells each packed bag has."""
    return [end - start for start, end in pairwise(offsets)]


def _sic_head(size: int, hidden_size: int, classes: int) -> nn.Module:
    if hidden_size == 0:
        return nn.Linear(size, classes)
    # No nonlinearity between, as in the published code.
    return nn.Sequential(nn.Linear(size, hidden_size), nn.Linear(hidden_size, classes))


def _winners(embeddings: Tensor) -> Tensor:
    """Return (n, D): whose entries are the bag's largest; cells that tie share a win."""
    wins = (embeddings == embeddings.amax(0)).float()
    return wins / wins.sum(0)


def _winner_shares(embeddings: Tensor) -> Tensor:
    """Return (n,) the share of entries that each cell has won; sums to 1.

    An entry that is 0 in all cells (they come out of a ReLU) tells nobody apart and is won by
    all alike.
    """
    return _winners(embeddings).mean(1)


def _vote_shares(instance_logits: Tensor, offsets: Sequence[int]) -> Tensor:
    """Return (b, K) the share of each bag's cells that vote for each class."""
    classes = instance_logits.shape[1]
    votes = functional.one_hot(instance_logits.argmax(1), classes).float()
    return torch.stack([bag.mean(0) for bag in torch.split(votes, bag_lengths(offsets))])
