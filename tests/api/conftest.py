"""A small study and a classifier of it, made through the public names only.

Its boxes are the true ones, so that no test waits for a detection that it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import napari_attmil as attmil

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "classes": ("healthy", "sickle"),
    "patients_per_class": 3,
    "samples_per_patient": 1,
    "images_per_sample": 1,
    "image_size_px": 224,
    "cells_per_image": 9,
    "altered_share": 0.5,
    "variety": 0.2,
}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `study`, and `model.safetensors` of two short models."""
    folder = tmp_path_factory.mktemp("place")
    study = attmil.simulate(folder / "study", attmil.SimulationSettings.checked(**SETTINGS))
    types = "discocyte,echinocyte,fragment,sickle"
    attmil.import_boxes(study, folder / "study" / "truth.csv", types, reviewed=True)
    few = attmil.ensemble_preset("default", members=2)
    short = attmil.mil_preset("default", epochs=2)
    attmil.train(study, folder / "model.safetensors", short, few, device="cpu")
    return folder
