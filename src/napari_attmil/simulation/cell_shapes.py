"""Thickness maps of red cells, one function a type.

A cell is described on coordinates whose unit is the radius of a normal cell: every type warps them
to a disc whose edge is `rho == 1` and lays a thickness profile over it. What comes back is
*optical* thickness: micrometres of a cell with normal haemoglobin, so that a lysed ghost is thin
although it is as tall as any other cell.

The profile of the discocyte is that of Evans & Fung; see `profiles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_attmil.simulation.profiles import Grid, Thickness, biconcave_um, dome, spot
from napari_attmil.simulation.rare_shapes import RARE_SHAPES

NORMAL_DIAMETER_UM: Final = 7.82
_NORMAL_RADIUS_UM: Final = NORMAL_DIAMETER_UM / 2
_PATCH_RADII: Final = 1.75  # half a patch, in normal radii: no type reaches further


@dataclass(frozen=True, eq=False)
class CellPatch:
    """One cell on a grid of its own, cropped to its body.

    Attributes
    ----------
    thickness_um : (h, w) float32, >= 0
        Optical thickness in micrometres; zero outside of the cell.
    """

    thickness_um: NDArray[np.float32]

    @property
    def body(self) -> NDArray[np.bool_]:
        """(h, w) bool: the pixels which the cell covers; every outer row and column has one."""
        return self.thickness_um > 0


def draw_cell(cell_type: str, diameter_px: float, rng: np.random.Generator) -> CellPatch:
    """Draw one cell of a type, in a random orientation and with random proportions.

    Parameters
    ----------
    cell_type : str
        One of `CELL_TYPES` or of `RARE_TYPES`.
    diameter_px : float
        The diameter of a *normal* cell; spherocytes and fragments are smaller, sickle cells longer.
    rng : numpy.random.Generator
        The source of everything random.
    """
    radius_px = diameter_px / 2
    half_px = int(np.ceil(_PATCH_RADII * radius_px))
    axis = np.arange(-half_px, half_px + 1) / radius_px
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = cosine * axis[None, :] + sine * axis[:, None]
    y = cosine * axis[:, None] - sine * axis[None, :]
    draw = _THICKNESS.get(cell_type) or RARE_SHAPES[cell_type]
    thickness = draw(x, y, rng).astype(np.float32)
    rows = np.flatnonzero(thickness.any(axis=1))
    columns = np.flatnonzero(thickness.any(axis=0))
    return CellPatch(thickness[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _radius(x: Grid, y: Grid, rng: np.random.Generator, wobble: float) -> Grid:
    """Distance from the centre, 1 on the outline: a circle that strays by about `wobble`."""
    orders = range(2, 6)
    weights = rng.normal(0, wobble, len(orders)) * 2 / np.array(orders)
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    theta = np.arctan2(y, x)
    outline = np.ones_like(theta)
    for order, weight, phase in zip(orders, weights, phases, strict=True):
        outline += weight * np.cos(order * theta + phase)
    return np.asarray(np.hypot(x, y) / outline)


def _discocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a normal cell: round, biconcave, some with a shallow pallor or one off the centre."""
    size, aspect = rng.normal(1, 0.05), rng.uniform(1, 1.12)
    x, y = x / (size * np.sqrt(aspect)), y * np.sqrt(aspect) / size
    rho = _radius(x, y, rng, wobble=0.015)
    shift = rng.normal(0, 0.06) * dome(rho) ** 2  # the outline stays where it is
    pallor = np.where(rho < 1, np.minimum(np.hypot(x - shift, y), 1), 1)
    profile = biconcave_um(pallor, rng.uniform(0.6, 1.7))
    return np.maximum(profile, 0.3 * dome(rho)) * rng.uniform(0.9, 1.1)


def _spherocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a small, dense ball without pallor."""
    size = rng.uniform(0.68, 0.86)
    rho = _radius(x / size, y / size, rng, wobble=0.008)
    return dome(rho) * (2 * _NORMAL_RADIUS_UM * size * rng.uniform(0.6, 0.9))


def _stomatocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a bowl: its pallor is a slit, or a cup that opens to one side."""
    size = rng.normal(0.95, 0.05)
    rho = _radius(x / size, y / size, rng, wobble=0.02)
    height_um = rng.uniform(2.6, 3.2)
    if rng.random() < 0.6:
        width = (rng.uniform(0.45, 0.65), rng.uniform(0.12, 0.2))
        pallor = spot(
            x, y + rng.uniform(-0.4, 0.4) * x * x, (rng.normal(0, 0.05), rng.normal(0, 0.06)), width
        )
    else:
        pallor = spot(
            x, y, (0, rng.uniform(0.2, 0.35)), (rng.uniform(0.4, 0.55), rng.uniform(0.25, 0.35))
        )
    return dome(rho) * height_um * (1 - rng.uniform(0.7, 0.9) * pallor)


def _sickle(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a crescent with pointed ends, or a longer and straighter spindle."""
    length, width = rng.uniform(1.2, 1.55), rng.uniform(0.3, 0.45)
    along = x / length
    bend = rng.uniform(0.15, 1.0)
    taper = np.maximum(1 - along * along, 1e-3) ** rng.uniform(0.15, 0.5)
    across = (y - bend * (along * along - 0.35)) / (width * taper)
    rho = _radius(along, across, rng, wobble=0.01)
    return dome(rho) * rng.uniform(1.8, 2.8)


def _elliptocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw an oval or a rod, with the normal cell's pallor stretched."""
    aspect, size = rng.uniform(1.4, 2.3), rng.normal(0.97, 0.04)
    rho = _radius(x / (size * np.sqrt(aspect)), y * np.sqrt(aspect) / size, rng, wobble=0.012)
    return biconcave_um(rho, rng.uniform(0.8, 2.0))


def _target(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a thin wide cell whose pallor has a bump of haemoglobin in its middle."""
    size = rng.normal(1.04, 0.05)
    rho = _radius(x / size, y / size, rng, wobble=0.015)
    centre, width = (rng.normal(0, 0.06), rng.normal(0, 0.06)), rng.uniform(0.28, 0.38)
    bump = spot(x, y, centre, (width, width * rng.uniform(0.8, 1.2)))
    return biconcave_um(rho, 0.4) * rng.uniform(0.75, 1.0) + bump * dome(rho) * rng.uniform(1, 1.8)


def _teardrop(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a cell with one tail."""
    along = (x - 0.25) / rng.uniform(1.15, 1.4)
    steepness = rng.uniform(4, 7)
    tail = 0.12 + 0.88 / (1 + np.exp(steepness * (along - rng.uniform(0.15, 0.35))))
    across = (y - rng.normal(0, 0.12) * np.maximum(along, 0) ** 2) / (
        rng.uniform(0.72, 0.85) * tail
    )
    rho = _radius(along, across, rng, wobble=0.008)
    pallor = spot(x, y, (-0.3, 0), (0.38, 0.38))
    return dome(rho) * rng.uniform(2.2, 2.8) * (1 - rng.uniform(0.2, 0.65) * pallor)


def _echinocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a crenated cell: spikes around the outline and a crown of knobs over the body."""
    size, spikes = rng.uniform(0.82, 0.98), int(rng.integers(8, 14))
    x, y = x / size, y / size
    turns = np.sort(np.arange(spikes) + rng.normal(0, 0.2, spikes)) * (2 * np.pi / spikes)
    height, sharpness = rng.uniform(0.06, 0.16), rng.uniform(15, 40)
    theta = np.arctan2(y, x)
    outline = np.ones_like(theta)
    for turn in turns:
        outline += height * rng.uniform(0.5, 1.2) * np.exp(sharpness * (np.cos(theta - turn) - 1))
    rho = _radius(x, y, rng, wobble=0.025) / outline
    rings = [(rng.normal(0.78, 0.04), turn) for turn in turns]
    rings += [(rng.uniform(0.1, 0.5), turn) for turn in rng.uniform(0, 2 * np.pi, spikes // 2)]
    knobs = np.zeros_like(rho)
    for distance, turn in rings:
        width = rng.uniform(0.09, 0.17)
        centre = (distance * np.cos(turn), distance * np.sin(turn))
        knobs += rng.uniform(0.3, 1.0) * spot(x, y, centre, (width, width))
    return dome(rho) ** 0.7 * (rng.uniform(1.6, 2.6) + rng.uniform(0.3, 1.3) * knobs)


def _spheroechinocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a crenated cell that has rounded up: a thick body under a dense crown of spots."""
    size, crown = rng.uniform(0.68, 0.9), int(rng.integers(7, 13))
    x, y = x / size, y / size
    rho = _radius(x, y, rng, wobble=0.02)
    knobs = np.zeros_like(rho)
    start = rng.uniform(0, 2 * np.pi)
    for distance, count in ((0.82, crown), (0.45, crown // 2), (0.0, 1)):
        for turn in start + np.arange(count) * (2 * np.pi / max(count, 1)):
            turn, away = turn + rng.normal(0, 0.12), distance + rng.normal(0, 0.04)
            width = rng.uniform(0.08, 0.14)
            centre = (away * np.cos(turn), away * np.sin(turn))
            knobs += rng.uniform(0.5, 1.2) * spot(x, y, centre, (width, width))
    return dome(rho) ** 0.5 * (rng.uniform(2.2, 3.8) + rng.uniform(0.6, 2.0) * knobs)


def _acanthocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a cell without pallor and with a few long spikes at uneven distances."""
    size, spikes = rng.uniform(0.65, 0.8), int(rng.integers(4, 9))
    theta = np.arctan2(y, x)
    outline = np.ones_like(theta)
    for turn in rng.uniform(0, 2 * np.pi, spikes):
        sharpness = rng.uniform(20, 60)
        outline += rng.uniform(0.15, 0.45) * np.exp(sharpness * (np.cos(theta - turn) - 1))
    rho = _radius(x / size, y / size, rng, wobble=0.03) / outline
    return dome(rho) * rng.uniform(2.0, 3.2)


def _knizocyte(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a cell with a ridge between two pallors, or one folded over a chord of its own."""
    if rng.random() < 0.5:
        rho = _radius(x / 0.95, y / 0.92, rng, wobble=0.03)
        offset, width = rng.uniform(0.38, 0.48), (rng.uniform(0.2, 0.28), rng.uniform(0.35, 0.5))
        pallors = spot(x, y, (-offset, 0), width) + spot(x, y, (offset, 0), width)
        return dome(rho) * rng.uniform(2.4, 3.0) * (1 - rng.uniform(0.6, 0.85) * pallors)
    fold = rng.uniform(0.1, 0.6)
    outline = int(rng.integers(2**32))  # the half that is folded over belongs to the same outline
    lower = biconcave_um(_radius(x, y, np.random.default_rng(outline), wobble=0.02))
    upper = biconcave_um(_radius(2 * fold - x, y, np.random.default_rng(outline), wobble=0.02))
    rounding = np.sqrt(np.clip((fold - x) / 0.3, 0, 1))  # the membrane bends, it has no crease
    return np.where(lower > 0, lower + 0.7 * upper, 0) * rounding


def _ghost(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a lysed cell: little more than its membrane's ring."""
    size = rng.normal(1, 0.06)
    rho = _radius(x / size, y / size, rng, wobble=0.02)
    ring = np.exp(-(((rho - 0.93) / 0.05) ** 2))
    return dome(rho) ** 0.5 * (rng.uniform(0.08, 0.4) + rng.uniform(0.4, 1.2) * ring)


def _fragment(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Draw a schistocyte: a helmet cut along a chord, or a small angular piece."""
    if rng.random() < 0.5:
        size, cut = rng.uniform(0.6, 0.85), rng.uniform(-0.1, 0.3)
        x, y = x / size, y / size
        chord = 1 + 2 * (x - cut + rng.uniform(0, 0.3) * y * y)
        return dome(np.maximum(_radius(x, y, rng, wobble=0.03), chord)) * rng.uniform(1.8, 2.8)
    size, aspect = rng.uniform(0.35, 0.55), rng.uniform(1, 1.6)
    x, y = x / (size * aspect), y * aspect / size
    angular = 1 + rng.uniform(0, 0.12) * np.cos(rng.integers(2, 5) * np.arctan2(y, x))
    return dome(_radius(x, y, rng, wobble=0.07) / angular) * rng.uniform(1.4, 2.6)


_THICKNESS: Final[dict[str, Thickness]] = {
    "discocyte": _discocyte,
    "spherocyte": _spherocyte,
    "stomatocyte": _stomatocyte,
    "sickle": _sickle,
    "elliptocyte": _elliptocyte,
    "target": _target,
    "teardrop": _teardrop,
    "echinocyte": _echinocyte,
    "knizocyte": _knizocyte,
    "ghost": _ghost,
    "fragment": _fragment,
    "spheroechinocyte": _spheroechinocyte,
    "acanthocyte": _acanthocyte,
}
CELL_TYPES: Final = tuple(_THICKNESS)
RARE_TYPES: Final = tuple(RARE_SHAPES)
"""Cells with parasites, rods and giants: in no cohort and no field unless they are asked for."""
