"""The detector as its users see it: numpy images in, boxes and features out."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torchvision.ops import roi_align

from napari_attmil.cells.boxes import Boxes, FloatArray
from napari_attmil.cells.network import (
    FEATURE_CHANNELS,
    ROI_LEVEL,
    STRIDE_PX,
    CellRCNN,
    DetectorArchitecture,
)
from napari_attmil.cells.working_scale import estimate_diameter_px
from napari_attmil.checkpoints import load_checkpoint
from napari_attmil.device import Device, choose_device, in_batches
from napari_attmil.settings import DetectionSettings, FeatureSettings, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROI_STRIDE_PX = 4
FRAMES_FOR_SCALE = 2
"""Images that are looked at to measure the cell diameter of a stack."""
PROPOSAL_SHARE = 0.3
"""A proposal needs this share of the minimum score, so that an empty field costs little."""


@dataclass(frozen=True, eq=False)
class DetectionProgress:
    """The cells of one image, as soon as they are found.

    Attributes
    ----------
    done, total
        Images finished, this one included, and images in all.
    image_index
        Position of this image in the stack.
    xyxy, score
        (n, 4) float32 pixels of the image as given, and (n,) float32, surest first.
    cell_diameter_px
        The cell diameter that set the working scale, in pixels of the image as given.
    """

    done: int
    total: int
    image_index: int
    xyxy: FloatArray
    score: FloatArray
    cell_diameter_px: float


@dataclass(frozen=True)
class _Prepared:
    """One image ready for the network, and the way back to its own pixels."""

    grey: torch.Tensor
    scale_x: float
    scale_y: float


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

    feature_channels = FEATURE_CHANNELS

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

    @classmethod
    def load(cls, path: Path | None = None, device: Device | None = None) -> Detector:
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
        path = shipped_weights() if path is None else Path(path)
        checkpoint = load_checkpoint(path, "detector")
        architecture = DetectorArchitecture.checked(**checkpoint.settings)
        network = CellRCNN(architecture)
        try:
            load_weights(network, checkpoint.weights)
        except (RuntimeError, KeyError) as error:
            raise UserError(f"{path} does not fit its own settings; it is damaged.") from error
        return cls(
            network,
            architecture,
            device or choose_device(),
            _digest(checkpoint.weights),
            checkpoint.provenance,
        )

    def detect(
        self, images: Sequence[npt.NDArray[Any]], settings: DetectionSettings | None = None
    ) -> Boxes:
        """Find the cells of a stack.

        Parameters
        ----------
        images
            Images of shape (Y, X) or (Y, X, 3), of any integer or float type; read one batch
            at a time, so that a lazy sequence stays lazy.
        settings
            How to detect.

        Returns
        -------
        Boxes
            With ids 1 to n, by image, the surest cell of an image first.
        """
        frames = sorted(
            self.detect_frames(images, settings or DetectionSettings()),
            key=lambda frame: frame.image_index,
        )
        return boxes_of_frames(frames)

    def detect_frames(
        self, images: Sequence[npt.NDArray[Any]], settings: DetectionSettings
    ) -> Iterator[DetectionProgress]:
        """Find the cells of a stack, image by image; see `detect`."""
        if len(images) == 0:
            return
        diameter = settings.cell_diameter_px or self.measure_diameter_px(images)
        scale = self.architecture.working_diameter_px / diameter
        prepared = _Rescaled(images, scale)

        def compute(batch: Sequence[_Prepared]) -> list[tuple[FloatArray, FloatArray]]:
            return self._detect_batch(batch, settings)

        found = in_batches(prepared, settings.batch_size, compute)
        for index, (xyxy, score) in enumerate(found):
            yield DetectionProgress(index + 1, len(images), index, xyxy, score, diameter)

    def measure_diameter_px(self, images: Sequence[npt.NDArray[Any]]) -> float:
        """Return the typical cell diameter of a stack in pixels, measured on a few images."""
        places = np.linspace(0, len(images) - 1, min(FRAMES_FOR_SCALE, len(images))).round()
        greys = [to_grey(images[int(place)]) for place in places]
        settings = DetectionSettings()

        def detect_at(grey: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
            return self._detect_batch([_rescale(grey, scale)], settings)[0]

        return estimate_diameter_px(greys, detect_at, self.architecture.working_diameter_px)

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
        prepared = _rescale(to_grey(image), settings.working_diameter_px / diameter)
        rois = torch.from_numpy(_enlarged(boxes, settings.context) * _scales(prepared))
        with torch.inference_mode():
            pyramid = self._pyramid([prepared])
            level = pyramid[ROI_LEVEL].float()
            features = roi_align(
                level,
                [rois.to(level.device)],
                output_size=size,
                spatial_scale=1 / ROI_STRIDE_PX,
                sampling_ratio=2,
                aligned=True,
            )
        return np.asarray(features.cpu().numpy(), dtype=np.float16)

    def _pyramid(self, batch: Sequence[_Prepared]) -> dict[str, torch.Tensor]:
        with self.device.autocast():
            maps = self._network.features(self._stack(batch))
        return maps

    def _stack(self, batch: Sequence[_Prepared]) -> torch.Tensor:
        """Return (b, 1, h, w), padded to a common multiple of the largest stride."""
        height = _padded(max(item.grey.shape[0] for item in batch))
        width = _padded(max(item.grey.shape[1] for item in batch))
        stack = torch.zeros((len(batch), 1, height, width))
        for row, item in enumerate(batch):
            stack[row, 0, : item.grey.shape[0], : item.grey.shape[1]] = item.grey
        return stack.to(self.device.torch()).contiguous(memory_format=torch.channels_last)

    def _detect_batch(
        self, batch: Sequence[_Prepared], settings: DetectionSettings
    ) -> list[tuple[FloatArray, FloatArray]]:
        # What the first stage holds for far less likely than asked is not looked at again.
        self._network.rpn.score_thresh = PROPOSAL_SHARE * settings.min_score
        heads = self._network.roi_heads
        heads.score_thresh = settings.min_score
        heads.nms_thresh = settings.max_overlap
        heads.detections_per_img = settings.max_cells_per_image
        sizes = [(int(item.grey.shape[0]), int(item.grey.shape[1])) for item in batch]
        with torch.inference_mode(), self.device.autocast():
            found = self._network.detect(self._stack(batch), sizes)
        return [
            (
                (cells["boxes"].float().cpu().numpy() / _scales(item)).astype(np.float32),
                cells["scores"].float().cpu().numpy(),
            )
            for item, cells in zip(batch, found, strict=True)
        ]


class _Rescaled(Sequence[_Prepared]):
    """Images read, made grey and rescaled only when a batch asks for them."""

    def __init__(self, images: Sequence[npt.NDArray[Any]], scale: float) -> None:
        self._images, self._scale = images, scale

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        return _rescale(to_grey(self._images[place]), self._scale)


def boxes_of_frames(frames: Sequence[DetectionProgress]) -> Boxes:
    """Return the boxes of several images, with ids in the order of `frames`."""
    if not frames:
        return Boxes.empty()
    return Boxes.from_detections(
        np.concatenate([np.full(len(frame.score), frame.image_index) for frame in frames]),
        np.concatenate([frame.xyxy for frame in frames]),
        np.concatenate([frame.score for frame in frames]),
    )


def median_diameter_px(xyxy: FloatArray) -> float:
    """Return the median diameter in pixels of (n, 4) boxes, n > 0."""
    sides = xyxy[:, 2:] - xyxy[:, :2]
    return max(float(np.median(np.sqrt(np.prod(sides, axis=1)))), 1.0)


def to_grey(image: npt.NDArray[Any]) -> FloatArray:
    """Return an image as (Y, X) float32 of median 0 and unit spread.

    Colour is averaged; brightness and contrast are taken from the image itself, so that 8 and
    16 bit, dark and bright, weak and strong images look alike to the network.

    Raises
    ------
    UserError
        If the array is not a single (Y, X) or (Y, X, 3) image.
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] in (3, 4):
        array = array[..., :3].mean(axis=-1, dtype=np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(
            f"An image of shape {np.shape(image)} was given, but one grey (Y, X) or colour "
            "(Y, X, 3) image is needed; choose one channel or one plane."
        )
    grey = np.nan_to_num(array.astype(np.float32))
    # A subsample is enough for brightness and contrast, and 20 times as fast.
    step = max(1, int(np.sqrt(grey.size / 100_000)))
    low, middle, high = np.percentile(grey[::step, ::step], (0.5, 50, 99.5))
    spread = float(np.clip(grey[::step, ::step], low, high).std()) or 1.0
    normalised: FloatArray = (np.clip(grey, low, high) - np.float32(middle)) / np.float32(spread)
    return normalised


def shipped_weights() -> Path:
    """Return the model file of the detector that comes with the package."""
    folder = importlib.resources.files("napari_attmil") / "weights"
    return Path(str(folder / "detector.safetensors"))


def load_weights(network: CellRCNN, weights: Mapping[str, torch.Tensor]) -> None:
    # Counters of batch normalisation are not shipped: only training would need them.
    counters = {k for k in network.state_dict() if k.endswith("num_batches_tracked")}
    missing, unexpected = network.load_state_dict(
        {name: tensor.float() for name, tensor in weights.items()}, strict=False
    )
    if unexpected or set(missing) - counters:
        raise KeyError("weights and architecture differ")


def _rescale(grey: FloatArray, scale: float) -> _Prepared:
    """Return the image at the working scale, anti-aliased."""
    height, width = grey.shape
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    tensor = torch.from_numpy(np.ascontiguousarray(grey))
    if (new_height, new_width) != (height, width):
        tensor = functional.interpolate(
            tensor[None, None],
            size=(new_height, new_width),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )[0, 0]
    return _Prepared(tensor, new_width / width, new_height / height)


def _scales(prepared: _Prepared) -> FloatArray:
    sx, sy = prepared.scale_x, prepared.scale_y
    return np.array([sx, sy, sx, sy], dtype=np.float32)


def _padded(side: int) -> int:
    return -(-side // STRIDE_PX) * STRIDE_PX


def _enlarged(xyxy: FloatArray, factor: float) -> FloatArray:
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    half = (xyxy[:, 2:] - xyxy[:, :2]) / 2 * np.float32(factor)
    return np.concatenate([centre - half, centre + half], axis=1)


def _digest(weights: Mapping[str, torch.Tensor]) -> str:
    blake = hashlib.blake2b(digest_size=16)
    for name in sorted(weights):
        blake.update(name.encode())
        blake.update(weights[name].contiguous().numpy().tobytes())
    return blake.hexdigest()
