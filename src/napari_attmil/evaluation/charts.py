"""Small line charts as SVG text, coloured by the page that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 320, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 26, 40
"""Room around the axes, in the units of the view box."""
COLOURS = 8
"""Colours of the page; further lines have the same ones dashed."""


@dataclass(frozen=True)
class Line:
    """One line of a chart; both axes run from 0 to 1.

    Attributes
    ----------
    name
        What is shown when the pointer rests on it.
    x, y
        Its points.
    style
        Which of the page's colours, counted on beyond `COLOURS` with dashes.
    dots
        Whether its points are marked.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: int
    dots: bool = False


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], diagonal: bool = False
) -> str:
    """Return an ``<svg>`` of lines between 0 and 1.

    Parameters
    ----------
    title, x_label, y_label
        Plain text.
    lines
        The later ones lie on top.
    diagonal
        Whether to draw where x equals y.
    """
    middle = (LEFT + WIDTH - RIGHT) / 2
    height = (TOP + HEIGHT - BOTTOM) / 2
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text class="title" x="{middle:g}" y="16" text-anchor="middle">{escape(title)}</text>',
        *_grid(),
        f'<text x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text transform="translate(12 {height:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>",
    ]
    if diagonal:
        parts.append(f'<polyline class="grid" points="{_points((0, 1), (0, 1))}"/>')
    return "".join([*parts, *(_line(line) for line in lines), "</svg>"])


def style_classes(style: int) -> str:
    """Return the CSS classes of a line's style."""
    dashed = " dashed" if style >= COLOURS else ""
    return f"c{style % COLOURS}{dashed}"


def _line(line: Line) -> str:
    name, classes = f"<title>{escape(line.name)}</title>", style_classes(line.style)
    points = _points(line.x, line.y)
    drawn = f'<polyline class="line {classes}" points="{points}">{name}</polyline>'
    if not line.dots:
        return drawn
    circles = [
        f'<circle class="dot {classes}" cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="3.5">{name}</circle>'
        for x, y in zip(line.x, line.y, strict=True)
    ]
    return "".join([drawn, *circles])


def _grid() -> list[str]:
    parts = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        x, y = _x(value), _y(value)
        parts += [
            f'<path class="grid" d="M{x:g} {_y(0):g}V{_y(1):g}M{_x(0):g} {y:g}H{_x(1):g}"/>',
            f'<text x="{x:g}" y="{_y(0) + 14:g}" text-anchor="middle">{value:g}</text>',
            f'<text x="{LEFT - 5}" y="{y + 4:g}" text-anchor="end">{value:g}</text>',
        ]
    return parts


def _points(x: Sequence[float], y: Sequence[float]) -> str:
    return " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x, y, strict=True))


def _x(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - RIGHT)


def _y(value: float) -> float:
    return HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM)
