"""A detector's network in its model file."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_attmil.cells.detection.network import CellRCNN, DetectorArchitecture
from napari_attmil.core import (
    Checkpoint,
    UserError,
    load_checkpoint,
    save_checkpoint,
    weights_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, eq=False)
class SavedNetwork:
    """The content of a detector's model file; see `Detector`."""

    network: CellRCNN
    architecture: DetectorArchitecture
    digest: str
    provenance: Mapping[str, Any]


def load_network(path: Path | None = None) -> SavedNetwork:
    """Read a model file of kind "detector"; the shipped one if None.

    Raises
    ------
    UserError
        If the file is missing, damaged or holds another kind of model.
    """
    path = shipped_weights() if path is None else Path(path)
    checkpoint = load_checkpoint(path, "detector")
    architecture = DetectorArchitecture.checked(**checkpoint.settings)
    network = CellRCNN(architecture)
    # Counters of batch normalisation are not shipped: only training would need them.
    counters = {k: t for k, t in network.state_dict().items() if k.endswith(_COUNTER)}
    weights = {name: tensor.float() for name, tensor in checkpoint.weights.items()}
    try:
        network.load_state_dict(counters | weights)
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit its own settings, it is damaged; choose another, or train it "
            "again."
        ) from error
    return SavedNetwork(
        network, architecture, weights_digest(checkpoint.weights), checkpoint.provenance
    )


def save_network(
    path: Path,
    network: CellRCNN,
    architecture: DetectorArchitecture,
    provenance: Mapping[str, Any],
) -> None:
    """Write a detector's model file, in half precision.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    weights = {
        name: tensor.half() if tensor.dtype.is_floating_point else tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    settings = architecture.model_dump(mode="json")
    save_checkpoint(path, Checkpoint("detector", weights, settings, provenance))


def shipped_weights() -> Path:
    """Return the model file of the detector that comes with the package."""
    folder = importlib.resources.files("napari_attmil") / "weights"
    return Path(str(folder / "detector.safetensors"))
