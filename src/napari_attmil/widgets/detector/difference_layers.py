"""Boxes over an image that are no boxes of the study: what detectors find differently."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.cells import Boxes
from napari_attmil.core import Float32Array
from napari_attmil.widgets.viewer import PLACEMENT, to_vertices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.widgets.context import PanelContext

COLOURS = {"Found now": "#CC79A7", "Lost now": "#D55E00", "No box": "#CC79A7"}
"""By the name of the layer. Of the Okabe-Ito palette; no colour that boxes themselves have."""
EDGE_SHARE = 0.08
"""Width of an edge as a share of the median cell diameter: bolder than the boxes beneath."""


class DifferenceLayers:
    """Layers of boxes that come and go together.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext) -> None:
        self._context = context
        self._layers: list[Any] = []

    def show(self, boxes: Mapping[str, Float32Array], image_index: int) -> None:
        """Show (n, 4) boxes of one image, by layer, in place of those that were shown before."""
        self.clear()
        image = self._context.image_choice.chosen
        if image is None:
            return
        for name, xyxy in boxes.items():
            if len(xyxy):
                self._layers.append(self._add(name, xyxy, image_index, image))

    def clear(self) -> None:
        """Take the layers away that are still there."""
        for layer in self._layers:
            with contextlib.suppress(ValueError):
                self._context.viewer.layers.remove(layer)
        self._layers = []

    def _add(self, name: str, xyxy: Float32Array, image_index: int, image: Any) -> Any:
        boxes = Boxes.from_detections(np.full(len(xyxy), image_index), xyxy, np.ones(len(xyxy)))
        return self._context.viewer.add_shapes(
            list(to_vertices(boxes, image.ndim)),
            shape_type="rectangle",
            name=name,
            edge_color=COLOURS[name],
            edge_width=float(np.median(boxes.diameter_px) * EDGE_SHARE),
            face_color="transparent",
            **{key: getattr(image, key) for key in (*PLACEMENT, "units")},
        )
