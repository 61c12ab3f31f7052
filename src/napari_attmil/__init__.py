"""Attention multiple-instance learning for bright-field microscopy of blood, in napari.

The public names are loaded when they are first used, so importing the package is quick and loads
neither torch nor Qt nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag, prepare_bags
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.feature_store import FeatureStore
    from napari_attmil.bags.features import extract_features
    from napari_attmil.bags.network.attention_mil import AttentionMIL
    from napari_attmil.bags.prediction import Prediction
    from napari_attmil.bags.training.trainer import Trainer
    from napari_attmil.cells.boxes import Boxes
    from napari_attmil.cells.detection.detector import Detector
    from napari_attmil.core.device import choose_device
    from napari_attmil.core.settings import UserError
    from napari_attmil.evaluation.cross_validation import cross_validate
    from napari_attmil.explore.cell_table import cell_table
    from napari_attmil.explore.colours import attention_colours
    from napari_attmil.images.cohort import Cohort, Frame, Sample
    from napari_attmil.images.crops import crop_cell
    from napari_attmil.images.reading import open_cohort, open_sample, read_images
    from napari_attmil.session.session import Session
    from napari_attmil.simulation.cohort import simulate_cohort

__version__ = "0.1.0"

_MODULE_OF = {
    "AttentionMIL": "bags.network.attention_mil",
    "Bag": "bags.bag",
    "Boxes": "cells.boxes",
    "Classifier": "bags.classifier",
    "Cohort": "images.cohort",
    "Detector": "cells.detection.detector",
    "FeatureStore": "bags.feature_store",
    "Frame": "images.cohort",
    "Prediction": "bags.prediction",
    "Sample": "images.cohort",
    "Session": "session.session",
    "Trainer": "bags.training.trainer",
    "UserError": "core.settings",
    "attention_colours": "explore.colours",
    "cell_table": "explore.cell_table",
    "choose_device": "core.device",
    "crop_cell": "images.crops",
    "cross_validate": "evaluation.cross_validation",
    "extract_features": "bags.features",
    "open_cohort": "images.reading",
    "open_sample": "images.reading",
    "prepare_bags": "bags.bag",
    "read_images": "images.reading",
    "simulate_cohort": "simulation.cohort",
}

__all__ = [
    "AttentionMIL",
    "Bag",
    "Boxes",
    "Classifier",
    "Cohort",
    "Detector",
    "FeatureStore",
    "Frame",
    "Prediction",
    "Sample",
    "Session",
    "Trainer",
    "UserError",
    "__version__",
    "attention_colours",
    "cell_table",
    "choose_device",
    "crop_cell",
    "cross_validate",
    "extract_features",
    "open_cohort",
    "open_sample",
    "prepare_bags",
    "read_images",
    "simulate_cohort",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
