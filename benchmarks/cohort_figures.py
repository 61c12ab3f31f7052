"""What a few cohorts give with one method and other settings: means over cohorts and seeds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from napari_attmil.bags import mil_preset
from napari_attmil.core import finished
from napari_attmil.evaluation import EvaluationSettings, cross_validate, write_report

if TYPE_CHECKING:
    from napari_attmil.bags import Bag, Method
    from napari_attmil.core import Device

ENSEMBLE: Final = "ensemble"
"""In place of a method: what people use, with the default's settings."""
TOP: Final = "mil-multi-top-sic"
"""The method of the ensemble's models."""
RUNS: Final = 3
"""Single models of different seeds a fold; an ensemble has its own."""


def figures_of(
    bags: list[Bag],
    folds: np.ndarray,
    method: Method | Literal["ensemble"],
    changes: dict[str, Any],
    device: Device,
) -> Any:
    """Return what the report says of an ensemble, or of single models of several seeds."""
    evaluation = (
        EvaluationSettings(runs=1, methods=())
        if method == ENSEMBLE
        else EvaluationSettings(runs=RUNS, methods=(method,), ensemble=False)
    )
    settings = mil_preset("default", **changes)
    result = finished(cross_validate(bags, settings, evaluation, device, folds))
    with tempfile.TemporaryDirectory() as scratch:
        return write_report(result, Path(scratch), [])["methods"][method]


def mean_of(
    cohorts: list[tuple[list[Bag], np.ndarray]],
    method: Method | Literal["ensemble"],
    changes: dict[str, Any],
    device: Device,
) -> dict[str, float]:
    """Return means over cohorts; those of cells where their truth is known."""
    figures = [figures_of(*one, method, changes, device) for one in cohorts]
    found = {
        "accuracy": [one["accuracy"]["mean"] for one in figures],
        "AUROC": [one["auroc"]["mean"] for one in figures],
    }
    for measure in ("instance_auroc", "instance_ap"):
        known = [one["attribution"]["attention"][measure] for one in figures]
        if all(known):
            found[measure.replace("_", " ")] = [one["mean"] for one in known]
    return {title: float(np.mean(values)) for title, values in found.items()}
