"""The functions of napari's manifest: sample data and the reader of folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_attmil.core import UserError
from napari_attmil.simulation import ClassName
from napari_attmil.widgets.viewer import AXIS_LABELS, SAMPLE_OF_FILES, sample_layer_data

LayerData = tuple[Any, dict[str, Any], str]

SAMPLE_IMAGES = 4
SAMPLE_CELLS = 26
ALTERED_SHARE = 0.25
SAMPLE_SEED = 7


def healthy_sample() -> list[LayerData]:
    """Return a simulated sample of a healthy person."""
    return _simulated_sample("healthy")


def spherocytosis_sample() -> list[LayerData]:
    """Return a simulated sample with spherocytes."""
    return _simulated_sample("spherocytosis")


def sickle_sample() -> list[LayerData]:
    """Return a simulated sample with sickle cells."""
    return _simulated_sample("sickle")


def thalassemia_sample() -> list[LayerData]:
    """Return a simulated sample with target cells and teardrops."""
    return _simulated_sample("thalassemia")


def xerocytosis_sample() -> list[LayerData]:
    """Return a simulated sample with stomatocytes."""
    return _simulated_sample("xerocytosis")


def folder_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return a reader for a folder that holds images, else None."""
    if not isinstance(path, str):
        return None
    from napari_attmil.images import is_folder, open_frames

    if not is_folder(Path(path)):  # OME-Zarr is left to those who read it as what it is.
        return None

    try:
        open_frames(path)
    except UserError:
        return None
    return _read_folder


def _simulated_sample(label: ClassName) -> list[LayerData]:
    """Return a stack of bright-field images, all from one simulated microscope."""
    from napari_attmil.simulation import (
        CLASSES,
        SimulationSettings,
        draw_appearance,
        simulate_image,
    )

    rng = np.random.default_rng(SAMPLE_SEED)
    settings = SimulationSettings(cells_per_image=SAMPLE_CELLS)
    appearance = draw_appearance(settings.look, settings.variety, rng)
    own = CLASSES[label] or ("discocyte",)
    images = []
    for _ in range(SAMPLE_IMAGES):
        altered = rng.random(SAMPLE_CELLS) < ALTERED_SHARE
        types = np.where(altered, rng.choice(own, SAMPLE_CELLS), "discocyte").tolist()
        images.append(simulate_image(settings, rng, types, appearance))
    pixel_um = images[0].pixel_size_um
    metadata = {
        "name": f"Simulated {label}",
        "scale": [1.0, pixel_um, pixel_um],
        "units": ["pixel", "um", "um"],
        "axis_labels": AXIS_LABELS,
    }
    return [(np.stack([image.image for image in images]), metadata, "image")]


def _read_folder(path: str | list[str]) -> list[LayerData]:
    from napari_attmil.images import open_sample

    if not isinstance(path, str):
        raise UserError(f"{len(path)} paths were given; open one folder at a time.")
    sample = open_sample(path)
    data, settings = sample_layer_data(sample)
    settings["metadata"][SAMPLE_OF_FILES] = sample
    return [(data, settings, "image")]
