"""A small cohort on the disk whose cells and features can be worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_attmil.images import Cohort, Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path

QUARTERS = {0: (0, 0), 1: (0, 16), 2: (16, 0), 3: (16, 16)}


def image_of(quarters: dict[int, int]) -> np.ndarray:
    """Return a (32, 32) image whose quarters have the grey values given."""
    image = np.zeros((32, 32), dtype=np.uint8)
    for quarter, grey in quarters.items():
        y, x = QUARTERS[quarter]
        image[y : y + 16, x : x + 16] = grey
    return image


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return samples with cells of grey 50, 60 (two images), with none, and with 70."""
    fields: dict[str, list[dict[int, int]]] = {
        "one": [{0: 50}, {1: 60}],
        "bare": [{}],
        "two": [{3: 70}],
    }
    samples = []
    for name, images in fields.items():
        frames = []
        for index, quarters in enumerate(images):
            path = tmp_path / name / f"{index}.tif"
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, image_of(quarters))
            frames.append(Frame(path))
        samples.append(Sample(name, f"patient of {name}", "a", tuple(frames)))
    return Cohort(tuple(samples), tmp_path)
