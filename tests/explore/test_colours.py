from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pytest
from hypothesis import given, strategies as st

from napari_attmil.cells.boxes import Source
from napari_attmil.explore.colouring import Colouring, attention_colours
from napari_attmil.explore.colours import (
    COLOUR_MAPS,
    UNSCORED_COLOUR,
    is_bright,
    map_colours,
    source_colours,
)
from napari_attmil.explore.value_scale import ValueScale

if TYPE_CHECKING:
    from random import Random

    import numpy.typing as npt

    from napari_attmil.core import Float64Array
    from napari_attmil.explore import ColourMap, Scale


def relative_attention(attention: list[float], scale: Scale = "rank") -> Float64Array:
    return ValueScale.of(attention, scale).shares(attention)


def test_highest_attention_is_white_and_lowest_dark_blue() -> None:
    low, high = attention_colours([0.01, 0.99])
    assert high.tolist() == [1, 1, 1, 1]
    red, green, blue, alpha = low
    assert blue > 0.25 and red < 0.1 and green < 0.1 and alpha == 1


def test_colours_get_lighter_step_by_step() -> None:
    colours = map_colours(np.linspace(0, 1, 50))
    luminance = colours[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > 0)


def test_rank_spreads_cells_evenly_whatever_their_weights() -> None:
    assert relative_attention([0.9, 0.001, 0.002]).tolist() == [1, 0, 0.5]


def test_linear_keeps_proportions() -> None:
    assert relative_attention([0, 1, 4], scale="linear").tolist() == [0, 0.25, 1]


def test_equal_weights_share_a_rank() -> None:
    assert relative_attention([0.1, 0.2, 0.2, 0.5]).tolist() == [0, 0.5, 0.5, 1]


@pytest.mark.parametrize("scale", ["rank", "linear"])
def test_a_single_cell_counts_most(scale: Scale) -> None:
    assert relative_attention([0.3], scale).tolist() == [1]


def test_cell_without_attention_has_a_visible_colour_of_its_own() -> None:
    colours = attention_colours([0.2, np.nan, 0.4])
    assert tuple(colours[1]) == UNSCORED_COLOUR
    assert tuple(colours[2]) == (1, 1, 1, 1)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_no_attention_at_all_is_no_error(values: list[float]) -> None:
    colours = attention_colours(values)
    assert colours.shape == (len(values), 4)
    assert np.isfinite(colours).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms())
def test_permuting_cells_permutes_colours(weights: list[float], random: Random) -> None:
    order = list(range(len(weights)))
    random.shuffle(order)
    permuted = attention_colours(np.array(weights)[order])
    np.testing.assert_array_equal(permuted, attention_colours(weights)[order])


def test_maps_are_those_of_matplotlib() -> None:
    values = np.linspace(0, 1, 7)
    for name in ("viridis", "cividis", "magma"):
        np.testing.assert_array_equal(map_colours(values, name), matplotlib.colormaps[name](values))


@pytest.mark.parametrize("name", ["viridis", "cividis", "magma"])
def test_every_map_from_low_to_high_gets_lighter(name: ColourMap) -> None:
    luminance = map_colours(np.linspace(0, 1, 50), name)[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > 0)


def test_diverging_map_is_grey_at_zero_blue_below_and_red_above() -> None:
    colouring = Colouring(scale="linear", colour_map="diverging")
    below, zero, above = colouring.colours(colouring.spread([-3, 0, 1.5]))
    assert np.ptp(zero[:3]) < 0.02
    assert below[2] > below[0] and above[0] > above[2]


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_cell_without_a_value_has_the_same_colour_in_every_map(name: ColourMap) -> None:
    assert tuple(map_colours([np.nan], name)[0]) == UNSCORED_COLOUR


def test_on_bright_images_the_highest_is_the_darkest_and_the_lowest_is_not_white() -> None:
    luminance = map_colours(np.linspace(0, 1, 50), "ink")[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) < 0)
    assert luminance[0] < 0.7


def contrast_with_white(colour: npt.NDArray[np.float64]) -> float:
    """Return the ratio of WCAG 2: 1 for white, 21 for black."""
    rgb = colour[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))


def test_boxes_of_every_source_can_be_told_from_a_white_image() -> None:
    sources = np.array([Source.MODEL, Source.PERSON, Source.ACCEPTED], np.uint8)
    dark, light = source_colours(sources, on_bright=True), source_colours(sources)
    assert min(map(contrast_with_white, dark)) > 4.5  # what WCAG asks for small text
    assert max(map(contrast_with_white, light)) < 3
    assert len(np.unique(dark, axis=0)) == 3


@pytest.mark.parametrize(
    ("grey", "was_bright", "expected"),
    [(255, False, True), (160, False, True), (150, False, False), (150, True, True)],
)
def test_an_image_is_bright_if_more_than_half_of_it_is(
    grey: int, was_bright: bool, expected: bool
) -> None:
    picture = np.full((10, 10, 4), (grey, grey, grey, 255), np.uint8)
    picture[:4] = (0, 0, 0, 255)
    picture[4:5] = (0, 0, 0, 0)  # not covered by the image
    assert is_bright(picture, was_bright) is expected
    assert not is_bright(np.zeros((3, 3, 4), np.uint8), was_bright=True)
