"""A cohort and a detector whose features can be worked out by hand."""

from support.bags import detector, make_bag
from support.quarters import cohort

__all__ = ["cohort", "detector", "make_bag"]
