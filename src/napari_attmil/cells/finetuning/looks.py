"""The looks of images: groups that differ in light, focus, or in how their cells appear.

A detector can find the cells of one look and miss those of another, so that images to test it on
are chosen from all looks. A mixture over a few measures of each image finds them; names of files
and classes play no part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_attmil.cells.boxes import median_diameter_px
from napari_attmil.cells.detection import rescale, to_grey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.cells.finetuning.augmentation import LabelledImage
    from napari_attmil.core import Float32Array

MEASURES: Final[Mapping[str, tuple[str, str]]] = {
    "brightness": ("brighter", "darker"),
    "contrast": ("strong contrast", "weak contrast"),
    "diameter": ("larger cells", "smaller cells"),
    "inside": ("pale cells", "dark cells"),
    "rim": ("bright rims", "dark rims"),
    "texture": ("rough cells", "smooth cells"),
    "detail": ("sharper", "softer"),
}
"""What is measured of each image, and how much and little of it is called."""
SHOWN_DIAMETER_PX: Final = 24.0
"""Images are measured at the scale at which their cells have this diameter."""
LARGEST_SIDE_PX: Final = 4096
"""Only the middle of a larger image is measured."""
MOST_CELLS: Final = 200
MOST_LOOKS: Final = 4
FEWEST_IMAGES: Final = 6
"""Fewer images are taken to look alike: a group of two says nothing."""
LEAST_VARIANCE: Final = 0.1
"""Of a look in a measure whose variance over all images is 1."""
LEAST_SPREAD: Final = 0.2
"""Images that differ by less look alike: 15 % of brightness or size, or a fifth of the contrast."""


@dataclass(frozen=True)
class Looks:
    """The looks of some images.

    Attributes
    ----------
    of_image
        The name of each image's look.
    """

    of_image: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The looks, the most frequent first."""
        return [name for name, _ in Counter(self.of_image.values()).most_common()]

    @classmethod
    def of(cls, images: Sequence[LabelledImage]) -> Looks:
        """Find the looks of images with unique names; their order does not matter."""
        ordered = sorted(images, key=lambda image: image.name)
        return looks_of([image.name for image in ordered], np.array([measures(i) for i in ordered]))


def looks_of(names: Sequence[str], measured: npt.NDArray[np.float64]) -> Looks:
    """Find the looks of images.

    Parameters
    ----------
    names
        Of the n images.
    measured
        (n, 7) the `MEASURES` of each, NaN where it has none.
    """
    if len(names) < FEWEST_IMAGES:
        return Looks(dict.fromkeys(names, "all images"))
    scaled = _standardised(measured)
    groups = _groups(scaled)
    called = {group: _in_words(scaled[groups == group].mean(axis=0)) for group in np.unique(groups)}
    if len(called) == 1:
        return Looks(dict.fromkeys(names, "all images"))
    return Looks({name: called[group] for name, group in zip(names, groups, strict=True)})


def measures(image: LabelledImage) -> npt.NDArray[np.float64]:
    """Return (7,) the `MEASURES` of an image; NaN for those of cells where it has none."""
    grey, xyxy = _middle(image)
    low, middle, high = np.percentile(grey[::4, ::4], (0.5, 50, 99.5))
    diameter = image.diameter_px or (median_diameter_px(xyxy) if len(xyxy) else SHOWN_DIAMETER_PX)
    shown = rescale(to_grey(grey), SHOWN_DIAMETER_PX / diameter, 8)
    normal = shown.grey.numpy()
    detail = (normal - ndimage.gaussian_filter(normal, 1.0)).std()
    of_image = [
        np.log2(1 + max(middle, 0.0)),
        np.log2((high - low) / (abs(middle) + 1) + 1e-3),
        np.log2(diameter) if len(xyxy) else np.nan,
    ]
    of_cells = _measures_of_cells(normal, xyxy * shown.scales)
    return np.array([*of_image, *of_cells, np.log2(detail + 1e-3)])


def _measures_of_cells(grey: Float32Array, xyxy: Float32Array) -> tuple[float, float, float]:
    """Return brightness inside of cells, brightness of their rims, and their texture."""
    from skimage.transform import resize

    side = round(SHOWN_DIAMETER_PX)
    patches = []
    for x0, y0, x1, y1 in np.round(xyxy[:MOST_CELLS]).astype(int):
        patch = grey[max(y0, 0) : y1, max(x0, 0) : x1]
        if min(patch.shape) >= side // 4:
            patches.append(resize(patch, (side, side), order=1))
    if not patches:
        return (np.nan, np.nan, np.nan)
    cells = np.array(patches)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(y, x) / (side / 2)
    inside, rim = radius < 0.55, (radius > 0.7) & (radius <= 1)
    texture = cells[:, inside].std(axis=1).mean()
    return float(cells[:, inside].mean()), float(cells[:, rim].mean()), float(texture)


def _middle(image: LabelledImage) -> tuple[npt.NDArray[Any], Float32Array]:
    """Return the middle of an image, and the boxes whose centres lie in it."""
    height, width = image.grey.shape
    top, left = (max(0, (length - LARGEST_SIDE_PX) // 2) for length in (height, width))
    grey = image.grey[top : top + LARGEST_SIDE_PX, left : left + LARGEST_SIDE_PX]
    xyxy = image.xyxy - np.array([left, top, left, top], dtype=np.float32)
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    within = np.all((centre >= 0) & (centre < grey.shape[::-1]), axis=1)
    return grey, xyxy[within]


def _standardised(measured: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return measures of mean 0 and variance up to 1 over the images, 0 where there is none."""
    known = np.isfinite(measured)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, measured, 0).sum(axis=0) / count
    apart = np.where(known, measured - mean, 0)
    spread = np.sqrt((apart**2).sum(axis=0) / count)
    return np.asarray(apart / np.maximum(spread, LEAST_SPREAD))


def _groups(scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return (n,) the group of each image, of as many as the Bayesian criterion speaks for."""
    from sklearn.mixture import GaussianMixture  # takes a second to load

    fitted = [
        GaussianMixture(
            count, covariance_type="diag", reg_covar=LEAST_VARIANCE, n_init=5, random_state=0
        ).fit(scaled)
        for count in range(1, min(MOST_LOOKS, len(scaled) // 3) + 1)
    ]
    best = min(fitted, key=lambda mixture: float(mixture.bic(scaled)))
    return np.asarray(best.predict(scaled), dtype=np.intp)


def _in_words(typical: npt.NDArray[np.float64]) -> str:
    """Say in which two measures a look differs most from the mean of all images."""
    words = list(MEASURES.values())
    furthest = np.argsort(-np.abs(typical), kind="stable")[:2]
    return ", ".join(words[place][0 if typical[place] > 0 else 1] for place in furthest)
