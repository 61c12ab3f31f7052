"""A field of view that cells are laid into, and the boxes that this gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_attmil.simulation.cell_shapes import CellPatch

_LEAST_VISIBLE: Final = 0.25  # share of a cell's area that must lie inside of the image
_ATTEMPTS: Final = 30  # places tried for a cell before it may overlap more
_OVERLAPPING: Final = 0.15  # share of the cells that may overlap more from the first
# Least distance of two cells, relative to the sum of their radii.
_TOUCHING_DISTANCE: Final = 0.92
_OVERLAPPING_DISTANCE: Final = 0.6


def margin_px(cell_diameter_px: float) -> int:
    """Return the width of the margin around an image, which has room for the longest cell."""
    return int(np.ceil(1.5 * cell_diameter_px))


class FieldOfView:
    """Optical thickness of the specimen in and around an image, and a box for each of its cells.

    Parameters
    ----------
    image_size_px
        Edge of the square image.
    cell_diameter_px
        Diameter of a normal cell; the margin around the image has room for the longest one.
    layers
        Heights at which cells lie, turn by turn.
    room : (size + 2 margin, size + 2 margin) bool, optional
        Where cells may lie; anywhere if None.

    Attributes
    ----------
    thickness_um : (layers, size + 2 margin, size + 2 margin) float32
    boxes : list of (x_min, y_min, x_max, y_max)
        In pixels of the image, in the order in which the cells were placed.
    """

    def __init__(
        self,
        image_size_px: int,
        cell_diameter_px: float,
        layers: int = 1,
        room: NDArray[np.bool_] | None = None,
    ) -> None:
        self.size_px = image_size_px
        self.margin_px = margin_px(cell_diameter_px)
        self._room = room
        edge = image_size_px + 2 * self.margin_px
        self.thickness_um = np.zeros((layers, edge, edge), dtype=np.float32)
        self.boxes: list[tuple[int, int, int, int]] = []
        self._centres = np.empty((0, 2))
        self._radii_px = np.empty(0)

    def place(self, cell: CellPatch, rng: np.random.Generator) -> bool:
        """Lay a cell where it hardly overlaps others; False where no such place was found."""
        radius_px = np.sqrt(cell.body.sum() / np.pi)
        first_overlapping = 0 if rng.random() < _OVERLAPPING else _ATTEMPTS
        for attempt in range(2 * _ATTEMPTS):
            centre = self._candidate(radius_px, rng)
            distance = np.hypot(*(self._centres - centre).T) / (self._radii_px + radius_px)
            overlapping = attempt >= first_overlapping
            least = _OVERLAPPING_DISTANCE if overlapping else _TOUCHING_DISTANCE
            if (distance >= least).all() and self._lay(cell, centre):
                self._centres = np.vstack([self._centres, centre])
                self._radii_px = np.append(self._radii_px, radius_px)
                return True
        return False

    def _candidate(self, radius_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw a centre (x, y) in the image: anywhere, or beside a cell that is there already."""
        if len(self._centres) and rng.random() < 0.3:
            chosen = rng.integers(len(self._centres))
            distance = (self._radii_px[chosen] + radius_px) * rng.uniform(0.75, 1.05)
            angle = rng.uniform(0, 2 * np.pi)
            return np.asarray(
                self._centres[chosen] + distance * np.array([np.cos(angle), np.sin(angle)])
            )
        return rng.uniform(-radius_px / 2, self.size_px + radius_px / 2, 2)

    def _lay(self, cell: CellPatch, centre: NDArray[np.float64]) -> bool:
        """Add the cell's thickness and its box, unless too little of it is visible."""
        height, width = cell.body.shape
        left, top = np.rint(centre - np.array([width, height]) / 2).astype(int)
        inside_y = slice(max(0, -top), max(0, min(height, self.size_px - top)))
        inside_x = slice(max(0, -left), max(0, min(width, self.size_px - left)))
        visible = cell.body[inside_y, inside_x]
        if visible.sum() < _LEAST_VISIBLE * cell.body.sum():
            return False
        y, x = top + self.margin_px, left + self.margin_px
        window = (slice(y, y + height), slice(x, x + width))
        if self._room is not None and (cell.body & ~self._room[window]).any():
            return False
        rows = np.flatnonzero(visible.any(axis=1)) + inside_y.start + top
        columns = np.flatnonzero(visible.any(axis=0)) + inside_x.start + left
        self.boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        self.thickness_um[len(self.boxes) % len(self.thickness_um)][window] += cell.thickness_um
        return True
