"""How fast the classifier trains: seconds an epoch and peak memory of each preset.

    python benchmarks/mil.py [--samples 20] [--cells 100] [--out mil.json]

Random features of the paper's shape. `plain loop` is the same network in float32.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from reporting import parser, report, timed_in_turn

from napari_attmil.bags.bag import Bag
from napari_attmil.bags.fitting import Trainer
from napari_attmil.device import Device, choose_device
from napari_attmil.settings import Preset, mil_preset


def random_bags(samples: int, cells: int) -> list[Bag]:
    """Return labelled bags of (cells, 256, 14, 14) features."""
    rng = np.random.default_rng(0)
    return [
        Bag(
            rng.standard_normal((cells, 256, 14, 14), dtype=np.float32).astype(np.float16),
            np.arange(1, cells + 1),
            f"sample {index}",
            f"patient {index}",
            label="ab"[index % 2],
        )
        for index in range(samples)
    ]


def trainer(bags: list[Bag], preset: Preset, device: Device) -> Any:
    """Return a function that trains one epoch more."""
    epochs = Trainer(bags, mil_preset(preset, epochs=1000, stop_loss=0), device).epochs()
    return partial(next, epochs)


def main() -> None:
    """Time an epoch of each preset, and of the plain loop."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--samples", type=int, default=20)
    arguments.add_argument("--cells", type=int, default=100)
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    device = choose_device(options.device)
    bags = random_bags(options.samples, options.cells)
    rows = []
    for preset in ("paper", "marrlab-code", "default"):
        runs = {
            "plain loop": trainer(bags, preset, replace(device, precision="float32")),
            "this": trainer(bags, preset, device),
        }
        timed = timed_in_turn(runs, options.samples * options.cells, "cells", options.repeats)
        for row in timed:
            seconds = options.samples * options.cells / row["cells/s"]
            rows.append({"preset": preset, "s/epoch": seconds} | row)
    report(f"MIL: {options.samples} samples of {options.cells} cells", rows, options.out)


if __name__ == "__main__":
    main()
