"""Tiles cover an image, and a cell at a seam is found once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from napari_attmil.cells.boxes import match_boxes
from napari_attmil.cells.detection import tiling
from napari_attmil.cells.detection.detector import Detector
from napari_attmil.cells.detection.tiling import Tile, merge_tiles, tiles_of
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.core.device import choose_device
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings


@given(st.integers(1, 9000), st.integers(1, 9000), st.floats(6, 300))
def test_cores_cover_every_pixel_once_and_lie_deep_in_their_windows(
    height: int, width: int, diameter_px: float
) -> None:
    tiles = tiles_of((height, width), diameter_px)
    areas = [(t.core[2] - t.core[0]) * (t.core[3] - t.core[1]) for t in tiles]
    assert sum(areas) == height * width
    limits = np.array([0, 0, height, width])
    for tile in tiles:
        inner = np.array(tile.core) != limits
        distance = np.abs(np.array(tile.core) - np.array(tile.window))
        assert (distance[inner] >= 1.4 * diameter_px - 2).all()
        assert max(tile.window[2] - tile.window[0], tile.window[3] - tile.window[1]) <= (
            tiling.TILE_DIAMETERS * diameter_px + 1
        )


def test_an_ordinary_camera_image_is_one_tile() -> None:
    assert len(tiles_of((1030, 1300), 50)) == 1
    assert len(tiles_of((4096, 4096), 50)) == 9


def test_a_cell_that_two_tiles_see_is_kept_once_with_its_better_score() -> None:
    left = Tile((0, 0, 100, 120), (0, 0, 100, 100))
    right = Tile((0, 80, 100, 200), (0, 100, 100, 200))
    at_seam = np.array([[80, 40, 122, 80]], np.float32)
    alone = np.array([[10, 10, 50, 50]], np.float32)
    found = [
        (np.concatenate([alone, at_seam]), np.array([0.7, 0.8], np.float32)),
        (at_seam - np.array([3, 0, 3, 0], np.float32), np.array([0.9], np.float32)),
    ]
    xyxy, score = merge_tiles([left, right], found, 40, 0.5)
    assert score.tolist() == pytest.approx([0.9, 0.7])
    assert xyxy[0].tolist() == [77, 40, 119, 80]


def test_a_tile_does_not_answer_for_cells_of_its_neighbour_s_core() -> None:
    left = Tile((0, 0, 100, 130), (0, 0, 100, 100))
    right = Tile((0, 70, 100, 200), (0, 100, 100, 200))
    cut_off = np.array([[110, 40, 130, 80]], np.float32)
    whole = np.array([[110, 40, 150, 80]], np.float32)
    one = np.array([0.9], np.float32)
    xyxy, _ = merge_tiles([left, right], [(cut_off, one), (whole, one)], 40, 0.5)
    assert xyxy.tolist() == whole.tolist()


def test_tiles_find_what_the_whole_image_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SimulationSettings(image_size_px=480, cells_per_image=45, variety=0.2)
    image = simulate_image(settings, np.random.default_rng(8)).image
    detector = Detector.load(device=choose_device("cpu"))
    known = DetectionSettings(cell_diameter_px=50)
    whole = detector.detect([image], known)
    features = detector.roi_features(image, whole.xyxy, cell_diameter_px=50)
    monkeypatch.setattr(tiling, "TILE_DIAMETERS", 6.0)
    assert len(tiles_of(image.shape, 50)) == 9
    tiled = detector.detect([image, image], known)
    assert len(tiled) == 2 * len(tiled.of_image(0))
    pairs = match_boxes(tiled.of_image(0).xyxy, whole.xyxy, 0.7)
    # A cell or two near the minimum score may fall on its other side.
    assert (pairs >= 0).sum() >= 0.95 * max(len(whole), len(pairs))
    again = detector.roi_features(image, whole.xyxy, cell_diameter_px=50)
    assert (
        np.corrcoef(features.ravel(), again.ravel())[0, 1] > 0.9
    )  # tiles lie otherwise on the network's grid
