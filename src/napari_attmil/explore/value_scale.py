"""Scales from values of cells to the range 0 to 1, for colours and their legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float64Array

Scale = Literal["rank", "linear", "log"]

SCALES: Final[tuple[Scale, ...]] = ("rank", "linear", "log")
DECADES: Final = 6
"""Extent of a logarithmic scale below the highest value; lower values are treated as 0."""
HISTOGRAM_BINS: Final = 48
TICKS: Final = 5


@dataclass(frozen=True, eq=False)
class ValueScale:
    """A monotonic scale from values to shares: 0 for the lowest cell, 1 for the highest.

    Between the anchors it is linear in the value or in its logarithm.

    Attributes
    ----------
    anchors
        (m,) ascending values, of a signed scale their magnitudes; logarithms where `is_log`.
    positions
        (m,) ascending, from 0 to 1: the shares of the anchors.
    is_log
        Whether the anchors are decimal logarithms.
    is_signed
        Whether 0 lies in the middle and both sides have the same scale.
    """

    anchors: Float64Array
    positions: Float64Array
    is_log: bool = False
    is_signed: bool = False

    @classmethod
    def of(cls, values: npt.ArrayLike, scale: Scale = "rank", is_signed: bool = False) -> Self:
        """Return the scale of some cells.

        Parameters
        ----------
        values
            (n,) values that the scale spans; values that are not finite are ignored.
        scale
            ``"rank"`` spreads the cells evenly, whatever their values; ``"linear"`` keeps the
            proportions between the lowest and the highest; ``"log"`` those of their logarithms
            over at most `DECADES`, with lower values and 0 at the low end.
        is_signed
            Whether values of both signs are compared with 0, as contributions are.
        """
        finite = np.asarray(values, dtype=np.float64)
        finite = finite[np.isfinite(finite)]
        if is_signed:
            finite = np.append(np.abs(finite), 0.0)
        if not len(finite):
            finite = np.zeros(1)
        is_log = scale == "log" and bool(finite.max() > 0)
        anchors = _logarithms(finite, finite.max()) if is_log else finite
        anchors, counts = np.unique(anchors, return_counts=True)
        # The mean of the ranks that equal values share, from the one sorting.
        places = np.cumsum(counts) - (counts - 1) / 2 if scale == "rank" else anchors
        low, high = places[0], places[-1]
        shares = (places - low) / (high - low) if high > low else np.ones(1)
        if scale != "rank":
            anchors, shares = anchors[[0, -1]], shares[[0, -1]]
        return cls(anchors, shares, is_log, is_signed)

    def shares(self, values: npt.ArrayLike) -> Float64Array:
        """Return (n,) the shares of values, 0 to 1; NaN is kept, values outside are clipped."""
        wanted = np.asarray(values, dtype=np.float64)
        magnitude = np.abs(wanted) if self.is_signed else wanted
        if self.is_log:
            magnitude = _logarithms(magnitude, 10 ** self.anchors[-1])
        place = np.interp(magnitude, self.anchors, self.positions)
        if self.is_signed:
            place = 0.5 + 0.5 * np.sign(wanted) * place
        return np.where(np.isnan(wanted), np.nan, place)

    def values(self, shares: npt.ArrayLike) -> Float64Array:
        """Return (n,) the values at shares from 0 to 1: the inverse of `shares`."""
        wanted = np.asarray(shares, dtype=np.float64)
        place = np.abs(2 * wanted - 1) if self.is_signed else wanted
        magnitude = np.interp(place, self.positions, self.anchors)
        if self.is_log:
            magnitude = np.power(10.0, magnitude)
        return np.asarray(np.sign(2 * wanted - 1) * magnitude if self.is_signed else magnitude)

    def histogram(self, values: npt.ArrayLike, bins: int = HISTOGRAM_BINS) -> npt.NDArray[np.int64]:
        """Return (bins,) the number of cells in equal parts of the range 0 to 1."""
        shares = self.shares(values)
        counts, _ = np.histogram(shares[np.isfinite(shares)], bins=bins, range=(0, 1))
        return counts.astype(np.int64)

    def ticks(self, count: int = TICKS) -> tuple[Float64Array, tuple[str, ...]]:
        """Return evenly spaced shares from 0 to 1 for a legend, and their values as text."""
        places = np.linspace(0, 1, count)
        # Adding 0 turns -0 into 0.
        return places, tuple(f"{value:.2g}" for value in self.values(places) + 0.0)


def _logarithms(values: Float64Array, highest: float) -> Float64Array:
    return np.asarray(np.log10(np.fmax(values, highest * 10.0**-DECADES)))
