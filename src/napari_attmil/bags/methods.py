"""The ways of classifying a bag that can be chosen: names, titles, and what each consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal


@dataclass(frozen=True)
class MethodParts:
    """What a method consists of.

    Attributes
    ----------
    title
        As reports write it; the first four as the paper's Table 1 does.
    pooling
        How the cells of a bag become one, by name of `network.pooling.POOLINGS`; None where cells
        only vote.
    sic
        Whether a single instance classifier is trained, alone or as the auxiliary branch.
    by_type
        Whether a cell is known only by its type, of types that are found without labels.
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
    # Derived, so that each name stands once; settings accept no other.
    Method = Literal[tuple(METHODS)]
"""A way of classifying bags: the four rows of Table 1 of the paper, and what came after."""

TABLE_1: Final[tuple[Method, ...]] = ("sic", "mil-max", "mil-max-sic", "mil-att-sic")
"""The rows of the paper's Table 1."""
