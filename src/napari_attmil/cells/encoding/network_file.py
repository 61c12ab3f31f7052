"""An encoder's network in its model file."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_attmil.cells.encoding.network import EncoderNetwork
from napari_attmil.core import (
    Checkpoint,
    Remedy,
    UserError,
    load_checkpoint,
    save_checkpoint,
    weights_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "encoder"


def load_encoder_network(
    path: Path | None = None,
) -> tuple[EncoderNetwork, str, Mapping[str, Any]]:
    """Read a model file of kind "encoder", the shipped one if None: network, digest, provenance.

    Raises
    ------
    UserError
        If the file is missing, damaged or holds another kind of model.
    """
    path = shipped_encoder() if path is None else Path(path)
    checkpoint = load_checkpoint(path, KIND)
    network = EncoderNetwork()
    counters = {k: t for k, t in network.state_dict().items() if k.endswith("num_batches_tracked")}
    weights = {name: tensor.float() for name, tensor in checkpoint.weights.items()}
    try:
        network.load_state_dict(counters | weights)
    except RuntimeError as error:
        raise UserError(
            f"{path} does not hold the cell encoder's network; choose another file.",
            Remedy.LOAD_MODEL,
        ) from error
    return network, weights_digest(checkpoint.weights), checkpoint.provenance


def save_encoder_network(
    path: Path, network: EncoderNetwork, provenance: Mapping[str, Any]
) -> None:
    """Write an encoder's model file, in half precision.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    weights = {
        name: tensor.half()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_checkpoint(path, Checkpoint(KIND, weights, {}, provenance))


def shipped_encoder() -> Path:
    """Return the model file of the encoder that comes with the package."""
    folder = importlib.resources.files("napari_attmil") / "weights"
    return Path(str(folder / "encoder.safetensors"))
