"""Draws very many points into one picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def draw_dots(
    places: npt.NDArray[np.float64],
    colours: npt.NDArray[np.float64],
    shape: tuple[int, int],
    diameter_px: float,
) -> npt.NDArray[np.uint8]:
    """Return a picture of round dots, later ones over earlier ones.

    Parameters
    ----------
    places
        (n, 2) x and y of their middles in pixels; those outside of the picture are left out.
    colours
        (n, 3) RGB from 0 to 1.
    shape
        Height and width of the picture.
    diameter_px
        Of a dot; its middle is put on that of the nearest pixel.

    Returns
    -------
    (height, width, 4) uint8
        RGBA, the colours already times the alpha, which is 0 between the dots.
    """
    reach = int(np.ceil(diameter_px / 2))
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    coverage = np.clip(diameter_px / 2 + 0.5 - np.hypot(down, right), 0, 1)
    # Room around the picture, for dots that are cut off by its edge.
    height, width = shape[0] + 4 * reach, shape[1] + 4 * reach
    column, row = np.floor(places).T.astype(np.intp) + 2 * reach
    is_seen = (reach <= row) & (row < height - reach) & (reach <= column) & (column < width - reach)
    middles = (row * width + column)[is_seen, np.newaxis]
    opaque = np.insert(colours[is_seen], 3, 1.0, axis=1)
    picture = np.zeros(height * width, dtype=np.uint32)
    # Soft edges first, so that none of them lies over a dot.
    for share in np.unique(coverage[coverage > 0]):
        rgba = np.rint(255 * share * opaque).astype(np.uint8).view(np.uint32)
        picture[middles + (down * width + right)[coverage == share]] = rgba
    inside = slice(2 * reach, -2 * reach)
    return picture.view(np.uint8).reshape(height, width, 4)[inside, inside]
