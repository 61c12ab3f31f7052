"""How often the measured cell size is right, and whether it says so where it is not.

    python benchmarks/cell_size.py --data ../shared/data [--part report] [--sets walls,sparse]
        [--weights W] [--out cell_size.json]

A size is right within 15 % of the median diameter of the true boxes that no edge cuts. Every image
stands alone, as the only one of a sample; simulated sets have samples of four images too. Of Chula,
only centre points are labelled: the truth is the median box that the detector draws around these
points once it is given the diameter that all images of that microscope share.
`--part develop` takes other images and seeds than `--part report`: figures come from the latter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from detection_quality import MIN_LABELLED_CELLS, at_edge, match_points, usual_settings
from reporting import parser, report
from rough_looks import draw_rough_appearance
from scipy.ndimage import gaussian_filter
from skimage import io

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection import Detector
from napari_attmil.core import choose_device
from napari_attmil.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WITHIN: Final = 0.15
CHULA_DIAMETER_PX: Final = 72.0
FRAMES: Final = 4
"""Images of a simulated sample."""
LEAST_CELLS: Final = 3
"""A sample with fewer whole cells has no typical diameter."""

Picture = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Case:
    """The images of a sample, and the diameter of its cells in pixels."""

    images: list[Picture]
    diameter_px: float


@dataclass(frozen=True)
class Chosen:
    """Which images and seeds are taken.

    Attributes
    ----------
    part
        "develop" or "report".
    data
        Folder of the real images.
    count
        Simulated cases a set.
    """

    part: str
    data: Path
    count: int

    @property
    def seed(self) -> int:
        """Start of all simulated seeds."""
        return {"develop": 1_000, "report": 2_000}[self.part]

    def mine(self, names: list[str]) -> list[str]:
        """Return every second name: the even ones to develop with, the odd ones to report."""
        return sorted(names)[self.part == "report" :: 2]


def typical_px(xyxy: Picture, shape: tuple[int, ...]) -> float | None:
    """Return the median diameter of the boxes that no edge cuts; None if they are few."""
    whole = xyxy[~at_edge(xyxy, shape)]
    sides = whole[:, 2:] - whole[:, :2]
    return float(np.median(np.sqrt(sides.prod(axis=1)))) if len(whole) >= LEAST_CELLS else None


def boxed(folder: Path, table: Path, chosen: Chosen, kinds: tuple[str, ...] = ()) -> Iterator[Case]:
    """Yield real images with boxes."""
    rows = pd.read_csv(table)
    if kinds:
        rows = rows[rows["cell_type"].isin(kinds)]
    groups = dict(list(rows.groupby("image")))
    for name in chosen.mine(list(map(str, groups))):
        image = io.imread(folder / name)
        xyxy = groups[name][["x_min", "y_min", "x_max", "y_max"]].to_numpy(np.float32)
        if (truth := typical_px(xyxy, image.shape)) is not None:
            yield Case([image], truth)


def txl(chosen: Chosen) -> Iterator[Case]:
    """Yield stained smears of four laboratories."""
    folder = chosen.data / "txl_pbc"
    yield from boxed(folder / "val", folder / "val.csv", chosen, ("RBC",))


def lfm(chosen: Chosen) -> Iterator[Case]:
    """Yield unstained cells in violet light; there are too few images for two parts."""
    folder = chosen.data / "lfm"
    for part in ("develop", "report"):
        both = Chosen(part, chosen.data, chosen.count)
        yield from boxed(folder / "images", folder / "boxes.csv", both)


def chula(chosen: Chosen) -> Iterator[Case]:
    """Yield stained smears of one microscope."""
    folder, detector = chosen.data / "chula", Detector.load()
    groups = dict(list(pd.read_csv(folder / "cells.csv").groupby("image")))
    crowded = [str(name) for name, rows in groups.items() if len(rows) >= MIN_LABELLED_CELLS]
    known = DetectionSettings(cell_diameter_px=CHULA_DIAMETER_PX)
    for name in chosen.mine(crowded):
        image = io.imread(folder / "images" / name)
        xyxy = detector.detect([image], known).xyxy
        right = match_points(xyxy, groups[name][["x", "y"]].to_numpy()) >= 0
        yield Case([image], typical_px(xyxy[right], image.shape) or CHULA_DIAMETER_PX)


def fields(
    chosen: Chosen, frames: int, draw: Callable[[np.random.Generator, float], tuple[Picture, Any]]
) -> Iterator[Case]:
    """Yield simulated samples, whose images are drawn with one cell size."""
    for number in range(chosen.count):
        own = np.random.default_rng([chosen.seed, number])
        share, images, sizes = own.random(), [], []
        for frame in range(frames):
            rng = np.random.default_rng([chosen.seed, number, frame])
            image, xyxy = draw(rng, share)
            images.append(image)
            whole = xyxy[~at_edge(xyxy, image.shape)]
            sizes += np.sqrt((whole[:, 2:] - whole[:, :2]).prod(axis=1)).tolist()
        if len(sizes) >= LEAST_CELLS:
            yield Case(images, float(np.median(sizes)))


def unstained(rng: np.random.Generator, share: float) -> tuple[Picture, Any]:
    """Return a field as an ordinary bright-field microscope gives it."""
    settings = SimulationSettings(
        image_size_px=562,
        cell_diameter_px=35 + 30 * share,
        cells_per_image=int(rng.uniform(15, 60)),
        variety=float(rng.uniform(0.3, 1)),
    )
    field = simulate_image(settings, rng)
    return field.image, field.xyxy


def poor(rng: np.random.Generator, share: float) -> tuple[Picture, Any]:
    """Return a field as a poor microscope gives it."""
    settings = usual_settings(rng).replace(cell_diameter_px=40 + 20 * share)
    field = simulate_image(settings, rng, appearance=draw_rough_appearance(rng))
    return field.image, field.xyxy


def sparse(rng: np.random.Generator, share: float) -> tuple[Picture, Any]:
    """Return three to ten small cells, bright on dark with a halo, as in phase contrast."""
    settings = SimulationSettings(
        image_size_px=512,
        cell_diameter_px=18 + 12 * share,
        cells_per_image=int(rng.integers(3, 11)),
        look="stained",
        variety=0.5,
    )
    field = simulate_image(settings, rng)
    light = field.image.max() - field.image.astype(np.float32)
    halo = gaussian_filter(light, 0.4 * settings.cell_diameter_px)
    grain = rng.normal(0, 3, light.shape)
    bright = 70 + rng.uniform(0.6, 1.2) * light - rng.uniform(0.3, 0.6) * halo + grain
    return np.clip(bright, 0, 255).astype(np.uint8), field.xyxy


def walls(
    rng: np.random.Generator, share: float, cells: tuple[int, int] = (8, 40)
) -> tuple[Picture, Any]:
    """Return unstained cells in channels, whose walls are bands with rims."""
    settings = SimulationSettings(
        image_size_px=562,
        cell_diameter_px=30 + 25 * share,
        cells_per_image=int(rng.integers(*cells)),
        variety=float(rng.uniform(0.2, 0.8)),
    )
    field = simulate_image(settings, rng)
    image, xyxy = field.image.astype(np.float32), field.xyxy
    side, clear = image.shape[0], np.ones(len(xyxy), dtype=bool)
    pitch = settings.cell_diameter_px * rng.uniform(2.5, 6)
    thickness = settings.cell_diameter_px * rng.uniform(0.4, 2.5)
    axis, depth = int(rng.integers(2)), rng.uniform(20, 80) * rng.choice((-1, 1))
    place = np.arange(side, dtype=np.float32)
    for start in np.arange(rng.uniform(0, pitch), side, pitch + thickness):
        end = start + thickness
        inside = 1 / (1 + np.exp(-(place - start))) - 1 / (1 + np.exp(-(place - end)))
        rims = np.exp(-(((place - start) / 2) ** 2)) + np.exp(-(((place - end) / 2) ** 2))
        profile = 0.4 * depth * inside - depth * rims
        image += profile[:, None] if axis == 0 else profile[None, :]
        low, high = (xyxy[:, 1], xyxy[:, 3]) if axis == 0 else (xyxy[:, 0], xyxy[:, 2])
        # The wall covers what lies under it.
        clear &= (high < start) | (low > end)
    return np.clip(image, 0, 255).astype(np.uint8), xyxy[clear]


def constriction(rng: np.random.Generator, share: float) -> tuple[Picture, Any]:
    """Return a few cells between large dark blocks that leave a narrow gap."""
    settings = SimulationSettings(
        image_size_px=400,
        cell_diameter_px=30 + 20 * share,
        cells_per_image=int(rng.integers(6, 16)),
        variety=0.4,
    )
    field = simulate_image(settings, rng)
    y, x = np.mgrid[:400, :400].astype(np.float32)
    gap, bend = settings.cell_diameter_px * rng.uniform(0.6, 1.2), rng.uniform(0.2, 1.0)
    middle = rng.uniform(150, 250)
    half = gap / 2 + bend * np.abs(x - rng.uniform(120, 280)).clip(0, 150)
    distance = np.abs(y - middle) - half
    block = gaussian_filter((distance > 0).astype(np.float32), 1)
    rim = np.exp(-((distance / 2.5) ** 2))
    image = field.image - rng.uniform(-40, 40) * block - rng.uniform(30, 90) * rim
    centre = ((field.xyxy[:, :2] + field.xyxy[:, 2:]) / 2).astype(int).clip(0, 399)
    reach = (field.xyxy[:, 3] - field.xyxy[:, 1]) / 2
    clear = distance[centre[:, 1], centre[:, 0]] < -0.8 * reach
    return np.clip(image, 0, 255).astype(np.uint8), field.xyxy[clear]


SETS: Final[dict[str, Callable[[Chosen], Iterator[Case]]]] = {
    "TXL-PBC val": txl,
    "Chula": chula,
    "lfm": lfm,
    "unstained": lambda chosen: fields(chosen, 1, unstained),
    "poor": lambda chosen: fields(chosen, 1, poor),
    "sparse": lambda chosen: fields(chosen, 1, sparse),
    "walls": lambda chosen: fields(chosen, 1, walls),
    "walls, few cells": lambda chosen: fields(chosen, 1, partial(walls, cells=(5, 16))),
    "constriction": lambda chosen: fields(chosen, 1, constriction),
    "poor, samples of 4": lambda chosen: fields(chosen, FRAMES, poor),
    "sparse, samples of 4": lambda chosen: fields(chosen, FRAMES, sparse),
    "walls, samples of 4": lambda chosen: fields(chosen, FRAMES, walls),
    "constriction, samples of 4": lambda chosen: fields(chosen, FRAMES, constriction),
}


def measured(detector: Detector, cases: Iterator[Case]) -> list[dict[str, Any]]:
    """Return what was measured of each case."""
    rows = []
    for case in cases:
        started = time.perf_counter()
        size = detector.measure_cell_size(case.images)
        seconds = time.perf_counter() - started
        rows.append(
            {
                "truth": case.diameter_px,
                "px": size.diameter_px,
                "sure": size.is_sure,
                "confidence": size.confidence,
                "s": seconds,
            }
        )
    return rows


def main() -> None:
    """Measure all sets."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--part", choices=("develop", "report"), default="report")
    arguments.add_argument("--count", type=int, default=60, help="simulated samples a set")
    arguments.add_argument("--sets", default=",".join(SETS).replace(", ", "; "))
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--each", action="store_true", help="print every case that is wrong")
    options = arguments.parse_args()
    detector = Detector.load(options.weights, choose_device(options.device))
    chosen, rows = Chosen(options.part, options.data, options.count), []
    for name in options.sets.split(","):
        name = name.replace("; ", ", ")
        cases = pd.DataFrame(measured(detector, SETS[name](chosen)))
        right = (cases["px"] / cases["truth"] - 1).abs() <= WITHIN
        rows.append(
            {
                "set": name,
                "samples": len(cases),
                "right": round(float(right.mean()), 3),
                "sure": round(float(cases["sure"].mean()), 3),
                "right, of sure ones": round(float(right[cases["sure"]].mean()), 3),
                "wrong and sure": int((~right & cases["sure"]).sum()),
                "s a sample": round(float(cases["s"].median()), 3),
            }
        )
        print(rows[-1], flush=True)
        if options.each:
            print(cases[~right].round(2).to_string(), flush=True)
    report(f"Cell size, within {WITHIN:.0%}", rows, options.out)


if __name__ == "__main__":
    main()
