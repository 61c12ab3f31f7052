"""Where a viewer looks: at which image of the layer in use, and at which part of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float32Array
from napari_attmil.widgets.viewer.layer_axes import LayerAxes, Place

SMALLEST_VIEW_PX = 8
SMALLEST_ON_SCREEN_PX = 90
"""What is looked at closely is shown at least this large."""


class Camera:
    """Says where a viewer looks, and turns it elsewhere.

    A viewer has as many axes as its layer of most axes; those of the image are the last ones.

    Parameters
    ----------
    viewer
        The napari viewer.

    Attributes
    ----------
    axes
        What the axes of the image layer in use hold.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._image: Any = None
        self.axes = LayerAxes()

    @property
    def image(self) -> Any:
        """The image layer in use, None if there is none."""
        return self._image

    @image.setter
    def image(self, layer: Any) -> None:
        self._image = layer
        self.axes = LayerAxes() if layer is None else LayerAxes.of(layer)

    @property
    def moved(self) -> tuple[Any, ...]:
        """Events that tell of another view."""
        events = self._camera.events
        return events.center, events.zoom

    @property
    def shows_images(self) -> bool:
        """Whether rows and columns of the image are what the viewer shows, turned or not."""
        dims = self._viewer.dims
        return dims.ndisplay == 2 and set(dims.displayed) == {dims.ndim - 2, dims.ndim - 1}

    def show_images(self) -> None:
        """Let the viewer show rows and columns of the image."""
        dims = self._viewer.dims
        dims.ndisplay = 2
        dims.order = tuple(range(dims.ndim))

    def place(self) -> Place:
        """Return where the viewer stands along the leading axes, in steps of the image's data."""
        return () if self._image is None else place_of(self._viewer, self._image, self.axes)

    def image_index(self) -> int:
        """Return which of its images the viewer shows."""
        return 0 if self.axes.images is None else self.place()[self.axes.images]

    def view_xyxy(self, size: tuple[int, int] | None = None) -> Float32Array | None:
        """Return (4,) x_min, y_min, x_max, y_max in pixels of what the viewer shows of the image.

        `size` is the image's own height and width, where the layer is larger. None if the viewer
        shows nothing of it.
        """
        if self._image is None or not self.shows_images:
            return None
        (top, left), (bottom, right) = self._corners_in_view()
        height, width = size or (bottom, right)
        low = np.maximum([left, top], 0)
        high = np.minimum([right, bottom], [width, height])
        if np.any(high - low < SMALLEST_VIEW_PX):
            return None
        return np.concatenate([low, high]).astype(np.float32)

    def _corners_in_view(self) -> npt.NDArray[np.float32]:
        """Return (2, 2) row and column of the corners of what the viewer shows of the image."""
        corners = np.array(self._image.corner_pixels, dtype=np.float32)[:, -2:]
        corners[1] += 1
        if not self._image.multiscale:
            return corners
        corners *= self._image.downsample_factors[self._image.data_level][-2:]
        # Of an image of several resolutions, napari reads more than it shows.
        canvas = getattr(getattr(self._viewer, "canvas", None), "size", None)
        if canvas is None:  # napari before 0.9
            return corners
        half = np.array(canvas) / (2 * self._camera.zoom)
        world = [self.middle(), self.middle()]
        for each, by in zip(world, (-half, half), strict=True):
            each[list(self._viewer.dims.displayed[-2:])] += by
        shown = np.array([self._image.world_to_data(each[-self._image.ndim :]) for each in world])
        low, high = shown[:, -2:].min(axis=0), shown[:, -2:].max(axis=0)
        inside = [np.maximum(corners[0], low), np.minimum(corners[1], high)]
        return np.array(inside, dtype=np.float32)

    def turn_to(self, image_index: int, course: Place | None = None) -> None:
        """Show another of its images; of another step of its courses, where one is given."""
        if self._image is None or self._viewer.dims.ndim < self._image.ndim:
            return
        place = list(self.axes.at(image_index, self.place()))
        moved = [] if self.axes.images is None else [self.axes.images]
        if course is not None and len(course) == len(self.axes.courses):
            moved += self.axes.courses
            for axis, step in zip(self.axes.courses, course, strict=True):
                place[axis] = step
        world = self._image.data_to_world((*place, 0, 0))
        first = self._viewer.dims.ndim - self._image.ndim
        if moved:
            self._viewer.dims.set_point(
                [first + axis for axis in moved], [float(world[axis]) for axis in moved]
            )

    def step(self, by: int) -> None:
        """Show the image before (-1) or after (1); without any others, move the slider in use."""
        if self.axes.images is not None:
            self.turn_to(int(np.clip(self.image_index() + by, 0, self.axes.count - 1)))
            return
        dims = self._viewer.dims
        if dims.ndim > 2:
            dims.set_current_step(dims.last_used, dims.current_step[dims.last_used] + by)

    def look_at(self, corners: npt.NDArray[np.float64]) -> None:
        """Centre on a shape in pixels of the image, (4, ndim), and show it large enough."""
        world = self._on_canvas(corners)
        self._camera.center = tuple(world.mean(axis=0))
        side = float(np.ptp(world, axis=0).max())
        self._camera.zoom = max(self._camera.zoom, SMALLEST_ON_SCREEN_PX / max(side, 1e-9))

    def offsets(self, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (4, 2) where a shape's corners, (4, ndim), lie on the screen.

        In pixels to the right of and below the middle of what the viewer shows.
        """
        world = self._on_canvas(corners)
        return np.asarray((world - self._camera.center[-2:]) * self._camera.zoom)[:, ::-1]

    def middle(self) -> npt.NDArray[np.float64]:
        """Return the place of the viewer in the middle of what it shows."""
        world = np.array(self._viewer.dims.point, dtype=np.float64)
        world[list(self._viewer.dims.displayed[-2:])] = self._camera.center[-2:]
        return world

    def _on_canvas(self, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (4, 2) where corners lie along the axes that go down and to the right."""
        world = np.array([self._image.data_to_world(corner) for corner in corners])
        dims = self._viewer.dims
        first = dims.ndim - self._image.ndim
        return world[:, [axis - first for axis in dims.displayed[-2:]]]

    @property
    def _camera(self) -> Any:
        return self._viewer.scene.camera


def place_of(viewer: Any, layer: Any, axes: LayerAxes) -> Place:
    """Return where a viewer stands along the leading axes of a layer, in steps of its data."""
    if not axes.sizes:
        return ()
    if viewer.dims.ndim < layer.ndim:  # The layer was removed.
        return (0,) * len(axes.sizes)
    steps = layer.world_to_data(viewer.dims.point[-layer.ndim :])[: len(axes.sizes)]
    return tuple(
        int(np.clip(round(float(step)), 0, max(size - 1, 0)))
        for step, size in zip(steps, axes.sizes, strict=True)
    )
