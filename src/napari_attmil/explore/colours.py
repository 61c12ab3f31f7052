"""Colours of boxes: from attention or another measure, and for boxes that have none."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float64Array

Rgba = tuple[float, float, float, float]
ColourMap = Literal["paper", "viridis", "cividis", "magma", "diverging"]

COLOUR_MAPS: Final[dict[ColourMap, str]] = {
    "paper": "dark blue to white, as in the paper",
    "viridis": "viridis",
    "cividis": "cividis",
    "magma": "magma",
    "diverging": "blue below 0, red above",
}
"""The colour maps and their titles."""
_DIVERGING: Final = "coolwarm"
"""Matplotlib's name of the map of Moreland (2009), which colour-blind readers can tell apart."""

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

ACCEPTED_COLOUR: Final[Rgba] = (0.0, 0.75, 0.55, 1.0)
"""A box of the detector that a person confirmed; the palette's bluish green, made lighter."""

UNSCORED_COLOUR: Final[Rgba] = (0.90, 0.45, 0.0, 1.0)
"""A box without attention, because it is newer than the classification; orange."""

_CLASS_COLOURS: Final = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#0072B2",
    "#F0E442",
)
"""The palette of Okabe and Ito, visible on dark and on light backgrounds."""


def source_colours(source: npt.NDArray[np.uint8]) -> Float64Array:
    """Return the (n, 4) RGBA of boxes by who made them, (n,) values of `Source`."""
    return np.array([MODEL_COLOUR, PERSON_COLOUR, ACCEPTED_COLOUR])[source]


def class_colour(place: int) -> str:
    """Return the colour of the class at a position in alphabetical order; colours repeat."""
    return _CLASS_COLOURS[place % len(_CLASS_COLOURS)]


def map_colours(relative: npt.ArrayLike, colour_map: ColourMap = "paper") -> Float64Array:
    """Return the (n, 4) RGBA of values from 0 (lowest) to 1 (highest).

    NaN becomes `UNSCORED_COLOUR`; values outside are clipped.
    """
    values = np.asarray(relative, dtype=np.float64)
    has_value = np.isfinite(values)
    colours = np.tile(np.array(UNSCORED_COLOUR), (len(values), 1))
    if colour_map != "paper":
        from matplotlib import colormaps  # slow to import, so only when needed

        name = _DIVERGING if colour_map == "diverging" else colour_map
        colours[has_value] = colormaps[name](values[has_value])
        return colours
    anchors = np.linspace(0, 1, len(_PAPER_RGB))
    for channel in range(3):
        colours[has_value, channel] = np.interp(values[has_value], anchors, _PAPER_RGB[:, channel])
    return colours
