"""Images of the viewer as the stages read them, and samples of a cohort as image layers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from napari.utils.transforms import Affine

from napari_attmil.core import counted
from napari_attmil.images import LARGE_PX, LargeImage, LevelStack, Sample
from napari_attmil.widgets.viewer.layer_axes import LayerAxes, Place

AXIS_LABELS = ("image", "y", "x")
SAMPLE_OF_FILES = "napari-attmil images"
"""Key of an image layer's metadata: the sample whose files it was made of."""
IMAGE_SIZES = "napari-attmil image sizes"
"""Key of an image layer's metadata: the height and width of each image before it was padded."""
IS_PICTURE = "napari-attmil picture of cells"
"""Key of the metadata of an image layer that shows cells, and is no image to be worked on."""
SMALLEST_LEVEL_PX = 1024
"""No side of the smallest resolution of a slide is longer."""
_HIDING = ("translucent", "translucent_no_depth", "opaque")
"""Ways of blending that leave nothing to be seen of what lies below."""

PLACEMENT = ("scale", "translate", "rotate", "shear", "affine")
"""What of a layer says where it lies."""


class LayerImages(Sequence[npt.NDArray[Any]]):
    """The images of a layer, each computed when it is asked for, and of its own size.

    Parameters
    ----------
    layer
        A napari image layer: (Y, X), (N, Y, X), or with more leading axes or a last colour axis.
    axes
        What its leading axes hold; by default as its labels say.
    place
        Where the images are taken along its other axes; by default at the first step of each.

    Attributes
    ----------
    sizes
        Each image's own height and width: a layer shows all as large as the largest.
    axes, place
        See above.
    """

    def __init__(self, layer: Any, axes: LayerAxes | None = None, place: Place = ()) -> None:
        # A snapshot: the layer may get other data, or be removed, while a worker reads.
        self._data = layer.data[0] if layer.multiscale else layer.data
        self.axes = LayerAxes.of(layer) if axes is None else axes
        self.place = place or (0,) * len(self.axes.sizes)
        self.sizes = sizes_of_layer(layer, self.axes)
        self._is_rgb = bool(layer.rgb)

    def of_first_planes(self) -> LayerImages:
        """Return the images as they are at the first step of each axis of planes."""
        place = (0 if axis in self.axes.planes else at for axis, at in enumerate(self.place))
        others = copy.copy(self)
        others.place = tuple(place)
        return others

    @property
    def is_in_memory(self) -> bool:
        """Whether any image can be had at once."""
        return isinstance(self._data, np.ndarray) and not isinstance(self._data, np.memmap)

    def __len__(self) -> int:
        return self.axes.count

    def __getitem__(self, place: Any) -> Any:
        """Return one image, (Y, X) or (Y, X, 3), or a list of images for a slice.

        A large one that is not in memory is a `LargeImage`, read in parts.
        """
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        height, width = self.sizes[place]
        image = self.lazily(int(place) % len(self))
        if isinstance(image, LargeImage):
            return image
        if height * width > LARGE_PX and not self.is_in_memory:
            return LargeImage((image,)).cut(0, 0, height, width)
        image = np.asarray(image)[:height, :width]
        return image[..., :3] if self._is_rgb else image

    def lazily(self, image_index: int) -> Any:
        """Return one image as the layer has it: padded, with alpha, perhaps not computed yet."""
        at = self.axes.at(image_index, self.place)
        return self._data[at] if at else self._data

    @property
    def is_rgb(self) -> bool:
        """Whether the images are shown in colour."""
        return self._is_rgb


def sizes_of_layer(layer: Any, axes: LayerAxes) -> tuple[tuple[int, int], ...]:
    """Return the height and width of each image of a layer before it was padded."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    height, width = shape[layer.ndim - 2 : layer.ndim]
    sizes = layer.metadata.get(IMAGE_SIZES, ())
    is_fitting = len(sizes) == axes.count and len(axes.sizes) < 2
    return tuple(sizes) if is_fitting else ((int(height), int(width)),) * axes.count


def is_image(layer: Any) -> bool:
    """Return whether a layer is an image, and no picture that the program has made of cells."""
    return isinstance(layer, Image) and IS_PICTURE not in layer.metadata


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
    if not is_image(upper) or not upper.visible or upper.opacity < 1:
        return False
    if str(upper.blending) not in _HIDING:
        return False
    (top, bottom), (low, high) = (np.asarray(each.extent.world)[:, -2:] for each in (upper, lower))
    middle = (low + high) / 2
    return bool(np.all(top <= middle) and np.all(middle <= bottom))


def lay_over(layer: Any, image: Any, axes: LayerAxes, point: npt.ArrayLike) -> None:
    """Lay a layer where another one lies, with its units and names of axes; see `placement_over`.

    Parameters
    ----------
    layer
        The one to be laid.
    image
        The one it is laid over.
    axes
        What the image's axes hold.
    point
        Where the viewer stands.
    """
    wanted = placement_over(image, axes, point)
    for name in ("units", "axis_labels"):
        wanted[name] = getattr(image, name)
    for name, value in wanted.items():
        # napari draws the layer anew for each of them, changed or not.
        if not _is_same_place(getattr(layer, name), value):
            setattr(layer, name, value)


def placement_over(image: Any, axes: LayerAxes, point: npt.ArrayLike) -> dict[str, Any]:
    """Return scale, translate, ... for boxes over an image, as a new layer takes them.

    Where the image has planes or a course, the boxes are those of what is shown: their layer, in
    which they lie at 0 along these axes, is moved to where the viewer stands.
    """
    placement = {name: getattr(image, name) for name in PLACEMENT}
    free = [*axes.planes, *axes.courses]
    if not free:
        return placement
    here = np.asarray(point, dtype=np.float64)[-image.ndim :]
    if _are_alone(image, free):
        scale, translate = np.array(image.scale), np.array(image.translate)
        # With powers of two napari finds just 0 there, as it has to for the mouse to find a box.
        scale[free] = 2.0 ** np.ceil(np.log2(np.abs(scale[free])))
        translate[free] = here[free]
    else:
        steps = np.zeros(image.ndim)
        steps[free] = np.rint(np.array(image.world_to_data(here))[free])
        shift = np.subtract(image.data_to_world(steps), image.data_to_world(steps * 0))
        scale, linear = image.scale, np.asarray(image.affine.linear_matrix)
        translate = np.array(image.translate) + np.linalg.solve(linear, shift)
    return {**placement, "scale": scale, "translate": translate}


def _are_alone(image: Any, axes: Sequence[int]) -> bool:
    """Return whether nothing but scale and shift places an image along some axes."""
    return all(
        np.array_equal(matrix[axes], np.eye(image.ndim)[axes])
        and np.array_equal(matrix[:, axes], np.eye(image.ndim)[:, axes])
        for matrix in _matrices(image)
    ) and not np.any(np.asarray(image.affine.translate)[list(axes)])


def _matrices(image: Any) -> list[npt.NDArray[Any]]:
    turned = Affine(rotate=image.rotate, shear=image.shear, ndim=image.ndim)
    return [np.asarray(each.linear_matrix) for each in (turned, image.affine)]


def _is_same_place(now: Any, wanted: Any) -> bool:
    """Return whether two scales, shifts, rotations, affine maps or lists of names are the same."""
    now, wanted = (getattr(value, "affine_matrix", value) for value in (now, wanted))
    return bool(np.array_equal(np.asarray(now), np.asarray(wanted)))


def layer_pixel_size_um(layer: Any) -> float | None:
    """Return the side of a pixel in micrometres, None if the layer's units are no length."""
    side = float(layer.scale[-1]) * layer.units[-1]
    return float(side.to("um").magnitude) if side.check("[length]") else None


def sample_layer_data(sample: Sample) -> tuple[Any, dict[str, Any]]:
    """Return a sample's images as lazy data of an image layer, and the layer's settings.

    Only the first image is read now; the others when they are shown. All are shown as large as the
    largest one; `LayerImages` has them at their own sizes. If there is a scan of a whole slide,
    they are shown at several resolutions, of which only what is seen is read.
    """
    import dask.array as da
    from dask import delayed

    from napari_attmil.images import open_in_parts, read_images

    images = read_images(sample)
    first = images[0]
    data: Any
    is_slide = any(open_in_parts(frame.path, frame.page) for frame in images.frames)
    if is_slide:
        data = _resolutions(images)
    else:
        planes = [
            da.from_delayed(delayed(images.padded)(index), images.image_shape, images.dtype)
            for index in range(len(images))
        ]
        data = da.stack(planes)
    settings: dict[str, Any] = {
        "name": sample.name,
        "rgb": first.ndim == 3,
        "axis_labels": AXIS_LABELS,
        "metadata": {IMAGE_SIZES: images.sizes},
        "multiscale": is_slide,
    }
    if sample.pixel_size_um is not None:
        settings["scale"] = [1.0, sample.pixel_size_um, sample.pixel_size_um]
        settings["units"] = ["pixel", "um", "um"]
    if np.issubdtype(first.dtype, np.integer) and first.ndim == 2:
        shown = first.sampled() if isinstance(first, LargeImage) else first
        settings["contrast_limits"] = _contrast_limits(shown)
    return data, settings


def _resolutions(images: Sequence[Any]) -> list[Any]:
    """Return images at their full size and at halves of it; the smallest is in memory."""
    large = [each if isinstance(each, LargeImage) else LargeImage((each,)) for each in images]
    factors = factors_of(max(max(image.shape[:2]) for image in large))
    stacks = [LevelStack(large), *(LevelStack([i.at(f) for i in large]) for f in factors[1:])]
    return [*stacks[:-1], np.asarray(stacks[-1])]


def factors_of(longest_px: int) -> list[int]:
    """Return by what an image is made smaller, level by level, until it is small enough."""
    factors = [1]
    while longest_px > SMALLEST_LEVEL_PX * factors[-1]:
        factors.append(2 * factors[-1])
    return factors


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
