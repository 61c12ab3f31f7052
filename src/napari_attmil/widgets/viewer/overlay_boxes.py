"""Boxes over an image that are no boxes of the study: found so far, or found differently."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.cells import Boxes
from napari_attmil.core import Float32Array
from napari_attmil.widgets.viewer.box_shapes import to_vertices
from napari_attmil.widgets.viewer.image_choice import ImageChoice
from napari_attmil.widgets.viewer.image_layers import placement_over
from napari_attmil.widgets.viewer.layer_axes import LayerAxes

COLOURS = {
    "Found so far": "#CC79A7",
    "Found now": "#CC79A7",
    "Lost now": "#D55E00",
    "No box": "#CC79A7",
}
"""By the name of the layer. Of the Okabe-Ito palette; no colour that boxes themselves have."""
EDGE_SHARE = 0.08
"""Width of an edge as a share of the median cell diameter: bolder than the boxes beneath."""
MOST_SO_FAR = 5000
"""More boxes than these would hold up the viewer while the rest is searched."""
EVERY_S, SHARE_OF_TIME = 0.5, 0.1
"""Boxes found so far are drawn so often at most, and in this share of the time."""


class OverlayBoxes:
    """Layers of boxes that come and go together.

    Parameters
    ----------
    viewer
        The napari viewer.
    image_choice
        Says which image layer they lie on.
    """

    def __init__(self, viewer: Any, image_choice: ImageChoice) -> None:
        self._viewer, self._image_choice = viewer, image_choice
        self._layers: list[Any] = []

    def show(self, boxes: Mapping[str, Float32Array], image_index: int) -> None:
        """Show (n, 4) boxes of one image, by layer, in place of those that were shown before."""
        self.clear()
        for name, xyxy in boxes.items():
            self.add(name, xyxy, np.full(len(xyxy), image_index))

    def add(self, name: str, xyxy: Float32Array, image_index: Any) -> None:
        """Show more boxes in a layer; `image_index` has (n,) the image of each."""
        image = self._image_choice.chosen
        if image is None or not len(xyxy):
            return
        boxes = Boxes.from_detections(image_index, xyxy, np.ones(len(xyxy)))
        axes = LayerAxes.of(image)
        vertices = list(to_vertices(boxes, image.ndim, axes.images))
        present = [each for each in self._layers if each.name == name]
        selected = set(self._viewer.layers.selection)
        if present and present[0] in self._viewer.layers:
            present[0].add(vertices, shape_type="rectangle")
        else:
            self._layers.append(self._new_layer(name, boxes, vertices, image))
        # What a person works on stays what they work on.
        self._viewer.layers.selection = selected

    def clear(self) -> None:
        """Take the layers away that are still there."""
        for layer in self._layers:
            with contextlib.suppress(ValueError):
                self._viewer.layers.remove(layer)
        self._layers = []

    def _new_layer(self, name: str, boxes: Boxes, vertices: list[Any], image: Any) -> Any:
        return self._viewer.add_shapes(
            vertices,
            shape_type="rectangle",
            name=name,
            edge_color=COLOURS[name],
            edge_width=float(np.median(boxes.diameter_px) * EDGE_SHARE),
            face_color="transparent",
            units=image.units,
            **placement_over(image, LayerAxes.of(image), self._viewer.dims.point),
        )


def show_labels_over(
    viewer: Any, image: Any, labels: npt.NDArray[Any], image_index: int, name: str
) -> None:
    """Show (Y, X) labels over one image of a layer, in place of an earlier layer of that name.

    Nothing is shown if the image layer has gone.
    """
    if image not in viewer.layers:
        return
    if name in viewer.layers:
        viewer.layers.remove(name)
    axes, selected = LayerAxes.of(image), set(viewer.layers.selection)
    placement = placement_over(image, axes, viewer.dims.point)
    if axes.images is not None:
        translate = np.array(placement["translate"], dtype=np.float64)
        translate[axes.images] += image_index * np.asarray(placement["scale"])[axes.images]
        placement["translate"] = translate
    whole = labels.reshape((1,) * (image.ndim - 2) + labels.shape)
    viewer.add_labels(whole, name=name, opacity=0.4, units=image.units, **placement)
    # What a person works on stays what they work on.
    viewer.layers.selection = selected


class FoundSoFar:
    """Shows the cells that a detection has found while the rest is searched.

    Parameters
    ----------
    overlay
        Draws them.
    """

    def __init__(self, overlay: OverlayBoxes) -> None:
        self._overlay = overlay
        self._waiting: list[tuple[Float32Array, int]] = []
        self._count, self._next_s = 0, 0.0

    def add(self, xyxy: Float32Array, image_index: int) -> None:
        """Show the (n, 4) boxes of an image, soon."""
        if self._count + len(xyxy) > MOST_SO_FAR:
            return
        self._count += len(xyxy)
        self._waiting.append((xyxy, image_index))
        started = time.monotonic()
        if started >= self._next_s:
            self._draw()
            cost = time.monotonic() - started
            self._next_s = time.monotonic() + max(EVERY_S, cost / SHARE_OF_TIME)

    def clear(self) -> None:
        """Take all away."""
        self._overlay.clear()
        self._waiting, self._count, self._next_s = [], 0, 0.0

    def _draw(self) -> None:
        xyxy = np.concatenate([boxes for boxes, _ in self._waiting])
        images = [np.full(len(boxes), index) for boxes, index in self._waiting]
        self._overlay.add("Found so far", xyxy, np.concatenate(images))
        self._waiting = []
