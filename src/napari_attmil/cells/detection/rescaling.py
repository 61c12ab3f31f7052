"""Images prepared for the network: grey, with equal brightness and contrast, at working scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from napari_attmil.cells.detection.network import STRIDE_PX
from napari_attmil.core import UserError
from napari_attmil.images import LargeImage

if TYPE_CHECKING:
    from napari_attmil.core import Float32Array


@dataclass(frozen=True)
class GreyLevels:
    """Brightness and contrast of an image, in its own grey levels.

    Attributes
    ----------
    low, high
        The 0.5th and the 99.5th percentile; values outside are clipped.
    middle
        The median, which becomes 0.
    spread
        The standard deviation, which becomes 1.
    """

    low: float
    middle: float
    high: float
    spread: float

    @classmethod
    def of(cls, image: npt.NDArray[Any]) -> GreyLevels:
        """Measure an image of shape (Y, X) or (Y, X, 3); it may be a lazy array.

        Raises
        ------
        UserError
            If it is no single image.
        """
        shape = np.shape(image)
        if len(shape) not in (2, 3) or shape[2:] not in ((), (3,), (4,)) or 0 in shape:
            raise UserError(
                f"An image of shape {shape} was given, but one grey (Y, X) or colour "
                "(Y, X, 3) image is needed; choose one channel or one plane."
            )
        # A subsample is enough for brightness and contrast, and 20 times as fast.
        step = max(1, int(np.sqrt(shape[0] * shape[1] / 100_000)))
        part = image.sampled() if isinstance(image, LargeImage) else image[::step, ::step]
        grey = _grey(part)
        low, middle, high = np.percentile(grey, (0.5, 50, 99.5))
        spread = float(np.clip(grey, low, high).std()) or 1.0
        return cls(float(low), float(middle), float(high), spread)

    def normalise(self, image: npt.NDArray[Any]) -> Float32Array:
        """Return an image, or a part of it, as (Y, X) float32 of median 0 and unit spread."""
        grey = _grey(image)
        # In place: a tile of large cells has 100 million pixels.
        np.clip(grey, self.low, self.high, out=grey)
        grey -= np.float32(self.middle)
        grey /= np.float32(self.spread)
        return grey


@dataclass(frozen=True)
class Prepared:
    """A normalised image or tile at the working scale, with the factors that lead there.

    Attributes
    ----------
    grey
        (h, w) float32.
    scale_x, scale_y
        Working pixels a pixel.
    """

    grey: torch.Tensor
    scale_x: float
    scale_y: float

    @property
    def scales(self) -> Float32Array:
        """(4,) factors that bring x_min, y_min, x_max, y_max to the working scale."""
        return np.array([self.scale_x, self.scale_y] * 2, dtype=np.float32)


def to_grey(image: npt.NDArray[Any]) -> Float32Array:
    """Return an image as (Y, X) float32 of median 0 and unit spread.

    Colour is averaged; brightness and contrast are taken from the image itself, so that 8 and
    16 bit, dark and bright, weak and strong images look alike to the network.

    Raises
    ------
    UserError
        If the array is not a single (Y, X) or (Y, X, 3) image.
    """
    array = np.asarray(image)
    return GreyLevels.of(array).normalise(array)


def rescale(grey: Float32Array, scale: float, least_side_px: int = 1) -> Prepared:
    """Return an image at another scale, anti-aliased, no side shorter than `least_side_px`."""
    height, width = grey.shape
    new_height, new_width = (max(least_side_px, round(side * scale)) for side in grey.shape)
    tensor = torch.from_numpy(np.ascontiguousarray(grey))
    if (new_height, new_width) != (height, width):
        tensor = functional.interpolate(
            tensor[None, None],
            size=(new_height, new_width),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )[0, 0]
    return Prepared(tensor, new_width / width, new_height / height)


def stacked(batch: Sequence[Prepared]) -> torch.Tensor:
    """Return (b, 1, h, w), padded with zeros to a common multiple of the largest stride."""
    sides = torch.tensor([item.grey.shape for item in batch]).amax(dim=0)
    stack = torch.zeros((len(batch), 1, *(-(-sides // STRIDE_PX) * STRIDE_PX).tolist()))
    for row, item in enumerate(batch):
        stack[row, 0, : item.grey.shape[0], : item.grey.shape[1]] = item.grey
    return stack


def as_stack(
    images: npt.NDArray[Any] | Sequence[npt.NDArray[Any]],
) -> Sequence[npt.NDArray[Any]]:
    """Return images as a sequence: one (Y, X), (Y, X, 3) or (Y, X, 4) array becomes one of one."""
    if isinstance(images, Sequence):
        return images  # it may be lazy
    shape = np.shape(images)
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    return [np.asarray(images)] if is_image else list(images)


def _grey(image: npt.NDArray[Any]) -> Float32Array:
    """Return a copy of an image as (Y, X) float32, with 0 for NaN and finite values only."""
    array = np.asarray(image)
    if array.ndim == 3:
        array = array[..., :3].mean(axis=-1, dtype=np.float32)
    grey: Float32Array = array.astype(np.float32)
    return np.nan_to_num(grey, copy=False)
