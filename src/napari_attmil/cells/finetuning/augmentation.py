"""Augmentation: one labelled image with the looks of other microscopes, stains and foci.

The free training data are stained, the images to be analysed are not. Both have the cells'
outlines in common, so brightness, contrast, sign and low frequencies are varied widely, and the
size of cells around the detector's working scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_attmil.cells.boxes import median_diameter_px
from napari_attmil.cells.detection import rescale, to_grey

if TYPE_CHECKING:
    from napari_attmil.core import Float32Array

CROP_PX, LEAST_IMAGE_PX = 256, 8
DIAMETER_SPREAD_OCTAVES = 0.75
"""Cells are scaled to the working diameter times two to the power of plus or minus this."""
MIN_VISIBLE_SHARE = 0.3
"""A cell of which less than this lies in the crop is not labelled."""
LEAST_SIDE_PX = 6.0
"""Nor is a cell with a shorter visible side."""


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image to learn from.

    Attributes
    ----------
    grey
        (Y, X), any integer or float type.
    xyxy
        (n, 4) float32, all its cells.
    stained
        Whether cells differ from the background by absorption rather than by their rims.
    name
        Unique in its data set.
    diameter_px
        Typical cell diameter; that of its own boxes if None.
    touched
        (n,) bool, which boxes a person drew or moved; all of them if None.
    rejected
        (k, 4) float32 boxes of the detector that a person deleted.
    """

    grey: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    xyxy: Float32Array
    stained: bool
    name: str = ""
    diameter_px: float | None = None
    touched: npt.NDArray[np.bool_] | None = None
    rejected: Float32Array = field(default_factory=lambda: np.empty((0, 4), dtype=np.float32))

    @property
    def corrections(self) -> int:
        """How many boxes a person drew, moved or deleted."""
        drawn = len(self.xyxy) if self.touched is None else np.count_nonzero(self.touched)
        return int(drawn) + len(self.rejected)


def random_crop(
    image: LabelledImage,
    working_diameter_px: float,
    rng: np.random.Generator,
    changed_looks: float = 1.0,
) -> tuple[Float32Array, Float32Array]:
    """Return a normalised (256, 256) crop, and its (m, 4) boxes.

    Parameters
    ----------
    image
        The image to cut it from.
    working_diameter_px
        Approximate size of its cells in the crop.
    rng
        Decides on size, orientation, place and look.
    changed_looks
        Probability of a random look instead of the image's own.
    """
    octaves = rng.uniform(-DIAMETER_SPREAD_OCTAVES, DIAMETER_SPREAD_OCTAVES)
    own = median_diameter_px(image.xyxy) if len(image.xyxy) else working_diameter_px
    diameter = image.diameter_px or own
    scale = working_diameter_px * 2.0**octaves / diameter
    resized = rescale(image.grey.astype(np.float32), scale, LEAST_IMAGE_PX)
    grey, xyxy = _turned(resized.grey.numpy(), image.xyxy * resized.scales, rng)
    if rng.random() < changed_looks:
        grey = random_look(grey, diameter * scale, image.stained, rng)
    grey = to_grey(grey)
    return _cropped(grey, xyxy, rng)


def random_look(
    grey: Float32Array, diameter_px: float, stained: bool, rng: np.random.Generator
) -> Float32Array:
    """Return a (Y, X) image as another microscope might have recorded it.

    Lengths scale with `diameter_px`, the size of a cell.
    """
    grey = to_grey(grey)
    if rng.random() < 0.3:
        low, high = float(grey.min()), float(grey.max())
        grey = ((grey - low) / max(high - low, 1e-6)) ** np.float32(2.0 ** rng.uniform(-1, 1))
    if rng.random() < (0.35 if stained else 0.1):
        # Outlines only, as in an unstained cell.
        wide = ndimage.gaussian_filter(grey, diameter_px * rng.uniform(0.06, 0.3))
        grey = grey * rng.uniform(0, 0.3) + (grey - wide)
    if rng.random() < (0.4 if stained else 0.3):
        grey = -grey
    if rng.random() < 0.15:
        # Oblique light: a relief.
        along_y, along_x = np.gradient(ndimage.gaussian_filter(grey, 0.02 * diameter_px))
        angle = rng.uniform(0, 2 * np.pi)
        relief = np.cos(angle) * along_x + np.sin(angle) * along_y
        grey = rng.uniform(0, 1) * grey + relief * diameter_px * rng.uniform(0.1, 0.4)
    if rng.random() < 0.5:
        grey = ndimage.gaussian_filter(grey, diameter_px * rng.uniform(0.005, 0.06))
    if rng.random() < 0.5:
        grey = grey + _uneven_light(grey.shape, rng) * rng.uniform(0, 1.5) * grey.std()
    noise = rng.uniform(0, 0.25) ** 1.5 * max(float(grey.std()), 1e-3)
    grain = noise * rng.standard_normal(grey.shape, dtype=np.float32)
    return np.asarray(grey + grain, dtype=np.float32)


def _uneven_light(shape: tuple[int, ...], rng: np.random.Generator) -> Float32Array:
    """Return a smooth (Y, X) field of mean about 0 and size about 1."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[np.newaxis]
    a, b, c, d, e = rng.uniform(-1, 1, 5).astype(np.float32)
    return np.asarray(a * x + b * y + c * x * y + d * x**2 + e * y**2, dtype=np.float32)


def _turned(
    grey: Float32Array, xyxy: Float32Array, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Return the image and its boxes flipped and transposed at random."""
    if rng.random() < 0.5:
        grey, xyxy = grey.T, xyxy[:, [1, 0, 3, 2]]
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
        x0, y0, x1, y1 = xyxy.T
        xyxy = np.stack([grey.shape[1] - x1, y0, grey.shape[1] - x0, y1], axis=1)
    if rng.random() < 0.5:
        grey = grey[::-1]
        x0, y0, x1, y1 = xyxy.T
        xyxy = np.stack([x0, grey.shape[0] - y1, x1, grey.shape[0] - y0], axis=1)
    return np.ascontiguousarray(grey), xyxy


def _cropped(
    grey: Float32Array, xyxy: Float32Array, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Return a window of `CROP_PX`, zeros where the image ends, and the boxes clipped to it."""
    top = rng.integers(0, max(1, grey.shape[0] - CROP_PX + 1))
    left = rng.integers(0, max(1, grey.shape[1] - CROP_PX + 1))
    window = grey[top : top + CROP_PX, left : left + CROP_PX]
    crop = np.zeros((CROP_PX, CROP_PX), dtype=np.float32)
    crop[: window.shape[0], : window.shape[1]] = window
    moved = xyxy - np.array([left, top, left, top], dtype=np.float32)
    limit = np.array([window.shape[1], window.shape[0]] * 2, dtype=np.float32)
    clipped = np.clip(moved, 0, limit).astype(np.float32)
    sides = clipped[:, 2:] - clipped[:, :2]
    whole = np.prod(moved[:, 2:] - moved[:, :2], axis=1)
    visible = np.prod(sides, axis=1) >= MIN_VISIBLE_SHARE * whole
    return crop, clipped[visible & (sides.min(axis=1, initial=np.inf) >= LEAST_SIDE_PX)]
