"""What the shipped detector learns from: real smears, violet light, and simulated fields.

Every source is a list of labelled images; `Crops` draws from them by their shares. No seed here is
used by a benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import pandas as pd
import torch
from altered_cells import CutCell, round_cells, with_altered_cells, without
from rough_looks import draw_rough_appearance
from scipy import ndimage
from skimage import io
from torch.utils.data import IterableDataset

from napari_attmil.cells.boxes import median_diameter_px
from napari_attmil.cells.finetuning import LabelledImage
from napari_attmil.cells.finetuning.augmentation import random_crop
from napari_attmil.core import Float32Array
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image
from napari_attmil.simulation.cell_shapes import CELL_TYPES, RARE_TYPES
from napari_attmil.simulation.structures import STRUCTURES, burn_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_attmil.simulation.appearance import Appearance

HELD_BACK_FRAMES: Final = ("img_0459.png", "img_0948.png", "img_1287.png", "img_1524.png")
"""Frames of `lfm` that no training sees."""
SIMULATED_SIDE_PX: Final = 448
SIDES: Final = ["x_min", "y_min", "x_max", "y_max"]
RARE_CELLS: Final = 0.6
Fault = Literal["writing", "pointer", "seam", "moved", "deeper"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
EMPTY_FIELDS: Final = 0.2


@dataclass(frozen=True, eq=False)
class Source:
    """Images of one kind.

    Attributes
    ----------
    images
        All of them.
    share
        Of the crops, those that come from here.
    altered
        Probability that an image gets altered cells; see `with_altered_cells`.
    bank
        The cells that it gets.
    """

    images: list[LabelledImage]
    share: float
    altered: float = 0.0
    bank: list[CutCell] = field(default_factory=list)


class Crops(IterableDataset[tuple[Float32Array, Float32Array]]):
    """Endless random crops, from each source by its share."""

    def __init__(self, sources: list[Source], diameter_px: float, seed: int) -> None:
        self._sources, self._diameter_px, self._seed = sources, diameter_px, seed

    def __iter__(self) -> Iterator[tuple[Float32Array, Float32Array]]:
        """Yield (256, 256) crops and their (n, 4) boxes."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        shares = np.array([source.share for source in self._sources])
        while True:
            source = self._sources[rng.choice(len(shares), p=shares / shares.sum())]
            image = source.images[rng.integers(len(source.images))]
            if rng.random() < source.altered:
                share, more = float(rng.uniform(0, 0.9)), int(rng.integers(0, 16))
                image = with_altered_cells(image, source.bank, rng, share, more)
            if rng.random() < 0.3:
                image = spoilt(image, rng)
            yield random_crop(image, self._diameter_px, rng)


def training_sources(data: Path, seed: int) -> list[Source]:
    """Return everything to learn from."""
    txl, violet = read_txl(data / "txl_pbc"), read_violet(data / "lfm", seed)
    return [
        Source(txl, 0.34, 0.7, round_cells(txl)),
        Source(violet, 0.08, 0.6, round_cells(violet)),
        Source([simulate(seed, index) for index in range(500)], 0.14),
        Source([simulate_rough(seed, index) for index in range(300)], 0.12),
        Source([simulate_rare(seed, index) for index in range(450)], 0.16),
        Source([simulate_structured(seed, index) for index in range(550)], 0.16),
    ]


def read_txl(folder: Path) -> list[LabelledImage]:
    """Return TXL-PBC's training images with the boxes of their red cells."""
    table = pd.read_csv(folder / "train.csv")
    images = []
    for name, rows in table.groupby("image"):
        pixels = io.imread(folder / "train" / str(name))
        grey = pixels[..., :3].mean(axis=-1) if pixels.ndim == 3 else pixels
        xyxy = rows[SIDES].to_numpy(np.float32)
        red = (rows["cell_type"] == "RBC").to_numpy()
        pixels = grey.astype(np.uint8)
        images.append(LabelledImage(pixels, xyxy[red], stained=True, rejected=xyxy[~red]))
    return [image for image in images if len(image.xyxy)]


def read_violet(folder: Path, seed: int) -> list[LabelledImage]:
    """Return the frames in violet light that are not held back, without debris and ghosts."""
    cells, others = pd.read_csv(folder / "boxes.csv"), pd.read_csv(folder / "misc_boxes.csv")
    images = []
    for name, rows in cells.groupby("image"):
        if name in HELD_BACK_FRAMES:
            continue
        grey = io.imread(folder / "images" / str(name))
        image = LabelledImage(grey, rows[SIDES].to_numpy(np.float32), stained=True)
        unclear = others[others["image"] == name][SIDES].to_numpy(np.float32)
        images.append(without(image, unclear, np.random.default_rng(seed)))
    return images


def simulate(seed: int, index: int) -> LabelledImage:
    """Return a simulated field: four of five unstained, all densities and looks."""
    rng = np.random.default_rng([seed, index])
    stained = index % 5 == 4
    look = "stained" if stained else "unstained"
    settings = field_settings(rng).replace(look=look, variety=float(rng.uniform(0.3, 1)))
    simulated = simulate_image(settings, rng)
    return LabelledImage(simulated.image, simulated.xyxy, stained)


def simulate_rough(seed: int, index: int) -> LabelledImage:
    """Return a poor unstained field; half of them are dominated by one type of cell."""
    rng = np.random.default_rng([seed, 1, index])
    settings = field_settings(rng)
    common = str(rng.choice(CELL_TYPES)) if index % 2 else "discocyte"
    shares = np.array([0.4 if name == common else 0.045 for name in CELL_TYPES])
    types = rng.choice(CELL_TYPES, settings.cells_per_image, p=shares / shares.sum())
    simulated = simulate_image(settings, rng, types.tolist(), draw_rough_appearance(rng))
    return LabelledImage(simulated.image, simulated.xyxy, stained=False)


def simulate_rare(seed: int, index: int) -> LabelledImage:
    """Return a field of rare cells among others, under any light."""
    rng = np.random.default_rng([seed, 2, index])
    settings = field_settings(rng)
    appearance, stained = draw_looks(rng)
    count = settings.cells_per_image
    rare = rng.random(count) < rng.uniform(0.1, 2 * RARE_CELLS)
    types = np.where(rare, rng.choice(RARE_TYPES, count), rng.choice(CELL_TYPES, count))
    simulated = simulate_image(settings, rng, types.tolist(), appearance)
    return LabelledImage(
        simulated.image, simulated.xyxy, stained, diameter_px=settings.cell_diameter_px
    )


def simulate_structured(seed: int, index: int) -> LabelledImage:
    """Return a field with walls, lines, bubbles or writing; one in five is without cells."""
    rng = np.random.default_rng([seed, 3, index])
    settings = field_settings(rng)
    count = 0 if rng.random() < EMPTY_FIELDS else settings.cells_per_image
    types = np.where(
        rng.random(count) < 0.5, "discocyte", rng.choice((*CELL_TYPES, *RARE_TYPES), count)
    )
    appearance, stained = draw_looks(rng)
    kind = STRUCTURES[index % len(STRUCTURES)]
    simulated = simulate_image(settings, rng, types.tolist(), appearance, kind)
    return LabelledImage(
        simulated.image, simulated.xyxy, stained, diameter_px=settings.cell_diameter_px
    )


def field_settings(rng: np.random.Generator) -> SimulationSettings:
    """Draw the size and the number of a field's cells."""
    diameter = float(rng.uniform(30, 60))
    densest = 0.75 * SIMULATED_SIDE_PX**2 / diameter**2
    return SimulationSettings(
        image_size_px=SIMULATED_SIDE_PX,
        cell_diameter_px=diameter,
        cells_per_image=int(rng.uniform(0.05, 1) ** 1.5 * densest),
    )


def draw_looks(rng: np.random.Generator) -> tuple[Appearance, bool]:
    """Draw one of five lights, and whether cells differ by absorption in it.

    Bright field with and without stain, poor bright field, violet light, phase contrast.
    """
    light = str(rng.choice(["unstained", "stained", "poor", "violet", "phase"]))
    if light == "poor":
        return draw_rough_appearance(rng), False
    absorbs = light in ("stained", "violet")
    appearance = draw_appearance(
        "stained" if absorbs else "unstained", float(rng.uniform(0.3, 1)), rng
    )
    if light == "violet":
        appearance = replace(
            appearance,
            absorption_per_um=float(rng.uniform(0.3, 0.9)),
            contrast=float(rng.uniform(0.2, 1)),
            defocus_um=float(rng.uniform(-1.5, 1.5)),
        )
    elif light == "phase":
        appearance = replace(
            appearance,
            phase_ring_rad=float(rng.choice((-1, 1)) * rng.uniform(0.9, 2)),
            contrast=float(rng.uniform(0.1, 1)),
            defocus_um=float(rng.uniform(-1.5, 1.5)),
            brightness=float(rng.uniform(50, 140)),
        )
    return appearance, absorbs


def spoilt(image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
    """Return the image with writing, a pointer, a seam, motion, or cells in a deeper layer."""
    grey, size = image.grey.astype(np.uint8), image.diameter_px or 0.0
    if not size:
        size = median_diameter_px(image.xyxy) if len(image.xyxy) else 40.0
    fault = FAULTS[rng.integers(len(FAULTS))]
    if fault in ("writing", "pointer"):
        burn_in(fault, grey, rng)
    elif fault == "seam":
        place, axis = int(rng.integers(grey.shape[0] // 4, grey.shape[0])), rng.integers(2)
        part = grey[place:] if axis else grey[:, place:]
        part[...] = np.clip(part * rng.uniform(0.8, 1.2), 0, 255).astype(grey.dtype)
    elif fault == "moved":
        length = max(2, int(size * rng.uniform(0.03, 0.15)))
        grey = ndimage.uniform_filter1d(grey, length, axis=int(rng.integers(2)))
    elif fault == "deeper":
        deeper = np.zeros(grey.shape, dtype=np.float32)
        y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
        for _ in range(int(rng.integers(1, 8))):
            at_y, at_x = rng.uniform((0, 0), grey.shape)
            radius, soft = size * rng.uniform(0.45, 0.9), rng.uniform(0.3, 0.6)
            away = np.hypot(y - at_y, x - at_x) / radius
            deeper += rng.uniform(-0.12, 0.12) / (1 + np.exp((away - 1) / (0.35 * soft)))
        grey = np.clip(grey * (1 + deeper), 0, 255).astype(grey.dtype)
    return replace(image, grey=grey)
