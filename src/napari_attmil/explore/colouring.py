"""How the boxes of a sample are coloured by what is known of them, and how that is spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float64Array
from napari_attmil.explore.colours import ColourMap, map_colours
from napari_attmil.explore.value_scale import HISTOGRAM_BINS, Scale, ValueScale

if TYPE_CHECKING:
    from napari_attmil.explore.cell_rows import Rows

FADED_ALPHA: Final = 0.12

_MIDDLES: Final = (np.arange(HISTOGRAM_BINS) + 0.5) / HISTOGRAM_BINS
"""The middles of the parts of a histogram, from 0 to 1."""


@dataclass(frozen=True)
class Colouring:
    """How cells are coloured, in the viewer, on the map and in reports alike.

    Attributes
    ----------
    column
        Which column; `cell_columns.MAKER` colours boxes by who made them.
    scale
        How values become shares of the way from the lowest to the highest of the sample.
    colour_map
        Which colours; the diverging one has 0 in its middle.
    low, high
        Cells whose share lies outside are faded or hidden.
    hides
        Whether they are hidden instead of faded.
    """

    column: str = "attention"
    scale: Scale = "rank"
    colour_map: ColourMap = "paper"
    low: float = 0.0
    high: float = 1.0
    hides: bool = False

    @property
    def is_signed(self) -> bool:
        """Whether values of both signs are compared with 0."""
        return self.colour_map == "diverging"

    def is_inside(self, shares: Float64Array) -> npt.NDArray[np.bool_]:
        """Return (n,) which cells lie within the range, or have no value."""
        return np.asarray(~((shares < self.low) | (shares > self.high)))

    def spread(self, values: npt.ArrayLike) -> Spread:
        """Return the positions of (n,) values on the scale; NaN for cells without a value."""
        return Spread(np.asarray(values, dtype=np.float64), self.scale, self.is_signed)

    def colours(self, spread: Spread, rows: Rows | slice = slice(None)) -> Float64Array:
        """Return (m, 4) RGBA of some of the cells of a spread, by their positions."""
        shares = spread.shares_of(rows)
        colours = map_colours(shares, self.colour_map)
        colours[~self.is_inside(shares), 3] = 0.0 if self.hides else FADED_ALPHA
        return colours


@dataclass(frozen=True, eq=False)
class Spread:
    """The positions of cells on a scale from lowest to highest, computed on first use.

    Attributes
    ----------
    values
        (n,) the value of each cell; NaN without a value.
    scale, is_signed
        See `ValueScale.of`.
    """

    values: Float64Array
    scale: Scale = "rank"
    is_signed: bool = False

    @cached_property
    def shares(self) -> Float64Array:
        """(n,) from 0, the lowest, to 1, the highest; NaN without a value; read-only."""
        shares = self.shares_of(slice(None))
        shares.setflags(write=False)
        return shares

    def shares_of(self, rows: Rows | slice) -> Float64Array:
        """Return (m,) the shares of some of the cells, by their positions."""
        return self._scale.shares(self.values[rows])

    @cached_property
    def distribution(self) -> Distribution:
        """The distribution of the values."""
        if self.scale == "rank":
            heights = np.abs(self._scale.values(_MIDDLES))
        else:
            heights = self._scale.histogram(self.values).astype(np.float64)
        return Distribution(heights, self._scale.ticks()[1])

    @cached_property
    def _scale(self) -> ValueScale:
        return ValueScale.of(self.values, self.scale, self.is_signed)


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of the values that colour the boxes, from the lowest to the highest.

    Attributes
    ----------
    heights
        (b,) the number of cells in equal parts of the scale; by rank, where that is constant, the
        magnitude of the value.
    ticks
        Evenly spaced values from left to right; empty without values.
    """

    heights: Float64Array = field(default_factory=lambda: np.zeros(HISTOGRAM_BINS))
    ticks: tuple[str, ...] = ()


def attention_colours(attention: npt.ArrayLike) -> Float64Array:
    """Return the (n, 4) RGBA of cells by the rank of their attention.

    White is the highest, dark blue the lowest; NaN gets `UNSCORED_COLOUR`.
    """
    colouring = Colouring()
    return colouring.colours(colouring.spread(attention))


def colours_of_parts(colour_map: ColourMap) -> npt.NDArray[Any]:
    """Return (b, 4) RGBA of the boxes in each part of a `Distribution`."""
    return map_colours(_MIDDLES, colour_map)
