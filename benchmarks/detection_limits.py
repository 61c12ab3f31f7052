"""Which of an image's faults the detector bears beyond what it was trained on, one at a time.

    python benchmarks/detection_limits.py [--beyond 0.5] [--images 6] [--weights W] [--out F]

Unstained fields that are good but for one fault, which lies half a range further than in any image
of the training (`ROUGH_RANGES`). Every image is measured for its own cell size.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import parser, report

from napari_attmil.cells.detector import Detector
from napari_attmil.cells.scoring import ScoredImage, average_precision
from napari_attmil.device import choose_device
from napari_attmil.images.appearance import ROUGH_RANGES, Appearance
from napari_attmil.images.simulation import SimulationSettings, simulate_image
from napari_attmil.settings import DetectionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

ANY_SCORE = DetectionSettings(min_score=0.05)
NOTHING = np.empty((0, 4), dtype=np.float32)
GOOD = Appearance(
    defocus_um=2.0, contrast=0.7, vignetting=0.05, shot_noise=2.0, read_noise=0.5, dust=4, debris=4
)
FIELDS = {field.name for field in fields(Appearance)}


def with_fault(fault: str, beyond: float) -> Appearance:
    """Return a good look but for one fault of `ROUGH_RANGES`."""
    good, poor = ROUGH_RANGES[fault]
    value = good + (1 + beyond) * (poor - good)
    name = fault.split()[-1]
    changes: dict[str, Any] = {name if name in FIELDS else f"{name}_x": value}
    if name in ("dust", "debris"):
        changes[name] = round(value)
    return replace(GOOD, **changes)


def scored(detector: Detector, look: Appearance, images: int) -> list[ScoredImage]:
    """Return what is found in fields that are the same but for their look."""
    found = []
    for index in range(images):
        rng = np.random.default_rng([4_242, index])
        settings = SimulationSettings(
            image_size_px=562,
            cell_diameter_px=float(rng.uniform(40, 60)),
            cells_per_image=int(rng.uniform(25, 65)),
        )
        field = simulate_image(settings, rng, appearance=look)
        boxes = detector.detect([field.image], ANY_SCORE)
        found.append(ScoredImage(boxes.xyxy, boxes.score, field.xyxy, NOTHING))
    return found


def row(fault: str, images: Sequence[ScoredImage]) -> dict[str, Any]:
    """Return average precision over some images."""
    score = average_precision(images)
    return {
        "fault": fault,
        "images": len(images),
        "AP50": round(score.ap50, 4),
        "AP": round(score.ap, 4),
    }


def main() -> None:
    """Score the detector with each fault."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--beyond", type=float, default=0.5, help="of each range, 0 for its end")
    arguments.add_argument("--images", type=int, default=6, help="a fault")
    arguments.add_argument("--weights", type=Path)
    options = arguments.parse_args()
    detector = Detector.load(options.weights, choose_device(options.device))
    together: list[ScoredImage] = []
    rows = [row("none", scored(detector, GOOD, options.images))]
    for fault in ROUGH_RANGES:
        images = scored(detector, with_fault(fault, options.beyond), options.images)
        together += images
        rows.append(row(fault, images))
        print(rows[-1], flush=True)
    rows.append(row("all together", together))
    report(f"Detection: one fault, {options.beyond:g} of its range beyond", rows, options.out)


if __name__ == "__main__":
    main()
