"""Where a layer lies: laid over another one, it is scaled, shifted and turned like it."""

from __future__ import annotations

from typing import Any

import numpy as np

PLACEMENT = ("scale", "translate", "rotate", "shear", "affine")
"""What of a layer says where it lies."""


def lay_over(layer: Any, image: Any) -> None:
    """Lay a layer where another one lies, with its units and names of axes."""
    for name in (*PLACEMENT, "units", "axis_labels"):
        wanted = getattr(image, name)
        # napari draws the layer anew for each of them, changed or not.
        if not _same_place(getattr(layer, name), wanted):
            setattr(layer, name, wanted)


def _same_place(now: Any, wanted: Any) -> bool:
    """Return whether two scales, shifts, rotations, affine maps or lists of names are the same."""
    now, wanted = (getattr(value, "affine_matrix", value) for value in (now, wanted))
    return bool(np.array_equal(np.asarray(now), np.asarray(wanted)))
