from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.detection.radial_symmetry import guess_diameter_px


def field_of(diameter_px: float, inside: float, rim: float = 0.0) -> np.ndarray:
    """Return 20 round cells, apart from one another, on a noisy tilted background."""
    rng = np.random.default_rng(3)
    pitch = round(diameter_px * 1.5)
    y, x = np.mgrid[: 4 * pitch, : 5 * pitch].astype(np.float32)
    image = rng.normal(0, 0.1, y.shape) + x / x.max()
    for row in range(4):
        for column in range(5):
            middle = (np.array([row, column]) + 0.5) * pitch + rng.uniform(-0.15, 0.15, 2) * pitch
            away = np.hypot(y - middle[0], x - middle[1]) / (diameter_px / 2)
            image += np.where(away < 0.85, inside, np.where(away < 1, inside + rim, 0))
    return image.astype(np.float32)


@pytest.mark.parametrize("diameter_px", [15, 23, 50, 90, 160, 250])
@pytest.mark.parametrize(("inside", "rim"), [(1, 0), (-1, 0), (0.3, -1.5)])
def test_the_guess_is_near_the_diameter_of_discs_and_rings(
    diameter_px: float, inside: float, rim: float
) -> None:
    guess = guess_diameter_px([field_of(diameter_px, inside, rim)])
    assert guess is not None
    assert 1 / 1.6 < guess / diameter_px < 1.6


def test_brightness_and_sign_do_not_change_the_guess() -> None:
    field = field_of(40, -1)
    assert guess_diameter_px([field]) == guess_diameter_px([3 - field])


def test_an_image_with_few_cells_is_outvoted() -> None:
    empty = np.zeros((300, 300), np.float32)
    assert guess_diameter_px([empty, field_of(40, 1)]) == guess_diameter_px([field_of(40, 1)])


@pytest.mark.parametrize("shape", [(200, 200), (5, 300), (1, 1)])
def test_an_empty_or_tiny_image_gives_no_guess(shape: tuple[int, int]) -> None:
    assert guess_diameter_px([np.zeros(shape, np.float32)]) is None
