"""One item more than was asked for is begun, each is made once, errors arrive."""

from __future__ import annotations

import pytest

from napari_attmil.cells.detection.read_ahead import ReadAhead


def test_items_come_in_order_and_each_is_made_once() -> None:
    made: list[int] = []
    with ReadAhead(lambda index: made.append(index) or index * 10, 5) as items:
        assert items[0] == 0
        assert items[0:2] == [0, 10]
        assert items[2:4] == [20, 30]
        assert items[4:6] == [40]
    assert made == [0, 1, 2, 3, 4]


def test_no_more_than_one_item_is_made_ahead() -> None:
    made: list[int] = []
    with ReadAhead(lambda index: made.append(index) or index, 100) as items:
        assert items[0:3] == [0, 1, 2]
    assert max(made) <= 3


def test_an_item_asked_for_again_is_there_again() -> None:
    with ReadAhead(lambda index: index, 4) as items:
        assert items[0:4] == [0, 1, 2, 3]
        assert items[0:2] == [0, 1]


def test_what_goes_wrong_in_reading_is_raised_where_it_is_asked_for() -> None:
    def fail(index: int) -> int:
        raise OSError(f"no image {index}")

    with ReadAhead(fail, 2) as items, pytest.raises(OSError, match="no image 1"):
        items[1:2]
