"""The features of a sample's cells, computed only where earlier ones are no longer valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from napari_attmil.cells import Boxes, FeatureSettings, has_moved
from napari_attmil.cells.detection import alike_in_size
from napari_attmil.cells.encoding import load_encoder
from napari_attmil.core import Int64Array, Remedy, UserError

if TYPE_CHECKING:
    from napari_attmil.cells.detection import DetectorLike
    from napari_attmil.cells.encoding import EncoderLike

Features = npt.NDArray[np.float16]

DIAMETER_STEP = 1.05
"""Ratio of neighbouring cell diameters that a sample's scale is rounded to."""

Sizes = Sequence[tuple[int, int]]
"""Height and width of each image."""


@dataclass(frozen=True, eq=False)
class KnownFeatures:
    """Boxes and their (n, channels, s, s) features, computed earlier.

    They must be of the same images, detector and feature settings as the requested ones.
    """

    boxes: Boxes
    features: Features


@dataclass(frozen=True, eq=False)
class FeatureProgress:
    """The features of some cells, as soon as they are computed.

    Attributes
    ----------
    done, total
        Finished cells, including these, and all cells.
    rows
        (m,) positions of these cells in the boxes.
    features
        (m, channels, s, s) float16, or (m, channels, 11, 1) profiles of these, or (m, size, 1, 1)
        vectors of an encoder, or both, (m, channels, 12, 1).
    """

    done: int
    total: int
    rows: Int64Array
    features: Features


class FeatureReader(Protocol):
    """What reads the features of the cells of one image."""

    digest: str
    """Fingerprint of the network that is asked; features of another one are stale."""

    def read(
        self, image: npt.NDArray[Any], xyxy: npt.ArrayLike, cell_diameter_px: float
    ) -> Features:
        """Return the features of cells in (m, 4) boxes; the sample's cells have that diameter."""


def feature_reader(detector: DetectorLike, settings: FeatureSettings) -> FeatureReader:
    """Return what reads features as the settings say: the detector, or a cell encoder.

    Raises
    ------
    UserError
        If the encoder is not at hand.
    """
    if settings.kept in ("maps", "profile"):
        return _DetectorReader(detector, settings)
    encoder = _EncoderReader(load_encoder(settings.encoder, detector.device))
    if settings.kept == "vector":
        return encoder
    return _CombinedReader(_DetectorReader(detector, settings.replace(kept="profile")), encoder)


class _DetectorReader:
    """Reads features off the feature maps of a detector (paper, section 2.1)."""

    def __init__(self, detector: DetectorLike, settings: FeatureSettings) -> None:
        self.digest = detector.digest
        self._detector, self._settings = detector, settings

    def read(
        self, image: npt.NDArray[Any], xyxy: npt.ArrayLike, cell_diameter_px: float
    ) -> Features:
        features = self._detector.roi_features(image, xyxy, self._settings, cell_diameter_px)
        return _profiles(features) if self._settings.kept == "profile" else features


class _CombinedReader:
    """Reads profiles off the detector's maps, and puts a number of the vector below each."""

    def __init__(self, detector: _DetectorReader, encoder: _EncoderReader) -> None:
        self.digest = f"{detector.digest}+{encoder.digest}"
        self._detector, self._encoder = detector, encoder

    def read(
        self, image: npt.NDArray[Any], xyxy: npt.ArrayLike, cell_diameter_px: float
    ) -> Features:
        profiles = self._detector.read(image, xyxy, cell_diameter_px)
        vectors = self._encoder.read(image, xyxy, cell_diameter_px)
        if vectors.shape[1] != profiles.shape[1]:
            raise UserError(
                f"The cell encoder gives {vectors.shape[1]} numbers a cell, but the embedding "
                f"combined needs {profiles.shape[1]}; choose the embedding encoder.",
                Remedy.TRAIN_CLASSIFIER,
            )
        return np.concatenate([profiles, vectors], axis=2)


class _EncoderReader:
    """Gives the vectors of an encoder as features of one row and column."""

    def __init__(self, encoder: EncoderLike) -> None:
        self.digest = encoder.digest
        self._encoder = encoder

    def read(
        self, image: npt.NDArray[Any], xyxy: npt.ArrayLike, cell_diameter_px: float
    ) -> Features:
        del cell_diameter_px  # Every cell is cut out at its own size.
        return self._encoder.encode(image, xyxy)[:, :, None, None]


def extract_features(
    detector: DetectorLike,
    images: Sequence[npt.NDArray[Any]],
    boxes: Boxes,
    settings: FeatureSettings,
    known: KnownFeatures | None = None,
) -> Iterator[FeatureProgress]:
    """Read the features of a sample's cells, image by image.

    Parameters
    ----------
    detector
        Whose feature maps are read, unless an encoder is to be asked.
    images
        The sample's images; only those with cells to compute are read.
    boxes
        The cells.
    settings
        How to read, and which encoder.
    known
        Earlier features; a cell whose box has not moved since keeps its own.

    Yields
    ------
    FeatureProgress
        First the cells with earlier features, then those of each image.
    """
    sizes, reader = _sizes_of(images), feature_reader(detector, settings)
    known_rows = _known_rows(boxes, known, sizes)
    kept = np.flatnonzero(known_rows >= 0)
    if known is not None and len(kept):
        yield FeatureProgress(len(kept), len(boxes), kept, known.features[known_rows[kept]])
    done, missing = len(kept), known_rows < 0
    diameters = diameters_px(boxes, sizes)
    for image in np.unique(boxes.image_index[missing]).tolist():
        rows = np.flatnonzero(missing & (boxes.image_index == image))
        xyxy = boxes.xyxy[rows]
        features = reader.read(images[image], xyxy, diameters[image])
        done += len(rows)
        yield FeatureProgress(done, len(boxes), rows, features)


def _profiles(features: Features) -> Features:
    """Return the (m, channels, 11, 1) profiles of (m, channels, s, s) maps."""
    import torch

    from napari_attmil.bags.network import profile

    return np.asarray(profile(torch.from_numpy(features)).numpy())


def drawn_cells(boxes: Boxes, most: int) -> Boxes:
    """Return so many of a sample's cells, drawn at random; all if that is 0 or there are no more.

    Each cell's chance is fixed by its id, so that the others stay when one is corrected.
    """
    if not most or len(boxes) <= most:
        return boxes
    # The finaliser of SplitMix64: ids that follow one another become numbers without order.
    mixed = boxes.cell_id.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return boxes[np.sort(np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")[:most])]


class FeatureRows:
    """The features of a sample that are being computed, in memory.

    Parameters
    ----------
    cells
        Their final number.
    """

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self.features: Features = np.empty((0, 0, 0, 0), dtype=np.float16)

    def write(self, rows: Int64Array, features: Features) -> None:
        """Put the (m, channels, s, s) features of some rows in their place."""
        if not len(self.features):
            self.features = np.empty((self._cells, *features.shape[1:]), dtype=np.float16)
        self.features[rows] = features


def diameters_px(boxes: Boxes, sizes: Sizes | None) -> dict[int, float]:
    """Return the typical cell diameter of each image with cells, rounded to a ratio.

    It sets the scale at which features are read. Images of like size share one: the same view
    saved at half the size has cells of half the diameter. Because of the rounding, the scale, and
    with it the features of the other cells, stays the same when one box is corrected.

    Parameters
    ----------
    boxes
        All cells of a sample.
    sizes
        Of the sample's images; None if they are all alike.
    """
    images = np.unique(boxes.image_index)
    groups = [images.tolist()] if sizes is None else alike_in_size(sizes)
    diameters: dict[int, float] = {}
    for group in groups:
        own = boxes.diameter_px[np.isin(boxes.image_index, group)]
        if len(own):
            diameters |= dict.fromkeys(group, _rounded(float(np.median(own))))
    return {image: diameters[image] for image in images.tolist()}


def _rounded(diameter_px: float) -> float:
    """Return the next power of `DIAMETER_STEP`."""
    steps = round(np.log(max(diameter_px, 1.0)) / np.log(DIAMETER_STEP))
    return float(DIAMETER_STEP**steps)


def _sizes_of(images: Sequence[npt.NDArray[Any]]) -> Sizes | None:
    """Return the sizes of images without reading any; None for a stack, whose images are alike."""
    if isinstance(images, (list, tuple)):
        return [(image.shape[0], image.shape[1]) for image in images]
    return getattr(images, "sizes", None)


def _known_rows(boxes: Boxes, known: KnownFeatures | None, sizes: Sizes | None) -> Int64Array:
    """Return (n,) the row of each box in the earlier ones, or -1 if it must be computed."""
    rows = np.full(len(boxes), -1, dtype=np.int64)
    if known is None:
        return rows
    now_px, before_px = diameters_px(boxes, sizes), diameters_px(known.boxes, sizes)
    # By place, not by id: a cell that is detected again gets a new id.
    for image in [image for image in now_px if now_px[image] == before_px.get(image)]:
        here, there = (np.flatnonzero(b.image_index == image) for b in (boxes, known.boxes))
        before, now = known.boxes.xyxy[there], boxes.xyxy[here]
        _, nearest = KDTree(before).query(now, p=np.inf)
        rows[here] = np.where(has_moved(before[nearest], now), -1, there[nearest])
    return rows
