"""Images of one scale, told by their sizes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection.detector import Detector
from napari_attmil.cells.detection.working_scale import alike_in_size


def test_cropped_images_are_of_one_scale_and_halved_ones_of_another() -> None:
    sizes = [(562, 563), (281, 280), (563, 562), (300, 250), (1200, 560)]
    assert alike_in_size(sizes) == [[1, 3], [0, 2], [4]]
    assert alike_in_size([]) == []


class Pictures(list[np.ndarray]):
    """A stack that tells its images' sizes."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [image.shape[:2] for image in self]


def discs(side: int, radius: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    field = np.random.default_rng(0).normal(120, 3, (side, side))
    for row in range(4):
        for column in range(4):
            cy, cx = ((2 * place + 1) * side / 8 for place in (row, column))
            field -= 60 * ((y - cy) ** 2 + (x - cx) ** 2 < radius**2)
    return field.clip(0, 255).astype(np.uint8)


def test_a_sample_with_halved_images_has_all_its_cells_found() -> None:
    images = Pictures([discs(400, 24), discs(200, 12), discs(400, 24)])
    found = list(Detector.load().detect_frames(images, DetectionSettings()))
    assert [step.image_index for step in found] == [0, 1, 2]
    assert [len(step.score) for step in found] == [16, 16, 16]
    large, small, _ = (step.cell_size.diameter_px for step in found)
    assert small == pytest.approx(large / 2, rel=0.25)
