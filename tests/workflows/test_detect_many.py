"""All images of a study are searched, sample after sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.io import imsave

from napari_attmil.cells import DetectionSettings
from napari_attmil.images.reading import open_cohort
from napari_attmil.workflows import detect_study

if TYPE_CHECKING:
    from pathlib import Path


def discs(height: int, width: int, count: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    field = np.random.default_rng(0).normal(120, 3, (height, width))
    for number in range(count):
        cy, cx = 40 + 70 * (number // 3), 40 + 70 * (number % 3)
        field -= 60 * ((y - cy) ** 2 + (x - cx) ** 2 < 22**2)
    return field.clip(0, 255).astype(np.uint8)


def test_unreviewed_images_are_searched_and_a_lost_one_does_not_end_it(tmp_path: Path) -> None:
    for name, count in (("a", 4), ("b", 5), ("c", 6), ("d", 3)):
        image = discs(230 + 10 * count, 240, count)
        imsave(tmp_path / f"{name}.png", image, check_contrast=False)
    cohort = open_cohort(tmp_path)
    (tmp_path / "b.png").unlink()
    reviewed = {"c": frozenset({0})}
    steps = list(detect_study(cohort.samples, reviewed, DetectionSettings(), "cpu"))
    found = dict(step.detail for step in steps if step.detail is not None)
    assert {name: len(detection.boxes) for name, detection in found.items()} == {"a": 4, "d": 3}
    (note,) = (step.note for step in steps if step.note)
    assert "b.png' does not exist" in note
    assert [step.done for step in steps][-1] == steps[-1].total == 3
    assert [step.done for step in steps] == sorted(step.done for step in steps)
