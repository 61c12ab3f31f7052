"""The methods of classifying a bag: names, titles and components; names of embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args


@dataclass(frozen=True)
class MethodParts:
    """The components of a method.

    Attributes
    ----------
    title
        As in reports; the first four are those of the paper's Table 1.
    pooling
        Name of the pooling in `network.pooling.POOLINGS`; None where cells only vote.
    sic
        Whether a single instance classifier is trained, alone or as the auxiliary branch.
    by_type
        Whether cells are represented only by their types, which are found without labels.
    """

    title: str
    pooling: str | None
    sic: bool = True
    by_type: bool = False


METHODS: Final = {
    "sic": MethodParts("SIC", None),
    "mil-max": MethodParts("MIL + max", "max", sic=False),
    "mil-max-sic": MethodParts("MIL + max + SIC", "max"),
    "mil-att-sic": MethodParts("MIL + att. + SIC", "attention"),
    "mil-mean-sic": MethodParts("MIL + mean + SIC", "mean"),
    "mil-gated-sic": MethodParts("MIL + gated att. + SIC", "gated-attention"),
    "mil-conjunctive-sic": MethodParts("MIL + conjunctive + SIC", "conjunctive"),
    "mil-top-sic": MethodParts("MIL + top twelfth + SIC", "top"),
    "mil-anomaly-sic": MethodParts("MIL + anomaly-aware att. + SIC", "anomaly-attention"),
    "mil-multi-top-sic": MethodParts("MIL + multi-scale top + SIC", "multi-top"),
    "composition": MethodParts("Composition of cell types", "mean", sic=False, by_type=True),
}

if TYPE_CHECKING:
    Method = str
else:
    # Derived from the registry; settings accept no other names.
    Method = Literal[tuple(METHODS)]
"""Name of a method: the four rows of Table 1 of the paper, and later methods."""

EmbeddingName = Literal["combined", "encoder", "profile", "three-conv", "five-conv"]
"""Name of an embedding in `network.embeddings.EMBEDDINGS`."""

TABLE_1: Final[tuple[Method, ...]] = ("sic", "mil-max", "mil-max-sic", "mil-att-sic")
"""The rows of the paper's Table 1."""

Strategy = Literal["disagreement", "highest", "mix"]
"""How cells are chosen that an expert is asked about, the default first; see `bags.questions`."""
STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
