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
from detection_quality import NOTHING, scored_images, usual_settings
from reporting import parser, report
from rough_looks import ROUGH_RANGES

from napari_attmil.cells.detection import Detector, average_precision
from napari_attmil.core import choose_device
from napari_attmil.simulation import simulate_image
from napari_attmil.simulation.appearance import Appearance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_attmil.cells.detection import ScoredImage

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


def simulated(look: Appearance, count: int) -> Iterator[tuple[np.ndarray, Any, Any]]:
    """Yield fields that are the same but for their look."""
    for index in range(count):
        rng = np.random.default_rng([4_242, index])
        field = simulate_image(usual_settings(rng), rng, appearance=look)
        yield field.image, field.xyxy, NOTHING


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
    rows = [row("none", scored_images(detector, simulated(GOOD, options.images)))]
    for fault in ROUGH_RANGES:
        look = with_fault(fault, options.beyond)
        images = scored_images(detector, simulated(look, options.images))
        together += images
        rows.append(row(fault, images))
        print(rows[-1], flush=True)
    rows.append(row("all together", together))
    report(f"Detection: one fault, {options.beyond:g} of its range beyond", rows, options.out)


if __name__ == "__main__":
    main()
