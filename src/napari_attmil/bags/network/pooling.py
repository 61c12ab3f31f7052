"""Poolings: from the vectors of a bag's cells to the bag's logits.

Every pooling divides the logits exactly among the cells: the logits of a bag are the sum of its
cells' contributions plus a constant of the classifier. They are computed as this sum, so a
contribution is never an approximation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from napari_attmil.bags.methods import METHODS, Method

if TYPE_CHECKING:
    from napari_attmil.bags.network.packing import Packing
    from napari_attmil.bags.settings import MILSettings

TOP_SHARE = 1 / 12
"""Share of a bag's cells that `TopPooling` averages; `MultiScaleTopPooling` uses more shares."""
LEAST_PROBABILITY = 0.03
"""Cells of `TopPooling` whose probability of belonging to a class is below this have nearly equal
weight, so that they share the attention where no cell stands out. Chosen on the cohort
"development" of `benchmarks/planted_cells.py`, where 0.01 to 0.1 do about as well."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """The result of pooling packed bags.

    Attributes
    ----------
    contribution
        (n, K) float32, signed; their sum over a bag's cells plus the bias gives its logits.
    weight
        (n, 1) or, where cells are weighed for each class apart, (n, K) float32, non-negative;
        see `Pooling.least_weight`.
    """

    contribution: Tensor
    weight: Tensor


class Pooling(nn.Module, ABC):
    """Base class of all poolings.

    Parameters
    ----------
    size
        Length D of a cell's vector h.
    classes
        Number of classes K.
    settings
        Widths of the attention.
    """

    judges_cells = False
    """Whether its head, rather than a separate branch, classifies single instances."""

    least_weight = 0.0
    """Added to all cells' weights before they are scaled to sum to 1 over a bag."""

    silent: int | None = None
    """A class whose logit is the same for all bags: cells support or oppose only the others. Only
    poolings that judge cells can have one."""

    head: nn.Linear

    def __init__(self, size: int, classes: int, settings: MILSettings) -> None:
        super().__init__()
        self.head = nn.Linear(size, classes)

    @property
    def bias(self) -> Tensor:
        """(K,) the logits without any cell."""
        return self.head.bias

    @abstractmethod
    def forward(self, embeddings: Tensor, packing: Packing) -> Pooled:
        """Return the contribution of each cell of packed bags.

        Parameters
        ----------
        embeddings
            (n, D) float32, bag after bag.
        packing
            Where the bags lie.
        """


class AttentionPooling(Pooling):
    """z = sum of alpha_k h_k, alpha = softmax(w^T tanh(V h)) over the bag (eq. 6 and 7)."""

    def __init__(self, size: int, classes: int, settings: MILSettings) -> None:
        super().__init__(size, classes, settings)
        # Without biases, as eq. 7 is written; w's would cancel in the softmax anyway.
        self.v = nn.Linear(size, settings.attention_size, bias=False)
        self.w = nn.Linear(settings.attention_size, 1, bias=False)

    def scores(self, embeddings: Tensor) -> Tensor:
        """Return (n, 1) what the softmax is taken of."""
        scores: Tensor = self.w(self.v(embeddings).tanh())
        return scores

    def forward(self, embeddings: Tensor, packing: Packing) -> Pooled:  # noqa: D102
        weight = packing.per_bag(partial(torch.softmax, dim=0), self.scores(embeddings))
        vectors = embeddings[:, : self.head.in_features]
        return Pooled((weight * vectors) @ self.head.weight.T, weight)


class GatedAttentionPooling(AttentionPooling):
    """Attention whose tanh is gated: w^T (tanh(V h) * sigmoid(U h)) (Ilse et al. 2018, eq. 9)."""

    def __init__(self, size: int, classes: int, settings: MILSettings) -> None:
        super().__init__(size, classes, settings)
        self.u = nn.Linear(size, settings.attention_size, bias=False)

    def scores(self, embeddings: Tensor) -> Tensor:  # noqa: D102
        scores: Tensor = self.w(self.v(embeddings).tanh() * self.u(embeddings).sigmoid())
        return scores


class AnomalyAttentionPooling(AttentionPooling):
    """Attention that also sees each cell's distance from healthy, the last column of the input.

    The distance enters V h of eq. 7, not the pooled vector: one of the "extra features in the
    attention" that the paper proposes, after Kazeminia et al. 2022.
    """

    def __init__(self, size: int, classes: int, settings: MILSettings) -> None:
        super().__init__(size, classes, settings)
        self.v = nn.Linear(size + 1, settings.attention_size, bias=False)


class MaxPooling(Pooling):
    """z is the entrywise maximum (eq. 4); a cell's weight is the share of entries it provides."""

    def forward(self, embeddings: Tensor, packing: Packing) -> Pooled:  # noqa: D102
        won = packing.per_bag(_winners, embeddings.detach())
        return Pooled((won * embeddings) @ self.head.weight.T, won.mean(1, keepdim=True))


class MeanPooling(Pooling):
    """z is the mean of the cells' vectors."""

    def forward(self, embeddings: Tensor, packing: Packing) -> Pooled:  # noqa: D102
        weight = packing.equal_shares(embeddings)
        return Pooled((weight * embeddings) @ self.head.weight.T, weight)


class ConjunctivePooling(AttentionPooling):
    """Mean of the cells' own logits, each multiplied by its gate (Early et al. 2024)."""

    def forward(self, embeddings: Tensor, packing: Packing) -> Pooled:  # noqa: D102
        gate = self.scores(embeddings).sigmoid()
        share = packing.equal_shares(gate)
        own = embeddings @ self.head.weight.T
        return Pooled(share * gate * own, packing.shares(gate))


class TopPooling(Pooling):
    """Mean of each class's largest cell logits: of the top `shares` of the bag.

    A cell's logit is the head's output for that cell alone, so cells are judged one by one. Its
    weight is its probability of belonging to the class and, unlike its contribution, does not drop
    to 0 outside the top.
    """

    judges_cells = True
    least_weight = LEAST_PROBABILITY
    shares: tuple[float, ...] = (TOP_SHARE,)

    def __init__(self, size: int, classes: int, settings: MILSettings) -> None:
        super().__init__(size, classes, settings)
        # Keeps the prior of a class for samples apart from the head's bias for cells.
        self.constant = nn.Parameter(torch.zeros(classes))

    @property
    def bias(self) -> Tensor:  # noqa: D102
        return self.head.bias + self.constant

    def forward(self, embeddings: Tensor, packing: Packing) -> Pooled:  # noqa: D102
        own = embeddings @ self.head.weight.T
        weight = (own + self.head.bias).detach().sigmoid()
        return Pooled(self.contribution(own, packing), weight)

    def contribution(self, own: Tensor, packing: Packing) -> Tensor:
        """Return the (n, K) contributions of cells from their (n, K) logits without the bias."""
        if self.silent is not None:
            own = own.index_fill(1, torch.tensor([self.silent], device=own.device), 0)
        contribution = own * _top(own.detach(), packing, self.shares)
        if self.silent is not None:
            # A constant over classes changes no probability: support for one class then counts
            # against the others, including the silent one.
            contribution = contribution - contribution.mean(1, keepdim=True)
        return contribution


class MultiScaleTopPooling(TopPooling):
    """Top pooling over several shares of the bag, from the few strongest cells to all cells.

    The number of altered cells need not be known: a handful shows in the smallest share, a slight
    change of all cells in the largest.
    """

    shares = (0.03, TOP_SHARE, 0.25, 1.0)


def _winners(values: Tensor) -> Tensor:
    """Return which cells have the bag's largest value of each entry; ties are shared.

    An entry that is 0 in all cells (after the ReLU) is therefore shared by all.
    """
    wins = (values == values.amax(0)).to(values.dtype)
    return wins / wins.sum(0)


def _top(own: Tensor, packing: Packing, shares: Sequence[float]) -> Tensor:
    """Return (n, K) equal weights of the cells with the largest values of each class.

    They are averaged over several shares of each bag. Cells that tie for the last places share
    them.
    """
    values = packing.padded(own, -torch.inf).transpose(1, 2).contiguous()
    counts = packing.lengths[:, None] * torch.tensor(shares, dtype=torch.float64)
    places = counts.round().clamp(min=1).long().to(own.device)
    places = places[:, None].expand(-1, values.shape[1], -1)
    ordered = values.sort(2, descending=True).values
    last = ordered.gather(2, places - 1)
    chosen = torch.zeros_like(values)
    for share in range(len(shares)):
        bound, place = last[:, :, share, None], places[:, :, share, None]
        above, tied = (values > bound).to(own.dtype), (values == bound).to(own.dtype)
        left = place - above.sum(2, keepdim=True)
        chosen += (above + tied * (left / tied.sum(2, keepdim=True))) / place
    return packing.packed((chosen / len(shares)).transpose(1, 2))


POOLINGS: Final[dict[str, type[Pooling]]] = {
    "attention": AttentionPooling,
    "gated-attention": GatedAttentionPooling,
    "anomaly-attention": AnomalyAttentionPooling,
    "max": MaxPooling,
    "mean": MeanPooling,
    "conjunctive": ConjunctivePooling,
    "top": TopPooling,
    "multi-top": MultiScaleTopPooling,
}


def judges_cells(method: Method) -> bool:
    """Return whether a method's bag head judges single cells too, and is its own SIC branch."""
    pooling = METHODS[method].pooling
    return pooling is not None and POOLINGS[pooling].judges_cells
