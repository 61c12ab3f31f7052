"""Whether the gate lets a better detector through, and keeps a spoiled one out.

    python benchmarks/gate.py [--seeds 0,1,2,3,4] [--steps 160] [--folder F] [--out JSON]

A folder of 30 simulated images, a third of them in a look that the shipped detector does badly on
(see `finetuning.py`); ten in a row are reviewed. A person keeps the detector's boxes where they
fit, and moves, draws and deletes the others. The detector is fitted twice: to these boxes, and to
the same with all boxes of the images to learn from shifted by a part of a cell's diameter, as by a
fault of a file; the held-out images stay as they are. What came out is also measured on images that
nothing has seen, before and after on the same ones. Runs that are in the folder already are not run
again.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from finetuning import LOOK, score
from reporting import parser, report

from napari_attmil.cells import DetectionSettings, FinetuneSettings, match_boxes
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.finetuning import HoldOut, LabelledImage, Looks, finetune
from napari_attmil.core import choose_device
from napari_attmil.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.core import Device

FIELD = SimulationSettings(image_size_px=562, cell_diameter_px=50, cells_per_image=45, variety=0.3)
FOLDER_IMAGES, REVIEWED, TEST_IMAGES = 30, 10, 4
GOOD_FIT = 0.75
"""Boxes of the detector that overlap a cell's true box this much are left as they are."""
SHIFT = 0.4
"""In cell diameters."""


def folder_image(seed: int, index: int) -> LabelledImage:
    """Return an image of the folder with its true boxes; every third has the poor look."""
    rng = np.random.default_rng([seed, index])
    is_poor = index % 3 == 0
    field = simulate_image(FIELD, rng, appearance=LOOK if is_poor else None)
    name = f"{'poor' if is_poor else 'plain'}-{index:03d}"
    return LabelledImage(field.image, field.xyxy, stained=False, name=name)


def reviewed(detector: Detector, image: LabelledImage) -> LabelledImage:
    """Return an image as a person leaves it who corrects what the detector found."""
    found = detector.detect([image.grey], DetectionSettings(cell_diameter_px=50)).xyxy
    of_found = match_boxes(found, image.xyxy)
    fits = match_boxes(image.xyxy, found, GOOD_FIT)
    xyxy = image.xyxy.copy()
    xyxy[fits >= 0] = found[fits[fits >= 0]]
    return replace(image, xyxy=xyxy, touched=fits < 0, rejected=found[of_found < 0])


def shifted(image: LabelledImage) -> LabelledImage:
    """Return an image with its boxes beside the cells."""
    to_the_right = np.array([SHIFT * 50, 0, SHIFT * 50, 0], dtype=np.float32)
    return replace(image, xyxy=image.xyxy + to_the_right)


def run(seed: int, is_spoiled: bool, settings: FinetuneSettings, device: Device) -> dict[str, Any]:
    """Fit a detector, and return what the gate says and what is true."""
    before = Detector.load(None, device)
    first = int(np.random.default_rng(seed).integers(FOLDER_IMAGES - REVIEWED + 1))
    images = [reviewed(before, folder_image(seed, first + index)) for index in range(REVIEWED)]
    with tempfile.TemporaryDirectory() as folder:
        corrections = {image.name: image.corrections for image in images}
        held = HoldOut().extended(corrections, Looks.of(images).of_image)
        held.write(Path(folder))
        names = held.of(corrections)
        if is_spoiled:
            images = [i if i.name in names else shifted(i) for i in images]
        out = Path(folder) / "tuned.safetensors"
        for last in finetune(images, settings, out, device, None, Path(folder)):
            if last.score is not None:
                print(f"  step {last.done}: {last.score.ap:.3f}", flush=True)
        assert last.before is not None and last.best is not None
        after = Detector.load(out, device)
        row = {
            "seed": seed,
            "training": "spoiled" if is_spoiled else "fair",
            "poor images": sum(image.name.startswith("poor") for image in images),
            "held out": ", ".join(sorted(names)),
            "gate": "accepts" if last.is_better else "refuses",
            "held-out before": round(last.before.ap, 3),
            "held-out after": round(last.best.ap, 3),
            "gained": sum(look.gained for look in last.looks),
            "lost": sum(look.lost for look in last.looks),
            "steps": last.done,
        }
        return row | truth(before, after, seed)


def truth(before: Detector, after: Detector, seed: int) -> dict[str, Any]:
    """Return the scores of both detectors on images of both looks that nothing has seen."""
    row = {}
    for look, offset in (("poor", 0), ("plain", 1)):
        images = [folder_image(seed, 900 + 3 * k + offset) for k in range(TEST_IMAGES)]
        for name, detector in (("before", before), ("after", after)):
            row[f"{look} {name}"] = round(score(detector, images).ap, 3)
    return row


def rows_of(folder: Path, asked: Sequence[tuple[int, bool]]) -> list[dict[str, Any]]:
    """Return what earlier runs have written."""
    paths = [folder / f"{seed}-{is_spoiled}.json" for seed, is_spoiled in asked]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def main() -> None:
    """Fit detectors to both kinds of boxes, seed by seed."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--seeds", default="0,1,2,3,4")
    arguments.add_argument("--steps", type=int, default=FinetuneSettings().steps)
    arguments.add_argument("--folder", type=Path, default=Path("gate-runs"))
    options = arguments.parse_args()
    settings = FinetuneSettings(steps=options.steps, minutes=600)
    device = choose_device(options.device)
    options.folder.mkdir(parents=True, exist_ok=True)
    asked = [(int(seed), spoiled) for seed in options.seeds.split(",") for spoiled in (False, True)]
    for seed, is_spoiled in asked:
        path = options.folder / f"{seed}-{is_spoiled}.json"
        if not path.exists():
            row = run(seed, is_spoiled, settings, device)
            path.write_text(json.dumps(row))
            print(row, flush=True)
    report("The gate", rows_of(options.folder, asked), options.out)


if __name__ == "__main__":
    main()
