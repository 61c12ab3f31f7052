"""Folders of simulated images for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_attmil.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_smears(folder: Path, cells: Mapping[str, Sequence[str]]) -> Path:
    """Write images of a little different sizes into a folder, and return it.

    Parameters
    ----------
    folder
        Made with the folders above it.
    cells
        The types of each image's cells, by the image's path within the folder.
    """
    rng = np.random.default_rng(3)
    for number, (name, types) in enumerate(cells.items()):
        settings = SimulationSettings(
            image_size_px=256 + number % 3, cell_diameter_px=40, cells_per_image=8
        )
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, simulate_image(settings, rng, list(types)).image)
    return folder
