"""Channels, grids and writing beside the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from napari_attmil.simulation import SimulationSettings, simulate_image
from napari_attmil.simulation.appearance import Appearance
from napari_attmil.simulation.structures import STRUCTURES, burn_in, draw_walls

if TYPE_CHECKING:
    from napari_attmil.simulation import Structure

SETTINGS = SimulationSettings(image_size_px=200, cell_diameter_px=24, cells_per_image=20)
PLAIN = Appearance(defocus_um=2.0, debris=0, dust=0)
WITH_SOLID_WALLS: tuple[Structure, ...] = ("channel", "constriction", "pillars", "bubbles")


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_structure_shows_in_a_field_without_cells(kind: Structure) -> None:
    def contrast(seed: int, structure: Structure | None) -> int:
        rng = np.random.default_rng(seed)
        return int(np.ptp(simulate_image(SETTINGS, rng, [], PLAIN, structure).image))

    assert contrast(0, None) == 0
    assert max(contrast(seed, kind) for seed in range(4)) > 20


@pytest.mark.parametrize("kind", WITH_SOLID_WALLS)
def test_no_cell_lies_in_a_wall(kind: Structure) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        margin = 36  # one and a half diameters
        walls = draw_walls(kind, (272, 272), 24, np.random.default_rng(seed))
        field = simulate_image(SETTINGS, rng, ["spherocyte"] * 20, PLAIN, kind)
        assert walls is not None
        for x0, y0, x1, y1 in field.xyxy.astype(int) + margin:
            middle = (
                slice((y0 + y1) // 2 - 2, (y0 + y1) // 2 + 2),
                slice((x0 + x1) // 2 - 2, None),
            )
            assert walls.room[middle][:, :4].all()


def test_cells_lie_anywhere_where_lines_are_thin() -> None:
    for kind in ("grid", "scratches"):
        walls = draw_walls(kind, (272, 272), 24, np.random.default_rng(0))
        assert walls is not None
        assert walls.room.all()
        assert 0 < (np.abs(walls.thickness_um) > 0.05).mean() < 0.4


@pytest.mark.parametrize("kind", ["writing", "pointer"])
def test_ink_changes_part_of_the_picture_and_nothing_else(kind: Structure) -> None:
    image = np.full((300, 300), 130, np.uint8)
    burn_in(kind, image, np.random.default_rng(1))
    assert 0.0005 < (image != 130).mean() < 0.4
    assert draw_walls(kind, (300, 300), 24, np.random.default_rng(1)) is None


def test_a_pointer_is_soft_but_the_picture_beside_it_stays_sharp() -> None:
    stripes = np.full((300, 300), 130, np.uint8)
    stripes[:, ::2] = 190
    darker = 0
    for seed in range(8):
        image = stripes.copy()
        burn_in("pointer", image, np.random.default_rng(seed))
        plain = np.full((300, 300), 130, np.uint8)
        burn_in("pointer", plain, np.random.default_rng(seed))
        cover = plain < 130
        far = ndimage.distance_transform_edt(~cover) > 1.5
        assert far.mean() > 0.3
        assert np.array_equal(image[far], stripes[far])
        whole = ndimage.binary_erosion(cover, iterations=8)
        assert np.array_equal(image[whole], plain[whole])
        assert (image <= stripes).all()
        darker += int((image < stripes).any())
    assert darker == 8
