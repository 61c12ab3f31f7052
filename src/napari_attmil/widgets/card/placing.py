"""Where the card goes: beside the cell, never over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qtpy.QtCore import QPoint, QRect, QSize

GAP_PX = 12


def place_beside(kept_free: Sequence[QRect], card: QSize, within: QRect) -> QPoint:
    """Return the upper left corner of a card that covers nothing that is to stay in view.

    Parameters
    ----------
    kept_free
        What must not be covered; the card goes beside the first if there is room.
    card
        Its size.
    within
        Where it should stay: the window.
    """
    room = within.adjusted(0, 0, -card.width(), -card.height())
    for corner in _corners(kept_free, card, within):
        place = QRect(corner, card)
        is_inside = within.contains(place) or not room.isValid()
        if is_inside and not any(place.intersects(free) for free in kept_free):
            return corner
    return within.topRight() - QPoint(card.width(), 0)


def _corners(kept_free: Sequence[QRect], card: QSize, within: QRect) -> Iterator[QPoint]:
    """Yield places to try: right, left, below and above, then the corners of the window."""
    lowest, rightmost = within.bottom() - card.height(), within.right() - card.width()
    for free in kept_free:
        middle = free.center()
        y = max(within.top(), min(middle.y() - card.height() // 2, lowest))
        x = max(within.left(), min(middle.x() - card.width() // 2, rightmost))
        yield QPoint(free.right() + GAP_PX, y)
        yield QPoint(free.left() - GAP_PX - card.width(), y)
        yield QPoint(x, free.bottom() + GAP_PX)
        yield QPoint(x, free.top() - GAP_PX - card.height())
    for x in (rightmost, within.left()):
        for y in (within.top(), lowest):
            yield QPoint(x, y)
