"""Boxes from centre points: touching, pale and unlabelled cells, and what is no single cell."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.boxes import iou_matrix
from napari_attmil.cells.exchange.boxes_from_points import boxes_from_points

CENTRES = np.array([[40, 40], [78, 40], [150, 60], [60, 140], [150, 150]])
RADIUS = 20


def smear(dark: bool = True, pallor: bool = True) -> np.ndarray:
    """Return discs, the first two touching, with pale middles."""
    y, x = np.mgrid[:200, :200]
    image = np.full((200, 200), 220, dtype=np.uint8)
    for cx, cy in CENTRES:
        distance = np.hypot(x - cx, y - cy)
        image[distance <= RADIUS] = 120
        if pallor:
            image[distance <= 7] = 215
    noisy = image + np.random.default_rng(0).normal(0, 4, image.shape)
    return (noisy if dark else 255 - noisy).astype(np.uint8)


def truth(centres: np.ndarray) -> np.ndarray:
    return np.hstack([centres - RADIUS, centres + RADIUS + 1])


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("pallor", [True, False])
def test_boxes_fit_dark_and_bright_cells_with_and_without_pallor(dark: bool, pallor: bool) -> None:
    found = boxes_from_points(smear(dark, pallor), CENTRES + 2)
    assert found.plausible.all()
    assert np.diag(iou_matrix(found.xyxy, truth(CENTRES))).min() > 0.8


def test_a_touching_cell_that_nobody_labelled_is_not_swallowed() -> None:
    found = boxes_from_points(smear(), CENTRES[1:])
    assert iou_matrix(found.xyxy[:1], truth(CENTRES[1:2]))[0, 0] > 0.8


def test_a_point_on_the_background_has_no_plausible_box() -> None:
    found = boxes_from_points(smear(), np.vstack([CENTRES, [[105, 100]]]))
    assert found.plausible.tolist() == [True] * 5 + [False]
    assert found.xyxy[-1].tolist() == [0, 0, 0, 0]


def test_a_clump_is_not_plausible() -> None:
    image = smear()
    image[130:199, 20:199] = 120
    found = boxes_from_points(image, CENTRES)
    assert not found.plausible[3] or not found.plausible[4]
    assert found.plausible[:3].all()


def test_colour_is_read_like_its_mean() -> None:
    colour = np.stack([smear()] * 3, axis=-1)
    np.testing.assert_array_equal(
        boxes_from_points(colour, CENTRES).xyxy, boxes_from_points(smear(), CENTRES).xyxy
    )
