"""Colours of boxes: from attention, and for boxes that have none."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

FloatArray = npt.NDArray[np.float64]
Rgba = tuple[float, float, float, float]
Scale = Literal["rank", "linear"]

# Lightness rises steadily, so that the order also survives colour blindness and grey print.
_PAPER_RGB: Final = np.array(
    [
        (0.02, 0.07, 0.32),
        (0.03, 0.19, 0.56),
        (0.05, 0.36, 0.78),
        (0.20, 0.55, 0.92),
        (0.48, 0.74, 0.98),
        (0.76, 0.89, 1.00),
        (1.00, 1.00, 1.00),
    ]
)
"""The paper's map (Sadafi et al. 2020, Fig. 4): dark blue for the lowest, white for the highest."""

MODEL_COLOUR: Final[Rgba] = (0.34, 0.71, 0.91, 1.0)
"""A box that the detector found; sky blue of the Okabe-Ito palette for colour-blind readers."""

PERSON_COLOUR: Final[Rgba] = (0.94, 0.89, 0.26, 1.0)
"""A box that a person drew or moved; yellow of the same palette."""

UNSCORED_COLOUR: Final[Rgba] = (0.90, 0.45, 0.0, 1.0)
"""A box that has no attention, because it is newer than the classification; orange."""


def relative_attention(attention: npt.ArrayLike, scale: Scale = "rank") -> FloatArray:
    """Return attention from 0 (lowest of the sample) to 1 (highest).

    Parameters
    ----------
    attention
        (n,) weights; NaN where there is none.
    scale
        ``"rank"`` spreads the cells evenly, whatever their weights; ``"linear"`` keeps the
        proportions between the lowest and the highest weight.

    Returns
    -------
    (n,) float64
        NaN where `attention` is; 1 if all weights are equal.
    """
    values = np.asarray(attention, dtype=np.float64)
    relative = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    if not known.any():
        return relative
    weights = values[known] if scale == "linear" else rankdata(values[known])
    low, high = weights.min(), weights.max()
    relative[known] = (weights - low) / (high - low) if high > low else 1.0
    return relative


def map_colours(relative: npt.ArrayLike) -> FloatArray:
    """Return the (n, 4) RGBA of values from 0 (dark blue) to 1 (white).

    NaN becomes `UNSCORED_COLOUR`; values outside are clipped.
    """
    values = np.asarray(relative, dtype=np.float64)
    known = np.isfinite(values)
    colours = np.tile(np.array(UNSCORED_COLOUR), (len(values), 1))
    anchors = np.linspace(0, 1, len(_PAPER_RGB))
    for channel in range(3):
        colours[known, channel] = np.interp(values[known], anchors, _PAPER_RGB[:, channel])
    return colours


def attention_colours(attention: npt.ArrayLike, scale: Scale = "rank") -> FloatArray:
    """Return the (n, 4) RGBA of cells: white for the highest attention, dark blue for the lowest.

    Parameters
    ----------
    attention
        (n,) weights; a NaN gets `UNSCORED_COLOUR`.
    scale
        See `relative_attention`.
    """
    return map_colours(relative_attention(attention, scale))
