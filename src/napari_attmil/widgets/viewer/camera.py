"""Where a viewer looks: at which image of the layer in use, and at which part of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float32Array

SMALLEST_VIEW_PX = 8
SMALLEST_ON_SCREEN_PX = 90
"""What is looked at closely is shown at least this large."""


class Camera:
    """Says where a viewer looks, and turns it elsewhere.

    Parameters
    ----------
    viewer
        The napari viewer.

    Attributes
    ----------
    image
        The image layer in use, None if there is none.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.image: Any = None

    def image_index(self) -> int:
        """Return which image of the stack the viewer shows."""
        if self.image is None or self.image.ndim == 2:
            return 0
        place = self.image.world_to_data(self._viewer.dims.point[-self.image.ndim :])[0]
        return int(np.clip(round(float(place)), 0, self.image.data.shape[0] - 1))

    def view_xyxy(self, size: tuple[int, int] | None = None) -> Float32Array | None:
        """Return (4,) x_min, y_min, x_max, y_max in pixels of what the viewer shows of the image.

        `size` is the image's own height and width, where the layer is larger. None if the viewer
        shows nothing of it.
        """
        if self.image is None:
            return None
        corners = np.array(self.image.corner_pixels, dtype=np.float32)[:, -2:]
        if self.image.multiscale:
            corners *= self.image.downsample_factors[self.image.data_level][-2:]
        (top, left), (bottom, right) = corners[0], corners[1] + 1
        height, width = size or (bottom, right)
        low = np.maximum([left, top], 0)
        high = np.minimum([right, bottom], [width, height])
        if np.any(high - low < SMALLEST_VIEW_PX):
            return None
        return np.concatenate([low, high]).astype(np.float32)

    def turn_to(self, image_index: int) -> None:
        """Show another image of the stack."""
        if self.image is not None and self.image.ndim == 3:
            world = self.image.data_to_world((image_index, 0, 0))
            self._viewer.dims.set_point(0, float(world[0]))

    def look_at(self, corners: npt.NDArray[np.float64]) -> None:
        """Centre on a shape in pixels of the image, (4, ndim), and show it large enough."""
        world = np.array([self.image.data_to_world(corner) for corner in corners])[:, -2:]
        self._camera.center = tuple(world.mean(axis=0))
        side = float(np.ptp(world, axis=0).max())
        self._camera.zoom = max(self._camera.zoom, SMALLEST_ON_SCREEN_PX / max(side, 1e-9))

    def offsets(self, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (4, 2) where a shape's corners, (4, ndim), lie on the screen.

        In pixels to the right of and below the middle of what the viewer shows.
        """
        world = np.array([self.image.data_to_world(corner) for corner in corners])[:, -2:]
        return np.asarray((world - self._camera.center[-2:]) * self._camera.zoom)[:, ::-1]

    def middle(self) -> npt.NDArray[np.float64]:
        """Return the place of the viewer in the middle of what it shows."""
        world = np.array(self._viewer.dims.point, dtype=np.float64)
        world[-2:] = self._camera.center[-2:]
        return world

    @property
    def _camera(self) -> Any:
        # napari 0.9 moved the camera into the viewer's scene.
        return getattr(self._viewer, "scene", self._viewer).camera
