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
import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from skimage import io
from torch.utils.data import DataLoader, IterableDataset

from napari_attmil.cells.augmentation import LabelledImage, random_crop
from napari_attmil.cells.detector import load_weights
from napari_attmil.cells.network import CellRCNN, DetectorArchitecture
from napari_attmil.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from napari_attmil.device import Device, choose_device
from napari_attmil.images.appearance import draw_rough_appearance
from napari_attmil.images.cell_shapes import CELL_TYPES
from napari_attmil.images.simulation import SimulationSettings, simulate_image

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


class Crops(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Endless random crops, turn by turn from each source."""

    def __init__(self, sources: list[list[LabelledImage]], diameter_px: float, seed: int) -> None:
        self._sources, self._diameter_px, self._seed = sources, diameter_px, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (1, 256, 256) crops and their (n, 4) boxes."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        while True:
            for source in self._sources:
                image = source[rng.integers(len(source))]
                crop, xyxy = random_crop(image, self._diameter_px, rng)
                yield torch.from_numpy(crop)[None], torch.from_numpy(xyxy)


def collate(items: list[Any]) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Stack the crops; boxes stay a list, for each crop has its own number."""
    images = torch.stack([image for image, _ in items])
    targets = [
        {"boxes": xyxy, "labels": torch.ones(len(xyxy), dtype=torch.int64)} for _, xyxy in items
    ]
    return images, targets


def learning_rate(peak: float, step: int, progress: float) -> float:
    """Return the rate after `step` steps and a share of the time: warm-up, then cosine to 0."""
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    return peak * warm_up * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def average_into(average: CellRCNN, network: CellRCNN, decay: float) -> None:
    """Move the averaged weights and statistics a little towards the present ones."""
    with torch.no_grad():
        present = network.state_dict()
        for name, tensor in average.state_dict().items():
            if tensor.dtype.is_floating_point:
                tensor.lerp_(present[name], 1 - decay)
            else:
                tensor.copy_(present[name])


@dataclass
class Run:
    """A training as it stands: everything that a checkpoint brings back."""

    network: CellRCNN
    average: CellRCNN
    optimiser: torch.optim.AdamW
    step: int = 0
    elapsed_s: float = 0.0

    def save(self, path: Path) -> None:
        """Write the state whole or not at all."""
        parts = ("network", "average", "optimiser")
        state = {name: getattr(self, name).state_dict() for name in parts}
        torch.save(
            state | {"step": self.step, "elapsed_s": self.elapsed_s}, path.with_suffix(".tmp")
        )
        path.with_suffix(".tmp").replace(path)

    def resume(self, path: Path) -> None:
        """Go on where the state was saved, if it was."""
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        for name in ("network", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]


def train(arguments: argparse.Namespace) -> None:
    """Run the schedule and write the averaged weights."""
    architecture = DetectorArchitecture(backbone=arguments.backbone)
    device = choose_device(arguments.device)
    torch.manual_seed(arguments.seed)
    network = CellRCNN(architecture)
    if arguments.start:
        load_weights(network, load_checkpoint(arguments.start, "detector").weights)
    network = network.to(device.torch()).train()
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=0.03)
    run = Run(network, copy.deepcopy(network), optimiser)
    run.resume(arguments.run / "state.pt")
    sources = [
        read_txl(arguments.data / "txl_pbc"),
        simulate(SIMULATED_IMAGES, arguments.seed),
        simulate_rough(ROUGH_IMAGES, arguments.seed),
    ]
    crops = Crops(sources, architecture.working_diameter_px, arguments.seed + run.step)
    print(f"{[len(source) for source in sources]} images, from step {run.step}", flush=True)
    budget_s = arguments.minutes * 60
    tick = saved = time.monotonic()
    recent: dict[str, float] = {}
    for images, targets in DataLoader(
        crops, BATCH_SIZE, num_workers=1, collate_fn=collate, prefetch_factor=8
    ):
        rate = learning_rate(arguments.rate, run.step, run.elapsed_s / budget_s)
        losses = train_step(run, images, targets, device, rate)
        for name, value in losses.items():
            recent[name] = recent.get(name, value) * 0.98 + 0.02 * value
        now = time.monotonic()
        run.elapsed_s, tick = run.elapsed_s + now - tick, now
        if run.step % 50 == 0:
            parts = " ".join(f"{name}={value:.3f}" for name, value in recent.items())
            minutes = run.elapsed_s / 60
            print(f"{minutes:6.1f} min  step {run.step}  lr {rate:.2e}  {parts}", flush=True)
        finished = run.elapsed_s >= budget_s
        if finished or now - saved > SAVE_EVERY_S:
            run.save(arguments.run / "state.pt")
            save_weights(arguments, architecture, run)
            saved = now
        if finished:
            break


def train_step(
    run: Run,
    images: torch.Tensor,
    targets: list[dict[str, torch.Tensor]],
    device: Device,
    rate: float,
) -> dict[str, float]:
    """Take one step and return its losses."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    place = device.torch()
    on_device = images.to(place).contiguous(memory_format=torch.channels_last)
    wanted = [{name: part.to(place) for name, part in target.items()} for target in targets]
    with device.autocast():
        losses = run.network.losses(on_device, wanted)
    run.optimiser.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimiser.step()
    run.step += 1
    average_into(run.average, run.network, min(AVERAGE_DECAY, (1 + run.step) / (10 + run.step)))
    return {name: float(value.detach()) for name, value in losses.items()}


def save_weights(
    arguments: argparse.Namespace, architecture: DetectorArchitecture, run: Run
) -> None:
    """Write the averaged weights in half precision, with what they were made from."""
    weights = {
        name: tensor.half() if tensor.dtype.is_floating_point else tensor
        for name, tensor in run.average.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    provenance = {
        "data": "TXL-PBC train (MIT; github.com/lugan113/TXL-PBC_Dataset) + simulation",
        "script": "scripts/train_detector.py",
        "start": str(arguments.start or ""),
        "peak_learning_rate": arguments.rate,
        "seed": arguments.seed,
        "steps": run.step,
        "batch_size": BATCH_SIZE,
        "hours": round(run.elapsed_s / 3600, 2),
    }
    save_checkpoint(
        arguments.run / "detector.safetensors",
        Checkpoint("detector", weights, architecture.model_dump(mode="json"), provenance),
    )


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
