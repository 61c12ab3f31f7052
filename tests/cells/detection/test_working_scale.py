from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.cells.detection.working_scale import (
    MOST_PARTS,
    CellSize,
    measure_cell_size,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.core.arrays import Float32Array

WORKING_PX = 40.0
NOTHING = np.empty((0, 4), np.float32), np.empty(0, np.float32)
EMPTY = np.zeros((600, 700), dtype=np.float32)


def boxes_of(sides: Sequence[tuple[float, float]]) -> Float32Array:
    """Return boxes of some widths and heights, none at an edge."""
    return np.array([(2, 2, 2 + w, 2 + h) for w, h in sides], dtype=np.float32).reshape(-1, 4)


def eye_for(cell_px: float, least_cells: int = 1) -> Any:
    """Return a make-believe detector that is sure of cells near its working diameter only."""

    def detect_at(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        off = np.log2(cell_px * scale / WORKING_PX)
        sureness = float(np.exp(-(off**2)))
        if sureness < 0.3:
            return NOTHING
        n = max(least_cells, int(grey.size / (3 * cell_px) ** 2))
        return boxes_of([(cell_px, cell_px)] * n), np.full(n, sureness, dtype=np.float32)

    return detect_at


@pytest.mark.parametrize("cell_px", [15, 33, 50, 120, 190])
def test_the_diameter_is_found_over_the_whole_range(cell_px: float) -> None:
    found = measure_cell_size([EMPTY], eye_for(cell_px), WORKING_PX)
    assert found.diameter_px == pytest.approx(cell_px, rel=0.01)


def discs(cell_px: float) -> Float32Array:
    """Return a field of bright discs."""
    pitch = round(1.5 * cell_px)
    y, x = np.mgrid[: 6 * pitch, : 6 * pitch]
    away = np.hypot(y % pitch - pitch / 2, x % pitch - pitch / 2)
    return (away < cell_px / 2).astype(np.float32)


def counted(eye: Any) -> tuple[Any, list[float]]:
    """Return a detector and the scales at which it is asked."""
    scales: list[float] = []

    def detect_at(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        scales.append(scale)
        boxes: tuple[Float32Array, Float32Array] = eye(grey, scale)
        return boxes

    return detect_at, scales


def test_a_first_guess_that_proves_right_is_not_searched_further() -> None:
    eye, scales = counted(eye_for(50, least_cells=20))
    found = measure_cell_size([discs(50)], eye, WORKING_PX)
    assert found.diameter_px == pytest.approx(50, rel=0.01)
    assert found.is_sure
    assert len(scales) == 1


@pytest.mark.parametrize("round_px", [12, 24, 110, 200])
def test_round_things_that_are_no_cells_do_not_mislead(round_px: float) -> None:
    image = np.resize(discs(round_px), (600, 700)).astype(np.float32)
    found = measure_cell_size([image], eye_for(50), WORKING_PX)
    assert found.diameter_px == pytest.approx(50, rel=0.01)


def walls_and_cells(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
    """Return a few cells of 40 px, and large boxes of walls whose size goes with the scale."""
    cells, scores = eye_for(40)(grey, scale)
    shown_px = 0.7 * WORKING_PX / scale
    if shown_px < 60:
        return cells, scores
    walls = boxes_of([(1.2 * shown_px, shown_px)] * 3)
    return np.concatenate([cells, walls]), np.append(scores, [0.95] * 3).astype(np.float32)


def test_boxes_whose_size_goes_with_the_scale_do_not_outweigh_cells() -> None:
    found = measure_cell_size([EMPTY], walls_and_cells, WORKING_PX)
    assert found.diameter_px == pytest.approx(40, rel=0.01)
    assert found.is_sure


def test_two_sizes_with_equal_support_are_a_guess() -> None:
    def both(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        del grey, scale
        return boxes_of([(30, 30)] * 5 + [(90, 90)] * 5), np.full(10, 0.9, np.float32)

    found = measure_cell_size([EMPTY], both, WORKING_PX)
    assert not found.is_sure


def test_one_box_is_less_sure_than_ten() -> None:
    def of(count: int) -> CellSize:
        def some(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
            del grey
            seen = 0.5 < 50 * scale / WORKING_PX < 1.0  # at one of the scales
            score = np.full(count, 0.9, np.float32)
            return (boxes_of([(50, 50)] * count), score) if seen else NOTHING

        return measure_cell_size([EMPTY], some, WORKING_PX)

    assert not of(1).is_sure
    assert of(10).is_sure
    assert of(1).confidence < of(10).confidence < 1


def test_long_boxes_and_boxes_at_the_edge_have_no_say() -> None:
    def see(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        cells, scores = eye_for(50)(grey, scale)
        long = boxes_of([(200, 40)] * 20)
        cut = np.array([[0, 5, 100, 105]] * 20, dtype=np.float32)
        score = np.append(scores, np.full(40, 0.99)).astype(np.float32)
        return np.concatenate([cells, long, cut]), score

    found = measure_cell_size([EMPTY], see, WORKING_PX)
    assert found.diameter_px == pytest.approx(50, rel=0.01)


def test_a_size_outside_2_to_25_um_is_not_believed() -> None:
    def both(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        few, few_scores = eye_for(40)(grey, scale)
        many, many_scores = eye_for(190, least_cells=30)(grey, scale)
        return np.concatenate([few, many]), np.concatenate([few_scores, many_scores])

    unlimited = measure_cell_size([EMPTY], both, WORKING_PX)
    known = measure_cell_size([EMPTY], both, WORKING_PX, pixel_size_um=0.18)
    assert unlimited.diameter_px == pytest.approx(190, rel=0.01)  # would be 34 µm
    assert known.diameter_px == pytest.approx(40, rel=0.01)  # 7 µm


def test_cells_only_outside_of_the_believed_range_are_a_guess() -> None:
    # As where a file tells a pixel size of 1 µm that nobody has set.
    found = measure_cell_size([EMPTY], eye_for(50), WORKING_PX, pixel_size_um=1.0)
    assert found.diameter_px == pytest.approx(50, rel=0.01)
    assert found.confidence == 0


@pytest.mark.parametrize("cell_px", [14.8, 333.0])
def test_cells_just_outside_of_the_believed_range_are_a_guess_too(cell_px: float) -> None:
    def see(grey: Float32Array, scale: float) -> tuple[Float32Array, Float32Array]:
        del grey, scale
        return boxes_of([(cell_px, cell_px)] * 20), np.full(20, 0.9, np.float32)

    # 2 to 25 µm are 20 to 250 px.
    image = np.zeros((1500, 1500), dtype=np.float32)
    found = measure_cell_size([image], see, WORKING_PX, pixel_size_um=0.1)
    assert found.diameter_px == pytest.approx(cell_px, rel=0.01)
    assert found.confidence == 0


def test_further_images_are_read_only_until_it_is_sure() -> None:
    read: list[int] = []

    def images(count: int) -> Any:
        for number in range(count):
            read.append(number)
            yield EMPTY

    assert measure_cell_size(images(9), eye_for(50), WORKING_PX).is_sure
    assert len(read) == 2
    read.clear()
    assert not measure_cell_size(images(9), lambda *_: NOTHING, WORKING_PX).is_sure
    assert len(read) == MOST_PARTS


def test_an_empty_field_gives_the_working_diameter() -> None:
    found = measure_cell_size([np.zeros((90, 90), np.float32)], lambda *_: NOTHING, WORKING_PX)
    assert found == CellSize(WORKING_PX, 0.0)


def test_images_are_chosen_evenly_with_both_ends_first() -> None:
    assert spread(1, 4) == [0]
    assert spread(2, 4) == [0, 1]
    assert spread(10, 4) == [0, 9, 3, 6]
