"""Boxes for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_attmil.cells.boxes import Boxes


def shifted(boxes: Boxes, shift_px: float) -> Boxes:
    """Return boxes of which the first lies further to the right."""
    shift = np.zeros_like(boxes.xyxy)
    shift[0, [0, 2]] = shift_px
    return replace(boxes, xyxy=boxes.xyxy + shift)
