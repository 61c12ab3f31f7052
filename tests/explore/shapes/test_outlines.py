from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.exchange.coco import enclosed_area
from napari_attmil.explore.shapes import outlines_of_image


def field(*discs: tuple[float, float, float]) -> np.ndarray:
    """Return a bright image with dark discs at x, y of a radius, and some noise."""
    y, x = np.mgrid[:120, :160] + 0.5
    image = np.full(x.shape, 200.0)
    for centre_x, centre_y, radius in discs:
        away = np.hypot(x - centre_x, y - centre_y)
        image -= 80 / (1 + np.exp(2 * (away - radius)))
    return image + np.random.default_rng(0).normal(0, 2, image.shape)


def test_the_outline_of_a_disc_encloses_it() -> None:
    image = field((40, 50, 20), (110, 70, 15.5))
    boxes = np.array([[20, 30, 60, 70], [94.5, 54.5, 125.5, 85.5]])
    first, second = outlines_of_image(image, boxes)
    for outline, (x, y, radius) in ((first, (40, 50, 20)), (second, (110, 70, 15.5))):
        away = np.hypot(*(outline - (x, y)).T)
        assert away == pytest.approx(radius, abs=1.5)
        area = enclosed_area([(x, y) for x, y in outline.tolist()])
        assert area == pytest.approx(np.pi * radius**2, rel=0.08)
        assert 8 <= len(outline) < 80


def test_a_box_without_a_cell_has_no_outline() -> None:
    _, nothing = outlines_of_image(field((40, 50, 20)), [[20, 30, 60, 70], [100, 60, 140, 100]])
    assert nothing.shape == (0, 2)


def test_an_image_without_boxes_has_no_outlines() -> None:
    assert outlines_of_image(field(), np.empty((0, 4))) == []


def test_outlines_end_at_the_edge_of_the_image() -> None:
    (outline,) = outlines_of_image(field((10, 60, 20)), [[0, 40, 30, 80]])
    assert outline.shape == (0, 2) or (outline.min() >= 0 and outline[:, 0].max() <= 31.5)
