"""Bags with a planted pattern."""

from support.bags import cpu, make_bag, planted_bags, small

__all__ = ["cpu", "make_bag", "planted_bags", "small"]
