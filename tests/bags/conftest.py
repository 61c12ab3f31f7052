"""Bags and a detector for the tests of this room."""

from support.bags import cpu, detector, make_bag, planted_bags, small, two_boxes

__all__ = ["cpu", "detector", "make_bag", "planted_bags", "small", "two_boxes"]
