from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from qtpy.QtCore import QPoint, QRect, QSize

from napari_attmil.widgets.card.placing import GAP_PX, place_beside

WINDOW, CARD = QRect(0, 0, 1280, 800), QSize(384, 640)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (QRect(400, 300, 60, 60), 400 + 60 - 1 + GAP_PX),
        (QRect(1000, 300, 60, 60), 1000 - GAP_PX - 384),
    ],
)
def test_card_goes_to_the_right_of_a_cell_and_else_to_the_left(cell: QRect, expected: int) -> None:
    assert place_beside([cell], CARD, WINDOW).x() == expected


@given(st.integers(0, 1220), st.integers(0, 740), st.integers(0, 1200), st.integers(0, 720))
def test_card_covers_neither_cell_nor_pointer_and_stays_in_the_window(
    x: int, y: int, at_x: int, at_y: int
) -> None:
    free = [QRect(x, y, 60, 60), QRect(at_x, at_y, 80, 80)]
    place = QRect(place_beside(free, CARD, WINDOW), CARD)
    assert not any(place.intersects(area) for area in free)
    assert WINDOW.contains(place)


def test_card_higher_than_the_window_still_leaves_the_cell_free() -> None:
    window, cell = QRect(0, 0, 900, 500), QRect(200, 100, 60, 60)
    place = QRect(place_beside([cell], CARD, window), CARD)
    assert not place.intersects(cell) and place.topLeft() != QPoint(-1, -1)
