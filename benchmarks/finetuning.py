"""How fast the detector learns a look that it does badly on: 1, 3 and 10 images.

    python benchmarks/finetuning.py [--counts 1,3,10] [--steps 160] [--weights W]

The look is made for it: unstained cells far out of focus through a small condenser aperture, so
that each is a set of rings wider than itself, in noise. Cell sizes are given. The detector is
scored before and after on the same images, which no fine-tuning has seen. Processor minutes are
those of all cores together, so that a busy machine does not lengthen them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import parser, report

from napari_attmil.cells import DetectionSettings, FinetuneSettings
from napari_attmil.cells.detection import DetectionScore, Detector, ScoredImage, average_precision
from napari_attmil.cells.finetuning import LabelledImage, finetune
from napari_attmil.core import Device, choose_device
from napari_attmil.simulation import SimulationSettings, simulate_image
from napari_attmil.simulation.appearance import Appearance

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOK = Appearance(
    defocus_um=14.0,
    contrast=0.35,
    condenser_angle_rad=0.03,
    brightness=120.0,
    vignetting=0.2,
    blur_px=1.2,
    shot_noise=9.0,
    read_noise=3.0,
    dust=20,
    debris=15,
    height_spread_um=4.0,
    mottle=0.02,
)
DIAMETER_PX = 50.0
TEST_IMAGES = 8


def fields(count: int, seed: int) -> list[LabelledImage]:
    """Return labelled fields in the look."""
    settings = SimulationSettings(
        image_size_px=562, cell_diameter_px=DIAMETER_PX, cells_per_image=45
    )
    images = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        field = simulate_image(settings, rng, appearance=LOOK)
        images.append(LabelledImage(field.image, field.xyxy, stained=False, name=f"{index}"))
    return images


def score(detector: Detector, images: Sequence[LabelledImage]) -> DetectionScore:
    """Return average precision with the cell size given."""
    settings = DetectionSettings(min_score=0.05, cell_diameter_px=DIAMETER_PX)
    nothing = np.empty((0, 4), dtype=np.float32)
    scored = []
    for image in images:
        boxes = detector.detect([image.grey], settings)
        scored.append(ScoredImage(boxes.xyxy, boxes.score, image.xyxy, nothing))
    return average_precision(scored)


def row(
    count: int, settings: FinetuneSettings, weights: Path | None, device: Device
) -> dict[str, Any]:
    """Return the score after fine-tuning on `count` images."""
    cpu_s, steps = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        if count:
            out, started = Path(folder) / "tuned.safetensors", time.process_time()
            for step in finetune(fields(count, seed=1), settings, out, device, weights):
                steps = step.done
                if step.score is not None:
                    print(f"{count} images, step {step.done}: AP {step.score.ap:.3f}", flush=True)
            weights, cpu_s = out if out.exists() else weights, time.process_time() - started
        reached = score(Detector.load(weights, device), fields(TEST_IMAGES, seed=2))
    return {
        "images": count,
        "AP50": round(reached.ap50, 3),
        "AP": round(reached.ap, 3),
        "steps": steps,
        "processor minutes": round(cpu_s / 60, 1),
    }


def main() -> None:
    """Fine-tune on more and more images."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--counts", default="1,3,10")
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--steps", type=int, default=FinetuneSettings().steps)
    options = arguments.parse_args()
    # Steps are the limit here, not the clock of a machine that others use too.
    settings = FinetuneSettings(steps=options.steps, minutes=60)
    device = choose_device(options.device)
    rows = []
    for count in (0, *map(int, options.counts.split(","))):
        rows.append(row(count, settings, options.weights, device))
        print(rows[-1], flush=True)
    report("Fine-tuning to a new look: score on images not seen", rows, options.out)


if __name__ == "__main__":
    main()
