"""How fast cells are detected, beside torchvision's Faster R-CNN at its defaults, in one run.

    python benchmarks/detection.py [--sides 562,1300] [--batches 1,8] [--precision float32]
        [--out detection.json]
    python benchmarks/detection.py --sides 1300,4096 --batches 1 --repeats 3

The images are simulated. torchvision's network has random weights, which does not matter for
its convolutions; both see the same images, the two in turn, and the ratio is taken pair by pair.
`--precision float32` shows what a processor without bfloat16 does, as most laptops' are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from reporting import parser, report, timed_in_turn
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection import Detector
from napari_attmil.core import choose_device
from napari_attmil.core.device import Precision
from napari_attmil.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from collections.abc import Callable


def simulated(side_px: int, count: int) -> list[np.ndarray]:
    """Return fields with 50 cells of 50 px in 562 x 562 pixels, larger ones alike up to 2,000."""
    cells = round(50 * (side_px / 562) ** 2)
    settings = SimulationSettings(image_size_px=side_px, cells_per_image=min(cells, 2000))
    return [simulate_image(settings, np.random.default_rng(k)).image for k in range(count)]


def torchvision_default(device: torch.device) -> Callable[[list[np.ndarray]], object]:
    """Return a function that runs torchvision's detector on a batch of images."""
    network = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval().to(device)

    def run(images: list[np.ndarray]) -> object:
        batch = [
            torch.from_numpy(image / np.float32(255))[None].repeat(3, 1, 1) for image in images
        ]
        with torch.inference_mode():
            return network([image.to(device) for image in batch])

    return run


def main() -> None:
    """Time both detectors in turn on every size and batch."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--sides", default="562,1300")
    arguments.add_argument("--batches", default="1,8")
    arguments.add_argument(
        "--precision", choices=get_args(Precision), help="the device's own if not given"
    )
    arguments.add_argument("--repeats", type=int, default=5)
    options = arguments.parse_args()
    device = choose_device(options.device)
    device = replace(device, precision=options.precision or device.precision)
    detector = Detector.load(device=device)
    baseline = torchvision_default(device.torch())
    rows = []
    for side in map(int, options.sides.split(",")):
        for batch in map(int, options.batches.split(",")):
            images = simulated(side, batch)
            measured = DetectionSettings(batch_size=batch)
            known = measured.replace(cell_diameter_px=50)
            runs: dict[str, Callable[[], object]] = {
                "torchvision": partial(baseline, images),
                "this": partial(detector.detect, images, known),
                "this, diameter measured": partial(detector.detect, images, measured),
            }
            rows += [
                {"side px": side, "batch": batch} | row
                for row in timed_in_turn(runs, batch, "images", options.repeats)
            ]
    report("Detection: images a second", rows, options.out)


if __name__ == "__main__":
    main()
