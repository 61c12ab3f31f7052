"""A click or a sloppy box becomes the cell's box, for dark discs and for rings that touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.cells.boxes import iou_matrix
from napari_attmil.cells.detection.cell_outlines import box_from_outline, snap_to_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIDDLE, RADIUS = (60.0, 50.0), 20.0
CELL = [40, 30, 80, 70]


def field(inside: float, rim: float, neighbour: bool = False) -> NDArray[np.float32]:
    """Return a grey field with a disc whose rim has a value of its own, perhaps touched by one."""
    y, x = np.mgrid[:100, :140] + 0.5
    image = np.full((100, 140), 180, dtype=np.float32)
    for middle in [MIDDLE, (100.0, 50.0)][: 2 if neighbour else 1]:
        distance = np.hypot(x - middle[0], y - middle[1])
        image[distance < RADIUS] = rim
        image[distance < RADIUS - 4] = inside
    return image + np.random.default_rng(0).normal(0, 2, image.shape).astype(np.float32)


LOOKS = {"stained": (90, 80), "dark-rimmed": (175, 110), "bright-rimmed": (170, 240)}


@pytest.mark.parametrize("neighbour", [False, True])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("point", [(60, 50), (68, 44), (53, 57)])
def test_click_inside_a_cell_gives_its_box(
    look: str, neighbour: bool, point: tuple[int, int]
) -> None:
    box = box_from_outline(field(*LOOKS[look], neighbour), point, diameter_px=42)
    assert box is not None
    assert iou_matrix(box, CELL)[0, 0] > 0.8


def test_colour_and_16_bit_images_give_the_same_box_as_grey() -> None:
    grey = np.clip(field(90, 80), 0, 255).astype(np.uint8)
    box = box_from_outline(grey, MIDDLE, 40)
    assert box is not None
    for other in (np.stack([grey] * 3, -1), grey.astype(np.uint16) * np.uint16(257)):
        same = box_from_outline(other, MIDDLE, 40)
        assert same is not None
        np.testing.assert_allclose(same, box, atol=0.01)


@pytest.mark.parametrize("shift", [(5, 5, 5, 5), (-6, 4, 6, -4), (5, 5, -5, -5), (-6, -6, 6, 6)])
def test_snapping_brings_a_sloppy_box_closer_to_the_cell(shift: tuple[int, ...]) -> None:
    sloppy = np.add(CELL, shift)
    snapped = snap_to_outline(field(90, 80, neighbour=True), sloppy)
    before, after = iou_matrix(sloppy, CELL)[0, 0], iou_matrix(snapped, CELL)[0, 0]
    assert after > max(before, 0.8)


def test_where_there_is_nothing_a_click_gives_none_and_a_box_stays() -> None:
    even = np.full((100, 140), 180, dtype=np.uint8)
    assert box_from_outline(even, (60, 50), 40) is None
    np.testing.assert_array_equal(snap_to_outline(even, CELL), CELL)


@pytest.mark.parametrize("point", [(-5, 50), (500, 50), (60, 101), (float("nan"), 2)])
def test_click_outside_the_image_gives_none(point: tuple[float, float]) -> None:
    assert box_from_outline(field(90, 80), point, 40) is None


def test_cell_cut_by_the_border_gives_a_box_within_the_image() -> None:
    box = box_from_outline(field(90, 80)[:, 60:], (5, 50), 40)
    assert box is not None
    assert box[0] == pytest.approx(0, abs=2)
    assert iou_matrix(box, [0, 30, 20, 70])[0, 0] > 0.7


def test_holes_of_an_image_of_floats_do_not_hide_a_cell() -> None:
    holed = field(90, 80).astype(np.float32)
    holed[10:14, 10:14], holed[90:92, 100:120] = np.nan, np.inf
    box = box_from_outline(holed, (60, 50), 40)
    assert box is not None and iou_matrix(box, CELL)[0, 0] > 0.8
    assert np.isfinite(snap_to_outline(holed, CELL)).all()
    assert box_from_outline(np.full((100, 140), np.nan), (60, 50), 40) is None
