"""Colours of boxes: from attention or another measure, and for boxes that have none."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float64Array

Rgba = tuple[float, float, float, float]
ColourMap = Literal["paper", "ink", "viridis", "cividis", "magma", "diverging"]

COLOUR_MAPS: Final[dict[ColourMap, str]] = {
    "paper": "dark blue to white, as in the paper",
    "ink": "pale to dark blue, for bright images",
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

_INK_RGB: Final = np.array(
    [
        (0.42, 0.68, 0.94),
        (0.22, 0.53, 0.87),
        (0.09, 0.38, 0.75),
        (0.05, 0.25, 0.58),
        (0.03, 0.13, 0.40),
        (0.00, 0.02, 0.16),
    ]
)
"""The other way round, without white: what counts most must stand out from a bright image."""

_OWN_MAPS: Final[dict[str, npt.NDArray[np.float64]]] = {"paper": _PAPER_RGB, "ink": _INK_RGB}

MODEL_COLOUR: Final[Rgba] = (0.34, 0.71, 0.91, 1.0)
"""A box that the detector found; sky blue of the Okabe-Ito palette for colour-blind readers."""

PERSON_COLOUR: Final[Rgba] = (0.94, 0.89, 0.26, 1.0)
"""A box that a person drew or moved; yellow of the same palette."""

ACCEPTED_COLOUR: Final[Rgba] = (0.0, 0.75, 0.55, 1.0)
"""A box of the detector that a person confirmed; the palette's bluish green, made lighter."""

UNSCORED_COLOUR: Final[Rgba] = (0.90, 0.45, 0.0, 1.0)
"""A box without attention, as it is newer than the classification or not drawn for it; orange."""

_DARK_SOURCES: Final = np.array(
    [(0.0, 0.38, 0.66, 1.0), (0.75, 0.25, 0.0, 1.0), (0.0, 0.42, 0.30, 1.0)]
)
"""Blue, vermilion and green of the palette, darkened: of boxes of the detector, a person, and
accepted, on bright images."""

_BRIGHT: Final = 0.62
_NO_LONGER_BRIGHT: Final = 0.55
"""An image between the two is taken as the one before it, so that colours seldom change.

Stained smears on a pale ground lie above, unstained cells on grey below (looked at on TXL-PBC,
Chula RBC-12 and the simulated samples).
"""

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

PALETTE_SIZE: Final = len(_CLASS_COLOURS)


def source_colours(source: npt.NDArray[np.uint8], on_bright: bool = False) -> Float64Array:
    """Return the (n, 4) RGBA of boxes by who made them, (n,) values of `Source`.

    `on_bright` says whether they lie over a bright image.
    """
    if on_bright:
        return np.asarray(_DARK_SOURCES[source])
    return np.array([MODEL_COLOUR, PERSON_COLOUR, ACCEPTED_COLOUR])[source]


def is_bright(picture: npt.NDArray[np.uint8], was_bright: bool = False) -> bool:
    """Return whether light boxes would be hard to see on an image.

    Parameters
    ----------
    picture
        (h, w, 4) RGBA of the image as it is displayed, as small as you like.
    was_bright
        What was said of the image before.
    """
    grey = picture[..., :3] @ np.array([0.2126, 0.7152, 0.0722]) / 255
    covered = grey[picture[..., 3] > 0]
    brightness = float(np.median(covered)) if len(covered) else 0.0
    return brightness > (_NO_LONGER_BRIGHT if was_bright else _BRIGHT)


def class_colour(place: int) -> str:
    """Return the colour of the class at a position in alphabetical order; colours repeat."""
    return _CLASS_COLOURS[place % len(_CLASS_COLOURS)]


def rgba_of(colour: str) -> Rgba:
    """Return the RGBA of a colour like "#E69F00"."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return (red, green, blue, 1.0)


def map_colours(relative: npt.ArrayLike, colour_map: ColourMap = "paper") -> Float64Array:
    """Return the (n, 4) RGBA of values from 0 (lowest) to 1 (highest).

    NaN becomes `UNSCORED_COLOUR`; values outside are clipped.
    """
    values = np.asarray(relative, dtype=np.float64)
    has_value = np.isfinite(values)
    colours = np.tile(np.array(UNSCORED_COLOUR), (len(values), 1))
    table = _OWN_MAPS.get(colour_map)
    if table is None:
        from matplotlib import colormaps  # slow to import, so only when needed

        name = _DIVERGING if colour_map == "diverging" else colour_map
        colours[has_value] = colormaps[name](values[has_value])
        return colours
    anchors = np.linspace(0, 1, len(table))
    for channel in range(3):
        colours[has_value, channel] = np.interp(values[has_value], anchors, table[:, channel])
    return colours
