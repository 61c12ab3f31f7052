from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.cells.detection.working_scale import estimate_diameter_px

if TYPE_CHECKING:
    from napari_attmil.core.arrays import Float32Array

WORKING_PX = 40.0


def eye_for(cell_px: float) -> object:
    """Return a make-believe detector that is sure of cells near its working diameter only."""

    def detect_at(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        off = np.log2(cell_px * scale / WORKING_PX)
        sureness = float(np.exp(-(off**2)))
        if sureness < 0.3:
            return np.empty((0, 4), np.float32), np.empty(0, np.float32)
        n = max(1, int(grey.size / (3 * cell_px) ** 2))
        return (
            np.tile(np.array([[0, 0, cell_px, cell_px]], dtype=np.float32), (n, 1)),
            np.full(n, sureness, dtype=np.float32),
        )

    return detect_at


@pytest.mark.parametrize("cell_px", [15, 33, 50, 120, 250])
def test_the_diameter_is_found_over_the_whole_range(cell_px: float) -> None:
    image = np.zeros((600, 700), dtype=np.float32)
    found = estimate_diameter_px([image], eye_for(cell_px), WORKING_PX)  # type: ignore[arg-type]
    assert found == pytest.approx(cell_px, rel=0.01)


def discs(cell_px: float) -> Float32Array:
    """Return a field of bright discs."""
    pitch = round(1.5 * cell_px)
    y, x = np.mgrid[: 6 * pitch, : 6 * pitch]
    away = np.hypot(y % pitch - pitch / 2, x % pitch - pitch / 2)
    return (away < cell_px / 2).astype(np.float32)


def test_a_first_guess_that_proves_right_is_not_searched_further() -> None:
    see, scales = eye_for(50), []

    def counted(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        scales.append(scale)
        return see(grey, scale)  # type: ignore[operator]

    assert estimate_diameter_px([discs(50)], counted, WORKING_PX) == pytest.approx(50, rel=0.01)
    assert len(scales) == 1


@pytest.mark.parametrize("round_px", [12, 24, 110, 200])
def test_round_things_that_are_no_cells_do_not_mislead(round_px: float) -> None:
    image = np.resize(discs(round_px), (600, 700)).astype(np.float32)
    found = estimate_diameter_px([image], eye_for(50), WORKING_PX)  # type: ignore[arg-type]
    assert found == pytest.approx(50, rel=0.01)


def test_an_empty_field_gives_the_working_diameter() -> None:
    def blind(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        return np.empty((0, 4), np.float32), np.empty(0, np.float32)

    assert estimate_diameter_px([np.zeros((90, 90), np.float32)], blind, WORKING_PX) == WORKING_PX
