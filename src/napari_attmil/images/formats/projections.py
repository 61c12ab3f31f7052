"""Projections of z-stacks: fields of view that are made of several planes, and their pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_attmil.images.formats.axes import Axes

PROJECTIONS: Final = ("max", "mean")
"""The largest value of a stack's planes, and their mean."""
_STEP: Final = 10_000_000
"""More pages than any file has: the pages of the first projection begin here."""


def page_of_projection(first: int, projection: str) -> int:
    """Return the page that stands for the projection of a z-stack whose first page is given."""
    return first + _STEP * (1 + PROJECTIONS.index(projection))


def stack_of_projection(page: int) -> tuple[int, str]:
    """Return a stack's first page and its projection; of a page as it is, itself and ""."""
    kind, first = divmod(page, _STEP)
    return (first, PROJECTIONS[kind - 1]) if 0 < kind <= len(PROJECTIONS) else (page, "")


def page_in_file(page: int) -> int:
    """Return a page as it is; of a projection, the first page of its stack."""
    return stack_of_projection(page)[0]


def page_in_words(page: int) -> str:
    """Return what a person calls a page: "page 3", "mean of the planes from page 3 on"."""
    first, projection = stack_of_projection(page)
    if not projection:
        return f"page {page + 1}"
    return f"{projection} of the planes from page {first + 1} on"


def planes_of_stack(axes: Axes, first: int) -> list[int]:
    """Return the pages of the z-stack that a page is the first of."""
    own = axes.positions[first]
    return [
        page
        for page, position in enumerate(axes.positions)
        if position is not None and own is not None and position[:3] == own[:3]
    ]


def projected(planes: Iterable[NDArray[Any]], projection: str) -> NDArray[Any]:
    """Return the projection of planes of one size, of their type; one is in memory at a time."""
    import numpy as np  # the pages of projections are known without it

    rest = iter(planes)
    first = next(rest)
    if projection == "max":
        largest = first.copy()
        for plane in rest:
            np.maximum(largest, plane, out=largest)
        return largest
    total, count = first.astype(np.float64), 1
    for plane in rest:
        total += plane
        count += 1
    return np.rint(total / count).astype(first.dtype)
