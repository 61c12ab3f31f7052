"""What a classifier's file stores of its models: their settings and their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from napari_attmil.bags.settings import MILSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.bags.network import AttentionMIL

BEFORE_THEY_EXISTED: Final = {"batch_penalty": 0, "guidance": 0, "healthy_is_the_rest": False}
"""Values of newer settings for model files that lack them."""
RETIRED: Final = frozenset({"guidance_rounds"})
"""Settings in older model files that no longer exist; no network depends on them."""


def mil_settings(stored: Mapping[str, Any]) -> MILSettings:
    """Return the settings in a model file of this or an earlier version."""
    current = {name: value for name, value in stored.items() if name not in RETIRED}
    return MILSettings(**(BEFORE_THEY_EXISTED | current))


def weights_of(models: Sequence[AttentionMIL]) -> dict[str, torch.Tensor]:
    """Return the tensors of all models; those equal to the first model's are stored once."""
    first = models[0].state_dict()
    return {
        f"{number}.{name}": tensor
        for number, model in enumerate(models)
        for name, tensor in model.state_dict().items()
        if number == 0 or name not in first or not torch.equal(tensor, first[name])
    }


def with_weights(
    model: AttentionMIL, weights: Mapping[str, torch.Tensor], number: int
) -> AttentionMIL:
    """Return a model with the tensors that `weights_of` stores for it."""
    kept = {}
    for name in model.state_dict():
        own = f"{number}.{name}"
        kept[name] = weights[own if own in weights else f"0.{name}"]
    model.load_state_dict(kept)
    return model.eval()
