"""Numbers in words, and the caution, for all texts that people read."""

from __future__ import annotations

from typing import Final


def counted(count: int, thing: str, things: str = "") -> str:
    """Return a number of things in words: "1 cell", "12 cells", "2 boxes"."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or thing + 's'}"


def with_article(thing: str) -> str:
    """Return a thing with its indefinite article: "a detector", "an encoder"."""
    return f"{'an' if thing[:1] in 'aeiou' else 'a'} {thing}"


def ordinal(number: int) -> str:
    """Return a place in an order: "1st", "12th", "23rd"."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def with_interval(value: float, low: float, high: float, signed: bool = False) -> str:
    """Return a figure with the ends of its interval: "0.82 (0.75 to 0.90)"."""
    sign = "+" if signed else ""
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


CAUTION: Final = "Decision support for research, not a diagnosis."
"""Shown with every prediction."""


def as_cell(text: str) -> str:
    """Return a text as a cell of a CSV file that no spreadsheet takes for a formula.

    Names of folders may begin with = + - or @. An apostrophe before them is what spreadsheets use
    themselves; numbers stay as they are.
    """
    if text[:1] not in _FORMULA:
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def from_cell(text: str) -> str:
    """Return the text that `as_cell` was given."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA and len(text) > 1 else text


def printable(text: str) -> str:
    """Return a text without the control characters that would steer a terminal; lines stay."""
    return text.translate(_CONTROLS)


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_CONTROL_CODES: Final = set(range(32)) | set(range(127, 160))
_CONTROLS: Final = dict.fromkeys(
    _CONTROL_CODES - {ord("\n"), ord("\t")}, "\N{REPLACEMENT CHARACTER}"
)
