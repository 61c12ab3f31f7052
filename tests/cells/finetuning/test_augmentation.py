from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_attmil.cells.finetuning.augmentation import CROP_PX, LabelledImage, random_crop

if TYPE_CHECKING:
    import pytest


def discs(side: int = 300, radius: int = 20) -> LabelledImage:
    """Return bright discs, whose boxes anybody can find again by a threshold."""
    y, x = np.mgrid[:side, :side]
    centres = [(40, 60), (150, 150), (220, 90), (120, 250)]
    grey = np.zeros((side, side), dtype=np.uint8)
    for cy, cx in centres:
        grey[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 200
    corners = [[cx - radius, cy - radius, cx + radius + 1, cy + radius + 1] for cy, cx in centres]
    return LabelledImage(grey, np.array(corners, dtype=np.float32), stained=False)


def test_a_crop_has_the_network_s_shape_and_boxes_inside_it() -> None:
    crop, xyxy = random_crop(discs(), 40, np.random.default_rng(0))
    assert (crop.shape, crop.dtype) == ((CROP_PX, CROP_PX), np.float32)
    assert xyxy.min() >= 0
    assert xyxy.max() <= CROP_PX


def test_boxes_follow_their_cells_through_turns_scales_and_crops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_attmil.cells.finetuning import augmentation

    monkeypatch.setattr(augmentation, "random_look", lambda grey, *_: grey)
    for seed in range(20):
        crop, xyxy = random_crop(discs(), 40, np.random.default_rng(seed))
        labels, _ = ndimage.label(crop > crop.max() / 2)
        seen = [
            [columns.start, rows.start, columns.stop, rows.stop]
            for rows, columns in ndimage.find_objects(labels)
        ]
        for box in xyxy:
            assert min(np.abs(np.array(box) - other).max() for other in np.array(seen)) <= 3


def test_the_same_seed_gives_the_same_crop() -> None:
    first = random_crop(discs(), 40, np.random.default_rng(3))
    second = random_crop(discs(), 40, np.random.default_rng(3))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_an_image_without_cells_gives_a_crop_without_boxes() -> None:
    empty = LabelledImage(
        np.random.default_rng(0).integers(0, 255, (100, 80), dtype=np.uint8),
        np.empty((0, 4), dtype=np.float32),
        stained=True,
    )
    crop, xyxy = random_crop(empty, 40, np.random.default_rng(0))
    assert xyxy.shape == (0, 4)
    assert np.isfinite(crop).all()
