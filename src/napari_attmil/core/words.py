"""Numbers in words, and the caution, for all texts that people read."""

from __future__ import annotations

from typing import Final


def counted(count: int, thing: str, things: str = "") -> str:
    """Return a number of things in words: "1 cell", "12 cells", "2 boxes"."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or thing + 's'}"


def with_interval(value: float, low: float, high: float, signed: bool = False) -> str:
    """Return a figure with the ends of its interval: "0.82 (0.75 to 0.90)"."""
    sign = "+" if signed else ""
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


CAUTION: Final = "Decision support for research, not a diagnosis."
"""Shown with every prediction."""
