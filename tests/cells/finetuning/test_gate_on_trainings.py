"""A small version of `benchmarks/gate.py`: real trainings, of which one is spoiled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.cells.finetuning.augmentation import LabelledImage
from napari_attmil.cells.finetuning.finetuning import FinetuneProgress, finetune
from napari_attmil.cells.finetuning.holdout import HoldOut, choose_held_out
from napari_attmil.cells.settings import FinetuneSettings
from napari_attmil.core.device import choose_device
from napari_attmil.simulation.appearance import Appearance
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    from pathlib import Path

POOR = Appearance(14.0, contrast=0.35, condenser_angle_rad=0.03, brightness=120.0, shot_noise=9.0)
FIELD = SimulationSettings(image_size_px=256, cells_per_image=12)
SETTINGS = FinetuneSettings(steps=8, crops_per_step=3, learning_rate=1e-3)


def image(number: int) -> LabelledImage:
    """Return a field far out of focus, all of whose boxes a person drew."""
    field = simulate_image(FIELD, np.random.default_rng(number), appearance=POOR)
    return LabelledImage(field.image, field.xyxy, stained=False, name=f"{number}")


def fitted(images: list[LabelledImage], folder: Path) -> FinetuneProgress:
    choose_held_out(folder, ["0"], [each.name for each in images])
    out = folder / "w.safetensors"
    *_, last = finetune(images, SETTINGS, out, choose_device("cpu"), None, folder)
    assert HoldOut.read(folder).of(["0", "1"]) == {"0"} and out.exists()
    assert HoldOut.read(folder).learnt == {"1", "2", "3", "4"}
    return last


@pytest.mark.parametrize(("shift_px", "is_better"), [(0, True), (20, False)])
def test_what_learns_the_cells_is_let_through_and_what_learns_a_shift_is_not(
    tmp_path: Path, shift_px: int, is_better: bool
) -> None:
    aside = np.array([shift_px, 0, shift_px, 0], dtype=np.float32)
    held_out, *learnt = (image(number) for number in range(5))
    images = [held_out, *(replace(each, xyxy=each.xyxy + aside) for each in learnt)]
    last = fitted(images, tmp_path)
    assert last.is_better == is_better
    (look,) = last.looks
    assert (look.gained > look.lost) == is_better
