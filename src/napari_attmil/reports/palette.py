"""The colours of all reports on a light ground; pages have darker and lighter variants."""

from __future__ import annotations

from typing import Final

LIGHT: Final = {
    "ground": "#ffffff",
    "ink": "#1b2430",
    "faint": "#5d6975",
    "rule": "#d9dee4",
    "panel": "#f5f7f9",
    "warn": "#9a4a00",
    "c0": "#0072b2",
    "c1": "#d55e00",
    "c2": "#009e73",
    "c3": "#b0548a",
    "c4": "#b08600",
    "c5": "#3a8fc4",
    "c6": "#6b6b6b",
    "c7": "#7a3fbf",
}
"""By the name of the CSS variable.

``c0`` to ``c7`` are the Okabe-Ito palette, which colour-blind readers tell apart; its yellow and
black are changed to what can be seen on light and on dark ground.
"""
LINE_COLOURS: Final = tuple(colour for name, colour in LIGHT.items() if name[1:].isdigit())
