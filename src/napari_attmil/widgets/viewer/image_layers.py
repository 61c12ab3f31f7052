"""Images of the viewer as the stages read them, and samples of a cohort as image layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_attmil.core import UserError, counted
from napari_attmil.images import Frame, Sample

AXIS_LABELS = ("image", "y", "x")
SAMPLE_OF_FILES = "napari-attmil images"
"""Key of an image layer's metadata: the sample whose files it was made of."""
IMAGE_SIZES = "napari-attmil image sizes"
"""Key of an image layer's metadata: the height and width of each image before it was padded."""
_HIDING = ("translucent", "translucent_no_depth", "opaque")
"""Ways of blending that leave nothing to be seen of what lies below."""

PLACEMENT = ("scale", "translate", "rotate", "shear", "affine")
"""What of a layer says where it lies."""


class LayerImages(Sequence[npt.NDArray[Any]]):
    """The images of a layer, each computed when it is asked for, and of its own size.

    Parameters
    ----------
    layer
        A napari image layer: (Y, X), (N, Y, X), or the same with a last colour axis.

    Attributes
    ----------
    sizes
        Each image's own height and width: a layer shows all as large as the largest.

    Raises
    ------
    UserError
        If the layer has more axes than a stack.
    """

    def __init__(self, layer: Any) -> None:
        if layer.ndim not in (2, 3):
            raise UserError(
                f"The layer '{layer.name}' has {layer.ndim} axes, but an image (Y, X) or a stack "
                "(N, Y, X) is needed; right-click it in the layer list and choose Split Stack."
            )
        # A snapshot: the layer may get other data, or be removed, while a worker reads.
        self._data = layer.data[0] if layer.multiscale else layer.data
        self._is_stack = layer.ndim == 3
        self.sizes = sizes_of_layer(layer)
        self._is_rgb = bool(layer.rgb)

    def __len__(self) -> int:
        return int(self._data.shape[0]) if self._is_stack else 1

    def __getitem__(self, place: Any) -> Any:
        """Return one image, (Y, X) or (Y, X, 3), or a list of images for a slice."""
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        image = np.asarray(self._data[place] if self._is_stack else self._data)
        height, width = self.sizes[place]
        image = image[:height, :width]
        return image[..., :3] if self._is_rgb else image

    @property
    def is_rgb(self) -> bool:
        """Whether the images are shown in colour."""
        return self._is_rgb


def sizes_of_layer(layer: Any) -> tuple[tuple[int, int], ...]:
    """Return the height and width of each image of a layer before it was padded."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    count = int(shape[0]) if layer.ndim == 3 else 1
    height, width = shape[1:3] if layer.ndim == 3 else shape[:2]
    sizes = layer.metadata.get(IMAGE_SIZES, ())
    return tuple(sizes) if len(sizes) == count else ((int(height), int(width)),) * count


def cover_of(layer: Any, layers: Iterable[Any]) -> Any:
    """Return the image layer that hides the middle of another one, or None.

    Parameters
    ----------
    layer
        The layer that is looked for.
    layers
        All layers of the viewer, the lowest first.
    """
    above = list(layers)
    above = above[above.index(layer) + 1 :] if layer in above else []
    return next((other for other in reversed(above) if _hides(other, layer)), None)


def _hides(upper: Any, lower: Any) -> bool:
    if not isinstance(upper, Image) or not upper.visible or upper.opacity < 1:
        return False
    if str(upper.blending) not in _HIDING:
        return False
    (top, bottom), (low, high) = (np.asarray(each.extent.world)[:, -2:] for each in (upper, lower))
    middle = (low + high) / 2
    return bool(np.all(top <= middle) and np.all(middle <= bottom))


def lay_over(layer: Any, image: Any) -> None:
    """Lay a layer where another one lies, with its units and names of axes."""
    for name in (*PLACEMENT, "units", "axis_labels"):
        wanted = getattr(image, name)
        # napari draws the layer anew for each of them, changed or not.
        if not _is_same_place(getattr(layer, name), wanted):
            setattr(layer, name, wanted)


def _is_same_place(now: Any, wanted: Any) -> bool:
    """Return whether two scales, shifts, rotations, affine maps or lists of names are the same."""
    now, wanted = (getattr(value, "affine_matrix", value) for value in (now, wanted))
    return bool(np.array_equal(np.asarray(now), np.asarray(wanted)))


def sample_of_layer(layer: Any) -> Sample:
    """Return a sample that names the images of a layer of the viewer, by their files if known."""
    images = LayerImages(layer)
    of_files = layer.metadata.get(SAMPLE_OF_FILES)
    if of_files is not None and len(of_files) == len(images):
        return replace(of_files, pixel_size_um=layer_pixel_size_um(layer))
    source = getattr(layer.source, "path", None)
    path = Path(source) if source else Path(layer.name)
    return Sample(
        name=layer.name,
        patient=layer.name,
        label=None,
        frames=tuple(Frame(path, page) for page in range(len(images))),
        pixel_size_um=layer_pixel_size_um(layer),
    )


def layer_pixel_size_um(layer: Any) -> float | None:
    """Return the side of a pixel in micrometres, None if the layer's units are no length."""
    side = float(layer.scale[-1]) * layer.units[-1]
    return float(side.to("um").magnitude) if side.check("[length]") else None


def sample_layer_data(sample: Sample) -> tuple[Any, dict[str, Any]]:
    """Return a sample's images as lazy data of an image layer, and the layer's settings.

    Only the first image is read now; the others when they are shown. All are shown as large as the
    largest one; `LayerImages` has them at their own sizes.
    """
    import dask.array as da
    from dask import delayed

    from napari_attmil.images import read_images

    images = read_images(sample)
    first = images[0]
    planes = [
        da.from_delayed(delayed(images.padded)(index), images.image_shape, images.dtype)
        for index in range(len(images))
    ]
    settings: dict[str, Any] = {
        "name": sample.name,
        "rgb": first.ndim == 3,
        "axis_labels": AXIS_LABELS,
        "metadata": {IMAGE_SIZES: images.sizes},
    }
    if sample.pixel_size_um is not None:
        settings["scale"] = [1.0, sample.pixel_size_um, sample.pixel_size_um]
        settings["units"] = ["pixel", "um", "um"]
    if np.issubdtype(first.dtype, np.integer) and first.ndim == 2:
        settings["contrast_limits"] = _contrast_limits(first)
    return da.stack(planes), settings


def _contrast_limits(image: npt.NDArray[Any]) -> tuple[float, float]:
    """Return limits that show an image well; of the whole stack they would read every file."""
    low, high = np.percentile(image[::4, ::4], (0.1, 99.9))
    return float(low), float(max(high, low + 1))


def describe_images(images: LayerImages, pixel_size_um: float | None) -> str:
    """Return what a person wants to know: "12 images of 512 × 384 px, colour"."""
    sizes = [f"{width} × {height}" for height, width in sorted(set(images.sizes))]
    of = sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    kind = "colour" if images.is_rgb else "grey"
    scale = f", {pixel_size_um:.3g} µm/px" if pixel_size_um else ""
    return f"{counted(len(images), 'image')} of {of} px, {kind}{scale}"
