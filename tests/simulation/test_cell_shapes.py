"""Cells of every type have the size and the profile that tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.simulation.cell_shapes import CELL_TYPES, RARE_TYPES, draw_cell

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("cell_type", [*CELL_TYPES, *RARE_TYPES])
def test_cell_touches_every_edge_of_its_patch_and_fits_into_it(cell_type: str) -> None:
    for seed in range(30):
        body = draw_cell(cell_type, 40, np.random.default_rng(seed)).body
        assert body[0].any()
        assert body[-1].any()
        assert body[:, 0].any()
        assert body[:, -1].any()
        # The grid is 2 * ceil(1.75 * 20) + 1 = 71 px wide: a body as wide would have been cut.
        assert max(body.shape) < 71


def mean_over_cells(cell_type: str, measure: Callable[[np.ndarray], float]) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([measure(draw_cell(cell_type, 60, rng).thickness_um) for _ in range(100)]))


def volume_fl(thickness_um: np.ndarray) -> float:
    return float(thickness_um.sum()) * (7.82 / 60) ** 2


def area_um2(thickness_um: np.ndarray) -> float:
    return float((thickness_um > 0).sum()) * (7.82 / 60) ** 2


def centre_to_thickest(thickness_um: np.ndarray) -> float:
    height, width = thickness_um.shape
    return float(thickness_um[height // 2, width // 2] / thickness_um.max())


def test_discocyte_has_the_volume_and_area_of_a_human_red_cell() -> None:
    # 80 to 100 fl is the clinical normal range; a disc of 7.82 um across covers 48 um^2. The
    # shallow pallors among the simulated cells add some volume.
    assert 80 < mean_over_cells("discocyte", volume_fl) < 115
    assert mean_over_cells("discocyte", area_um2) == pytest.approx(48, rel=0.05)


def test_discocyte_is_thin_in_the_centre_and_spherocyte_thickest_there() -> None:
    assert mean_over_cells("discocyte", centre_to_thickest) < 0.6
    assert mean_over_cells("spherocyte", centre_to_thickest) > 0.95


def test_target_is_thicker_in_its_centre_than_a_normal_pallor() -> None:
    assert (
        mean_over_cells("target", centre_to_thickest)
        > mean_over_cells("discocyte", centre_to_thickest) + 0.1
    )


def test_spherocytes_and_fragments_are_small_and_ghosts_nearly_empty() -> None:
    normal = mean_over_cells("discocyte", area_um2)
    assert mean_over_cells("spherocyte", area_um2) < 0.7 * normal
    assert mean_over_cells("fragment", area_um2) < 0.5 * normal
    assert mean_over_cells("ghost", area_um2) == pytest.approx(normal, rel=0.1)
    assert mean_over_cells("ghost", volume_fl) < 0.3 * mean_over_cells("discocyte", volume_fl)


def length_um(thickness_um: np.ndarray) -> float:
    """Return the longest distance within a cell, from its second moments: a disc's diameter."""
    y, x = np.nonzero(thickness_um > 0)
    return 4 * float(np.sqrt(np.linalg.eigvalsh(np.cov(x, y))[-1])) * 7.82 / 60


def test_rods_and_bananas_are_longer_and_giants_wider_than_a_normal_cell() -> None:
    assert mean_over_cells("needle", length_um) > 1.15 * mean_over_cells("discocyte", length_um)
    assert mean_over_cells("gametocyte", length_um) > 1.15 * mean_over_cells("discocyte", length_um)
    assert mean_over_cells("needle", area_um2) < 0.4 * mean_over_cells("discocyte", area_um2)
    assert mean_over_cells("giant", area_um2) > 1.4 * mean_over_cells("discocyte", area_um2)


def test_parasites_make_their_cell_uneven() -> None:
    def unevenness(thickness_um: np.ndarray) -> float:
        return float(thickness_um[thickness_um > 0].std())

    normal = mean_over_cells("discocyte", unevenness)
    for infected in ("ring", "trophozoite", "schizont", "gametocyte"):
        assert mean_over_cells(infected, unevenness) > 1.3 * normal, infected
