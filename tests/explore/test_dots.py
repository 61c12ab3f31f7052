from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_attmil.explore.dots import draw_dots

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def drawn(
    places: list[tuple[float, float]],
    colours: list[tuple[float, float, float]],
    shape: tuple[int, int] = (9, 9),
    diameter_px: float = 3.0,
) -> npt.NDArray[np.uint8]:
    return draw_dots(np.array(places, dtype=float), np.array(colours), shape, diameter_px)


def test_dot_of_three_pixels_is_a_cross_with_soft_corners() -> None:
    alpha = drawn([(4.5, 2.5)], [RED])[..., 3]
    corner = round(255 * (2 - np.sqrt(2)))
    dot = np.array([[corner, 255, corner], [255, 255, 255], [corner, 255, corner]])
    assert np.array_equal(alpha[1:4, 3:6], dot)
    assert alpha.sum() == dot.sum()


def test_colours_are_times_their_alpha() -> None:
    picture = drawn([(4.5, 2.5)], [(1.0, 0.5, 0.0)])
    assert picture[2, 4].tolist() == [255, 128, 0, 255]
    red, green, blue, alpha = picture[1, 3].tolist()
    assert red == alpha < 255 and abs(2 * green - alpha) <= 1 and blue == 0


def test_later_dots_lie_over_earlier_ones_and_their_soft_edges_do_not() -> None:
    picture = drawn([(3.5, 4.5), (4.5, 4.5), (5.5, 5.5)], [RED, BLUE, BLUE])
    assert picture[4, 2].tolist() == [255, 0, 0, 255]
    assert picture[4, 3].tolist() == [0, 0, 255, 255]
    assert picture[4, 4].tolist() == [0, 0, 255, 255]


def test_dots_at_the_edge_are_cut_off_and_those_beyond_left_out() -> None:
    picture = drawn([(0.5, 0.5), (-1.5, 4.5), (9.5, 4.5), (4.5, 1e6), (-1e6, -1e6)], [RED] * 5)
    assert picture[0, 0, 3] == picture[0, 1, 3] == picture[1, 0, 3] == 255
    assert picture[4, 8, 3] == 255 and picture[4, 0, 3] == 0
    assert np.count_nonzero(picture[..., 3]) == 4 + 3


def test_without_dots_the_picture_is_empty() -> None:
    picture = draw_dots(np.zeros((0, 2)), np.zeros((0, 3)), (4, 6), 6.0)
    assert picture.shape == (4, 6, 4) and not picture.any()
