"""Bags and a detector for the tests of this room."""

from support.bags import cpu, detector, make_bag, planted_bags, small, two_boxes
from support.quarters import cohort

__all__ = ["cohort", "cpu", "detector", "make_bag", "planted_bags", "small", "two_boxes"]
