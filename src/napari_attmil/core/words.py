"""How numbers of things are said, wherever a person reads them."""

from __future__ import annotations

from typing import Final


def counted(count: int, thing: str, things: str = "") -> str:
    """Return a number of things in words: "1 cell", "12 cells", "2 boxes"."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or thing + 's'}"


CAUTION: Final = "Decision support for research, not a diagnosis."
"""Stands wherever a prediction is shown."""
