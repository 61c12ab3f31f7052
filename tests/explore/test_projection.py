from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.explore.projection import map_of_cells

if TYPE_CHECKING:
    import numpy.typing as npt


def flat_cloud(cells: int = 200) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return cells on a plane in 20 dimensions, and their coordinates on it."""
    rng = np.random.default_rng(1)
    plane = np.linalg.qr(rng.normal(size=(20, 2)))[0].T
    coordinates = rng.normal(size=(cells, 2)) * (5, 2)
    return coordinates @ plane + 3, coordinates


def test_cells_on_a_plane_keep_their_distances() -> None:
    cloud, coordinates = flat_cloud()
    place = map_of_cells(cloud)
    expected = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2)
    found = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_widest_direction_is_the_first_column() -> None:
    cloud, coordinates = flat_cloud()
    spread = map_of_cells(cloud).var(axis=0)
    eigenvalues = np.linalg.eigvalsh(np.cov(coordinates.T, bias=True))[::-1]
    np.testing.assert_allclose(spread, eigenvalues, rtol=1e-3)


def test_same_seed_gives_the_same_map() -> None:
    noise = np.random.default_rng(2).normal(size=(300, 50))
    np.testing.assert_array_equal(map_of_cells(noise, seed=4), map_of_cells(noise, seed=4))


def test_cell_that_was_not_measured_has_no_place_and_moves_no_other() -> None:
    cloud, _ = flat_cloud(50)
    holed = np.insert(cloud, 7, np.nan, axis=0)
    place = map_of_cells(holed)
    assert np.isnan(place[7]).all()
    np.testing.assert_array_equal(np.delete(place, 7, axis=0), map_of_cells(cloud))


@pytest.mark.parametrize("shape", [(0, 8), (1, 8), (2, 8), (5, 1)])
def test_few_cells_or_one_feature_still_have_a_map(shape: tuple[int, int]) -> None:
    place = map_of_cells(np.arange(np.prod(shape), dtype=np.float64).reshape(shape))
    assert place.shape == (shape[0], 2)
    assert np.isfinite(place).all()


def test_umap_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match=r"pip install napari-attmil\[umap\]"):
        map_of_cells(flat_cloud()[0], "umap")


def test_umap_keeps_groups_apart() -> None:
    pytest.importorskip("umap", reason="the extra [umap] is not installed")
    rng = np.random.default_rng(3)
    groups = np.repeat([0, 1], 40)
    place = map_of_cells(rng.normal(size=(80, 10)) + 20 * groups[:, None], "umap")
    centres = np.stack([place[groups == group].mean(0) for group in (0, 1)])
    nearest = np.linalg.norm(place[:, None] - centres[None], axis=2).argmin(1)
    np.testing.assert_array_equal(nearest, groups)
