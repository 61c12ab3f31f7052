"""How fast the classifier trains, beside a plain loop in the way of the published code.

    python benchmarks/mil_speed.py [--bags 12] [--cells 100] [--threads 1] [--out mil_speed.json]
    python benchmarks/mil_speed.py --scale [--sizes 100,1000,10000]

The first compares seconds an epoch, in turn, and seconds to the loss that the plain loop ends
with, on the same random features with a faint pattern. The second trains on 100 to 10,000 bags
kept on disk, and shows that the time a cell and the memory stay flat. One processor thread and
pinning (``taskset -c 1``) keep a busy machine out of the ratios.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from reporting import Measured, parser, report, timed_in_turn
from torch import Tensor, nn
from torch.nn import functional

from napari_attmil.bags import Bag, mil_preset
from napari_attmil.bags.training import Trainer
from napari_attmil.core import Device, choose_device

if TYPE_CHECKING:
    from napari_attmil.bags import MILSettings
    from napari_attmil.bags.features import Features

CHANNELS, SIDE = 256, 14
CLASSES = ["a", "b"]
"""Two, for which both presets' losses are the same number."""
BAGS_PER_STEP = 16
"""Of the training on many bags, which are small."""
POOL_CELLS = 256
"""Bags are drawn from so many different cells: random numbers take longer than training."""
PATTERN = 1.0
"""What the altered cells of one class have more in some channels, in standard deviations."""


class PlainNet(nn.Module):
    """The network of the published code, written from its description."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(CHANNELS, 128, 3),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(128, 64, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 32, 3),
            nn.ReLU(),
        )
        self.connected = nn.Sequential(nn.Linear(512, 500), nn.ReLU())
        self.attention = nn.Sequential(nn.Linear(500, 128), nn.Tanh(), nn.Linear(128, 1))
        self.bag_head = nn.Linear(500, classes)
        self.cell_head = nn.Sequential(nn.Linear(500, 32), nn.Linear(32, classes))

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return (1, K) and (n, K) probabilities of the bag and of its cells."""
        h = self.connected(self.convolutions(cells).flatten(1))
        attention = self.attention(h).softmax(0)
        bag = self.bag_head((attention * h).sum(0, keepdim=True))
        return bag.softmax(1), self.cell_head(h).softmax(1)


class PlainLoop:
    """One bag a step in float32, from numpy to torch in each step."""

    def __init__(self, bags: list[Bag], device: Device) -> None:
        torch.manual_seed(1)
        self.device = device.torch()
        self.features = [bag.features.astype(np.float32) for bag in bags]
        self.targets = np.eye(len(CLASSES), dtype=np.float32)
        self.labels = [CLASSES.index(str(bag.label)) for bag in bags]
        self.net = PlainNet(len(CLASSES)).to(self.device)
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=5e-4, weight_decay=1e-4, amsgrad=True
        )
        self.epoch = 0

    def train_epoch(self) -> float:
        """Train one epoch more, and return its mean loss of the bags."""
        share, total = 0.95**self.epoch, 0.0
        for index in np.random.default_rng(self.epoch).permutation(len(self.features)):
            cells = torch.from_numpy(self.features[index]).to(self.device)
            target = torch.from_numpy(self.targets[[self.labels[index]]]).to(self.device)
            bag, single = self.net(cells)
            mil = functional.binary_cross_entropy(bag, target)
            sic = functional.binary_cross_entropy(single, target.expand(len(cells), -1))
            self.optimiser.zero_grad()
            ((1 - share) * mil + share * sic).backward()
            self.optimiser.step()
            total += mil.item()
        self.epoch += 1
        return total / len(self.features)


def random_bags(count: int, cells: int, folder: Path | None = None) -> list[Bag]:
    """Return bags of two classes, in memory or mapped from files in a folder.

    A tenth of the cells of class "b", or one, has a faint pattern.
    """
    rng = np.random.default_rng(0)
    shape = (max(POOL_CELLS, cells), CHANNELS, SIDE, SIDE)
    pool = rng.standard_normal(shape, dtype=np.float32).astype(np.float16)
    return [_random_bag(index, pool, cells, rng, folder) for index in range(count)]


def _random_bag(
    index: int, pool: Features, cells: int, rng: np.random.Generator, folder: Path | None
) -> Bag:
    features = pool[rng.permutation(len(pool))[:cells]]
    label = CLASSES[index % 2]
    if label == "b":
        features[: max(1, cells // 10), ::8] += np.float16(PATTERN)
    if folder is not None:
        path = folder / f"{index}.npy"
        np.save(path, features)
        features = np.load(path, mmap_mode="c")
    return Bag(features, np.arange(1, cells + 1), f"sample {index}", f"patient {index}", label)


def candidates() -> dict[str, MILSettings]:
    """Return what is compared with the plain loop; only the first has the same network."""
    endless = {"epochs": 10_000, "stop_loss": 0}
    return {
        "marrlab-code": mil_preset("marrlab-code", **endless),
        "marrlab-code, standardised": mil_preset("marrlab-code", standardise=True, **endless),
        "paper": mil_preset("paper", **endless),
        "default, on profiles": mil_preset("default", embedding="profile", **endless),
    }


def epoch_rows(bags: list[Bag], device: Device, repeats: int) -> list[dict[str, Any]]:
    """Time an epoch of the plain loop and of every candidate, in turn."""
    runs: dict[str, Any] = {"plain loop": PlainLoop(bags, device).train_epoch}
    for name, settings in candidates().items():
        runs[name] = partial(next, Trainer(bags, settings, device).epochs())
    cells = sum(len(bag) for bag in bags)
    timed = timed_in_turn(runs, cells, "cells", repeats)
    return [{"s/epoch": cells / row["cells/s"]} | row for row in timed]


def loss_rows(bags: list[Bag], device: Device, epochs: int) -> list[dict[str, Any]]:
    """Time each candidate, its preparation included, until the plain loop's final loss."""
    start = time.perf_counter()
    loop = PlainLoop(bags, device)
    losses = [loop.train_epoch() for _ in range(epochs)]
    plain_s = time.perf_counter() - start
    goal = min(losses)
    rows = [{"run": "plain loop", "epochs": epochs, "loss": goal, "s": plain_s, "times": 1.0}]
    for name, settings in candidates().items():
        start = time.perf_counter()
        for step in itertools.islice(Trainer(bags, settings, device).epochs(), 4 * epochs):
            if step.fit_loss <= goal:
                break
        seconds = time.perf_counter() - start
        reached = plain_s / seconds if step.fit_loss <= goal else "not reached"
        row = {"run": name, "epochs": step.done, "loss": step.fit_loss, "s": seconds}
        rows.append(row | {"times": reached})
    return rows


def scale_row(job: tuple[str, int, int, str]) -> dict[str, Any]:
    """Train on bags from disk: what an epoch and a cell take, and how much memory."""
    name, count, cells, device = job
    settings = candidates()[name].replace(bags_per_step=BAGS_PER_STEP)
    with tempfile.TemporaryDirectory() as folder:
        bags = random_bags(count, cells, Path(folder))
        with Measured() as preparation:
            epochs = Trainer(bags, settings, choose_device(device)).epochs()
        with Measured() as epoch:
            next(epochs)
    return {
        "preset": name,
        "bags": count,
        "GB on disk": sum(bag.features.nbytes for bag in bags) / 1e9,
        "preparation, us/cell": preparation.seconds / (count * cells) * 1e6,
        "epoch, us/cell": epoch.seconds / (count * cells) * 1e6,
        "peak MiB": preparation.peak_mib + max(0.0, epoch.peak_mib),
    }


def main() -> None:
    """Print the tables asked for."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--bags", type=int, default=12)
    arguments.add_argument("--cells", type=int, default=None, help="cells a bag")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--epochs", type=int, default=12, help="of the plain loop")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--scale", action="store_true", help="growing numbers of bags instead")
    arguments.add_argument("--sizes", default="100,1000,10000", help="numbers of bags")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    if options.scale:
        cells = options.cells or 8
        jobs = [
            (name, int(size), cells, options.device)
            for name in ("default, on profiles", "marrlab-code")
            for size in options.sizes.split(",")
        ]
        # A process each: memory that an earlier size left behind would hide what a later one takes.
        with get_context("spawn").Pool(1, torch.set_num_threads, (options.threads,), 1) as pool:
            rows = pool.map(scale_row, jobs, chunksize=1)
        title = f"MIL: bags of {cells} cells from disk, {BAGS_PER_STEP} a step"
        report(title, rows, options.out)
        return
    device, cells = choose_device(options.device), options.cells or 100
    bags = random_bags(options.bags, cells)
    rows = epoch_rows(bags, device, options.repeats)
    report(f"MIL: an epoch of {options.bags} bags of {cells} cells", rows, options.out)
    rows = loss_rows(bags, device, options.epochs)
    out = options.out and options.out.with_stem(f"{options.out.stem}_loss")
    report(f"MIL: until the loss of {options.epochs} epochs of the plain loop", rows, out)


if __name__ == "__main__":
    main()
