"""Presets of settings: the project's own, the paper's, and the published code's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from napari_attmil.bags.methods import METHODS, Method
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.core import UserError

_PUBLISHED: Final[dict[str, Any]] = {
    "method": "mil-att-sic",
    "standardise": False,
    "components": 0,
    "batch_penalty": 0,
    "exclusion": 0,
    "guidance": 0,
    "healthy_is_the_rest": False,
    "schedule": "constant",
    "embedding_size": 500,
    "attention_size": 128,
    "dropout": 0.1,
    "balance_classes": False,
    "cell_dropout": 0,
    "bags_per_step": 1,
    "learning_rate": 5e-4,
    "epochs": 150,
}
_PRESETS: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "paper": _PUBLISHED
    | {
        "embedding": "five-conv",
        "weight_decay": 1e-5,
        "beta": 0.5,
        "beta_max_pooling": 0.5,
        "stop_loss": 0.005,
        "stop_epochs": 5,
    },
    "marrlab-code": _PUBLISHED
    | {
        "embedding": "three-conv",
        "sic_hidden_size": 32,
        "loss": "binary-cross-entropy",
        "weight_decay": 1e-4,
        "beta": 0.95,
        "beta_max_pooling": 0.5,
        "stop_loss": 0.001,
        "stop_epochs": 7,
        "stop_consecutive": False,
    },
}

if TYPE_CHECKING:
    Preset = str
else:
    # Derived from the registry; forms and the command line offer these names.
    Preset = Literal[tuple(_PRESETS)]


def mil_preset(name: Preset, **changes: Any) -> MILSettings:
    """Return the settings of one preset: the project's own, the paper's or the published code's.

    Parameters
    ----------
    name
        ``"default"``, ``"paper"`` (Sadafi et al. 2020, section 3) or ``"marrlab-code"`` (the
        differences of the code published with it, without two faults: SIC judges a sample by all
        its cells, not by the first one, and maximum pooling is not stopped after seven epochs).
    **changes
        Fields to set differently, for instance ``epochs=20``.

    Raises
    ------
    UserError
        If the preset or a field is unknown, or a value out of range.
    """
    if name not in _PRESETS:
        raise UserError(f"There is no preset {name!r}; choose one of {', '.join(_PRESETS)}.")
    return MILSettings.checked(**(_PRESETS[name] | changes))


def with_method(settings: MILSettings, method: Method) -> MILSettings:
    """Return the same settings for another method, with changes that it requires."""
    changes: dict[str, Any] = {"method": method}
    if METHODS[method].by_type:
        changes |= {
            "embedding": settings.embedding if settings.takes_rows else "profile",
            "standardise": True,
            "components": settings.components or MILSettings().components,
        }
    return settings.replace(**changes)


def ensemble_preset(name: Preset, **changes: Any) -> EnsembleSettings:
    """Return the ensemble settings that belong to a preset of `mil_preset`.

    The published models are slow without a GPU and were trained singly: one model without
    calibration. The project's own preset has the defaults of `EnsembleSettings`.

    Raises
    ------
    UserError
        If a field is unknown, or a value out of range.
    """
    own: dict[str, Any] = (
        {} if name == "default" else {"members": 1, "calibrate": False, "composition": False}
    )
    return EnsembleSettings.checked(**(own | changes))
