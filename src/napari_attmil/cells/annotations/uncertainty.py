"""Which images to look at next: those in which the detector is least sure of what it found.

Only stored scores are read, so that thousands of images are ranked at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

MISSING_CELL = 0.5
"""Doubt about a cell that other images have and this one lacks: it may be missed, or not there."""


def uncertainties(scores: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    """Return how unsure the detector is of each image.

    Parameters
    ----------
    scores
        For each image the (n,) scores of its boxes, 0 to 1; 1 for boxes that a person has seen.

    Returns
    -------
    (images,) float64
        Expected share of wrong boxes, 0 to 1. An image with fewer boxes than the median image
        counts those that it lacks as in doubt, so that a field in which nothing was found is not
        taken for a sure one.
    """
    lists = [np.asarray(image, dtype=np.float64).ravel() for image in scores]
    if not lists:
        return np.empty(0)
    usual = float(np.median([len(image) for image in lists]))
    return np.array(
        [
            (np.sum(1 - image) + MISSING_CELL * max(0.0, usual - len(image)))
            / max(len(image), usual, 1.0)
            for image in lists
        ]
    )


def most_uncertain_first(scores: Sequence[npt.ArrayLike]) -> npt.NDArray[np.intp]:
    """Return the images' positions, the most doubtful first; see `uncertainties`."""
    return np.argsort(-uncertainties(scores), kind="stable")
