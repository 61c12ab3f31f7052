"""Heights of a cell over its middle, which the shapes of all types are made of.

The profile of the normal cell is that of Evans & Fung (1972), "Improved measurements of the
erythrocyte geometry", Microvascular Research 4, 335-347: a mean diameter of 7.82 um, thickness
0.81 um in the centre and 2.57 um at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Thickness = Callable[[Grid, Grid, np.random.Generator], Grid]

_RISE_UM: Final = 7.83
_FALL_UM: Final = 4.39


def dome(rho: Grid) -> Grid:
    """Height of a half ellipsoid, 1 in the centre and 0 from `rho == 1` on."""
    return np.asarray(np.sqrt(np.maximum(1 - rho * rho, 0)))


def biconcave_um(rho: Grid, centre_um: float = 0.81) -> Grid:
    """Thickness after Evans and Fung; a larger `centre_um` fills the pallor."""
    squared = rho * rho
    return dome(rho) * (centre_um + _RISE_UM * squared - _FALL_UM * squared * squared)


def shallow_um(rho: Grid, centre_um: float, share: float) -> Grid:
    """Thickness as `biconcave_um`, but with a `share` of its rim only."""
    squared = rho * rho
    rim_um = _RISE_UM * squared - _FALL_UM * squared * squared
    return dome(rho) * (centre_um + rim_um * share)


def spot(x: Grid, y: Grid, centre: tuple[float, float], width: tuple[float, float]) -> Grid:
    """Gaussian of height 1."""
    squared = ((x - centre[0]) / width[0]) ** 2 + ((y - centre[1]) / width[1]) ** 2
    return np.asarray(np.exp(-squared))


def round_spot(x: Grid, y: Grid, width: float) -> Grid:
    """Gaussian of height 1 around 0."""
    return np.asarray(np.exp(-(x * x + y * y) / width**2))
