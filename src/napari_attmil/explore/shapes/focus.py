"""How sharp each cell is: blurred ghosts, far from the plane of focus, are told from cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from napari_attmil.explore.shapes.cell_masks import GRID

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.explore.shapes.cell_masks import CellWindows

SCALE: Final = 2.0
"""Grid points, about a twentieth of a cell: coarser than noise, finer than the rim of a ghost."""
REACH: Final = 1.15
"""Times the box's own half sides: the rim belongs to the cell, neighbours do not."""


def focus_of_cells(windows: CellWindows) -> npt.NDArray[np.float64]:
    """Return (n,) the focus of cells: the energy of their gradient over the variance of their grey.

    The gradient energy (Tenengrad; Krotkov 1988) falls with defocus; divided by the variance, it
    depends neither on the contrast nor on the brightness of the image, and measured at a scale that
    grows with the cell, not on its size. It is not negative; NaN where a cell has no contrast.
    """
    if not len(windows.grey):
        return np.zeros(0)
    smooth = (0, SCALE, SCALE)
    inside = _ellipses(windows.half_sides * REACH)
    energy = sum(
        ndimage.gaussian_filter(windows.grey, smooth, order=order) ** 2
        for order in ((0, 1, 0), (0, 0, 1))
    )
    grey = ndimage.gaussian_filter(windows.grey, smooth)
    deviation = grey - _mean(grey, inside)[:, None, None]
    variance = _mean(deviation**2, inside)
    # White noise has as much of the one as of the other; a box of noise alone is not sharp.
    noise = windows.noise**2 / (4 * np.pi * (SCALE * windows.step_px) ** 2)
    steepness = np.maximum(SCALE**2 * _mean(energy, inside) - noise, 0)
    unknown = np.full(len(variance), np.nan)
    return np.asarray(np.divide(steepness, variance, out=unknown, where=variance > 0))


def _ellipses(half_sides: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return (n, GRID, GRID) the grid points within ellipses of (n, 2) half height and width."""
    offsets = np.arange(GRID) - (GRID - 1) / 2
    along = (offsets / np.maximum(half_sides, 1)[:, :, None]) ** 2
    return np.asarray(along[:, 0, :, None] + along[:, 1, None, :] <= 1)


def _mean(values: npt.NDArray[np.float32], where: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    total = np.where(where, values, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(total / where.sum(axis=(1, 2)))
