"""Thickness maps of cells that are rare in any smear, and that a detector should not miss.

Malaria parasites displace haemoglobin and take stain: in the image they are darker or brighter
than their cell. The stages are those of *P. falciparum* (WHO, *Basic malaria microscopy*, 2010).
The coordinates and the optical thickness are those of `cell_shapes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_attmil.simulation.profiles import dome, round_spot, shallow_um

if TYPE_CHECKING:
    from napari_attmil.simulation.profiles import Grid, Thickness


def _ring(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a normal cell with one to three signet rings."""
    rho, thickness = _host(x, y, rng, rng.uniform(0.92, 1.08))
    for _ in range(int(rng.integers(1, 4))):
        u, v = _away(x, y, rng, 0.6)
        radius, turn = rng.uniform(0.1, 0.26), rng.uniform(0, 2 * np.pi)
        ring = np.exp(-(((np.hypot(u, v) - radius) / rng.uniform(0.04, 0.08)) ** 2))
        dot = round_spot(
            u - radius * np.cos(turn), v - radius * np.sin(turn), rng.uniform(0.06, 0.11)
        )
        thickness = thickness + _inside(rho) * _depth(rng) * np.maximum(ring, dot)
    return np.maximum(thickness, 0.2 * _inside(rho))


def _trophozoite(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a cell, often enlarged, with the irregular body of a growing parasite."""
    rho, thickness = _host(x, y, rng, rng.uniform(0.95, 1.2))
    u, v = _away(x, y, rng, 0.45)
    body = np.zeros_like(rho)
    for _ in range(int(rng.integers(2, 6))):
        du, dv = _away(u, v, rng, 0.25)
        body = np.maximum(body, round_spot(du, dv, rng.uniform(0.12, 0.32)))
    thickness = thickness + _inside(rho) * _depth(rng) * body
    pigment = round_spot(*_away(u, v, rng, 0.15), rng.uniform(0.05, 0.12))
    return np.maximum(thickness + _inside(rho) * rng.uniform(0, 4) * pigment, 0.2 * _inside(rho))


def _schizont(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a cell, up to a quarter wider than others, full of grains around a clump of pigment."""
    rho, _ = _host(x, y, rng, rng.uniform(0.85, 1.25))
    thickness = dome(rho) * rng.uniform(0.8, 2.6)
    depth = _depth(rng)
    for _ in range(int(rng.integers(8, 26))):
        grain = round_spot(*_away(x, y, rng, 0.8), rng.uniform(0.07, 0.16))
        thickness = thickness + _inside(rho) * depth * rng.uniform(0.5, 1.2) * grain
    pigment = round_spot(*_away(x, y, rng, 0.2), rng.uniform(0.1, 0.25))
    return np.maximum(thickness + _inside(rho) * rng.uniform(0, 5) * pigment, 0.2 * _inside(rho))


def _gametocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a banana with a dark middle: straight to strongly bent, ends round or pointed."""
    length, width = rng.uniform(1.15, 1.5), rng.uniform(0.36, 0.6)
    along, bend = x / length, rng.uniform(0, 0.8)
    taper = np.maximum(1 - along * along, 1e-3) ** rng.uniform(0.25, 0.5)
    across = (y - bend * (along * along - 0.35)) / (width * taper)
    rho = np.hypot(along, across)
    thickness = dome(rho) * rng.uniform(1.4, 3.0)
    middle, size = rng.normal(0, 0.15), (rng.uniform(0.15, 0.5), rng.uniform(0.3, 0.9))
    nucleus = np.exp(-(((along - middle) / size[0]) ** 2) - (across / size[1]) ** 2)
    thickness = thickness + _inside(rho) * rng.uniform(0.5, 4) * nucleus
    for _ in range(int(rng.integers(0, 10))):
        grain = round_spot(along - middle - rng.normal(0, 0.2), across - rng.normal(0, 0.3), 0.1)
        thickness = thickness + _inside(rho) * rng.uniform(0.5, 3) * grain
    return thickness


def _needle(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a thin, nearly straight rod with round or pointed ends."""
    length, width = rng.uniform(1.0, 1.6), rng.uniform(0.12, 0.28)
    along = x / length
    taper = np.maximum(1 - along * along, 1e-3) ** rng.uniform(0.1, 0.6)
    across = (y - rng.normal(0, 0.12) * along * along) / (width * taper)
    return dome(np.hypot(along, across)) * rng.uniform(1.5, 2.8)


def _giant(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a macrocyte: round or oval, often with little pallor."""
    rho, thickness = _host(x, y, rng, rng.uniform(1.2, 1.45))
    return np.maximum(thickness, rng.uniform(0.5, 1.5) * dome(rho))


def _host(x: Grid, y: Grid, rng: np.random.Generator, size: float) -> tuple[Grid, Grid]:
    """Return rho, 1 on the outline, and the thickness of a cell of a relative size."""
    aspect, turn = rng.uniform(1, 1.25), rng.uniform(0, 2 * np.pi)
    theta = np.arctan2(y, x)
    wobble = 1 + rng.normal(0, 0.02) * np.cos(3 * theta) + rng.normal(0, 0.02) * np.cos(2 * theta)
    u = (np.cos(turn) * x + np.sin(turn) * y) / (size * np.sqrt(aspect))
    v = (np.cos(turn) * y - np.sin(turn) * x) * np.sqrt(aspect) / size
    rho = np.hypot(u, v) / wobble
    return rho, shallow_um(rho, rng.uniform(0.8, 2.4), 0.7)


def _depth(rng: np.random.Generator) -> float:
    """Draw how much thicker, or, one time in four, thinner a parasite makes its cell."""
    return float(rng.uniform(1.0, 5.0) if rng.random() < 0.75 else -rng.uniform(0.8, 2.0))


def _away(x: Grid, y: Grid, rng: np.random.Generator, reach: float) -> tuple[Grid, Grid]:
    """Return coordinates around a random place within `reach` of the centre."""
    distance, turn = reach * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return x - distance * np.cos(turn), y - distance * np.sin(turn)


def _inside(rho: Grid) -> Grid:
    """Return 1 inside of the outline, falling to 0 at it, so that parasites end with the cell."""
    return np.asarray(np.clip((1 - rho) / 0.15, 0, 1))


RARE_SHAPES: Final[dict[str, Thickness]] = {
    "ring": _ring,
    "trophozoite": _trophozoite,
    "schizont": _schizont,
    "gametocyte": _gametocyte,
    "needle": _needle,
    "giant": _giant,
}
