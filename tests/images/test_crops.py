from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_attmil.images.crops import crop_cell, limits_of, shrink, to_uint8


def test_cell_lies_in_the_middle_of_its_thumbnail() -> None:
    image = np.zeros((100, 120), np.uint8)
    image[40:50, 60:70] = 200
    crop = crop_cell(image, (60, 40, 70, 50), size_px=40, context=2)
    # A box of 10 px with context 2 shows 20 px on 40: the cell fills the middle half.
    assert crop[20, 20] == 200 and crop[12, 12] == 200 and crop[27, 27] == 200
    assert crop[5, 20] == 0 and crop[20, 34] == 0


def test_without_scaling_pixels_are_those_of_the_image() -> None:
    image = np.arange(400, dtype=np.uint8).reshape(20, 20)
    np.testing.assert_array_equal(
        crop_cell(image, (5, 5, 13, 13), size_px=8, context=1), image[5:13, 5:13]
    )


def test_longer_side_sets_the_scale() -> None:
    image = np.zeros((60, 60), np.uint8)
    image[20:24, 10:40] = 255
    crop = crop_cell(image, (10, 20, 40, 24), size_px=30, context=1)
    assert (crop.max(axis=0) > 200).all()
    assert (crop.max(axis=1) > 200).sum() == 4


def test_border_is_repeated_beyond_the_edge() -> None:
    image = np.full((30, 30), 90, np.uint8)
    crop = crop_cell(image, (-10, -10, 10, 10), size_px=16)
    assert (crop == 90).all()


def test_box_outside_of_the_image_still_gives_a_thumbnail() -> None:
    assert crop_cell(np.zeros((30, 30), np.uint8), (200, 200, 220, 220)).shape == (64, 64)


def test_colour_is_kept() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 1] = 77
    crop = crop_cell(image, (10, 10, 20, 20), size_px=32)
    assert crop.shape == (32, 32, 3)
    assert crop[16, 16].tolist() == [0, 77, 0]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_images_are_stretched_to_eight_bits(dtype: npt.DTypeLike) -> None:
    image = np.linspace(1000, 3000, 64 * 64).reshape(64, 64).astype(dtype)
    crop = crop_cell(image, (0, 0, 64, 64), context=1)
    assert crop.dtype == np.uint8
    assert crop.min() < 5 and crop.max() > 250


def test_limits_that_are_known_are_not_looked_for() -> None:
    image = np.linspace(1000, 3000, 64 * 64).reshape(64, 64).astype(np.uint16)
    box = (10, 10, 40, 40)
    known = crop_cell(image, box, limits=limits_of(image))
    np.testing.assert_array_equal(known, crop_cell(image, box))
    assert (crop_cell(image, box, limits=(0.0, 500.0)) == 255).all()
    assert limits_of(image.astype(np.uint8)) is None


def test_constant_deep_image_is_no_error() -> None:
    assert crop_cell(np.full((30, 30), 5000, np.uint16), (5, 5, 20, 20)).dtype == np.uint8


def test_stretched_values_are_rounded_and_what_is_no_number_is_black() -> None:
    image = np.linspace(0, 1, 1001).reshape(7, 143)  # from 0.005 to 0.995 it fills 255 levels
    part = np.array([0.005, 0.005 + 0.99 * 0.6 / 255, 0.3, 0.995, 2, np.nan])
    np.testing.assert_array_equal(
        to_uint8(part, image), np.array([0, 1, 76, 255, 255, 0], np.uint8)
    )


def test_whole_image_is_made_small_and_its_grey_levels_spread() -> None:
    image = np.full((100, 120), 100, np.uint8)
    image[:, 60:] = 110
    small = shrink(image, 48, 50)
    assert small.shape == (48, 50, 3) and small.dtype == np.uint8
    assert (small[:, :25] == 0).all() and (small[:, 25:] == 255).all()
