"""The cell encoder that comes with the package, and what any other one must offer."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from napari_attmil.cells.encoding.network import SIDE_PX, VECTOR_SIZE, fused
from napari_attmil.cells.encoding.network_file import load_encoder_network
from napari_attmil.cells.encoding.pictures import pictures_of_cells
from napari_attmil.core import choose_device, compute_threads

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_attmil.cells.encoding.network import EncoderNetwork
    from napari_attmil.core import Device

CONTEXT = 1.2
"""A picture shows the longer side of its box times this."""
CELLS_AT_ONCE = 64
"""More at once are slower: their maps no longer fit into a processor's cache."""
VERSION = 1
"""Raised whenever vectors change though the weights do not: other pictures, or other looks."""
LEVELS = 0.5
"""What a standard deviation of the image becomes, as in the training."""


class EncoderLike(Protocol):
    """What turns the cells of an image into vectors."""

    @property
    def digest(self) -> str:
        """Fingerprint of the weights and of how pictures are cut; vectors of another are stale."""

    def encode(self, image: npt.NDArray[Any], xyxy: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """Return (n, size) float16 vectors of the cells in (n, 4) boxes of one image.

        The image is (Y, X) or (Y, X, 3), of any type; boxes are in its pixels. All vectors of an
        encoder have one size.
        """


class CellEncoder:
    """Turns the picture of a cell into 256 numbers that say what it looks like.

    Colour, magnification, brightness and contrast of an image do not matter, as pictures are grey
    and all of one size; how a cell is turned and focused matters little. A vector is the mean of
    two looks, of which the second sees the picture turned and mirrored.

    Parameters
    ----------
    network
        The network with its weights.
    device
        Where it computes.
    digest
        Fingerprint of the weights, and of how they are used.
    provenance
        Where the weights come from.
    """

    def __init__(
        self,
        network: EncoderNetwork,
        device: Device,
        digest: str,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.device = device
        self.digest = digest
        self.provenance = dict(provenance or {})
        network = fused(network.eval()).to(device.torch())
        self._network = network.to(memory_format=torch.channels_last)
        self._in_use = Lock()

    @classmethod
    def load(cls, path: Path | None = None, device: Device | None = None) -> CellEncoder:
        """Read an encoder from a model file.

        Parameters
        ----------
        path
            A model file of kind "encoder"; the shipped one if None.
        device
            Where to compute; the fastest device of this machine if None.

        Raises
        ------
        UserError
            If the file is missing, damaged or holds another kind of model.
        """
        network, digest, provenance = load_encoder_network(path)
        return cls(network, device or choose_device(), f"{VERSION}.{digest}", provenance)

    def encode(self, image: npt.NDArray[Any], xyxy: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """Return the vectors of cells in one image.

        Parameters
        ----------
        image
            (Y, X) or (Y, X, 3), of any type.
        xyxy
            (n, 4) boxes in pixels of the image.

        Returns
        -------
        (n, 256) float16
        """
        pictures = pictures_of_cells(image, xyxy, SIDE_PX, CONTEXT)
        parts = [self._vectors(part) for part in pictures.split(CELLS_AT_ONCE) if len(part)]
        return np.concatenate([np.empty((0, VECTOR_SIZE), dtype=np.float16), *parts])

    def _vectors(self, pictures: torch.Tensor) -> npt.NDArray[np.float16]:
        placed = (pictures * LEVELS).to(self.device.torch(), memory_format=torch.channels_last)
        with self._in_use, compute_threads(), torch.inference_mode(), self.device.autocast():
            looks = [self._network(look).float() for look in (placed, placed.transpose(2, 3))]
            vectors = torch.stack(looks).mean(0)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float16)
