"""Model files: weights, settings and provenance in one safetensors file, without pickles."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.core.errors import ContentError, Remedy, UserError, reason_in_words
from napari_attmil.core.files import write_atomically
from napari_attmil.core.words import with_article

if TYPE_CHECKING:
    import torch

FORMAT = "napari-attmil/1"
_MODELS: Final = ("classifier", "detector", "encoder")
"""Kinds of files that others may have made; the rest is this program's own unfinished work."""
_WEIGHTS: Final = ("float64", "float32", "float16", "bfloat16", "int64", "bool")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a model file.

    Attributes
    ----------
    kind
        ``"detector"``, ``"encoder"`` or ``"classifier"``.
    weights
        Tensors by name.
    settings
        The settings from which the model is built, as plain JSON values.
    provenance
        Its origin: data, parent model, date, scores; plain JSON values.
    """

    kind: str
    weights: Mapping[str, torch.Tensor]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a model file whole or not at all.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    from safetensors.torch import save

    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.weights.items()
    }
    dated = {"created": datetime.now(UTC).isoformat(timespec="seconds"), **checkpoint.provenance}
    metadata = {
        "format": FORMAT,
        "kind": checkpoint.kind,
        "settings": json.dumps(dict(checkpoint.settings)),
        "provenance": json.dumps(dated),
    }
    with write_atomically(path) as temporary:
        # safetensors' save_file does not raise an OSError if the disk is full.
        temporary.write_bytes(save(weights, metadata))


def load_checkpoint(path: Path, kind: str) -> Checkpoint:
    """Read a model file of the given kind.

    Raises
    ------
    UserError
        If the file is missing, damaged, not of this program or of another kind.
    """
    with _opened(path, kind, "pt") as (file, settings, provenance):
        # Copies, as the tensors map the file, and Windows cannot replace a file that is in use.
        weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if kind in _MODELS:
            _check_weights(weights)
    return Checkpoint(kind, weights, settings, provenance)


def read_provenance(path: Path, kind: str) -> dict[str, Any]:
    """Read the provenance of a model file without its weights; errors as in `load_checkpoint`."""
    with _opened(path, kind, "np") as (_, _, provenance):
        return provenance


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a fingerprint of weights in the types in which their file has them."""
    blake = hashlib.blake2b(digest_size=16)
    for name in sorted(weights):
        blake.update(name.encode())
        blake.update(weights[name].contiguous().numpy().tobytes())
    return blake.hexdigest()


@contextlib.contextmanager
def _opened(
    path: Path, kind: str, framework: str
) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Yield an open model file of the given kind, its settings and its provenance."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no model file {path}; check the path.", Remedy.LOAD_MODEL)
    try:
        with safe_open(path, framework=framework) as file:
            metadata = file.metadata() or {}
            _check(metadata, kind, path)
            yield file, _values(metadata, "settings"), _values(metadata, "provenance")
    except UserError:
        raise
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a readable model file ({reason_in_words(error)}); train or download it "
            "again.",
            Remedy.LOAD_MODEL,
        ) from error


def _check(metadata: Mapping[str, str], kind: str, path: Path) -> None:
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a napari-attmil model file, it was made by other software; choose one "
            "that was saved here.",
            Remedy.LOAD_MODEL,
        )
    found = metadata.get("kind", "")
    if found != kind:
        found = found if found in _MODELS else "model of no known kind"
        raise UserError(
            f"{path} holds {with_article(found)}, but {with_article(kind)} is needed here; choose "
            "another file.",
            Remedy.LOAD_MODEL,
        )


def _check_weights(weights: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError for weights with which a network computes, but nothing that makes sense."""
    for name, tensor in weights.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in _WEIGHTS:
            raise ContentError(f"its weights {name} are of the type {kind}")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ContentError(f"its weights {name} hold values that are no finite numbers")


def _values(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the dictionary under a name; a ValueError if it is anything else."""
    values = json.loads(metadata.get(name, "{}"))
    if not isinstance(values, dict):
        raise ContentError(f"its {name} are no table of names and values")
    return values


def moments_of(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the state tensors of an optimiser, named `<parameter>.<name>`."""
    return {
        f"{number}.{name}": tensor
        for number, moments in optimiser.state_dict()["state"].items()
        for name, tensor in moments.items()
    }


def set_moments(optimiser: torch.optim.Optimizer, moments: dict[str, torch.Tensor]) -> None:
    """Set the state tensors of an optimiser; see `moments_of`."""
    import torch

    state = optimiser.state_dict()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state["state"] = {}
    for key, tensor in moments.items():
        number, _, name = key.partition(".")
        if name != "step":
            # In the memory layout of its parameter, which files do not store.
            tensor = torch.empty_like(parameters[int(number)]).copy_(tensor)
        state["state"].setdefault(int(number), {})[name] = tensor
    optimiser.load_state_dict(state)
