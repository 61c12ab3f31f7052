"""Train the detector that the package ships, on one or two CPU cores.

    python scripts/train_detector.py --data ../shared/data --minutes 75 --run runs/detector
    python scripts/train_detector.py --start W --rate 2e-4 --minutes 45 --run runs/further

A third of every batch comes from TXL-PBC (stained smears, MIT licence, red cells only; white
cells and platelets are background), a third from the simulator's good images (unstained and
stained), a third from its poor ones. The learning rate follows the clock, so that a busy machine
still finishes its schedule; a run that was killed goes on from its last checkpoint. Nothing of
TXL-PBC's validation part, and no image of Chula RBC-12, is used.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from rough_looks import draw_rough_appearance
from skimage import io
from torch.utils.data import DataLoader, IterableDataset

from napari_attmil.cells.detection import CellRCNN, load_network, save_network
from napari_attmil.cells.detection.network import DetectorArchitecture
from napari_attmil.cells.finetuning import LabelledImage
from napari_attmil.cells.finetuning.augmentation import random_crop
from napari_attmil.cells.finetuning.learner import Learner, learning_rate
from napari_attmil.core import (
    Checkpoint,
    Float32Array,
    choose_device,
    load_checkpoint,
    save_checkpoint,
)
from napari_attmil.simulation import SimulationSettings, simulate_image
from napari_attmil.simulation.cell_shapes import CELL_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

SIMULATED_IMAGES = 700
ROUGH_IMAGES = 400
SIMULATED_SIDE_PX = 448
BATCH_SIZE = 8
PEAK_LEARNING_RATE = 7e-4
WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.998
SAVE_EVERY_S = 240.0
STATE_NAME = "state.safetensors"


def read_txl(folder: Path) -> list[LabelledImage]:
    """Return TXL-PBC's training images with the boxes of their red cells."""
    table = pd.read_csv(folder / "train.csv")
    images = []
    for name, rows in table.groupby("image"):
        pixels = io.imread(folder / "train" / str(name))
        grey = pixels[..., :3].mean(axis=-1) if pixels.ndim == 3 else pixels
        red = rows[rows["cell_type"] == "RBC"][["x_min", "y_min", "x_max", "y_max"]]
        images.append(LabelledImage(grey.astype(np.uint8), red.to_numpy(np.float32), stained=True))
    return images


def simulate(count: int, seed: int) -> list[LabelledImage]:
    """Return simulated fields: four of five unstained, all densities and looks."""
    images = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        stained = index % 5 == 4
        look = "stained" if stained else "unstained"
        settings = field_settings(rng).replace(look=look, variety=float(rng.uniform(0.3, 1)))
        field = simulate_image(settings, rng)
        images.append(LabelledImage(field.image, field.xyxy, stained))
    return images


def simulate_rough(count: int, seed: int) -> list[LabelledImage]:
    """Return poor unstained fields, half of them dominated by one type of cell."""
    images = []
    for index in range(count):
        rng = np.random.default_rng([seed, 1, index])
        settings = field_settings(rng)
        common = str(rng.choice(CELL_TYPES)) if index % 2 else "discocyte"
        shares = np.array([0.4 if name == common else 0.045 for name in CELL_TYPES])
        types = rng.choice(CELL_TYPES, settings.cells_per_image, p=shares / shares.sum())
        field = simulate_image(settings, rng, types.tolist(), draw_rough_appearance(rng))
        images.append(LabelledImage(field.image, field.xyxy, stained=False))
    return images


def field_settings(rng: np.random.Generator) -> SimulationSettings:
    """Draw the size and the number of a field's cells."""
    diameter = float(rng.uniform(30, 60))
    densest = 0.75 * SIMULATED_SIDE_PX**2 / diameter**2
    return SimulationSettings(
        image_size_px=SIMULATED_SIDE_PX,
        cell_diameter_px=diameter,
        cells_per_image=int(rng.uniform(0.05, 1) ** 1.5 * densest),
    )


class Crops(IterableDataset[tuple[Float32Array, Float32Array]]):
    """Endless random crops, turn by turn from each source."""

    def __init__(self, sources: list[list[LabelledImage]], diameter_px: float, seed: int) -> None:
        self._sources, self._diameter_px, self._seed = sources, diameter_px, seed

    def __iter__(self) -> Iterator[tuple[Float32Array, Float32Array]]:
        """Yield (256, 256) crops and their (n, 4) boxes."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        while True:
            for source in self._sources:
                image = source[rng.integers(len(source))]
                yield random_crop(image, self._diameter_px, rng)


@dataclass
class Run:
    """A training as it stands: everything that a checkpoint brings back."""

    learner: Learner
    elapsed_s: float = 0.0

    def save(self, path: Path) -> None:
        """Write the state whole or not at all."""
        settings = {"step": self.learner.step, "elapsed_s": self.elapsed_s}
        save_checkpoint(path, Checkpoint("run", self.learner.tensors(), settings))

    def resume(self, path: Path) -> None:
        """Go on where the state was saved, if it was."""
        if path.exists():
            state = load_checkpoint(path, "run")
            self.learner.restore(state.weights, state.settings["step"])
            self.elapsed_s = state.settings["elapsed_s"]


def train(arguments: argparse.Namespace) -> None:
    """Run the schedule and write the averaged weights."""
    architecture, network = beginning(arguments)
    run = Run(Learner.of(network, choose_device(arguments.device)))
    run.resume(arguments.run / STATE_NAME)
    sources = [
        read_txl(arguments.data / "txl_pbc"),
        simulate(SIMULATED_IMAGES, arguments.seed),
        simulate_rough(ROUGH_IMAGES, arguments.seed),
    ]
    seed = arguments.seed + run.learner.step
    batches = DataLoader(
        Crops(sources, architecture.working_diameter_px, seed),
        BATCH_SIZE,
        num_workers=1,
        collate_fn=list,
        prefetch_factor=8,
    )
    print(f"{[len(source) for source in sources]} images, step {run.learner.step}", flush=True)
    budget_s = arguments.minutes * 60
    tick = saved = time.monotonic()
    recent: dict[str, float] = {}
    for crops in batches:
        step = run.learner.step
        rate = learning_rate(arguments.rate, WARM_UP_STEPS, step, run.elapsed_s / budget_s)
        losses = run.learner.learn(crops, rate, AVERAGE_DECAY)
        recent = {name: recent.get(name, v) * 0.98 + 0.02 * v for name, v in losses.items()}
        now = time.monotonic()
        run.elapsed_s, tick = run.elapsed_s + now - tick, now
        if step % 50 == 0:
            parts = " ".join(f"{name}={value:.3f}" for name, value in recent.items())
            print(f"{run.elapsed_s / 60:6.1f} min  step {step}  lr {rate:.2e}  {parts}", flush=True)
        finished = run.elapsed_s >= budget_s
        if finished or now - saved > SAVE_EVERY_S:
            run.save(arguments.run / STATE_NAME)
            write_weights(arguments, architecture, run)
            saved = now
        if finished:
            break


def beginning(arguments: argparse.Namespace) -> tuple[DetectorArchitecture, CellRCNN]:
    """Return the network that the training begins with: random, or that of a model file."""
    if arguments.start:
        saved = load_network(arguments.start)
        return saved.architecture, saved.network
    torch.manual_seed(arguments.seed)
    architecture = DetectorArchitecture(backbone=arguments.backbone)
    return architecture, CellRCNN(architecture)


def write_weights(
    arguments: argparse.Namespace, architecture: DetectorArchitecture, run: Run
) -> None:
    """Write the averaged weights with what they were made from."""
    provenance = {
        "data": "TXL-PBC train (MIT; github.com/lugan113/TXL-PBC_Dataset) + simulation",
        "script": "scripts/train_detector.py",
        "start": load_network(arguments.start).digest if arguments.start else "random",
        "peak_learning_rate": arguments.rate,
        "seed": arguments.seed,
        "steps": run.learner.step,
        "batch_size": BATCH_SIZE,
        "hours": round(run.elapsed_s / 3600, 2),
    }
    path = arguments.run / "detector.safetensors"
    save_network(path, run.learner.average, architecture, provenance)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--run", type=Path, default=Path("runs/detector"))
    parser.add_argument("--start", type=Path, help="model file to go on from; random if none")
    parser.add_argument("--rate", type=float, default=PEAK_LEARNING_RATE, help="its peak")
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    train(arguments)


if __name__ == "__main__":
    main()
