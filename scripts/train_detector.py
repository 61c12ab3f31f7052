"""Train the detector that the package ships, on one or two CPU cores.

    python scripts/train_detector.py --data ../shared/data --minutes 75 --run runs/detector
    python scripts/train_detector.py --start W --rate 2e-4 --minutes 45 --run runs/further

It learns from TXL-PBC (stained smears, MIT licence, red cells only; white cells and platelets are
background), from nine frames of `lfm` (living cells in violet light, BSD-3-Clause) and from
simulated fields: good and poor ones, ones of rare cells, ones with walls, grids and writing; see
`training_images.py`. In real images cells are also made rare ones (`altered_cells.py`). The
learning rate follows the clock, so that a busy machine still finishes its schedule; a run that was
killed goes on from its last checkpoint. Nothing of TXL-PBC's validation part, no held-back frame of
`lfm` and no image of Chula RBC-12 is used.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from training_images import Crops, training_sources

from napari_attmil.cells.detection import CellRCNN, load_network, save_network
from napari_attmil.cells.detection.network import DetectorArchitecture
from napari_attmil.cells.finetuning.learner import Learner, learning_rate
from napari_attmil.core import (
    Checkpoint,
    choose_device,
    load_checkpoint,
    save_checkpoint,
)

BATCH_SIZE = 8
PEAK_LEARNING_RATE = 7e-4
WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.998
SAVE_EVERY_S = 240.0
STATE_NAME = "state.safetensors"


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
    sources = training_sources(arguments.data, arguments.seed)
    seed = arguments.seed + run.learner.step
    batches = DataLoader(
        Crops(sources, architecture.working_diameter_px, seed),
        BATCH_SIZE,
        num_workers=1,
        collate_fn=list,
        prefetch_factor=8,
    )
    print(
        f"{[len(source.images) for source in sources]} images, step {run.learner.step}", flush=True
    )
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
        "data": (
            "TXL-PBC train (MIT; github.com/lugan113/TXL-PBC_Dataset) + nine frames of "
            "lfm-data-utilities (BSD-3-Clause; github.com/czbiohub-sf) + simulation"
        ),
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
