"""The detector as its users see it: numpy images in, boxes and features out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from napari_attmil.cells.boxes import median_diameter_px
from napari_attmil.cells.detection.found_cells import DetectionProgress, boxes_of_frames
from napari_attmil.cells.detection.network import (
    FEATURE_CHANNELS,
    ROI_LEVEL,
    ROI_STRIDE_PX,
    CellRCNN,
    DetectorArchitecture,
)
from napari_attmil.cells.detection.network_file import load_network
from napari_attmil.cells.detection.read_ahead import ReadAhead
from napari_attmil.cells.detection.rescaling import (
    GreyLevels,
    Prepared,
    as_stack,
    rescale,
    stacked,
    to_grey,
)
from napari_attmil.cells.detection.roi_pooling import roi_align
from napari_attmil.cells.detection.tiling import Tile, merge_tiles, tile_count, tiles_of
from napari_attmil.cells.detection.working_scale import (
    LEAST_SCORE,
    MOST_PARTS,
    CellSize,
    alike_in_size,
    measure_cell_size,
    scale_windows,
    spread,
)
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings
from napari_attmil.core import (
    Device,
    Float32Array,
    Progress,
    choose_device,
    compute_threads,
    finished,
    in_batches,
)

if TYPE_CHECKING:
    from napari_attmil.cells.boxes import Boxes

CPU_BATCH_PX = 2_000_000
"""Working pixels computed together on a CPU: some 900 MB of feature maps."""
PROPOSAL_SHARE = 0.3
"""A proposal needs this share of the minimum score, so that an empty field costs little."""
PROPOSAL_OVERLAP, MEASURING_OVERLAP = 0.7, 0.5
"""Of two proposals that overlap more, one goes to the second stage. A third of the proposals is
enough to measure sizes, but not for good boxes."""

Found = tuple[Float32Array, Float32Array]
"""(n, 4) boxes and (n,) scores."""
NO_BOXES, NO_SCORES = np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Tiles(Sequence[Prepared]):
    """The tiles of one image, each cut, converted to grey and rescaled only when it is needed."""

    image: npt.NDArray[Any]
    tiles: Sequence[Tile]
    levels: GreyLevels
    diameter_px: float
    scale: float

    @classmethod
    def of(cls, image: npt.NDArray[Any], diameter_px: float, working_diameter_px: float) -> _Tiles:
        """Plan the tiles of an image whose cells have a diameter of `diameter_px`."""
        levels, tiles = GreyLevels.of(image), tiles_of(np.shape(image), diameter_px)
        return cls(image, tiles, levels, diameter_px, working_diameter_px / diameter_px)

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        part = self.image[self.tiles[place].slices]
        return rescale(self.levels.normalise(part), self.scale)


class DetectorLike(Protocol):
    """The part of a `Detector` that its callers use."""

    @property
    def digest(self) -> str:
        """Fingerprint of the weights; features of another digest are stale."""

    @property
    def device(self) -> Device:
        """Where it computes."""

    def detect_frames(
        self, images: Sequence[npt.NDArray[Any]], settings: DetectionSettings
    ) -> Iterator[DetectionProgress]:
        """Find the cells of a stack, one image after the other."""

    def roi_features(
        self,
        image: npt.NDArray[Any],
        xyxy: npt.ArrayLike,
        settings: FeatureSettings | None = None,
        cell_diameter_px: float | None = None,
    ) -> npt.NDArray[np.float16]:
        """Return the RoI-aligned features of cells in one image."""


class Detector:
    """Finds cells in bright-field images and reads their features.

    Parameters
    ----------
    network
        The network with its weights.
    architecture
        How the network was built.
    device
        Where it computes.
    digest
        Fingerprint of the weights; features of another digest are stale.
    provenance
        Where the weights come from.
    """

    def __init__(
        self,
        network: CellRCNN,
        architecture: DetectorArchitecture,
        device: Device,
        digest: str,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.architecture = architecture
        self.device = device
        self.digest = digest
        self.provenance = dict(provenance or {})
        network = network.to(device.torch()).eval()
        self._network = network.to(memory_format=torch.channels_last)
        self._in_use = Lock()

    @classmethod
    def load(cls, path: str | Path | None = None, device: Device | None = None) -> Detector:
        """Read a detector from a model file.

        Parameters
        ----------
        path
            A model file of kind "detector"; the shipped one if None.
        device
            Where to compute; the fastest device of this machine if None.

        Raises
        ------
        UserError
            If the file is missing, damaged or holds another kind of model.
        """
        saved = load_network(None if path is None else Path(path))
        device = device or choose_device()
        return cls(saved.network, saved.architecture, device, saved.digest, saved.provenance)

    def detect(
        self,
        images: npt.NDArray[Any] | Sequence[npt.NDArray[Any]],
        settings: DetectionSettings | None = None,
    ) -> Boxes:
        """Find the cells of an image or of a stack.

        Parameters
        ----------
        images
            An image (Y, X) or (Y, X, 3), or a sequence or array of them, of any integer or float
            type; read one batch at a time, so that a lazy sequence stays lazy.
        settings
            How to detect.

        Returns
        -------
        Boxes
            With ids 1 to n, by image, the surest cell of an image first.
        """
        frames = self.detect_frames(as_stack(images), settings or DetectionSettings())
        return boxes_of_frames(list(frames))

    def detect_frames(
        self, images: Sequence[npt.NDArray[Any]], settings: DetectionSettings
    ) -> Iterator[DetectionProgress]:
        """Find the cells of a stack, one image after the other; see `detect`."""
        if len(images):
            sizes = finished(self.cell_sizes(images, settings))
            steps = self.detect_parts(images, settings, sizes)
            yield from (step for step in steps if step.searched is None)

    def detect_parts(
        self,
        images: Sequence[npt.NDArray[Any]],
        settings: DetectionSettings,
        sizes: Sequence[CellSize],
    ) -> Iterator[DetectionProgress]:
        """Find the cells of a stack, part by part of those images that are large.

        Parameters
        ----------
        images, settings
            As for `detect`; at least one image.
        sizes
            Typical cell size of each image; see `cell_sizes`.
        """

        def prepare(index: int) -> _Tiles | Prepared:
            working = self.architecture.working_diameter_px
            tiles = _Tiles.of(images[index], sizes[index].diameter_px, working)
            return tiles if len(tiles) > 1 else tiles[0]

        def compute(batch: Sequence[_Tiles | Prepared]) -> Sequence[_Tiles | Found]:
            small = [item for item in batch if isinstance(item, Prepared)]
            if len(small) == len(batch):
                return self._detect_batch(small, settings)
            # The tiles of a large image are searched below, one after the other.
            return [
                item if isinstance(item, _Tiles) else self._detect_batch([item], settings)[0]
                for item in batch
            ]

        with ReadAhead(prepare, len(images)) as prepared:
            results = in_batches(prepared, self._batch_size(prepared[0], settings), compute)
            for index, result in enumerate(results):
                whole = DetectionProgress(
                    index + 1, len(images), index, NO_BOXES, NO_SCORES, sizes[index]
                )
                if isinstance(result, _Tiles):
                    yield from self._search_tiles(result, settings, whole)
                else:
                    yield replace(whole, xyxy=result[0], score=result[1])

    def part_count(self, shape: tuple[int, ...], cell_diameter_px: float) -> int:
        """Return in how many parts an image of shape (Y, X, ...) is searched."""
        return tile_count(shape, cell_diameter_px)

    def cell_sizes(
        self, images: Sequence[npt.NDArray[Any]], settings: DetectionSettings
    ) -> Generator[Progress, None, list[CellSize]]:
        """Return each image's typical cell size, which images of like size share."""
        if settings.cell_diameter_px:
            return [CellSize(settings.cell_diameter_px)] * len(images)
        shapes = getattr(images, "sizes", None) or [(1, 1)] * len(images)
        sizes = [CellSize(0.0)] * len(images)
        groups = alike_in_size(shapes)
        for number, places in enumerate(groups):
            several = len(groups) > 1
            of = f", image size {number + 1} of {len(groups)}" if several else ""
            total = len(groups) if several else 0
            yield Progress(number, total, f"Measuring the size of the cells{of}")
            size = self.measure_cell_size(images, places, settings.pixel_size_um)
            for place in places:
                sizes[place] = size
        return sizes

    def measure_cell_size(
        self,
        images: Sequence[npt.NDArray[Any]],
        among: Sequence[int] | None = None,
        pixel_size_um: float | None = None,
    ) -> CellSize:
        """Return the typical cell size, measured on as many images of a stack as make it sure.

        `among` are the indices of the images to choose these from; of all if None.
        """
        among = range(len(images)) if among is None else among
        greys = (
            to_grey(window)
            for place in spread(len(among), MOST_PARTS)  # each has at least one part
            for window in scale_windows(images[among[place]])
        )
        settings = DetectionSettings(min_score=LEAST_SCORE)

        def detect_at(grey: Float32Array, scale: float) -> Found:
            return self._detect_batch([rescale(grey, scale)], settings, MEASURING_OVERLAP)[0]

        working_px = self.architecture.working_diameter_px
        return measure_cell_size(greys, detect_at, working_px, pixel_size_um)

    def roi_features(
        self,
        image: npt.NDArray[Any],
        xyxy: npt.ArrayLike,
        settings: FeatureSettings | None = None,
        cell_diameter_px: float | None = None,
    ) -> npt.NDArray[np.float16]:
        """Return the RoI-aligned features of cells in one image (paper, section 2.1).

        Parameters
        ----------
        image
            (Y, X) or (Y, X, 3).
        xyxy
            (n, 4) boxes in pixels of the image.
        settings
            How to read features.
        cell_diameter_px
            Typical cell diameter, which sets the working scale; the median of the boxes if None.
            Pass the sample's own, so that one cell's features do not depend on its neighbours.

        Returns
        -------
        (n, 256, 14, 14) float16
        """
        settings = settings or FeatureSettings()
        boxes = np.asarray(xyxy, dtype=np.float32).reshape(-1, 4)
        size = settings.output_size
        if len(boxes) == 0:
            return np.empty((0, FEATURE_CHANNELS, size, size), dtype=np.float16)
        diameter = cell_diameter_px or median_diameter_px(boxes)
        tiles = _Tiles.of(image, diameter, settings.working_diameter_px)
        features = np.zeros((len(boxes), FEATURE_CHANNELS, size, size), dtype=np.float16)
        for tile, prepared in zip(tiles.tiles, tiles, strict=True):
            rows = tile.holds(boxes) if len(tiles) > 1 else np.ones(len(boxes), dtype=bool)
            if rows.any():
                rois = (_enlarged(boxes[rows], settings.context) - tile.offset) * prepared.scales
                features[rows] = self._roi_features(prepared, rois, size)
        return features

    def _roi_features(
        self, prepared: Prepared, rois: Float32Array, size: int
    ) -> npt.NDArray[np.float16]:
        with compute_threads(), torch.inference_mode():
            with self.device.autocast():
                pyramid = self._network.features(self._on_device([prepared]))
            level = pyramid[ROI_LEVEL].float()
            places = [torch.from_numpy(rois).to(level.device)]
            features = roi_align(level, places, size, ROI_STRIDE_PX, sampling_ratio=2, aligned=True)
        return np.asarray(features.cpu().numpy(), dtype=np.float16)

    def _on_device(self, batch: Sequence[Prepared]) -> torch.Tensor:
        stack = stacked(batch).to(self.device.torch())
        return stack.contiguous(memory_format=torch.channels_last)

    def _batch_size(self, first: _Tiles | Prepared, settings: DetectionSettings) -> int:
        """Return how many images like the first are computed together."""
        if isinstance(first, _Tiles):
            return 1
        if self.device.name != "cpu":
            return settings.batch_size
        # On a CPU there is no error in time when memory runs out.
        return max(1, min(settings.batch_size, CPU_BATCH_PX // first.grey.numel()))

    def _search_tiles(
        self, tiles: _Tiles, settings: DetectionSettings, whole: DetectionProgress
    ) -> Iterator[DetectionProgress]:
        """Find the cells of a large image: those of each tile, then all of them."""
        found: list[Found] = []
        batches = in_batches(tiles, 1, lambda batch: self._detect_batch(batch, settings))
        for tile, (xyxy, score) in zip(tiles.tiles, batches, strict=True):
            found.append((xyxy + tile.offset, score))
            if len(found) < len(tiles):
                fresh = tile.holds(found[-1][0])
                yield replace(
                    whole,
                    done=whole.done - 1,
                    xyxy=found[-1][0][fresh],
                    score=score[fresh],
                    part=len(found),
                    parts=len(tiles),
                    searched=tile.core_xyxy,
                )
        diameter, overlap = whole.cell_size.diameter_px, settings.max_overlap
        xyxy, score = merge_tiles(tiles.tiles, found, diameter, overlap)
        yield replace(whole, xyxy=xyxy, score=score, part=len(tiles), parts=len(tiles))

    def _detect_batch(
        self,
        batch: Sequence[Prepared],
        settings: DetectionSettings,
        proposal_overlap: float = PROPOSAL_OVERLAP,
    ) -> list[Found]:
        sizes = [(int(item.grey.shape[0]), int(item.grey.shape[1])) for item in batch]
        images = self._on_device(batch)
        # Several panels may detect at once with one detector, each with its own settings.
        with self._in_use, compute_threads(), torch.inference_mode(), self.device.autocast():
            self._apply(settings, proposal_overlap)
            found = self._network.detect(images, sizes)
        return [
            (
                (cells["boxes"].float().cpu().numpy() / item.scales).astype(np.float32),
                cells["scores"].float().cpu().numpy(),
            )
            for item, cells in zip(batch, found, strict=True)
        ]

    def _apply(self, settings: DetectionSettings, proposal_overlap: float) -> None:
        """Let the network find cells by these settings."""
        proposals, heads = self._network.rpn, self._network.roi_heads
        proposals.nms_thresh = proposal_overlap
        # The second stage skips proposals that are far less likely than required.
        proposals.score_thresh = PROPOSAL_SHARE * settings.min_score
        heads.score_thresh = settings.min_score
        heads.nms_thresh = settings.max_overlap
        heads.detections_per_img = settings.max_cells_per_image


def _enlarged(xyxy: Float32Array, factor: float) -> Float32Array:
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    half = (xyxy[:, 2:] - xyxy[:, :2]) / 2 * np.float32(factor)
    return np.concatenate([centre - half, centre + half], axis=1)
