"""Images are grouped by how they look, whatever they are called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_attmil.cells.finetuning.augmentation import LabelledImage
from napari_attmil.cells.finetuning.looks import MEASURES, Looks, looks_of, measures
from napari_attmil.simulation.appearance import Appearance
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings

FIELD = SimulationSettings(image_size_px=256, cell_diameter_px=40, cells_per_image=12, variety=0.1)


def image(name: str, appearance: Appearance | None = None) -> LabelledImage:
    rng = np.random.default_rng(list(name.encode()))
    field = simulate_image(FIELD, rng, ["discocyte"] * 12, appearance)
    return LabelledImage(field.image, field.xyxy, stained=False, name=name)


PLAIN = [image(f"plain {number}") for number in range(7)]
BLURRED = [
    image(f"blurred {number}", Appearance(12.0, contrast=0.3, blur_px=2.0, brightness=90.0))
    for number in range(3)
]


def test_images_of_two_looks_are_told_apart_and_their_order_plays_no_part() -> None:
    looks = Looks.of([*PLAIN, *BLURRED]).of_image
    assert len({looks[each.name] for each in PLAIN}) == 1
    assert len({looks[each.name] for each in BLURRED}) == 1
    assert len(set(looks.values())) == 2
    assert Looks.of([*BLURRED, *PLAIN[::-1]]).of_image == looks


def test_images_of_one_look_are_one_group() -> None:
    assert set(Looks.of(PLAIN).of_image.values()) == {"all images"}


def test_looks_are_named_by_what_is_unlike_the_rest() -> None:
    measured = np.zeros((10, len(MEASURES))) + np.random.default_rng(0).normal(0, 0.01, (10, 7))
    measured[7:, 0] -= 3  # brightness
    measured[7:, 2] += 2.9  # diameter
    looks = looks_of([f"{number}" for number in range(10)], measured)
    assert set(looks.of_image["9"].split(", ")) == {"darker", "larger cells"}
    assert looks.of_image["9"] == looks.of_image["7"] != looks.of_image["0"]


def test_few_images_are_one_group() -> None:
    assert set(Looks.of([*PLAIN[:2], *BLURRED]).of_image.values()) == {"all images"}


def test_brightness_and_size_are_measured_in_octaves() -> None:
    one = measures(PLAIN[0])
    doubled = np.kron(PLAIN[0].grey, np.ones((2, 2), np.uint8))
    larger = measures(replace(PLAIN[0], grey=doubled, xyxy=PLAIN[0].xyxy * 2))
    names = list(MEASURES)
    assert larger[names.index("diameter")] - one[names.index("diameter")] == pytest.approx(1)
    darker = measures(replace(PLAIN[0], grey=PLAIN[0].grey // 2))
    assert one[0] - darker[0] == pytest.approx(1, abs=0.05)


def test_an_image_without_cells_has_the_measures_of_the_image_only() -> None:
    empty = measures(replace(PLAIN[0], xyxy=np.empty((0, 4), np.float32)))
    unknown = [name for name, value in zip(MEASURES, empty, strict=True) if np.isnan(value)]
    assert unknown == ["diameter", "inside", "rim", "texture"]
    assert len(Looks.of([*PLAIN, replace(PLAIN[0], name="empty", xyxy=PLAIN[0].xyxy[:0])]).names)
