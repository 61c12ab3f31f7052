"""A gallery of cells as a figure for a page, with scale bars and a caption."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_attmil.reports import Drawing, GalleryScale

    GalleryCell = tuple[str, npt.NDArray[Any], str]

CELL_PX, GAP_PX, TEXT_PX, MARGIN_PX = 120, 8, 20, 16
LEAST_WIDTH_PX: Final = 480
PER_ROW: Final = 8
LONGEST_LINE: Final = 20
"""Characters of a caption that are about as wide as a cell."""
_BAR_PX: Final = 4
_BAR_INSET_PX: Final = 6
_FONT_POINTS: Final = 8.5


def gallery_plot(
    cells: Sequence[GalleryCell], scale: GalleryScale, caption: str
) -> tuple[Drawing, tuple[int, int]]:
    """Return a drawing of cells in rows, and its width and height in pixels.

    Parameters
    ----------
    cells
        Group, (h, w) or (h, w, 3) uint8 and caption of each, of one or more lines; a new group
        begins a row, with its name above.
    scale
        Of all images.
    caption
        Stands below the rows.
    """
    rows: list[tuple[str, list[GalleryCell]]] = []
    for group, members in groupby(cells, key=itemgetter(0)):
        of_group = list(members)
        for start in range(0, len(of_group), PER_ROW):
            rows.append(("" if start else group, of_group[start : start + PER_ROW]))
    most_lines = max((words.count("\n") + 1 for _, _, words in cells), default=1)
    below_px = most_lines * TEXT_PX + GAP_PX
    heights = [CELL_PX + below_px + (TEXT_PX if name else 0) for name, _ in rows]
    longest = max((len(members) for _, members in rows), default=1)
    width = max(longest * (CELL_PX + GAP_PX) + 2 * MARGIN_PX, LEAST_WIDTH_PX)
    height = sum(heights) + 2 * MARGIN_PX + 3 * TEXT_PX

    def draw(figure: Figure, ink: str) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        style: dict[str, Any] = {"color": ink, "fontsize": _FONT_POINTS, "parse_math": False}
        bottoms = MARGIN_PX + np.cumsum([0, *heights])
        for bottom, (name, members) in zip(bottoms[1:], rows, strict=True):
            top = bottom - CELL_PX - below_px
            axes.text(MARGIN_PX, top - 4, name, **style)
            for place, (_, image, words) in enumerate(members):
                left = MARGIN_PX + place * (CELL_PX + GAP_PX)
                _draw_cell(axes, image, (left, top), scale)
                middle = left + CELL_PX / 2
                fitted = "\n".join(map(_shortened, words.split("\n")))
                axes.text(middle, top + CELL_PX + 4, fitted, ha="center", va="top", **style)
        axes.text(MARGIN_PX, bottoms[-1], caption, va="top", wrap=True, **style)

    return draw, (width, height)


def _shortened(line: str) -> str:
    """Return a line that is no wider than a cell: without its middle if it is long."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[: half - 1]}…{line[-half:]}"


def _draw_cell(
    axes: Axes, image: npt.NDArray[Any], place: tuple[float, float], scale: GalleryScale
) -> None:
    """Draw a cell with its scale bar, white with a dark rim, in the lower right."""
    left, top = place
    right, bottom = left + CELL_PX, top + CELL_PX
    extent = (left, right, bottom, top)
    axes.imshow(image, "grey", aspect="auto", interpolation="none", extent=extent, vmin=0, vmax=255)
    length = CELL_PX * scale.bar / scale.side
    for rim, colour in ((1, (0, 0, 0, 0.6)), (0, "white")):
        ends = [right - _BAR_INSET_PX - length - rim, right - _BAR_INSET_PX + rim]
        low, high = bottom - _BAR_INSET_PX - _BAR_PX - rim, bottom - _BAR_INSET_PX + rim
        axes.fill_between(ends, low, high, color=colour, linewidth=0)
